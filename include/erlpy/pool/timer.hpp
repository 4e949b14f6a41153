// One thread that runs small functions at their time. It never waits for a GIL.
#ifndef ERLPY_POOL_TIMER_HPP
#define ERLPY_POOL_TIMER_HPP

#include <chrono>
#include <compare>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
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

  // Which task it was; for cancel().
  struct ticket {
    clock::time_point when;
    std::uint64_t number = 0;
    friend auto operator<=>(const ticket&, const ticket&) = default;
  };

  // Any thread. `task` must not throw, block or need a GIL.
  ticket at(clock::time_point when, std::function<void()> task) {
    ticket given{when};
    {
      const std::lock_guard lock(mutex_);
      given.number = ++last_;
      tasks_.emplace(given, std::move(task));
    }
    changed_.notify_one();
    return given;
  }
  // The task is gone, unless it has run or is running. Without this it stays until its time has come.
  void cancel(const ticket& which) {
    std::function<void()> gone;  // destroyed without the lock: it may own anything
    const std::lock_guard lock(mutex_);
    const auto found = tasks_.find(which);
    if (found == tasks_.end()) return;
    gone = std::move(found->second);
    tasks_.erase(found);
  }
  // How many tasks wait for their time.
  [[nodiscard]] std::size_t waiting() {
    const std::lock_guard lock(mutex_);
    return tasks_.size();
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
      if (first->first.when > clock::now()) {
        changed_.wait_until(lock, clock::time_point(first->first.when));
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
  std::map<ticket, std::function<void()>> tasks_;
  std::uint64_t last_ = 0;
};

}  // namespace erlpy::pool

#endif
