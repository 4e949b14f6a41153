// What worker processes cost and save a C++ program.
#include <signal.h>

#include <string>
#include <thread>

#include "host_support.hpp"

using namespace host_support;

TEST_CASE("a crash costs one worker, which is back soon") {
  auto options = options_of(isolation::process, 2);
  options.preload = "ready = 1";
  erlpy::interpreter_pool pool(options);
  const auto first = pool.with({.worker = 1});
  const auto second = pool.with({.worker = 2});
  const int before = first.call<int>("os", "getpid").get();
  auto other = second.call<int>("time", "sleep", 0.3);
  CHECK(failure([&] {
          first.call<void>("os", "_exit", 3).get();
          return 0;
        }) == "call_error: worker_crashed");
  CHECK(failure([&] {
          first.eval<int>("__import__('os').kill(__import__('os').getpid(), 11)").get();
          return 0;
        }) == "call_error: worker_crashed");
  CHECK(first.eval<int>("ready").get(20s) == 1);
  CHECK(first.call<int>("os", "getpid").get() != before);
  CHECK(failure([&] { return other.get(); }) == "mismatch: expected int, got None");
  CHECK(pool.stats().workers[0].restarts == 2);
  CHECK(pool.stats().workers[1].restarts == 0);
}

TEST_CASE("code that never gives the GIL up is ended at its deadline") {
  erlpy::interpreter_pool pool(options_of(isolation::process));
  CHECK(failure([&] { return pool.eval<std::int64_t>("sum(range(10**10))").get(100ms); }) ==
        "call_error: timeout");
  CHECK(pool.eval<int>("1").get(20s) == 1);
}

TEST_CASE("workers end with their pool") {
  int worker = 0;
  {
    erlpy::interpreter_pool pool(options_of(isolation::process));
    worker = pool.call<int>("os", "getpid").get();
    CHECK(::kill(worker, 0) == 0);
  }
  bool gone = false;
  for (int tries = 0; tries < 300 && !gone; ++tries) {
    gone = ::kill(worker, 0) != 0;
    std::this_thread::sleep_for(10ms);
  }
  CHECK(gone);
}
