// Erlang's term order over encoded terms: number < atom < reference < fun < port < pid < tuple < map <
// [] < list < bitstring. Integers and floats compare by their exact values.
//
// Bytes may be malformed: that is a conversion_error, as everywhere. Recursion is bounded by `max_depth`.
#ifndef ERLPY_ETF_COMPARE_HPP
#define ERLPY_ETF_COMPARE_HPP

#include <compare>
#include <cstddef>

#include <erlpy/data_model.hpp>
#include <erlpy/etf/detail/comparer.hpp>
#include <erlpy/etf/term.hpp>

namespace erlpy::etf {

// The order of `==` and `<`: 1 and 1.0 are equal. Throws conversion_error: `value` for malformed bytes,
// `recursion` past `max_depth`.
[[nodiscard]] inline std::strong_ordering compare(term a, term b,
                                                  std::size_t max_depth = walk_limits{}.max_depth) {
  return detail::comparer(max_depth).terms(a.bytes(), b.bytes(), detail::number_order::by_value);
}

// The order of map keys: as compare(), but every integer is less than every float, so that only what is
// `=:=` is equal (0.0 and -0.0 differ, as they do from OTP 27 on). Errors as compare().
[[nodiscard]] inline std::strong_ordering compare_keys(term a, term b,
                                                       std::size_t max_depth = walk_limits{}.max_depth) {
  return detail::comparer(max_depth).terms(a.bytes(), b.bytes(), detail::number_order::integers_first);
}

// Erlang's `=:=`. Errors as compare().
[[nodiscard]] inline bool identical(term a, term b, std::size_t max_depth = walk_limits{}.max_depth) {
  return compare_keys(a, b, max_depth) == std::strong_ordering::equal;
}

}  // namespace erlpy::etf

#endif
