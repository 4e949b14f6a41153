// Residents: jobs that stay with one worker and run there again and again, as streams do.
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "resident_support.hpp"

using namespace pool_support;

TEST_CASE("a resident that is scheduled again and again lets jobs of its worker run between", "[pool]") {
  test_pool workers(one_worker());
  const guest busy(workers);
  busy.told->again = true;
  REQUIRE(busy.schedule());
  for (int i = 0; i < 200; ++i) {
    const int before = busy.told->runs;
    REQUIRE(workers.eval(std::to_string(i), i % 2 == 0 ? pool::mailbox::any : 1).get() == std::to_string(i));
    REQUIRE(eventually([&] { return busy.told->runs > before; }));
  }
  busy.told->again = false;
  int last = -1;
  REQUIRE(eventually([&] { return std::exchange(last, busy.told->runs.load()) == last; }));
  REQUIRE(busy.schedule());
  REQUIRE(eventually([&] { return busy.told->runs == last + 1; }));
  REQUIRE(busy.told->strays == 0);
}

TEST_CASE("residents that are busy without end take turns", "[pool]") {
  test_pool workers(one_worker());
  std::vector<std::unique_ptr<guest>> many;
  for (int i = 0; i < 20; ++i) {
    many.push_back(std::make_unique<guest>(workers));
    many.back()->told->again = true;
  }
  REQUIRE(workers->stats().workers[0].streams == 20);
  for (const auto& each : many) REQUIRE(each->schedule());
  for (const auto& each : many) REQUIRE(eventually([&] { return each->told->runs > 100; }));
  for (const auto& each : many) each->told->again = false;
}

TEST_CASE("a resident is queued beside a full queue", "[pool]") {
  pool::options settings = one_worker();
  settings.max_queue = 1;
  test_pool workers(settings);
  const guest resting(workers);
  call asleep = workers.sleep(0.3, 1);
  REQUIRE(eventually([&] { return asleep.job->began(); }));
  call queued = workers.eval("1", 1);
  REQUIRE(workers.eval("2", 1).pushed == pool::mailbox::push_result::full);
  REQUIRE(resting.schedule());
  REQUIRE(asleep.get() == "slept");
  REQUIRE(eventually([&] { return resting.told->runs == 1; }));
  REQUIRE(queued.get() == "1");
}

TEST_CASE("when the pool stops each resident is evicted on its worker, and nothing is scheduled after",
          "[pool]") {
  pool::options settings = one_worker();
  settings.num_workers = 2;
  test_pool workers(settings);
  const guest resting(workers);
  const guest busy(workers);
  busy.told->again = true;
  REQUIRE(busy.schedule());
  workers->stop();
  REQUIRE(workers.wait_stopped(5s));
  for (const guest* each : {&resting, &busy}) {
    const auto evicted = each->told->evicted();
    REQUIRE(evicted.size() == 1);
    CHECK(evicted[0].thread == each->told->home);
    CHECK(evicted[0].attached);
    CHECK(evicted[0].why == pool::refusal::stopped);
    CHECK_FALSE(each->schedule());
  }
  CHECK(workers->stats().workers[0].streams == 0);
  CHECK(busy.told->strays == 0);
}

TEST_CASE("a resident that is still there after it was evicted is told a second time", "[pool]") {
  test_pool workers(one_worker());
  const guest stubborn(workers);
  stubborn.told->stays = true;
  workers->stop();
  REQUIRE(workers.wait_stopped(5s));
  REQUIRE(stubborn.told->evicted().size() == 2);
  CHECK(stubborn.told->evicted()[1].thread == stubborn.told->home);
  CHECK(workers->stats().workers[0].streams == 0);
}

TEST_CASE("one that left its worker is not evicted, and goes with its last share", "[pool]") {
  test_pool workers(one_worker());
  std::shared_ptr<diary> told;
  {
    const guest leaving(workers);
    told = leaving.told;
    call gone = workers.submit([&](pool::thread_worker& on) {
      on.disown(leaving.get());
      on.disown(leaving.get());  // a second time: nothing happens
      return std::string("gone");
    });
    REQUIRE(gone.get() == "gone");
    REQUIRE(workers->stats().workers[0].streams == 0);
    REQUIRE_FALSE(told->gone);
  }
  REQUIRE(told->gone);
  workers->stop();
  REQUIRE(workers.wait_stopped(5s));
  REQUIRE(told->evicted().empty());
}

TEST_CASE("when a worker is replaced its residents are refused at once, and evicted on the old thread",
          "[pool]") {
  test_pool workers(one_worker());
  const guest resting(workers);
  call asleep = workers.sleep(1.0, 1);
  REQUIRE(eventually([&] { return asleep.job->began(); }));
  REQUIRE(workers.abandon(asleep));
  REQUIRE(eventually([&] { return workers.replaced() == 1; }, 800ms));
  const auto refused = resting.told->refused();
  REQUIRE(refused.size() == 1);
  CHECK(refused[0].why == pool::refusal::replaced);
  CHECK(refused[0].thread != resting.told->home);
  CHECK(resting.told->evicted().empty());
  CHECK(workers->stats().workers[0].streams == 1);  // its generator is still there

  // What is scheduled now runs on the new thread, which leaves it alone.
  REQUIRE(resting.schedule());
  REQUIRE(eventually([&] { return resting.told->strays == 1; }));
  REQUIRE(workers.eval("1", 1).get() == "1");

  REQUIRE(eventually([&] { return !resting.told->evicted().empty(); }));
  const auto evicted = resting.told->evicted();
  REQUIRE(evicted.size() == 1);
  CHECK(evicted[0].thread == resting.told->home);
  CHECK(evicted[0].attached);
  CHECK(evicted[0].why == pool::refusal::replaced);
  CHECK(resting.told->runs == 0);
  REQUIRE(eventually([&] { return workers->stats().workers[0].streams == 0; }));
}
