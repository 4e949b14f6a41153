// Who receives in a worker process: its worker while it has nothing else to do, so that a call needs no
// hand-over from another thread; and the main thread whenever the worker is at something for longer.
//
// There is one token: who has it receives. The worker takes it when it comes to rest, and the main thread
// gives it up at once; the main thread takes it when the worker has been busy for `patience`, so that is how
// long a cancellation, or the end of the connection, may go unheard.
#ifndef ERLPY_PROCESS_RECEPTION_HPP
#define ERLPY_PROCESS_RECEPTION_HPP

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include <erlpy/detail/wake_pipe.hpp>
#include <erlpy/pool/channel.hpp>
#include <erlpy/pool/mailbox.hpp>

namespace erlpy::process {

class reception {
 public:
  static constexpr std::chrono::milliseconds patience{1};

  // `take` gets every frame, on the thread that received it; `lost` is called when the connection has ended.
  reception(pool::channel& line, std::function<void(const pool::incoming_frame&)> take,
            std::function<void()> lost)
      : line_(line), take_(std::move(take)), lost_(std::move(lost)) {}

  // The main thread's life.
  [[noreturn]] void attend_for_ever() {
    for (;;) {
      attend();
      await_work();
    }
  }

  // The worker has nothing to do: see mailbox::await().
  void rest(pool::mailbox& jobs, std::size_t slot, bool& searching) {
    resting_.store(true, std::memory_order_seq_cst);
    {
      const std::unique_lock token = take_token();
      hand_out();
      if (!line_.spin_read([&] { return jobs.has_work(slot); }) && jobs.enter_loop(slot, searching, pipe_)) {
        wait(pipe_);
        jobs.leave_loop(slot, searching);
      }
      hand_out();
    }
    resting_.store(false, std::memory_order_seq_cst);
    ++shifts_;
    if (asleep_.load(std::memory_order_seq_cst)) shifts_.notify_one();
  }

 private:
  // Of quiet, after which the main thread sleeps until there is work.
  static constexpr int quiet_rounds = 20;

  // While the worker is busy.
  void attend() {
    const std::lock_guard token(token_);
    while (!resting_.load(std::memory_order_seq_cst)) {
      hand_out();
      wait(give_up_);
    }
    hand_out();
  }

  // Until the worker has been at one thing for `patience`.
  void await_work() {
    for (int quiet = 0;;) {
      const auto before = shifts_.load();
      std::this_thread::sleep_for(patience);
      const bool same = shifts_.load() == before;
      if (same && !resting_.load()) return;
      quiet = same ? quiet + 1 : 0;
      if (quiet < quiet_rounds) continue;
      asleep_.store(true, std::memory_order_seq_cst);
      if (resting_.load(std::memory_order_seq_cst)) shifts_.wait(before);
      asleep_.store(false, std::memory_order_seq_cst);
      quiet = 0;
    }
  }

  [[nodiscard]] std::unique_lock<std::mutex> take_token() {
    std::unique_lock token(token_, std::try_to_lock);
    if (!token.owns_lock()) {
      give_up_.wake();
      token.lock();
      give_up_.drain();
    }
    return token;
  }

  // With the token: all that has come.
  void hand_out() {
    try {
      while (const auto came = line_.next()) take_(*came);
    } catch (const std::exception&) {
      lost_();  // what the pool sends makes no sense: as good as no pool
    }
  }

  // With the token: until something has come, or somebody wakes this thread.
  void wait(const erlpy::detail::wake_pipe& woken_by) {
    if (line_.wait(woken_by) && !line_.read_some()) lost_();
  }

  pool::channel& line_;
  const std::function<void(const pool::incoming_frame&)> take_;
  const std::function<void()> lost_;
  std::mutex token_;  // line_'s receiving half
  erlpy::detail::wake_pipe give_up_;  // the token, to the worker
  erlpy::detail::wake_pipe pipe_;     // there is a job for the worker that rests
  std::atomic<bool> resting_{false};
  std::atomic<bool> asleep_{false};
  std::atomic<std::uint32_t> shifts_{0};  // times that the worker went to work
};

}  // namespace erlpy::process

#endif
