// The way out of a worker process: frames to its pool, from any thread; and the streams that are open, by
// number.
//
// Where the pool is gone there is nothing left to do: the process ends, and all that it started with it.
#ifndef ERLPY_PROCESS_POST_HPP
#define ERLPY_PROCESS_POST_HPP

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

#include <erlpy/pool/channel.hpp>
#include <erlpy/pool/job.hpp>
#include <erlpy/pool/thread_pool.hpp>
#include <erlpy/process/flusher.hpp>
#include <erlpy/python/fork.hpp>
#include <erlpy/python/gil.hpp>

namespace erlpy::process {

class post {
 public:
  explicit post(pool::channel& line) noexcept : line_(line) {}
  post(const post&) = delete;
  post& operator=(const post&) = delete;

  // Waits where the pool is behind. Not attached.
  void send(pool::outgoing_frame& frame) noexcept {
    if (!line_.send(frame)) end_process();
  }
  // Attached; gives the GIL up where it has to wait.
  void send_attached(pool::outgoing_frame& frame) noexcept {
    const bool sent = line_.send(frame, [](auto work) {
      const python::detached no_gil;
      return work();
    });
    if (!sent) end_process();
  }

  // The worker's pool. Set once, before anything is served.
  void serve(std::shared_ptr<pool::worker_pool> workers) noexcept { workers_ = std::move(workers); }
  [[nodiscard]] pool::worker_pool& workers() const noexcept { return *workers_; }
  [[nodiscard]] flusher& flushed() noexcept { return flusher_; }
  // From a thread that must not wait: soon, and behind nothing of that thread's.
  void send_soon(pool::outgoing_frame frame) {
    flusher_.add([this, kept = std::make_shared<pool::outgoing_frame>(std::move(frame))] { send(*kept); });
  }

  // The streams that are open. The number of a new one; none is used twice.
  [[nodiscard]] std::uint64_t add_stream(pool::job_ptr stream) {
    const std::lock_guard lock(mutex_);
    streams_.emplace(++numbers_, std::move(stream));
    return numbers_;
  }
  void remove_stream(std::uint64_t number) noexcept {
    pool::job_ptr gone;  // let go of outside the lock
    const std::lock_guard lock(mutex_);
    const auto found = streams_.find(number);
    if (found == streams_.end()) return;
    gone = std::move(found->second);
    streams_.erase(found);
  }
  [[nodiscard]] pool::job_ptr stream(std::uint64_t number) {
    const std::lock_guard lock(mutex_);
    const auto found = streams_.find(number);
    return found == streams_.end() ? pool::job_ptr() : found->second;
  }

  [[noreturn]] static void end_process() noexcept {
    if (python::in_forked_child()) ::_exit(1);  // the group is its parent's
    ::kill(0, SIGKILL);  // the group is ours: see program.hpp
    ::_exit(1);
  }

 private:
  pool::channel& line_;
  std::shared_ptr<pool::worker_pool> workers_;
  flusher flusher_;
  std::mutex mutex_;  // a leaf
  std::unordered_map<std::uint64_t, pool::job_ptr> streams_;
  std::uint64_t numbers_ = 0;
};

}  // namespace erlpy::process

#endif
