// generator<T, Return, Input> in plain C++: what comes out, in which order, and that every frame, value and
// input is destroyed once, wherever the coroutine stands.
#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "generator_support.hpp"

using namespace generator_support;

TEST_CASE("values come in order, and the end stays the end") {
  generator<int> numbers = count(3, 6);
  CHECK_FALSE(numbers.done());
  CHECK(next_is(numbers, 3));
  CHECK(next_is(numbers, 4));
  CHECK(next_is(numbers, 5));
  CHECK_FALSE(numbers.done());
  CHECK(numbers.resume() == progress::done);
  CHECK(numbers.done());
  CHECK(numbers.resume() == progress::done);
}

TEST_CASE("nothing runs before the first resume, and no further than asked") {
  int reached = 0;
  const auto effects = [](int& at) -> generator<int> {
    at = 1;
    co_yield 1;
    at = 2;
    co_yield 2;
    at = 3;
  };
  generator<int> steps = effects(reached);
  CHECK(reached == 0);
  CHECK(next_is(steps, 1));
  CHECK(reached == 1);
  CHECK(next_is(steps, 2));
  CHECK(reached == 2);
}

TEST_CASE("an empty generator has ended") {
  generator<int, int> none;
  CHECK(none.done());
  CHECK(none.resume() == progress::done);
  CHECK(none.waiting_for() == nullptr);
  CHECK_THROWS_AS(none.result(), erlpy::error);

  generator<int> from = count(0, 2);
  CHECK(next_is(from, 0));
  generator<int> to = std::move(from);
  CHECK(from.done());
  CHECK(from.resume() == progress::done);
  CHECK(next_is(to, 1));
  to = count(7, 8);
  CHECK(next_is(to, 7));
}

TEST_CASE("a generator is an input range and a view") {
  STATIC_REQUIRE(std::ranges::input_range<generator<int>>);
  STATIC_REQUIRE(std::ranges::view<generator<int>>);
  STATIC_REQUIRE_FALSE(std::copy_constructible<generator<int>>);

  std::vector<int> squares;
  for (const int square : count(0, 100) | std::views::filter([](int n) { return n % 2 == 1; }) |
                              std::views::transform([](int n) { return n * n; }) | std::views::take(3))
    squares.push_back(square);
  CHECK(squares == std::vector<int>{1, 9, 25});
  CHECK(all(count(0, 0)).empty());

  generator<int> rest = count(0, 5);
  for (const int value : rest)
    if (value == 1) break;
  CHECK(all(std::move(rest)) == std::vector<int>{2, 3, 4});
}

TEST_CASE("how a value is yielded") {
  counted::reset();
  std::vector<std::string> names;
  const auto every_way = []() -> generator<counted> {
    co_yield counted("temporary");
    counted lvalue("lvalue");
    co_yield lvalue;
    co_yield std::move(lvalue);
    co_yield std::string("converted");
    co_yield {std::string("braced")};
  };
  for (const counted& value : every_way()) names.push_back(value.name());
  CHECK(names == std::vector<std::string>{"temporary", "lvalue", "lvalue", "converted", "braced"});
  CHECK(counted::copies == 0);
  CHECK(counted::moves == 0);
  CHECK(counted::alive == 0);

  const auto constant = []() -> generator<counted> {
    const counted kept("constant");
    co_yield kept;
    if (kept.name() == "constant") co_yield kept;
  };
  int seen = 0;
  for (counted& value : constant()) {
    CHECK(value.name() == "constant");
    const counted taken = std::move(value);
    ++seen;
  }
  CHECK(seen == 2);
  CHECK(counted::copies == 2);
  CHECK(counted::alive == 0);
}

TEST_CASE("the caller may change what a coroutine yields by name") {
  const auto doubling = []() -> generator<int> {
    int value = 1;
    while (value < 100) co_yield value;
  };
  int last = 0;
  for (int& value : doubling()) value = last = value * 2;
  CHECK(last == 128);
}

TEST_CASE("values that can only be moved") {
  const auto owners = []() -> generator<std::unique_ptr<int>, std::unique_ptr<int>> {
    co_yield std::make_unique<int>(1);
    auto second = std::make_unique<int>(2);
    co_yield second;
    if (!second) co_yield nullptr;
    co_return std::make_unique<int>(3);
  };
  auto from = owners();
  std::vector<std::unique_ptr<int>> taken;
  while (from.resume() == progress::value) taken.push_back(std::move(from.value()));
  REQUIRE(taken.size() == 3);
  CHECK(*taken[0] == 1);
  CHECK(*taken[1] == 2);
  CHECK(taken[2] == nullptr);
  CHECK(*from.result() == 3);
}

TEST_CASE("aggregates are yielded by name") {
  struct record {
    counted who;
    int number;
  };
  struct plain {
    int x;
    int y;
  };
  counted::reset();
  const auto records = []() -> generator<record> {
    record first{counted("first"), 1};
    co_yield first;
    record second{counted("second"), 2};
    co_yield second;
  };
  const auto plains = []() -> generator<plain> { co_yield plain{1, 2}; };
  std::string names;
  for (const record& each : records()) names += each.who.name();
  for (const plain& each : plains()) CHECK(each.x + each.y == 3);
  CHECK(names == "firstsecond");
  CHECK(counted::alive == 0);
}

TEST_CASE("the result is there once, after the end") {
  counted::reset();
  const auto summing = []() -> generator<int, counted> {
    co_yield 1;
    co_return std::string("the sum");
  };
  {
    auto sum = summing();
    CHECK_THROWS_AS(sum.result(), erlpy::error);
    CHECK(next_is(sum, 1));
    CHECK_THROWS_AS(sum.result(), erlpy::error);
    CHECK(sum.resume() == progress::done);
    CHECK(sum.result().name() == "the sum");
    CHECK_THROWS_AS(sum.result(), erlpy::error);
  }
  {
    auto untaken = summing();
    for (int& value : untaken) CHECK(value == 1);
  }
  CHECK(counted::alive == 0);
}

TEST_CASE("inputs reach the co_yield that they continue") {
  counted::reset();
  {
    const auto echo = []() -> generator<std::string, int, counted> {
      counted input = co_await current_input{};
      int rounds = 0;
      while (input.name() != "stop") {
        ++rounds;
        std::string name = input.name();
        input = co_yield name;
      }
      co_return rounds;
    };
    auto echoes = echo();
    REQUIRE(echoes.resume(counted("one")) == progress::value);
    CHECK(echoes.value() == "one");
    REQUIRE(echoes.resume({"two"}) == progress::value);
    CHECK(echoes.value() == "two");
    REQUIRE(echoes.resume() == progress::value);
    CHECK(echoes.value() == "made by default");
    REQUIRE(echoes.resume(counted("stop")) == progress::done);
    CHECK(echoes.result() == 3);
    CHECK(echoes.resume(counted("after the end")) == progress::done);
  }
  CHECK(counted::alive == 0);
}

TEST_CASE("an input that nobody takes is gone with the next resume, one taken is there once") {
  const auto looks_late = []() -> generator<int, void, int> {
    co_yield 0;
    co_yield 0;
    co_yield co_await current_input{};
    const int taken = co_yield 0;
    co_yield taken;
    const int first = co_await current_input{};
    const int again = co_await current_input{};
    co_yield first * 100 + again;
  };
  auto late = looks_late();
  CHECK(late.resume(1) == progress::value);
  CHECK(late.resume(2) == progress::value);
  CHECK(late.resume(3) == progress::value);
  CHECK(late.value() == 0);  // the second co_yield took the 3
  CHECK(late.resume(4) == progress::value);
  CHECK((late.resume(5) == progress::value && late.value() == 5));
  CHECK((late.resume(6) == progress::value && late.value() == 0));
}

TEST_CASE("what a coroutine throws comes out of resume, then it has ended") {
  counted::reset();
  {
    const auto failing = []() -> generator<int, int> {
      const counted local;
      co_yield 1;
      throw std::runtime_error("no more");
    };
    auto numbers = failing();
    CHECK(next_is(numbers, 1));
    CHECK(counted::alive == 1);
    CHECK_THROWS_WITH(numbers.resume(), "no more");
    CHECK(counted::alive == 0);
    CHECK(numbers.done());
    CHECK(numbers.resume() == progress::done);
    CHECK_THROWS_AS(numbers.result(), erlpy::error);

    auto ranged = failing();
    int seen = 0;
    CHECK_THROWS_AS(
        [&] {
          for (const int value : ranged) seen += value;
        }(),
        std::runtime_error);
    CHECK(seen == 1);
  }
  CHECK(counted::alive == 0);
}

TEST_CASE("an input may make a coroutine throw, and go on if it catches") {
  const auto dividing = []() -> generator<int, std::string, int> {
    int by = co_await current_input{};
    for (;;) {
      int result = -1;
      try {
        if (by == 0) throw std::domain_error("zero");
        if (by < 0) throw std::out_of_range("negative");
        result = 100 / by;
      } catch (const std::domain_error&) {
      }
      by = co_yield result;
    }
  };
  auto division = dividing();
  CHECK((division.resume(4) == progress::value && division.value() == 25));
  CHECK((division.resume(0) == progress::value && division.value() == -1));
  CHECK((division.resume(5) == progress::value && division.value() == 20));
  CHECK_THROWS_AS(division.resume(-1), std::out_of_range);
  CHECK(division.done());
}

TEST_CASE("arguments of a coroutine live in its frame, and are destroyed with it") {
  counted::reset();
  const auto keeps = [](counted kept) -> generator<std::string> { co_yield kept.name(); };
  {
    generator<std::string> never_run = keeps(counted("argument"));
    CHECK(counted::alive == 1);
    generator<std::string> half = keeps(counted("argument"));
    CHECK(next_is(half, "argument"));
    CHECK(all(keeps(counted("argument"))) == std::vector<std::string>{"argument"});
    CHECK(counted::alive == 2);
  }
  CHECK(counted::alive == 0);
}
