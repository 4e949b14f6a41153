// The word between those who ask for values and the one who makes them.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <semaphore>
#include <thread>
#include <vector>

#include <erlpy/stream/signals.hpp>

#include "catch.hpp"

using erlpy::stream::signals;
using asked = signals::asked;

TEST_CASE("the first demand finds the stream idle, the others busy, until it is settled") {
  signals word;
  CHECK(word.open() == 0);
  CHECK(word.idle());
  CHECK(word.demand(3) == asked::idle);
  CHECK_FALSE(word.idle());
  CHECK(word.demand(2) == asked::busy);
  CHECK(word.open() == 5);
  CHECK(word.settle(4));
  CHECK(word.open() == 1);
  CHECK(word.demand(1) == asked::busy);
  CHECK_FALSE(word.settle(2));
  CHECK(word.open() == 0);
  CHECK(word.idle());
  CHECK(word.demand(1) == asked::idle);
}

TEST_CASE("demand beyond the most is cut off") {
  signals word;
  CHECK(word.demand(~std::uint64_t{0}) == asked::idle);
  CHECK(word.open() == signals::most);
  CHECK(word.demand(signals::most) == asked::busy);
  CHECK(word.demand(1) == asked::busy);
  CHECK(word.open() == signals::most);
  CHECK_FALSE(word.closing());
  CHECK(word.settle(signals::most - 1));
  CHECK(word.open() == 1);
}

TEST_CASE("closing ends the demand, and is work to do") {
  signals idle;
  CHECK(idle.close() == asked::idle);
  CHECK(idle.closing());
  CHECK(idle.close() == asked::closing);
  CHECK(idle.demand(7) == asked::busy);
  CHECK(idle.open() == 0);

  signals busy;
  CHECK(busy.demand(4) == asked::idle);
  CHECK(busy.close() == asked::busy);
  CHECK(busy.open() == 0);
  CHECK(busy.settle(4));  // it is still to close
  CHECK(busy.closing());
}

TEST_CASE("after the end nothing is asked for") {
  signals word;
  CHECK(word.demand(4) == asked::idle);
  word.end();
  CHECK_FALSE(word.idle());
  CHECK(word.demand(1) == asked::ended);
  CHECK(word.close() == asked::ended);
  CHECK(word.open() == 0);
}

namespace {

// A stream and its worker: every `idle` wakes the worker, which makes what is asked for and settles.
class maker {
 public:
  // Any thread.
  void ask(std::uint64_t count) { wake_if_idle(word_.demand(count)); }
  void close() { wake_if_idle(word_.close()); }

  // The worker's thread; returns when it was closed. `batch`: how much it makes before it settles.
  void serve(std::uint64_t batch) {
    for (;;) {
      wakes_.acquire();
      if (scheduled_.fetch_sub(1) != 1) queued_twice = true;
      // In this order: a close in between makes open() zero.
      if (word_.open() == 0 && !word_.closing()) woken_for_nothing = true;
      for (bool more = true; more;) {
        if (word_.closing()) {
          word_.end();
          return;
        }
        const std::uint64_t now = std::min(word_.open(), batch);
        made += now;
        more = word_.settle(now);
      }
      ++rests;
    }
  }

  std::uint64_t made = 0;
  std::uint64_t rests = 0;
  std::atomic<std::uint64_t> wakes{0};
  std::atomic<bool> queued_twice{false};
  bool woken_for_nothing = false;

  [[nodiscard]] signals& word() noexcept { return word_; }

 private:
  void wake_if_idle(asked before) {
    if (before != asked::idle) return;
    if (scheduled_.fetch_add(1) != 0) queued_twice = true;
    ++wakes;
    wakes_.release();
  }

  signals word_;
  std::counting_semaphore<> wakes_{0};
  std::atomic<int> scheduled_{0};
};

}  // namespace

TEST_CASE("no demand of any thread is lost, and each rest is ended by one of them") {
  constexpr std::uint64_t askers = 4;
  constexpr std::uint64_t rounds = 50'000;
  for (const std::uint64_t batch : {std::uint64_t{1}, std::uint64_t{7}, signals::most}) {
    maker stream;
    std::thread worker([&] { stream.serve(batch); });
    std::vector<std::thread> asking;
    for (std::uint64_t asker = 1; asker <= askers; ++asker) {
      asking.emplace_back([&, asker] {
        for (std::uint64_t round = 0; round < rounds; ++round) {
          stream.ask(asker);
          if (round % 64 == 0) std::this_thread::yield();
        }
      });
    }
    for (auto& each : asking) each.join();
    while (stream.word().open() != 0) std::this_thread::yield();
    stream.close();
    worker.join();
    CHECK(stream.made == rounds * (1 + 2 + 3 + 4));
    CHECK(stream.wakes - stream.rests == 1);  // each ended in a rest, but the one that found the close
    CHECK_FALSE(stream.queued_twice);
    CHECK_FALSE(stream.woken_for_nothing);
  }
}

TEST_CASE("of a close and demands at the same time, one finds the stream idle, and it ends") {
  for (int round = 0; round < 2'000; ++round) {
    maker stream;
    std::thread worker([&] { stream.serve(2); });
    std::thread asking([&] {
      for (int at = 0; at < 5; ++at) stream.ask(3);
    });
    std::thread closing([&] { stream.close(); });
    asking.join();
    closing.join();
    worker.join();
    REQUIRE_FALSE(stream.queued_twice);
    REQUIRE_FALSE(stream.woken_for_nothing);
    REQUIRE(stream.word().demand(1) == asked::ended);
    REQUIRE(stream.wakes - stream.rests == 1);
  }
}
