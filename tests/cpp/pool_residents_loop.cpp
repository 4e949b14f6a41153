// Residents that wait in their worker's event loop: the worker goes on, and they end in time.
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "resident_support.hpp"

using namespace pool_support;

TEST_CASE("a worker whose residents wait in its loop answers jobs meanwhile", "[pool]") {
  test_pool workers(one_worker());
  REQUIRE(workers
              .exec("import asyncio\nasync def ticks(n, pause):\n    for i in range(n):\n"
                    "        await asyncio.sleep(pause)\n        yield i\n",
                    1)
              .get() == "done");
  const guest ticking(workers, "ticks(40, 0.005)");
  REQUIRE(ticking.schedule());
  int answered = 0;
  while (ticking.told->values < 40) {
    const auto asked = std::chrono::steady_clock::now();
    REQUIRE(workers.eval("7").get(2s) == "7");
    CHECK(std::chrono::steady_clock::now() - asked < 1s);
    if (ticking.told->values < 40) ++answered;
    if (answered % 2 == 0) std::this_thread::sleep_for(3ms);
  }
  CHECK(answered > 10);
  CHECK(ticking.told->strays == 0);
}

TEST_CASE("a resident whose task never waits lets jobs through, and is closed when the pool stops",
          "[pool]") {
  test_pool workers(one_worker());
  REQUIRE(workers
              .exec("import sys\nsys.ended = 0\nasync def endless():\n    try:\n        while True:\n"
                    "            yield 1\n    finally:\n        sys.ended += 1\n",
                    1)
              .get() == "done");
  const guest endless(workers, "endless()");
  REQUIRE(endless.schedule());
  for (int i = 0; i < 100; ++i) {
    const int before = endless.told->values;
    const auto asked = std::chrono::steady_clock::now();
    REQUIRE(workers.eval("7").get(2s) == "7");
    CHECK(std::chrono::steady_clock::now() - asked < 1s);
    REQUIRE(eventually([&] { return endless.told->values > before; }));
  }
  CHECK(endless.told->strays == 0);
  workers->stop();
  REQUIRE(workers.wait_stopped(5s));
  test_pool others(one_worker());
  CHECK(others.eval("__import__('sys').ended").get() == "1");
}

TEST_CASE("while a job awaits something its worker goes on with residents", "[pool]") {
  test_pool workers(one_worker());
  REQUIRE(workers.exec("import asyncio").get() == "done");
  const guest resting(workers);
  std::atomic<bool> began{false};
  call awaiting = workers.submit(
      [&](pool::thread_worker& on) {
        const python::ref text = python::make_str("asyncio.sleep(0.5, 'slept')");
        const python::ref sleep =
            python::eval_code(on.context().home(), on.name_space(), text.get(), nullptr);
        began = true;
        const python::ref value = on.await(sleep);
        return std::string(PyUnicode_AsUTF8(value.get()));
      },
      1);
  REQUIRE(eventually([&] { return began.load(); }));
  for (int run = 1; run <= 5; ++run) {
    REQUIRE(resting.schedule());
    REQUIRE(eventually([&] { return resting.told->runs == run; }, 400ms));
  }
  REQUIRE(awaiting.answer.wait_for(0ms) == std::future_status::timeout);
  REQUIRE(awaiting.get() == "slept");
}

TEST_CASE("many residents wait at the same time", "[pool]") {
  test_pool workers(one_worker());
  REQUIRE(
      workers
          .exec(
              "import asyncio\nasleep = most = 0\nasync def sleeper():\n    global asleep, most\n"
              "    asleep += 1\n    most = max(most, asleep)\n    await asyncio.sleep(0.2)\n    asleep -= 1\n"
              "    yield asleep\n",
              1)
          .get() == "done");
  std::vector<std::unique_ptr<guest>> many;
  for (int i = 0; i < 200; ++i) many.push_back(std::make_unique<guest>(workers, "sleeper()"));
  for (const auto& each : many) REQUIRE(each->schedule());
  for (const auto& each : many) REQUIRE(eventually([&] { return each->told->values == 1; }));
  REQUIRE(workers.eval("most").get() == "200");
}

TEST_CASE("the step of a resident is cancelled when it is interrupted, and its worker stays", "[pool]") {
  test_pool workers(one_worker());
  REQUIRE(
      workers
          .exec(
              "import asyncio\nbegan = False\nclosed = []\nasync def waits():\n    global began\n    began = "
              "True\n"
              "    try:\n        await asyncio.sleep(60)\n"
              "        yield 1\n    finally:\n        await asyncio.sleep(0.01)\n        closed.append(1)\n",
              1)
          .get() == "done");
  const guest waiting(workers, "waits()");
  REQUIRE(waiting.schedule());
  REQUIRE(eventually([&] { return workers.eval("began").get() == "True"; }));
  workers->interrupt_resident(waiting.home, waiting.get());
  REQUIRE(eventually([&] { return workers.eval("len(closed)").get() == "1"; }));
  CHECK(waiting.told->values == 0);
  CHECK(workers->stats().workers[0].restarts == 0);
}

TEST_CASE("a resident that waits in the loop has its generator closed when the pool stops", "[pool]") {
  test_pool workers(one_worker());
  REQUIRE(
      workers
          .exec("import asyncio, sys, threading\nbegan = False\nsys.closed_on = None\nasync def waits():\n"
                "    global began\n    began = True\n    try:\n"
                "        await asyncio.sleep(60)\n        yield 1\n    finally:\n        await "
                "asyncio.sleep(0.01)\n"
                "        sys.closed_on = threading.get_native_id()\nsys.home = threading.get_native_id()",
                1)
          .get() == "done");
  const guest waiting(workers, "waits()");
  waiting.told->stays = true;  // its task is cancelled meanwhile
  REQUIRE(waiting.schedule());
  REQUIRE(eventually([&] { return workers.eval("began").get() == "True"; }));
  workers->stop();
  REQUIRE(workers.wait_stopped(10s));
  test_pool others(one_worker());
  CHECK(others.eval("__import__('sys').closed_on == __import__('sys').home").get() == "True");
}

TEST_CASE("a resident that waits in the loop has its generator closed when its worker is replaced",
          "[pool]") {
  test_pool workers(one_worker());
  REQUIRE(
      workers
          .exec("import asyncio, threading\nbegan = False\nended = []\nasync def waits():\n    global began\n"
                "    began = True\n    try:\n        await asyncio.sleep(60)\n        yield 1\n    finally:\n"
                "        for i in range(5):\n            await asyncio.sleep(0.01)\n"
                "        ended.append(threading.get_native_id())\nhome = threading.get_native_id()",
                1)
          .get() == "done");
  const guest waiting(workers, "waits()");
  waiting.told->stays = true;  // its task is cancelled meanwhile
  REQUIRE(waiting.schedule());
  REQUIRE(eventually([&] { return workers.eval("began").get() == "True"; }));
  call asleep = workers.sleep(0.5, 1);
  REQUIRE(eventually([&] { return asleep.job->began(); }));
  REQUIRE(workers.abandon(asleep));
  REQUIRE(eventually([&] { return waiting.told->evicted().size() == 2; }));
  CHECK(eventually([&] { return workers.eval("ended == [home]", 1).get() == "True"; }, 2s));
}
