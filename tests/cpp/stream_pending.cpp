// Generators that are pending: without a value, until what they wait for is there.
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "generator_support.hpp"

using namespace generator_support;

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
