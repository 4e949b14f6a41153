// Something that will have come, once: what blocks or suspends until then.
#ifndef ERLPY_HOST_ARRIVAL_HPP
#define ERLPY_HOST_ARRIVAL_HPP

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <coroutine>
#include <mutex>
#include <optional>
#include <utility>

#include <erlpy/host/completions.hpp>
#include <erlpy/python/compat.hpp>
#include <erlpy/python/gil.hpp>

namespace erlpy::host {

using deadline = std::optional<std::chrono::steady_clock::time_point>;

// None for a time that nobody lives to see: the clock cannot count that far.
[[nodiscard]] inline deadline deadline_after(std::chrono::milliseconds limit) {
  if (limit > std::chrono::hours(24 * 365 * 100)) return std::nullopt;
  return std::chrono::steady_clock::now() + std::max(limit, std::chrono::milliseconds::zero());
}

// Runs what blocks without the GIL, which the calling thread may hold where the program embeds Python itself.
template <class Wait>
auto without_gil(Wait wait) {
  if (!python::compat::thread_attached()) return wait();
  const python::detached no_gil;
  return wait();
}

// A flag to wait for. What it guards is written before announce(), and read after it.
class arrival {
 public:
  // Any thread, without waiting; more than once does no harm.
  void announce() {
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(here_, true)) return;
      // Under the lock: forget() finds it here or there.
      if (waiting_) completions::instance().resume(std::exchange(waiting_, nullptr), std::move(where_));
    }
    changed_.notify_all();
  }
  // From now on it can come again.
  void rearm() {
    const std::lock_guard lock(mutex_);
    here_ = false;
  }

  [[nodiscard]] bool here() const {
    const std::lock_guard lock(mutex_);
    return here_;
  }
  // False: the deadline has passed.
  [[nodiscard]] bool wait(const deadline& until) const {
    if (here()) return true;
    return without_gil([&] {
      std::unique_lock lock(mutex_);
      if (until) return changed_.wait_until(lock, *until, [this] { return here_; });
      changed_.wait(lock, [this] { return here_; });
      return true;
    });
  }
  // False: it is here already, and `waiting` will not be resumed.
  [[nodiscard]] bool resume_then(std::coroutine_handle<> waiting, executor where) {
    const std::lock_guard lock(mutex_);
    if (here_) return false;
    waiting_ = waiting;
    where_ = std::move(where);
    return true;
  }
  // The coroutine that waits is destroyed: it is not resumed any more. See completions::forget().
  void forget(std::coroutine_handle<> waiting) {
    {
      const std::lock_guard lock(mutex_);
      if (waiting_ == waiting) waiting_ = nullptr;
    }
    completions::instance().forget(waiting);
  }

 private:
  mutable std::mutex mutex_;  // only that of the completions is taken under it
  mutable std::condition_variable changed_;
  bool here_ = false;
  std::coroutine_handle<> waiting_;
  executor where_;
};

}  // namespace erlpy::host

#endif
