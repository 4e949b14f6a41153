// Who runs a job, and what happens to jobs when a pool is full or stops.
#include <set>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "pool_support.hpp"

using namespace pool_support;

TEST_CASE("jobs of all callers are each answered once", "[pool]") {
  test_pool workers;
  std::vector<std::thread> callers;
  std::atomic<int> good{0};
  for (int caller = 0; caller < 8; ++caller) {
    callers.emplace_back([&, caller] {
      for (int i = 0; i < 500; ++i) {
        const std::size_t slot = i % 2 == 0 ? pool::mailbox::any : static_cast<std::size_t>(caller % 4 + 1);
        if (workers.eval(std::to_string(i) + " * 2", slot).get() == std::to_string(i * 2)) ++good;
      }
    });
  }
  for (auto& each : callers) each.join();
  REQUIRE(good == 4000);
  std::uint64_t calls = 0;
  for (const auto& each : workers->stats().workers) calls += each.calls;
  REQUIRE(calls == 4000);
}

TEST_CASE("a job for one worker runs in that worker's namespace", "[pool]") {
  test_pool workers;
  for (std::size_t slot = 1; slot <= 4; ++slot)
    REQUIRE(workers.exec("mine = " + std::to_string(slot), slot).get() == "done");
  for (std::size_t slot = 1; slot <= 4; ++slot)
    REQUIRE(workers.eval("mine", slot).get() == std::to_string(slot));
}

TEST_CASE("a job that any worker may run never waits behind one that sleeps", "[pool]") {
  test_pool workers;
  call asleep = workers.exec("import time; time.sleep(2)");
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 100; ++i) REQUIRE(workers.eval("1").get() == "1");
  REQUIRE(std::chrono::steady_clock::now() - begin < 1500ms);
  REQUIRE(asleep.get() == "done");
}

TEST_CASE("all workers sleep at the same time", "[pool]") {
  test_pool workers;
  const auto begin = std::chrono::steady_clock::now();
  std::vector<call> asleep;
  for (int i = 0; i < 4; ++i) asleep.push_back(workers.exec("import time; time.sleep(0.5)"));
  for (auto& each : asleep) REQUIRE(each.get() == "done");
  REQUIRE(std::chrono::steady_clock::now() - begin < 1500ms);
}

TEST_CASE("a full queue refuses at once", "[pool]") {
  pool::options settings;
  settings.num_workers = 1;
  settings.max_queue = 3;
  test_pool workers(settings);
  call busy = workers.exec("import time; time.sleep(0.5)");
  REQUIRE(eventually([&] { return busy.job->began(); }));
  std::vector<call> queued;
  for (int i = 0; i < 3; ++i) {
    queued.push_back(workers.eval("1"));
    REQUIRE(queued.back().pushed == pool::mailbox::push_result::queued);
  }
  REQUIRE(workers.eval("1").pushed == pool::mailbox::push_result::full);
  REQUIRE(workers->stats().overloads == 1);
  for (auto& each : queued) REQUIRE(each.get() == "1");
}

TEST_CASE("stopping answers what is queued and what runs, and the workers leave", "[pool]") {
  test_pool workers;
  std::vector<call> running;
  for (int i = 0; i < 4; ++i) running.push_back(workers.exec("while True: pass"));
  call queued = workers.eval("1");
  std::this_thread::sleep_for(50ms);
  workers->stop();
  for (auto& each : running) REQUIRE(each.get(2s) == "stopped");
  REQUIRE(queued.get(2s) == "stopped");
  REQUIRE(workers.wait_stopped(5s));
  REQUIRE(workers.eval("1").pushed == pool::mailbox::push_result::closed);
}

TEST_CASE("a worker whose preload raises reports it", "[pool]") {
  pool::options settings;
  settings.num_workers = 2;
  settings.preload = "import math\nraise ValueError('not today')";
  test_pool workers(settings);
  REQUIRE(workers.started() == std::vector<std::string>(2, "ValueError: not today"));
}

TEST_CASE("objects are released on the worker that holds them", "[pool]") {
  pool::options settings;
  settings.num_workers = 2;
  test_pool workers(settings);
  REQUIRE(
      workers
          .exec("import threading\nwhere = []\nclass Traced:\n"
                "    def __del__(self): where.append(threading.get_ident())\nhome = threading.get_ident()\n",
                2)
          .get() == "done");
  erlpy::object_ref held;
  std::shared_ptr<python::object_table> table;
  call hold = workers.submit(
      [&](pool::thread_worker& on) {
        const python::ref name = python::make_str("Traced");
        const python::ref type = python::attribute(on.name_space(), name.get());
        held = on.context().objects().hold(python::call(type.get()), false);
        table = on.context().objects_ptr();
        return std::string("held");
      },
      2);
  REQUIRE(hold.get() == "held");
  REQUIRE(table->held() == 1);
  table->release(held.id);
  REQUIRE(eventually([&] { return table->held() == 0; }));
  REQUIRE(workers.eval("where == [home]", 2).get() == "True");
  table->release(held.id);  // a second time: nothing happens
  REQUIRE(workers.eval("len(where)", 2).get() == "1");
}
