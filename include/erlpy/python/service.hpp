// A thread that is attached to an interpreter only to do small things for others.
//
// Whoever must not wait for the GIL (a BEAM scheduler, the timer) posts a task here. How long the
// thread has been waiting for the GIL is what tells a stalled interpreter: C code that never lets go.
#ifndef ERLPY_PYTHON_SERVICE_HPP
#define ERLPY_PYTHON_SERVICE_HPP

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <erlpy/python/drop_queue.hpp>
#include <erlpy/python/exception.hpp>
#include <erlpy/python/gil.hpp>
#include <erlpy/python/turns.hpp>

namespace erlpy::python {

class service {
 public:
  using clock = std::chrono::steady_clock;

  // Any thread: `task` will run attached, soon. What it throws is dropped. After the end of serve() it is
  // dropped itself.
  void post(std::function<void()> task) {
    {
      const std::lock_guard lock(mutex_);
      if (over_) return;
      tasks_.push_back(std::move(task));
    }
    changed_.notify_one();
  }

  // Any thread: there are objects to release.
  void wake() {
    {
      const std::lock_guard lock(mutex_);
      woken_ = true;
    }
    changed_.notify_one();
  }

  // Before serve(): the queue to drain whenever attached.
  void adopt(std::shared_ptr<drop_queue> drops) { drops_ = std::move(drops); }

  // Who works in the interpreter, for the others that share its GIL.
  [[nodiscard]] turns::member& turn() noexcept { return turn_; }

  // How long it has been waiting for the GIL; zero if it is not.
  [[nodiscard]] clock::duration waiting_for_gil() const noexcept {
    const auto since = waiting_since_.load(std::memory_order_relaxed);
    return since == 0 ? clock::duration::zero() : clock::now().time_since_epoch() - clock::duration(since);
  }

  // The thread's life; `state` is its own and not attached. Returns after stop(), when all that the
  // interpreter has lent is back.
  void serve(PyThreadState* state) {
    std::vector<std::function<void()>> batch;
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return woken_ || may_end() || !tasks_.empty(); });
        if (may_end() && tasks_.empty()) {
          over_ = true;
          return;
        }
        woken_ = false;
        batch.swap(tasks_);
      }
      waiting_since_.store(clock::now().time_since_epoch().count(), std::memory_order_relaxed);
      const attached gil(state);
      waiting_since_.store(0, std::memory_order_relaxed);
      for (auto& task : batch) {
        try {
          task();
        } catch (...) {
          PyErr_Clear();
        }
      }
      batch.clear();
      if (drops_) drops_->drain();
    }
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_one();
  }

 private:
  [[nodiscard]] bool may_end() const noexcept { return stopped_ && (!drops_ || drops_->lent() == 0); }

  std::mutex mutex_;  // tasks_, woken_, stopped_, over_; never held with the GIL for longer than a push
  std::condition_variable changed_;
  std::vector<std::function<void()>> tasks_;
  bool woken_ = false;
  bool stopped_ = false;
  bool over_ = false;
  std::shared_ptr<drop_queue> drops_;
  std::atomic<clock::rep> waiting_since_{0};
  turns::member turn_{[this] { wake(); }};
};

}  // namespace erlpy::python

#endif
