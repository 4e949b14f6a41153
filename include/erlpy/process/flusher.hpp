// Sends what others must not wait for, on a thread of its own: a stream's values that wait for the next one,
// which may take its time; and the word of who receives, who would else stop receiving where the pool is
// behind.
#ifndef ERLPY_PROCESS_FLUSHER_HPP
#define ERLPY_PROCESS_FLUSHER_HPP

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <erlpy/detail/thread.hpp>

namespace erlpy::process {

class flusher {
 public:
  // How long a value may wait.
  static constexpr std::chrono::milliseconds patience{1};

  // Any thread: `send` runs soon, without the GIL; it may wait. Errors: erlpy::error if there is no thread
  // for it.
  void add(std::function<void()> send) {
    bool first = false;
    {
      const std::lock_guard lock(mutex_);
      if (!begun_) erlpy::detail::start_thread("erlpy-flusher", 256U << 10U, [this] { serve(); });
      begun_ = true;
      first = waiting_.empty();
      waiting_.push_back(std::move(send));
    }
    if (first) changed_.notify_one();
  }

 private:
  [[noreturn]] void serve() {
    std::vector<std::function<void()>> batch;
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return !waiting_.empty(); });
      }
      std::this_thread::sleep_for(patience);
      {
        const std::lock_guard lock(mutex_);
        batch.swap(waiting_);
      }
      for (const auto& each : batch) each();
      batch.clear();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::function<void()>> waiting_;
  bool begun_ = false;
};

}  // namespace erlpy::process

#endif
