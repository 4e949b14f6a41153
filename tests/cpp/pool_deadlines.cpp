// Giving jobs up: what is interrupted, what is replaced, what is refused.
#include <thread>

#include "catch.hpp"
#include "pool_support.hpp"

using namespace pool_support;

TEST_CASE("a Python loop is interrupted and its worker stays", "[pool]") {
  test_pool workers(one_worker());
  call loop = workers.exec("while True: pass");
  REQUIRE(eventually([&] { return loop.job->began(); }));
  REQUIRE(workers.abandon(loop));
  REQUIRE(workers.eval("1 + 1").get() == "2");
  REQUIRE(loop.answer.wait_for(0ms) == std::future_status::timeout);
  REQUIRE(workers->stats().workers[0].restarts == 0);
  REQUIRE(workers->stats().timeouts == 1);
}

TEST_CASE("an interruption never reaches the next job", "[pool]") {
  test_pool workers(one_worker());
  for (int round = 0; round < 300; ++round) {
    call brief = workers.eval("sum(range(2000))");
    if (round % 3 != 0) std::this_thread::sleep_for(std::chrono::microseconds(round % 60));
    const bool given_up = workers.abandon(brief);
    REQUIRE(workers.eval("'next'").get() == "next");
    if (!given_up) REQUIRE(brief.get() == "1999000");
  }
}

TEST_CASE("a worker that sleeps is replaced and its namespace is inherited", "[pool]") {
  test_pool workers(one_worker());
  REQUIRE(workers.exec("x = 41").get() == "done");
  call asleep = workers.sleep(1.5, 1);
  REQUIRE(eventually([&] { return asleep.job->began(); }));
  call behind = workers.eval("x + 1", 1);
  REQUIRE(workers.abandon(asleep));
  REQUIRE(behind.get(1s) == "42");
  REQUIRE(workers->stats().workers[0].restarts == 1);
  REQUIRE(workers->stats().abandoned == 1);
  REQUIRE(workers.replaced() == 1);
  REQUIRE(eventually([&] { return workers->stats().abandoned == 0; }));
}

TEST_CASE("replacement is bounded: a stuck lane refuses, and recovers", "[pool]") {
  test_pool workers(one_worker());
  call first = workers.sleep(1.2, 1);
  REQUIRE(eventually([&] { return first.job->began(); }));
  REQUIRE(workers.abandon(first));
  REQUIRE(eventually([&] { return workers->stats().abandoned == 1; }));
  call second = workers.sleep(1.2, 1);
  REQUIRE(eventually([&] { return second.job->began(); }));
  REQUIRE(workers.abandon(second));
  REQUIRE(eventually([&] { return workers->stats().workers[0].state == pool::worker_state::stuck; }));
  REQUIRE(workers.eval("1", 1).pushed == pool::mailbox::push_result::full);
  REQUIRE(workers.eval("1").pushed == pool::mailbox::push_result::full);
  REQUIRE(eventually([&] { return workers.eval("1").pushed == pool::mailbox::push_result::queued; }));
}

TEST_CASE("an awaited job is cancelled as a task, without a replacement", "[pool]") {
  test_pool workers(one_worker());
  REQUIRE(workers
              .exec("import asyncio\nseen = []\nasync def nap():\n"
                    "    try:\n        await asyncio.sleep(60)\n"
                    "    except asyncio.CancelledError:\n        seen.append('cancelled')\n        raise\n")
              .get() == "done");
  call nap = workers.submit([](pool::thread_worker& on) {
    const python::ref name = python::make_str("nap");
    const python::ref function = python::attribute(on.name_space(), name.get());
    (void)on.await(python::call(function.get()));
    return std::string("woke");
  });
  REQUIRE(eventually([&] { return nap.job->began(); }));
  std::this_thread::sleep_for(100ms);
  REQUIRE(workers.abandon(nap));
  REQUIRE(workers.eval("seen").get() == "['cancelled']");
  REQUIRE(workers->stats().workers[0].restarts == 0);
}

TEST_CASE("C code that keeps the GIL is reported", "[pool]") {
  if (python::compat::free_threaded) return;  // there is none, and the worker is replaced
  test_pool workers(one_worker());
  call stalled = workers.eval("sum(range(6 * 10**7))");
  REQUIRE(eventually([&] { return stalled.job->began(); }));
  REQUIRE(workers.abandon(stalled));
  REQUIRE(eventually([&] { return workers->stats().gil_stalled; }, 2s));
  REQUIRE(workers.eval("1 + 1").get(60s) == "2");
  REQUIRE_FALSE(workers->stats().gil_stalled);
}

TEST_CASE("a queued job that is given up never runs", "[pool]") {
  test_pool workers(one_worker());
  call busy = workers.exec("import time; time.sleep(0.3)");
  call queued = workers.exec("raise SystemExit");
  REQUIRE(workers.abandon(queued));
  REQUIRE_FALSE(workers.abandon(queued));
  REQUIRE(busy.get() == "done");
  REQUIRE(eventually([&] { return queued.job->discarded(); }));
  REQUIRE_FALSE(queued.job->ran());
}

TEST_CASE("a destructor that never ends is interrupted, and holds up nobody else", "[pool]") {
  pool::options settings;
  settings.num_workers = 2;
  settings.grace = 50ms;
  test_pool workers(settings);
  REQUIRE(workers
              .exec("class Endless:\n    def __del__(self):\n        while True:\n            x = 1\n        "
                    "    y = 2\n",
                    1)
              .get() == "done");
  erlpy::object_ref held;
  std::shared_ptr<python::object_table> table;
  call hold = workers.submit(
      [&](pool::thread_worker& on) {
        const python::ref name = python::make_str("Endless");
        held = on.context().objects().hold(python::call(python::attribute(on.name_space(), name.get()).get()),
                                           false);
        table = on.context().objects_ptr();
        return std::string("held");
      },
      1);
  REQUIRE(hold.get() == "held");
  table->release(held.id);
  REQUIRE(eventually([&] { return workers->stats().workers[0].state == pool::worker_state::busy; }));
  for (int i = 0; i < 20; ++i) REQUIRE(workers.eval("1").get(5s) == "1");
  REQUIRE(workers.eval("2", 1).get(20s) == "2");
}

TEST_CASE("a cancellation that is swallowed is followed by an exception", "[pool]") {
  test_pool workers(one_worker());
  REQUIRE(workers.exec("import asyncio\nasync def stay():\n    while True:\n        try:\n"
                       "            await asyncio.sleep(60)\n        except asyncio.CancelledError:\n"
                       "            pass\n")
              .get() == "done");
  call stay = workers.submit([](pool::thread_worker& on) {
    const python::ref name = python::make_str("stay");
    (void)on.await(python::call(python::attribute(on.name_space(), name.get()).get()));
    return std::string("woke");
  });
  REQUIRE(eventually([&] { return stay.job->began(); }));
  std::this_thread::sleep_for(100ms);
  REQUIRE(workers.abandon(stay));
  REQUIRE(workers.eval("'free'").get(10s) == "free");
  REQUIRE(workers->stats().abandoned == 0);
}

TEST_CASE("an event loop that user code closed is made anew", "[pool]") {
  test_pool workers(one_worker());
  REQUIRE(workers.exec("import asyncio\nasync def close():\n"
                       "    loop = asyncio.get_running_loop()\n    loop.call_soon(loop.stop)\n"
                       "    global mine\n    mine = loop\nasync def two(): return 2\n")
              .get() == "done");
  const auto run = [](const char* function) {
    return [function](pool::thread_worker& on) {
      const python::ref name = python::make_str(function);
      const python::ref value = on.await(python::call(python::attribute(on.name_space(), name.get()).get()));
      return std::string(PyUnicode_AsUTF8(python::checked(PyObject_Str(value.get())).get()));
    };
  };
  REQUIRE(workers.submit(run("two")).get() == "2");
  (void)workers.submit(run("close")).get();
  REQUIRE(workers.exec("mine.close()").get() == "done");
  REQUIRE(workers.submit(run("two")).get() == "2");
}
