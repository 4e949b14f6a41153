// Numbers of the External Term Format: integers of any size and floats, decoded but not converted.
#ifndef ERLPY_ETF_DETAIL_NUMBER_HPP
#define ERLPY_ETF_DETAIL_NUMBER_HPP

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <locale>
#include <sstream>
#include <string>
#include <string_view>

#include <erlpy/etf/detail/reader.hpp>

namespace erlpy::etf::detail {

enum class number_kind : std::uint8_t { small, big, real };

// `small` fits 64 bits and is in `integer`; `big` does not and is in `negative` and `magnitude` (least
// significant byte first, the most significant one not zero).
struct number {
  number_kind kind = number_kind::small;
  bool negative = false;
  std::int64_t integer = 0;
  double real = 0;
  bytes_view magnitude;
};

[[nodiscard]] inline number make_number(bool negative, bytes_view magnitude) noexcept {
  while (!magnitude.empty() && magnitude.back() == std::byte{0})
    magnitude = magnitude.first(magnitude.size() - 1);
  number result;
  if (magnitude.size() <= 8) {
    std::uint64_t value = 0;
    for (std::size_t i = magnitude.size(); i-- > 0;)
      value = (value << 8U) | std::to_integer<std::uint64_t>(magnitude[i]);
    constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (value <= most + (negative ? 1U : 0U)) {
      result.integer = static_cast<std::int64_t>(negative ? 0 - value : value);
      return result;
    }
  }
  result.kind = number_kind::big;
  result.negative = negative;
  result.magnitude = magnitude;
  return result;
}

// What follows the tag of a SMALL_BIG or LARGE_BIG.
[[nodiscard]] inline number read_big(reader& in, bool large) {
  const std::size_t offset = in.offset();
  const std::size_t size = large ? in.u32() : in.u8();
  const unsigned sign = in.u8();
  if (sign > 1) fail_at(offset, "an integer whose sign is neither 0 nor 1");
  return make_number(sign == 1, in.take(size));
}

// What follows the tag of a NEW_FLOAT.
[[nodiscard]] inline double read_float(reader& in) {
  const std::size_t offset = in.offset();
  const double value = std::bit_cast<double>(in.u64());
  if (!std::isfinite(value)) fail_at(offset, "a float that is not finite");
  return value;
}

// A NEW_FLOAT with its tag, which is next.
[[nodiscard]] inline double read_tagged_float(reader& in) {
  const double value = std::bit_cast<double>(in.tagged<8>());
  if (!std::isfinite(value)) fail_at(in.offset() - 8, "a float that is not finite");
  return value;
}

// What follows the tag of an old FLOAT: 31 characters of "%.20e", padded with zeros.
[[nodiscard, gnu::noinline]] inline double read_old_float(reader& in) {
  const std::size_t offset = in.offset();
  std::string_view text = as_text(in.take(31));
  text = text.substr(0, text.find('\0'));
  double value = 0;
  bool good = !text.empty() && text.find_first_not_of("0123456789+-.eE") == std::string_view::npos;
  if (good) {
    // Not strtod: what a decimal point is must not depend on the locale.
    std::istringstream parser{std::string(text)};
    parser.imbue(std::locale::classic());
    good = static_cast<bool>(parser >> value) && parser.peek() == std::istringstream::traits_type::eof() &&
           std::isfinite(value);
  }
  if (!good) fail_at(offset, "a float in text form that is no number");
  return value;
}

[[nodiscard]] constexpr bool is_number_tag(tag t) noexcept {
  return t == tag::small_integer || t == tag::integer || t == tag::small_big || t == tag::large_big ||
         t == tag::new_float || t == tag::old_float;
}

// Reads a number; the next tag must be one of a number.
[[nodiscard]] inline number read_number(reader& in) {
  const std::size_t offset = in.offset();
  number result;
  switch (static_cast<tag>(in.u8())) {
    case tag::small_integer: result.integer = in.u8(); return result;
    case tag::integer: result.integer = static_cast<std::int32_t>(in.u32()); return result;
    case tag::small_big: return read_big(in, false);
    case tag::large_big: return read_big(in, true);
    case tag::new_float:
      result.kind = number_kind::real;
      result.real = read_float(in);
      return result;
    case tag::old_float:
      result.kind = number_kind::real;
      result.real = read_old_float(in);
      return result;
    default: fail_at(offset, "a number is missing");
  }
}

}  // namespace erlpy::etf::detail

#endif
