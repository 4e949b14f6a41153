// What the tests of generators share: an object that counts itself, and generators of a few shapes.
#ifndef ERLPY_TESTS_GENERATOR_SUPPORT_HPP
#define ERLPY_TESTS_GENERATOR_SUPPORT_HPP

#include <string>
#include <utility>
#include <vector>

#include <erlpy/stream/generator.hpp>

#include "catch.hpp"

namespace generator_support {

using erlpy::generator;
using erlpy::stream::current_input;
using erlpy::stream::elements_of;
using erlpy::stream::pending;
using erlpy::stream::progress;

// Counts the objects alive, and the copies and moves made. The text is long enough to be on the heap, so
// that a second destruction is seen by ASan too.
class counted {
 public:
  static inline int alive = 0;
  static inline int copies = 0;
  static inline int moves = 0;
  static void reset() { alive = copies = moves = 0; }

  counted() : counted("made by default, on the heap") {}
  counted(std::string name) : name_(std::move(name) + ", which is long enough for the heap") { ++alive; }
  counted(const counted& other) : name_(other.name_) {
    ++alive;
    ++copies;
  }
  counted(counted&& other) noexcept : name_(std::move(other.name_)) {
    ++alive;
    ++moves;
  }
  counted& operator=(const counted&) = default;
  counted& operator=(counted&&) = default;
  ~counted() { --alive; }

  [[nodiscard]] std::string name() const { return name_.substr(0, name_.find(',')); }

 private:
  std::string name_;
};

template <class G>
std::vector<typename G::value_type> all(G from) {
  std::vector<typename G::value_type> values;
  for (auto& value : from) values.push_back(value);
  return values;
}

inline generator<int> count(int from, int to) {
  for (int at = from; at < to; ++at) co_yield at;
}

// Yields depth, ..., 1, 0 from ever deeper frames, then `values` more from the deepest.
inline generator<int> descend(int depth, int values) {
  const counted here;
  co_yield depth;
  if (depth > 0) {
    co_yield elements_of{descend(depth - 1, values)};
  } else {
    for (int at = 0; at < values; ++at) co_yield at;
  }
}

template <class G>
bool next_is(G& from, typename G::value_type expected) {
  return from.resume() == progress::value && from.value() == expected;
}

}  // namespace generator_support

#endif
