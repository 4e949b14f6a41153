// A resident that writes down what it is told, for the tests of pools.
#ifndef ERLPY_TESTS_RESIDENT_SUPPORT_HPP
#define ERLPY_TESTS_RESIDENT_SUPPORT_HPP

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <erlpy/stream/iterate_async.hpp>

#include "catch.hpp"
#include "pool_support.hpp"

namespace pool_support {

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

class test_resident final : public pool::counted<pool::resident> {
 public:
  test_resident(pool::thread_worker& home, std::shared_ptr<diary> told)
      : home_(std::static_pointer_cast<pool::thread_worker>(home.shared_from_this())),
        told_(std::move(told)) {
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

}  // namespace pool_support

#endif
