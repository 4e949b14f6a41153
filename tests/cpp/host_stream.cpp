// Streams of a C++ program, in every kind of pool.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "host_support.hpp"

using namespace host_support;

TEST_CASE("a stream is a range") {
  for (const isolation kind : every_kind) {
    INFO(kind_name(kind));
    erlpy::interpreter_pool pool(options_of(kind));
    pool.exec(
            "def squares(n):\n    for i in range(n):\n        yield i * i\n"
            "async def later(n):\n    import asyncio\n    for i in range(n):\n        await "
            "asyncio.sleep(0)\n        yield i")
        .get();
    std::vector<int> seen;
    for (const int each : pool.stream<int>("__main__", "squares", 1000)) seen.push_back(each);
    CHECK(seen.size() == 1000);
    CHECK(seen.back() == 999 * 999);
    int sum = 0;
    for (const int each : pool.stream<int>("__main__", "later", 100)) sum += each;
    CHECK(sum == 4950);
    sum = 0;
    for (const auto& [key, value] : pool.stream_eval<std::pair<std::string, int>>(
             "d.items()", kwarg("d", std::map<std::string, int>{{"a", 1}, {"b", 2}})))
      sum += value;
    CHECK(sum == 3);
  }
}

TEST_CASE("what a consumer does not ask for is not made, and its end closes the generator") {
  for (const isolation kind : every_kind) {
    INFO(kind_name(kind));
    erlpy::interpreter_pool pool(options_of(kind));
    pool.exec(
            "made = 0\nclosed = False\n"
            "def endless():\n    global made, closed\n    try:\n        while True:\n            made += 1\n "
            "           yield made\n"
            "    finally:\n        closed = True")
        .get();
    {
      auto stream = pool.with({.ahead = 10}).stream<int>("__main__", "endless");
      CHECK(stream.next() == 1);
      CHECK(stream.next() == 2);
      std::this_thread::sleep_for(100ms);
      CHECK(pool.eval<int>("made").get() <= 20);
      CHECK(pool.stats().workers[0].streams == 1);
    }
    for (int tries = 0; tries < 100 && !pool.eval<bool>("closed").get(); ++tries)
      std::this_thread::sleep_for(10ms);
    CHECK(pool.eval<bool>("closed").get());
    CHECK(pool.stats().workers[0].streams == 0);
  }
}

TEST_CASE("values before an error arrive, then the error, then the end") {
  for (const isolation kind : every_kind) {
    INFO(kind_name(kind));
    erlpy::interpreter_pool pool(options_of(kind));
    pool.exec(
            "def broken():\n    yield 1\n    yield 2\n    raise KeyError('k')\n"
            "def mixed():\n    yield 1\n    yield 'two'\n    yield 3")
        .get();
    auto stream = pool.stream<int>("__main__", "broken");
    CHECK(stream.next() == 1);
    CHECK(stream.next() == 2);
    CHECK(failure([&] { return stream.next(); }) == "python_error: KeyError: 'k'");
    CHECK(stream.next() == std::nullopt);
    auto mixed = pool.stream<int>("__main__", "mixed");
    CHECK(mixed.next() == 1);
    CHECK(failure([&] { return mixed.next(); }) == "mismatch: expected int, got str");
    CHECK(mixed.next() == std::nullopt);
    CHECK(failure([&] { return pool.stream<int>("math", "floor", 1.5).next(); }) ==
          "python_error: TypeError: 'int' object is not iterable");
    CHECK(failure([&] { return pool.stream<int>("no_such_module", "f").next(); }) ==
          "python_error: ModuleNotFoundError: No module named 'no_such_module'");
  }
}

TEST_CASE("a stream that gives nothing in time is closed") {
  for (const isolation kind : every_kind) {
    INFO(kind_name(kind));
    erlpy::interpreter_pool pool(options_of(kind));
    pool.exec("import time\ndef slow():\n    yield 1\n    time.sleep(1)\n    yield 2").get();
    auto stream = pool.with({.ahead = 1}).stream<int>("__main__", "slow");
    CHECK(stream.next(10s) == 1);
    CHECK(failure([&] { return stream.next(50ms); }) == "call_error: timeout");
    CHECK(stream.next() == std::nullopt);
    CHECK(pool.eval<int>("5").get(20s) == 5);
  }
}

TEST_CASE("a file is read line by line in bounded memory") {
  const std::string path = (std::filesystem::temp_directory_path() / "erlpy_host_stream_lines.txt").string();
  {
    std::ofstream file(path);
    for (int i = 0; i < 100'000; ++i) file << "line " << i << "\n";
  }
  for (const isolation kind : every_kind) {
    INFO(kind_name(kind));
    erlpy::interpreter_pool pool(options_of(kind));
    std::size_t lines = 0;
    std::string last;
    for (std::string& line : pool.stream<std::string>("builtins", "open", path)) {
      ++lines;
      last = std::move(line);
    }
    CHECK(lines == 100'000);
    CHECK(last == "line 99999\n");
  }
  std::remove(path.c_str());
}

TEST_CASE("a stream ends when its pool does") {
  for (const isolation kind : every_kind) {
    INFO(kind_name(kind));
    auto pool = std::make_unique<erlpy::interpreter_pool>(options_of(kind));
    auto stream = pool->stream_eval<int>("__import__('itertools').count()");
    CHECK(stream.next() == 0);
    pool.reset();
    std::string told;
    for (int i = 0; i < 1000 && told.empty(); ++i) told = failure([&] { return stream.next(); });
    CHECK(told == "call_error: pool_stopped");
    CHECK(stream.next() == std::nullopt);
  }
}
