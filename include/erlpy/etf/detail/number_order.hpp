// The order of Erlang's numbers, which is that of their exact values.
#ifndef ERLPY_ETF_DETAIL_NUMBER_ORDER_HPP
#define ERLPY_ETF_DETAIL_NUMBER_ORDER_HPP

#include <array>
#include <bit>
#include <cmath>
#include <compare>
#include <cstddef>
#include <cstdint>

#include <erlpy/etf/detail/number.hpp>

namespace erlpy::etf::detail {

// by_value: 1 and 1.0 are equal. integers_first: the order of map keys, where no integer equals a float.
enum class number_order : std::uint8_t { by_value, integers_first };

[[nodiscard]] constexpr std::strong_ordering reversed(std::strong_ordering order) noexcept {
  return 0 <=> order;
}

// Little-endian, without leading zeros.
[[nodiscard]] inline std::strong_ordering compare_magnitudes(bytes_view a, bytes_view b) noexcept {
  if (a.size() != b.size()) return a.size() <=> b.size();
  for (std::size_t i = a.size(); i-- > 0;)
    if (a[i] != b[i]) return a[i] <=> b[i];
  return std::strong_ordering::equal;
}

[[nodiscard]] inline std::strong_ordering compare_integers(const number& a, const number& b) noexcept {
  if (a.kind == number_kind::small && b.kind == number_kind::small) return a.integer <=> b.integer;
  // One that does not fit 64 bits is farther from zero than any that does.
  if (a.kind == number_kind::small)
    return b.negative ? std::strong_ordering::greater : std::strong_ordering::less;
  if (b.kind == number_kind::small)
    return a.negative ? std::strong_ordering::less : std::strong_ordering::greater;
  if (a.negative != b.negative)
    return a.negative ? std::strong_ordering::less : std::strong_ordering::greater;
  const auto order = compare_magnitudes(a.magnitude, b.magnitude);
  return a.negative ? reversed(order) : order;
}

// The magnitude of an integer past 64 bits against that of a finite float.
[[nodiscard]] inline std::strong_ordering compare_magnitude(bytes_view integer, double real) noexcept {
  constexpr double two_to_63 = 9223372036854775808.0;
  real = std::fabs(real);
  if (real < two_to_63) return std::strong_ordering::greater;
  int exponent = 0;
  const double fraction = std::frexp(real, &exponent);
  auto mantissa = static_cast<std::uint64_t>(std::ldexp(fraction, 53));
  std::array<std::byte, 130> digits{};
  auto shift = static_cast<unsigned>(exponent - 53);
  for (; mantissa != 0; mantissa >>= 1U, ++shift)
    if ((mantissa & 1U) != 0) digits[shift / 8] |= std::byte{1} << (shift % 8);
  bytes_view magnitude(digits);
  while (magnitude.back() == std::byte{0}) magnitude = magnitude.first(magnitude.size() - 1);
  return compare_magnitudes(integer, magnitude);
}

[[nodiscard]] inline std::strong_ordering compare_integer_to_float(const number& integer,
                                                                   double real) noexcept {
  if (integer.kind == number_kind::big) {
    if (integer.negative != (real < 0))
      return integer.negative ? std::strong_ordering::less : std::strong_ordering::greater;
    const auto order = compare_magnitude(integer.magnitude, real);
    return integer.negative ? reversed(order) : order;
  }
  constexpr double two_to_63 = 9223372036854775808.0;
  if (real >= two_to_63) return std::strong_ordering::less;
  if (real < -two_to_63) return std::strong_ordering::greater;
  const double whole = std::trunc(real);
  const auto order = integer.integer <=> static_cast<std::int64_t>(whole);
  if (order != 0) return order;
  if (real > whole) return std::strong_ordering::less;
  if (real < whole) return std::strong_ordering::greater;
  return std::strong_ordering::equal;
}

[[nodiscard]] inline std::strong_ordering compare_floats(double a, double b, number_order order) noexcept {
  if (a < b) return std::strong_ordering::less;
  if (a > b) return std::strong_ordering::greater;
  if (order == number_order::by_value) return std::strong_ordering::equal;
  return std::signbit(b) <=> std::signbit(a);
}

[[nodiscard]] inline std::strong_ordering compare_numbers(const number& a, const number& b,
                                                          number_order order) noexcept {
  const bool a_real = a.kind == number_kind::real;
  const bool b_real = b.kind == number_kind::real;
  if (a_real && b_real) return compare_floats(a.real, b.real, order);
  if (!a_real && !b_real) return compare_integers(a, b);
  if (order == number_order::integers_first) return a_real <=> b_real;
  return a_real ? reversed(compare_integer_to_float(b, a.real)) : compare_integer_to_float(a, b.real);
}

}  // namespace erlpy::etf::detail

#endif
