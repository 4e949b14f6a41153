// Generators that yield the elements of others: in place, at the same cost however deep, destroyed once.
#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "generator_support.hpp"

using namespace generator_support;

TEST_CASE("nested generators yield in place, and give their results") {
  const auto inner = [](int from) -> generator<int, std::string> {
    co_yield elements_of{count(from, from + 2)};
    co_return "from " + std::to_string(from);
  };
  const auto outer = [](auto make) -> generator<int, std::string> {
    const std::string first = co_yield elements_of{make(10)};
    co_yield 0;
    const std::string second = co_yield elements_of{make(20)};
    co_yield elements_of{generator<int>()};
    co_return first + ", " + second;
  };
  auto nest = outer(inner);
  std::vector<int> values;
  for (const int value : nest) values.push_back(value);
  CHECK(values == std::vector<int>{10, 11, 0, 20, 21});
  CHECK(nest.result() == "from 10, from 20");
}

TEST_CASE("a generator that is half way, itself a nest, can be nested") {
  counted::reset();
  {
    const auto wrap = [](generator<int> from) -> generator<int> {
      co_yield -1;
      co_yield elements_of{std::move(from)};
      co_yield -2;
    };
    generator<int> half = descend(3, 2);
    CHECK(next_is(half, 3));
    CHECK(next_is(half, 2));
    CHECK(next_is(half, 1));
    generator<int> outer = wrap(std::move(half));
    CHECK(all(std::move(outer)) == std::vector<int>{-1, 0, 0, 1, -2});

    generator<int> ended = count(0, 1);
    CHECK(all(wrap(wrap(std::move(ended)))) == std::vector<int>{-1, -1, 0, -2, -2});
  }
  CHECK(counted::alive == 0);
}

namespace {

// What a leaf yields: its own address, and where the stack was as it ran.
struct sighting {
  const sighting* self = nullptr;
  const char* stack = nullptr;
};

[[gnu::noinline]] const char* stack_here() { return static_cast<const char*>(__builtin_frame_address(0)); }

generator<sighting> look(int depth, int values, int& woken) {
  if (depth > 0) {
    co_yield elements_of{look(depth - 1, values, woken)};
    ++woken;
    co_return;
  }
  sighting seen;
  for (int at = 0; at < values; ++at) {
    seen.self = &seen;
    seen.stack = stack_here();
    ++woken;
    co_yield seen;
  }
}

}  // namespace

TEST_CASE("a resume runs the leaf and nothing else, however deep") {
  constexpr int values = 100;
  std::ptrdiff_t shallow = 0;
  for (const int depth : {0, 1, 10'000}) {
    int woken = 0;
    generator<sighting> nest = look(depth, values, woken);
    REQUIRE(nest.resume() == progress::value);
    for (int at = 2; at <= values; ++at) {
      REQUIRE(nest.resume() == progress::value);
      // No frame between woken, no call between on the stack, no copy of the value on its way.
      REQUIRE(woken == at);
      const std::ptrdiff_t distance = stack_here() - nest.value().stack;
      if (depth == 0) shallow = distance;
      REQUIRE(distance == shallow);
      REQUIRE(nest.value().self == &nest.value());
    }
    CHECK(nest.resume() == progress::done);
    CHECK(woken == values + depth);
  }
}

TEST_CASE("one value after another from 100,000 nested generators keeps the stack flat") {
  const auto singles = []() -> generator<int> {
    for (int at = 0; at < 100'000; ++at) co_yield elements_of{count(at, at)};
    co_yield 1;
  };
  generator<int> single = singles();
  CHECK(next_is(single, 1));
}

TEST_CASE("a nest is destroyed once and wholly, wherever it stands") {
  counted::reset();
  constexpr int depth = 20;
  constexpr int values = depth + 1 + 3;
  for (int asked = 0; asked <= values + 1; ++asked) {
    {
      generator<int> nest = descend(depth, 3);
      for (int at = 0; at < asked; ++at) (void)nest.resume();
      const int begun = std::min(asked, depth + 1);
      CHECK(counted::alive == (asked > values ? 0 : begun));
    }
    REQUIRE(counted::alive == 0);
  }
  {
    generator<int> deep = descend(10'000, 1);
    for (int at = 0; at <= 10'000; ++at) (void)deep.resume();
    CHECK(counted::alive == 10'001);
  }
  CHECK(counted::alive == 0);
}

TEST_CASE("frames are destroyed from the inside out") {
  static std::vector<int> order;
  order.clear();
  struct mark {
    int depth;
    explicit mark(int at) : depth(at) {}
    mark(const mark&) = delete;
    mark& operator=(const mark&) = delete;
    ~mark() { order.push_back(depth); }
    static generator<int> nest(int depth) {
      const mark here(depth);
      co_yield depth;
      if (depth < 3) co_yield elements_of{nest(depth + 1)};
    }
  };
  {
    generator<int> half = mark::nest(0);
    for (int at = 0; at < 4; ++at) CHECK(next_is(half, at));
    CHECK(order.empty());
  }
  CHECK(order == std::vector<int>{3, 2, 1, 0});
}

TEST_CASE("an exception of a nested generator passes the frames around it") {
  counted::reset();
  {
    struct nest {
      static generator<int> deep(int depth, int catcher) {
        const counted local;
        if (depth == 0) throw std::runtime_error("from below");
        std::string caught;
        try {
          co_yield elements_of{deep(depth - 1, catcher)};
        } catch (const std::runtime_error& failed) {
          if (depth != catcher) throw;
          caught = failed.what();
        }
        if (!caught.empty()) co_yield static_cast<int>(caught.size());
        co_yield depth;
      }
    };
    CHECK(all(nest::deep(5, 3)) == std::vector<int>{10, 3, 4, 5});
    generator<int> uncaught = nest::deep(1'000, 0);
    CHECK_THROWS_WITH(uncaught.resume(), "from below");
    CHECK(uncaught.done());
    CHECK(counted::alive == 0);
  }
}

TEST_CASE("inputs of a nest go to its leaf") {
  const auto inner = []() -> generator<int, int, int> {
    const int first = co_await current_input{};
    const int second = co_yield first;
    co_return second;
  };
  const auto outer = [](auto make) -> generator<int, int, int> {
    const int unseen = co_yield 0;
    const int result = co_yield elements_of{make()};
    const int mine = co_yield result;
    co_return unseen * 100 + mine;
  };
  auto nest = outer(inner);
  CHECK((nest.resume(1) == progress::value && nest.value() == 0));
  CHECK((nest.resume(2) == progress::value && nest.value() == 0));  // the outer one took the 2
  CHECK((nest.resume(3) == progress::value && nest.value() == 3));
  CHECK(nest.resume(4) == progress::done);
  CHECK(nest.result() == 204);

  const auto passing = [](auto make) -> generator<int, int, int> { co_return co_yield elements_of{make()}; };
  auto passed = passing(inner);
  CHECK((passed.resume(8) == progress::value && passed.value() == 8));
  CHECK(passed.resume(9) == progress::done);
  CHECK(passed.result() == 9);
}
