// What every fuzz target shares: an expectation, and an attempt that may end in the library's own error and
// in nothing else.
#ifndef ERLPY_FUZZ_FUZZ_HPP
#define ERLPY_FUZZ_FUZZ_HPP

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <span>
#include <utility>

#include <erlpy/data_model.hpp>
#include <erlpy/error.hpp>

namespace fuzz {

// A finding if not true: libFuzzer keeps the input.
inline void expect(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "not so: %s\n", what);
  std::abort();
}

// What `act` returns, or nothing if it throws a conversion_error. Any other exception is a finding.
template <class Act>
auto attempt(Act&& act) -> std::optional<decltype(act())> {
  try {
    return std::forward<Act>(act)();
  } catch (const erlpy::conversion_error&) {
    return std::nullopt;
  }
}

[[nodiscard]] inline erlpy::bytes_view as_view(const std::uint8_t* data, std::size_t size) noexcept {
  return std::as_bytes(std::span(data, size));
}

}  // namespace fuzz

#endif
