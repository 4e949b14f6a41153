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

#include <erlpy/stream/generator.hpp>

#include "catch.hpp"

namespace {

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

generator<int> count(int from, int to) {
  for (int at = from; at < to; ++at) co_yield at;
}

// Yields depth, ..., 1, 0 from ever deeper frames, then `values` more from the deepest.
generator<int> descend(int depth, int values) {
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

}  // namespace

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

namespace {

// Opens after being waited for a number of times.
class gate final : public erlpy::stream::waiter {
 public:
  explicit gate(int rounds) : rounds_(rounds) {}
  void wait() override {
    ++waits;
    if (rounds_ > 0) --rounds_;
    if (fails) throw std::runtime_error("cannot wait");
  }
  [[nodiscard]] bool open() const { return rounds_ == 0; }

  int waits = 0;
  bool fails = false;

 private:
  int rounds_;
};

generator<int> behind(gate& closed) {
  co_yield 1;
  while (!closed.open()) co_await pending{closed};
  co_yield 2;
}

generator<int> around(generator<int> inner) {
  co_yield elements_of{std::move(inner)};
  co_yield 3;
}

}  // namespace

TEST_CASE("a pending coroutine says what it waits for, and its caller goes on when it likes") {
  gate closed(2);
  generator<int> nest = around(behind(closed));
  CHECK(nest.waiting_for() == nullptr);
  CHECK(next_is(nest, 1));
  CHECK(nest.waiting_for() == nullptr);
  CHECK(nest.resume() == progress::pending);
  CHECK(nest.waiting_for() == &closed);
  CHECK(nest.resume() == progress::pending);
  CHECK(closed.waits == 0);
  closed.wait();
  CHECK(nest.resume() == progress::pending);
  closed.wait();
  CHECK(next_is(nest, 2));
  CHECK(next_is(nest, 3));
  CHECK(nest.resume() == progress::done);
}

TEST_CASE("a range waits where its coroutine is pending") {
  gate closed(5);
  CHECK(all(around(behind(closed))) == std::vector<int>{1, 2, 3});
  CHECK(closed.waits == 5);

  gate broken(1);
  broken.fails = true;
  CHECK_THROWS_WITH(all(around(behind(broken))), "cannot wait");

  gate shut(1);
  {
    generator<int> half = around(behind(shut));
    CHECK(next_is(half, 1));
    CHECK(half.resume() == progress::pending);
  }
  CHECK(shut.waits == 0);
}

TEST_CASE("a pending coroutine takes its input when it goes on") {
  const auto patient = [](gate& closed) -> generator<int, void, int> {
    while (!closed.open()) co_await pending{closed};
    co_yield co_await current_input{};
  };
  gate closed(1);
  auto waits = patient(closed);
  CHECK(waits.resume(1) == progress::pending);
  closed.wait();
  CHECK((waits.resume(2) == progress::value && waits.value() == 2));
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
