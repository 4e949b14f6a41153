// Sends values that wait for the next one: a stream's values go out together, and a step that takes its time must
// not keep those before it back.
#ifndef ERLPY_PROCESS_FLUSHER_HPP
#define ERLPY_PROCESS_FLUSHER_HPP

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <erlpy/detail/thread.hpp>
#include <erlpy/pool/job.hpp>

namespace erlpy::process {

// One that has values to send, or had.
class flushable {
 public:
  flushable() = default;
  flushable(const flushable&) = delete;
  flushable& operator=(const flushable&) = delete;
  // On the flusher's thread, without the GIL; may wait.
  virtual void flush_values() noexcept = 0;
  // Shares of its life.
  [[nodiscard]] virtual pool::job_ptr share() noexcept = 0;

 protected:
  ~flushable() = default;
};

class flusher {
 public:
  // How long a value may wait.
  static constexpr std::chrono::milliseconds patience{1};

  // Any thread, once a stream has a value that waits.
  void add(flushable& slow) {
    bool first = false;
    {
      const std::lock_guard lock(mutex_);
      if (!std::exchange(begun_, true)) erlpy::detail::start_thread("erlpy-flusher", 256U << 10U, [this] { serve(); });
      first = waiting_.empty();
      waiting_.push_back({slow.share(), &slow});
    }
    if (first) changed_.notify_one();
  }

 private:
  struct entry {
    pool::job_ptr alive;
    flushable* slow;
  };

  [[noreturn]] void serve() {
    std::vector<entry> batch;
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
      for (const entry& each : batch) each.slow->flush_values();
      batch.clear();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<entry> waiting_;
  bool begun_ = false;
};

}  // namespace erlpy::process

#endif
