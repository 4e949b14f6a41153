// Coroutines of a C++ program that await calls and streams, in every kind of pool.
#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "host_support.hpp"

using namespace host_support;

namespace {

// A coroutine that its maker destroys.
struct held {
  struct promise_type {
    held get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() {}
  };
  std::coroutine_handle<promise_type> handle;
};

constexpr auto generators =
    "import time\n"
    "closed = 0\n"
    "def slowly(n, seconds):\n"
    "    global closed\n"
    "    try:\n"
    "        for i in range(n):\n"
    "            time.sleep(seconds)\n"
    "            yield i\n"
    "    finally:\n"
    "        closed += 1\n"
    "def opened_late():\n"
    "    time.sleep(1)\n"
    "    return [1]\n"
    "def bad():\n"
    "    yield 1\n"
    "    raise KeyError('two')\n";

// A worker that is replaced, for it slept too long, has them as well.
[[nodiscard]] erlpy::pool_options with_generators(isolation kind) {
  auto options = options_of(kind);
  options.preload = generators;
  return options;
}

[[nodiscard]] bool closed_in(erlpy::interpreter_pool& pool, int count) {
  for (int tries = 0; tries < 300; ++tries) {
    if (pool.eval<int>("closed").get() == count) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

}  // namespace

TEST_CASE("a coroutine awaits a call, and goes on without the GIL on a thread that is no worker") {
  for (const isolation kind : every_kind) {
    INFO(kind_name(kind));
    erlpy::interpreter_pool pool(options_of(kind));
    const auto body = [](erlpy::interpreter_pool& in) -> task<std::string> {
      const double root = co_await in.call<double>("math", "sqrt", 25);
      if (erlpy::python::compat::thread_attached()) co_return "attached";
      std::string told;
      try {
        (void)co_await in.eval<int>("1 / 0");
      } catch (const erlpy::python_error& raised) {
        told = raised.kind();
      }
      try {
        co_await in.with({.timeout = 100ms}).call<void>("time", "sleep", 2);
      } catch (const erlpy::call_error& failed) {
        told += " " + std::string(erlpy::failure_name(failed.why()));
      }
      co_return std::to_string(static_cast<int>(root)) + " " + told;
    };
    CHECK(body(pool).get() == "5 ZeroDivisionError timeout");
  }
}

TEST_CASE("a coroutine that is destroyed while it waits is not resumed") {
  for (const isolation kind : every_kind) {
    INFO(kind_name(kind));
    erlpy::interpreter_pool pool(options_of(kind));
    bool went_on = false;
    const auto body = [&]() -> held {
      co_await pool.call<void>("time", "sleep", 0.2);
      went_on = true;
    };
    for (int i = 0; i < 5; ++i) body().handle.destroy();
    auto kept = pool.call<void>("time", "sleep", 0.1);
    const auto other = [&]() -> held {
      co_await kept;
      went_on = true;
    };
    other().handle.destroy();
    kept.get();
    CHECK_FALSE(went_on);
  }
}

TEST_CASE("a coroutine goes on where its executor takes it") {
  erlpy::interpreter_pool pool(options_of(isolation::shared));
  std::promise<std::coroutine_handle<>> handed;
  const auto body = [&]() -> task<std::thread::id> {
    co_await pool.call<void>("time", "sleep", 0.05).via([&](std::coroutine_handle<> next) {
      handed.set_value(next);
    });
    co_return std::this_thread::get_id();
  };
  auto running = body();
  handed.get_future().get().resume();
  CHECK(running.get() == std::this_thread::get_id());
}

TEST_CASE("a coroutine awaits the values of a stream, and its end") {
  for (const isolation kind : every_kind) {
    INFO(kind_name(kind));
    erlpy::interpreter_pool pool(with_generators(kind));
    const auto sum = [](erlpy::interpreter_pool& in, int count, double seconds) -> task<int> {
      auto values = in.stream<int>("__main__", "slowly", count, seconds);
      int total = 0;
      while (const auto each = co_await values.next_async()) {
        if (erlpy::python::compat::thread_attached()) co_return -1;
        total += *each;
      }
      if (co_await values.next_async()) co_return -2;
      co_return total;
    };
    CHECK(sum(pool, 10000, 0.0).get() == 49995000);
    CHECK(sum(pool, 5, 0.02).get() == 10);
    CHECK(sum(pool, 0, 0.0).get() == 0);
    CHECK(closed_in(pool, 3));
  }
}

TEST_CASE("what goes wrong in a stream that is awaited comes to the coroutine") {
  for (const isolation kind : every_kind) {
    INFO(kind_name(kind));
    erlpy::interpreter_pool pool(with_generators(kind));
    const auto first = [](erlpy::value_stream<int> values, std::chrono::milliseconds limit) -> task<int> {
      int last = 0;
      for (;;) {
        const auto each = co_await values.next_async(limit);
        if (!each) co_return last;
        last = *each;
      }
    };
    CHECK(failure([&] { return first(pool.stream<int>("__main__", "bad"), 10s).get(); }) ==
          "python_error: KeyError: 'two'");
    CHECK(failure([&] { return first(pool.stream<int>("math", "sqrt", 4), 10s).get(); }).find("TypeError") !=
          std::string::npos);
    CHECK(failure([&] { return first(pool.stream<int>("__main__", "opened_late"), 50ms).get(); }) ==
          "call_error: timeout");
    CHECK(failure([&] {
            return first(pool.with({.timeout = 50ms}).stream<int>("__main__", "opened_late"), 10s).get();
          }) == "call_error: timeout");
    CHECK(failure([&] { return first(pool.stream<int>("__main__", "slowly", 2, 2.0), 100ms).get(); }) ==
          "call_error: timeout");
    CHECK(first(pool.stream<int>("__main__", "slowly", 3, 0.0), 10s).get() == 2);
  }
}

TEST_CASE("a coroutine that is destroyed while it waits for a value closes its stream") {
  for (const isolation kind : every_kind) {
    INFO(kind_name(kind));
    erlpy::interpreter_pool pool(with_generators(kind));
    std::atomic<int> seen{0};
    const auto body = [&](int count, double seconds) -> held {
      auto values = pool.stream<int>("__main__", "slowly", count, seconds);
      for (;;) {
        const auto each = co_await values.next_async(10s);
        if (!each) co_return;
        ++seen;
      }
    };
    body(1, 0.0).handle.destroy();  // while the stream is opened, mostly
    auto half_way = body(2, 0.3);
    for (int tries = 0; tries < 500 && seen == 0; ++tries) std::this_thread::sleep_for(10ms);
    CHECK(seen == 1);
    std::this_thread::sleep_for(50ms);  // it waits for the second
    half_way.handle.destroy();
    for (int tries = 0; tries < 500 && pool.stats().workers[0].streams > 0; ++tries)
      std::this_thread::sleep_for(10ms);
    CHECK(pool.stats().workers[0].streams == 0);
    CHECK(seen == 1);
  }
}

TEST_CASE("a stream that is awaited goes on where its executor takes it") {
  erlpy::interpreter_pool pool(with_generators(isolation::shared));
  std::atomic<int> taken{0};
  const erlpy::executor here = [&](std::coroutine_handle<> next) {
    ++taken;
    next.resume();
  };
  const auto body = [&]() -> task<int> {
    auto values = pool.stream<int>("__main__", "slowly", 3, 0.05).via(here);
    int count = 0;
    for (;;) {
      const auto each = co_await values.next_async();
      if (!each) co_return count;
      ++count;
    }
  };
  CHECK(body().get() == 3);
  CHECK(taken >= 4);  // the opening, and each value at least
}

TEST_CASE("a deadline that was met leaves nothing behind") {
  auto kept = std::make_shared<int>(1);
  auto& timer = erlpy::pool::timer::instance();
  const auto given = timer.at(std::chrono::steady_clock::now() + 1h, [kept] {});
  CHECK(kept.use_count() == 2);
  timer.cancel(given);
  CHECK(kept.use_count() == 1);
  timer.cancel(given);

  erlpy::interpreter_pool pool(options_of(isolation::shared));
  const auto lasting = pool.with({.timeout = 1h});
  const std::size_t before = timer.waiting();
  const auto awaited = [&]() -> task<int> { co_return co_await lasting.call<int>("builtins", "len", "abc"); };
  for (int i = 0; i < 100; ++i) {
    lasting.call<void>("builtins", "len", "abc").detach();
    CHECK(awaited().get() == 3);
  }
  lasting.call<void>("builtins", "len", "abc").get();
  CHECK(timer.waiting() < before + 10);

  std::atomic<int> rings{0};
  erlpy::host::alarm early;
  early.arm(std::chrono::steady_clock::now(), [&] { ++rings; });
  for (int tries = 0; tries < 500 && rings == 0; ++tries) std::this_thread::sleep_for(10ms);
  CHECK(rings == 1);
  early.arm(std::chrono::steady_clock::now() + 50ms, [&] { ++rings; });
  early.disarm();
  std::this_thread::sleep_for(150ms);
  CHECK(rings == 1);
}

TEST_CASE("who destroys a waiting coroutine has its handle for the last time") {
  erlpy::interpreter_pool pool(options_of(isolation::shared));
  std::mutex mutex;
  std::vector<std::coroutine_handle<>> due;
  const erlpy::executor later = [&](std::coroutine_handle<> next) {
    const std::lock_guard lock(mutex);
    due.push_back(next);
  };
  const auto body = [&]() -> held { co_await pool.call<int>("builtins", "len", "abc").via(later); };
  const auto spin = [](std::chrono::nanoseconds time) {
    const auto until = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < until) {
    }
  };
  std::size_t late = 0;
  for (int i = 0; i < 20'000; ++i) {
    const held waiting = body();
    // The answer comes some 20 us later: before, while, and after it is destroyed.
    spin(std::chrono::nanoseconds(std::int64_t{i} * 7919 % 60'000));
    waiting.handle.destroy();
    {
      const std::lock_guard lock(mutex);
      due.clear();
    }
    spin(30us);
    const std::lock_guard lock(mutex);
    late += due.size();
    due.clear();
  }
  CHECK(late == 0);
}

TEST_CASE("a coroutine whose memory is still in use holds up no other") {
  erlpy::interpreter_pool pool(options_of(isolation::shared, 2));
  std::vector<int> numbers{1, 2, 3};
  std::mutex mutex;
  std::string order;
  const auto note = [&](char what) {
    const std::lock_guard lock(mutex);
    order += what;
  };
  const auto lending = [&]() -> task<std::string> {
    std::string told;
    try {
      co_await pool.with({.timeout = 50ms})
          .eval<void>("__import__('time').sleep(1) or v", kwarg("v", std::cref(numbers)));
    } catch (const erlpy::call_error& failed) {
      told = erlpy::failure_name(failed.why());
    }
    note('l');
    co_return told;
  };
  const auto other = [&]() -> task<int> {
    co_await pool.call<void>("time", "sleep", 0.2);
    note('o');
    co_return 1;
  };
  auto first = lending();
  auto second = other();
  CHECK(second.get() == 1);
  CHECK(first.get() == "timeout");
  CHECK(order == "ol");
}
