// The hand-written side: loops for exactly one shape each, over what a careful programmer would write
// against CPython's C API, `ei`, erl_nif and C++ itself (python.hpp, etf.hpp, nif.hpp, cpp.hpp). The type of
// every element and the number of fields are checked, every call that can fail is; nothing else is looked
// at, as the shape is known.
//
// A reader and a writer of each world make all directions. The compiler joins the two into one loop: there
// is no call between them, and no copy, for texts are looked at in place.
#ifndef ERLPY_BENCHMARKS_CONVERSION_HAND_HPP
#define ERLPY_BENCHMARKS_CONVERSION_HAND_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "shapes.hpp"

namespace conversion::hand {

// Nothing here is of an unexpected type: what is, ends the benchmark.
[[noreturn, gnu::cold, gnu::noinline]] inline void fail(const char* what) { throw std::runtime_error(what); }

inline void expect(bool good, const char* what) {
  if (!good) fail(what);
}

// A record as it is carried over: its texts stay where they were read.
struct fields {
  std::int64_t id = 0;
  std::string_view name;
  double score = 0;
  std::array<std::string_view, 2> tags;
};

// What the names of the fields are in Erlang.
enum class key_form { text, atom };

template <shape S, class Reader, class Writer>
[[nodiscard]] auto convert(Reader in, Writer out) {
  const std::size_t size = in.begin();
  out.begin(size);
  for (std::size_t i = 0; i < size; ++i) {
    if constexpr (S == shape::integers) out.integer(in.integer());
    if constexpr (S == shape::floats) out.real(in.real());
    if constexpr (S == shape::texts) out.text(in.text());
    if constexpr (S == shape::records || S == shape::structs) out.record(in.record());
  }
  in.end();
  return out.end();
}

}  // namespace conversion::hand

#endif
