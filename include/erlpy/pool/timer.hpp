// One thread that runs small functions at their time. It never waits for a GIL.
#ifndef ERLPY_POOL_TIMER_HPP
#define ERLPY_POOL_TIMER_HPP

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <utility>

#include <erlpy/detail/thread.hpp>

namespace erlpy::pool {

class timer {
 public:
  using clock = std::chrono::steady_clock;

  // The process's timer. Never destroyed: its thread outlives every static destructor.
  [[nodiscard]] static timer& instance() {
    static auto* const the_timer = new timer;
    return *the_timer;
  }

  // Any thread. `task` must not throw, block or need a GIL.
  void at(clock::time_point when, std::function<void()> task) {
    {
      const std::lock_guard lock(mutex_);
      tasks_.emplace(when, std::move(task));
    }
    changed_.notify_one();
  }
  void soon(std::function<void()> task) { at(clock::now(), std::move(task)); }

 private:
  timer() {
    detail::start_thread("erlpy-timer", 256U << 10U, [this] { serve(); });
  }

  [[noreturn]] void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      if (tasks_.empty()) {
        changed_.wait(lock);
        continue;
      }
      const auto first = tasks_.begin();
      if (first->first > clock::now()) {
        changed_.wait_until(lock, first->first);
        continue;
      }
      auto task = std::move(first->second);
      tasks_.erase(first);
      lock.unlock();
      task();
      task = nullptr;
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::multimap<clock::time_point, std::function<void()>> tasks_;
};

}  // namespace erlpy::pool

#endif
