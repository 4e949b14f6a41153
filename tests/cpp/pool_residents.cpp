// Residents: jobs that stay with one worker and run there again and again, as streams do.
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <erlpy/stream/iterate_async.hpp>

#include "catch.hpp"
#include "pool_support.hpp"

using namespace pool_support;

namespace {

using erlpy::stream::iteration;
using erlpy::stream::progress;

// What a resident was told, by whom. The test's part of it.
struct diary {
  struct entry {
    std::thread::id thread;
    bool attached = false;
    pool::refusal why{};
  };
  std::mutex mutex;
  std::vector<entry> evictions, refusals;
  std::thread::id home;
  std::atomic<int> runs{0};    // on the worker that adopted it
  std::atomic<int> strays{0};  // on another
  std::atomic<int> values{0};
  std::atomic<bool> again{false};  // whether a run schedules the next
  std::atomic<bool> stays{false};  // whether it is still there after the first evict()
  std::atomic<bool> over{false};   // nothing of it runs any more
  std::atomic<bool> gone{false};

  [[nodiscard]] std::vector<entry> evicted() {
    const std::lock_guard lock(mutex);
    return evictions;
  }
  [[nodiscard]] std::vector<entry> refused() {
    const std::lock_guard lock(mutex);
    return refusals;
  }
};

class test_resident final : public pool::resident {
 public:
  test_resident(pool::thread_worker& home, std::shared_ptr<diary> told)
      : home_(std::static_pointer_cast<pool::thread_worker>(home.shared_from_this())), told_(std::move(told)) {
    told_->home = std::this_thread::get_id();
  }
  test_resident(const test_resident&) = delete;
  test_resident& operator=(const test_resident&) = delete;

  // From a job of its worker: steps an async iterator from now on, whose values are counted.
  void step(pool::thread_worker& on, PyObject* iterator) {
    driving_ = on.drive(*this, python::ref::borrow(iterator));
    steps_ = erlpy::stream::iterate_async(driving_);
  }

  void run(pool::worker& on) noexcept override { proceed(on); }
  void proceed(pool::worker& runner) noexcept override {
    pool::thread_worker& on = pool::thread_worker::of(runner);
    if (home_.lock().get() != &on || std::this_thread::get_id() != told_->home) {
      ++told_->strays;
      return;
    }
    ++told_->runs;
    if (driving_) take_values(on);
    if (told_->again) (void)on.schedule(*this);
  }
  void evict(pool::worker& runner, pool::refusal why) noexcept override {
    pool::thread_worker& from = pool::thread_worker::of(runner);
    note(told_->evictions, why);
    if (told_->stays.exchange(false)) return cancel_step(false);
    wait(from, false);
    told_->over = true;
    steps_ = {};
    driving_ = nullptr;
    from.disown(*this);
  }
  void lose_loop(pool::worker&) noexcept override {}
  void refuse(pool::refusal why) noexcept override { note(told_->refusals, why); }
  void discard() noexcept override {}
  void retain() noexcept override { ++shares_; }
  void release() noexcept override {
    if (--shares_ == 0) delete this;
  }
  [[nodiscard]] bool asynchronous() const noexcept override { return static_cast<bool>(driving_); }
  void cancel_step(bool by_force) noexcept override {
    if (const auto home = home_.lock()) home->cancel(driving_.get(), by_force);
  }
  [[nodiscard]] bool over() const noexcept override { return told_->over; }

 private:
  ~test_resident() override { told_->gone = true; }

  void take_values(pool::thread_worker& on) {
    try {
      while (steps_.resume() == progress::value) ++told_->values;
      wait(on, !steps_.done());
      told_->over = steps_.done();
    } catch (const python::exception&) {
      wait(on, false);
      told_->over = true;
    }
  }
  void wait(pool::thread_worker& on, bool waiting) {
    if (std::exchange(waiting_, waiting) != waiting) on.wait_for_step(waiting);
  }
  void note(std::vector<diary::entry>& in, pool::refusal why) {
    const std::lock_guard lock(told_->mutex);
    in.push_back({std::this_thread::get_id(), PyGILState_Check() == 1, why});
  }

  std::weak_ptr<pool::thread_worker> home_;
  std::shared_ptr<diary> told_;
  std::atomic<int> shares_{0};
  iteration steps_;
  python::ref driving_;
  bool waiting_ = false;
};

// A resident of the pool's first worker, and that worker.
struct guest {
  std::shared_ptr<diary> told = std::make_shared<diary>();
  pool::job_ptr share;
  std::shared_ptr<pool::thread_worker> home;

  // `iterator`: an expression, of what it steps.
  explicit guest(test_pool& workers, const std::string& iterator = "") {
    call adopting = workers.submit(
        [&](pool::thread_worker& on) {
          auto* made = new test_resident(on, told);
          share = pool::job_ptr(made);
          home = std::static_pointer_cast<pool::thread_worker>(on.shared_from_this());
          if (!iterator.empty()) {
            const python::ref text = python::make_str(iterator);
            made->step(on,
                       python::eval_code(on.context().home(), on.name_space(), text.get(), nullptr).get());
          }
          on.adopt(*made);
          return std::string("adopted");
        },
        1);
    REQUIRE(adopting.get() == "adopted");
  }
  [[nodiscard]] test_resident& get() const { return static_cast<test_resident&>(*share); }
  [[nodiscard]] bool schedule() const { return home->schedule(get()); }
};

}  // namespace

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

TEST_CASE("a resident that waits in the loop has its generator closed when its worker is replaced", "[pool]") {
  test_pool workers(one_worker());
  REQUIRE(workers
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
