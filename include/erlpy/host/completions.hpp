// Who waits for the end of a call, and the thread on which coroutines that await one go on.
//
// A worker never runs the code of its callers: it would keep the GIL, and its place in the pool, for them.
#ifndef ERLPY_HOST_COMPLETIONS_HPP
#define ERLPY_HOST_COMPLETIONS_HPP

#include <condition_variable>
#include <coroutine>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include <erlpy/detail/thread.hpp>

namespace erlpy {

// Runs a coroutine's continuation where its owner wants it. Called on the completion thread, without the GIL;
// must not block it.
using executor = std::function<void(std::coroutine_handle<>)>;

namespace host {

class completions {
 public:
  // The process's. Never destroyed: its thread outlives every static destructor.
  [[nodiscard]] static completions& instance() {
    static auto* const all = new completions;
    return *all;
  }

  // Any thread; waits for nothing. Without `where` the coroutine runs on this thread.
  void resume(std::coroutine_handle<> waiting, executor where) {
    {
      const std::lock_guard lock(mutex_);
      due_.emplace_back(waiting, std::move(where));
    }
    changed_.notify_one();
  }

  // It has not been resumed, and is destroyed. Waits while its executor is being given it: from then on it is
  // the executor's to drop.
  void forget(std::coroutine_handle<> gone) {
    std::unique_lock lock(mutex_);
    std::erase_if(due_, [&](const auto& each) { return each.first == gone; });
    if (std::this_thread::get_id() == thread_) return;
    given_.wait(lock, [&] { return giving_ != gone; });
  }

 private:
  static constexpr std::size_t stack_size = 8U << 20U;

  completions() {
    erlpy::detail::start_thread("erlpy-complete", stack_size, [this] { serve(); });
  }

  // What a coroutine throws is its promise's to catch; what an executor throws has nobody who could.
  [[noreturn]] void serve() noexcept {
    std::unique_lock lock(mutex_);
    thread_ = std::this_thread::get_id();
    for (;;) {
      changed_.wait(lock, [this] { return !due_.empty(); });
      auto [waiting, where] = std::move(due_.front());
      due_.pop_front();
      if (where) giving_ = waiting;
      lock.unlock();
      if (where) {
        where(waiting);
        where = nullptr;
      } else {
        waiting.resume();
      }
      lock.lock();
      if (std::exchange(giving_, nullptr)) given_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::condition_variable given_;
  std::thread::id thread_;
  std::coroutine_handle<> giving_;  // whose executor runs
  std::deque<std::pair<std::coroutine_handle<>, executor>> due_;
};

}  // namespace host
}  // namespace erlpy

#endif
