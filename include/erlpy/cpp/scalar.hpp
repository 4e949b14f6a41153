// Numbers, bool and enums.
//
// An integer fits or is an error that says the type; bool is no integer, and an integer no bool. A floating
// point type takes an integer that it can hold exactly, and rounds a float to its precision. Character
// types are no numbers and do not cross.
#ifndef ERLPY_CPP_SCALAR_HPP
#define ERLPY_CPP_SCALAR_HPP

#include <bit>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <erlpy/cpp/caster.hpp>
#include <erlpy/cpp/refusing.hpp>
#include <erlpy/crossing.hpp>

namespace erlpy::cpp {

namespace detail {

template <class T>
concept character_type = std::same_as<T, char> || std::same_as<T, wchar_t> || std::same_as<T, char8_t> ||
    std::same_as<T, char16_t> || std::same_as<T, char32_t>;

template <class T>
concept integer_type = std::integral<T> && !std::same_as<T, bool> && !character_type<T>;

template <class T>
concept real_type = std::same_as<T, float> || std::same_as<T, double>;

template <integer_type T>
[[nodiscard]] constexpr std::string_view integer_name() noexcept {
  constexpr bool is_signed = std::is_signed_v<T>;
  switch (sizeof(T)) {
    case 1: return is_signed ? "std::int8_t" : "std::uint8_t";
    case 2: return is_signed ? "std::int16_t" : "std::uint16_t";
    case 4: return is_signed ? "std::int32_t" : "std::uint32_t";
    default: return is_signed ? "std::int64_t" : "std::uint64_t";
  }
}

template <real_type T>
inline constexpr std::string_view real_name = std::same_as<T, float> ? "float" : "double";

[[nodiscard]] inline std::string shown(double value) {
  char text[32];
  const int size = std::snprintf(text, sizeof text, "%.17g", value);
  return std::string(text, static_cast<std::size_t>(size));
}

[[noreturn, gnu::cold, gnu::noinline]] inline void does_not_fit(const std::string& number,
                                                                std::string_view type) {
  throw mismatch(fault::overflow, number + " does not fit " + std::string(type));
}

// The bits of a magnitude, least significant byte first.
[[nodiscard]] inline std::size_t bit_length(bytes_view magnitude) noexcept {
  std::size_t size = magnitude.size();
  while (size > 0 && magnitude[size - 1] == std::byte{0}) --size;
  if (size == 0) return 0;
  const auto top = std::to_integer<unsigned char>(magnitude[size - 1]);
  return (size - 1) * 8 + static_cast<std::size_t>(std::bit_width(top));
}

[[nodiscard]] inline std::string described_integer(bool negative, bytes_view magnitude) {
  return (negative ? "a negative integer of " : "an integer of ") + std::to_string(bit_length(magnitude)) +
         " bits";
}

// The magnitude, of at most 64 bits.
[[nodiscard]] inline std::uint64_t low_word(bytes_view magnitude) noexcept {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < magnitude.size() && i < sizeof word; ++i)
    word |= std::to_integer<std::uint64_t>(magnitude[i]) << (8 * i);
  return word;
}

// Whether an integer of this size and sign fits, and what it is.
template <integer_type T>
[[nodiscard]] bool read_integer(bool negative, bytes_view magnitude, T& out) noexcept {
  if (bit_length(magnitude) > 64) return false;
  const std::uint64_t word = low_word(magnitude);
  if (!negative) {
    if (!std::in_range<T>(word)) return false;
    out = static_cast<T>(word);
    return true;
  }
  constexpr std::uint64_t lowest = std::uint64_t{1} << 63U;
  if (word > lowest) return false;
  const auto value = static_cast<std::int64_t>(std::uint64_t{0} - word);
  if (!std::in_range<T>(value)) return false;
  out = static_cast<T>(value);
  return true;
}

// The number if T has it exactly.
template <real_type T>
[[nodiscard]] bool read_real(bool negative, bytes_view magnitude, T& out) noexcept {
  double sum = 0;
  for (std::size_t i = magnitude.size(); i-- > 0;) {
    const double shifted = sum * 256;
    const double digit = std::to_integer<int>(magnitude[i]);
    sum = shifted + digit;
    if (!std::isfinite(sum) || sum - shifted != digit) return false;
  }
  out = static_cast<T>(negative ? -sum : sum);
  return static_cast<double>(out) == (negative ? -sum : sum);
}

template <real_type T>
[[nodiscard]] bool read_real(std::int64_t value, T& out) noexcept {
  out = static_cast<T>(value);
  constexpr T past_most = static_cast<T>(9223372036854775808.0);
  return out < past_most && static_cast<std::int64_t>(out) == value;
}

}  // namespace detail

template <detail::integer_type T>
struct caster<T> {
  template <class To>
  static typename To::value_type walk(T value, To& to, walking&) {
    if constexpr (!std::is_signed_v<T> && sizeof(T) >= sizeof(std::int64_t)) {
      if (!std::in_range<std::int64_t>(value)) {
        std::byte magnitude[sizeof(T)];
        for (std::size_t i = 0; i < sizeof(T); ++i) magnitude[i] = static_cast<std::byte>(value >> (8 * i));
        return to.big_integer(false, bytes_view(magnitude, sizeof(T)));
      }
    }
    return to.integer(static_cast<std::int64_t>(value));
  }

  struct sink : refusing<sink, T> {
    static constexpr kinds exact = kind::integer;
    static constexpr kinds also{};
    [[nodiscard]] static std::string expected() { return "int"; }

    [[nodiscard]] static bool fits(std::int64_t value) noexcept { return std::in_range<T>(value); }
    [[nodiscard]] static bool fits(bool negative, bytes_view magnitude) noexcept {
      T ignored{};
      return detail::read_integer(negative, magnitude, ignored);
    }

    T integer(std::int64_t value) const {
      if (!fits(value)) too_large(value);
      return static_cast<T>(value);
    }
    T big_integer(bool negative, bytes_view magnitude) const {
      T value{};
      if (!detail::read_integer(negative, magnitude, value))
        detail::does_not_fit(detail::described_integer(negative, magnitude), detail::integer_name<T>());
      return value;
    }

   private:
    [[noreturn, gnu::cold, gnu::noinline]] static void too_large(std::int64_t value) {
      detail::does_not_fit(std::to_string(value), detail::integer_name<T>());
    }
  };
};

template <>
struct caster<bool> {
  template <class To>
  static typename To::value_type walk(bool value, To& to, walking&) {
    return to.boolean(value);
  }

  struct sink : refusing<sink, bool> {
    static constexpr kinds exact = kind::boolean;
    static constexpr kinds also{};
    [[nodiscard]] static std::string expected() { return "bool"; }
    bool boolean(bool flag) const noexcept { return flag; }
  };
};

template <detail::real_type T>
struct caster<T> {
  template <class To>
  static typename To::value_type walk(T value, To& to, walking&) {
    return to.real(static_cast<double>(value));
  }

  struct sink : refusing<sink, T> {
    static constexpr kinds exact = kind::real;
    static constexpr kinds also = kind::integer;
    [[nodiscard]] static std::string expected() { return "float"; }

    [[nodiscard]] static bool fits(std::int64_t value) noexcept {
      T ignored{};
      return detail::read_real(value, ignored);
    }
    [[nodiscard]] static bool fits(bool negative, bytes_view magnitude) noexcept {
      T ignored{};
      return detail::read_real(negative, magnitude, ignored);
    }

    T real(double value) const {
      if constexpr (std::same_as<T, float>) {
        if (std::isfinite(value) && std::abs(value) > static_cast<double>(std::numeric_limits<float>::max()))
          detail::does_not_fit(detail::shown(value), "float");
      }
      return static_cast<T>(value);
    }
    T integer(std::int64_t value) const {
      T out{};
      if (!detail::read_real(value, out)) inexact(std::to_string(value));
      return out;
    }
    T big_integer(bool negative, bytes_view magnitude) const {
      T out{};
      if (!detail::read_real(negative, magnitude, out))
        inexact(detail::described_integer(negative, magnitude));
      return out;
    }
    T atom(std::string_view name) const {
      if (name == crossing::nan_atom) return std::numeric_limits<T>::quiet_NaN();
      if (name == crossing::infinity_atom) return std::numeric_limits<T>::infinity();
      if (name == crossing::neg_infinity_atom) return -std::numeric_limits<T>::infinity();
      return refusing<sink, T>::atom(name);
    }

   private:
    [[noreturn]] static void inexact(const std::string& number) {
      throw mismatch(fault::overflow, number + " has no exact " + std::string(detail::real_name<T>));
    }
  };
};

// An enum is its integer. Numbers that no enumerator has are taken too, as they are in C++.
template <class T>
requires(std::is_enum_v<T> && !detail::crosses_as_other<T>) struct caster<T> {
  using integer_type = std::underlying_type_t<T>;

  template <class To>
  static typename To::value_type walk(T value, To& to, walking& on) {
    return on.value(static_cast<integer_type>(value), to);
  }

  struct sink : refusing<sink, T> {
    using number = cpp::sink<integer_type>;
    static constexpr kinds exact = number::exact;
    static constexpr kinds also{};
    [[nodiscard]] static std::string expected() { return number::expected(); }

    T boolean(bool flag) const { return static_cast<T>(number().boolean(flag)); }
    T integer(std::int64_t value) const { return static_cast<T>(number().integer(value)); }
    T big_integer(bool negative, bytes_view magnitude) const {
      return static_cast<T>(number().big_integer(negative, magnitude));
    }
  };
};

}  // namespace erlpy::cpp

#endif
