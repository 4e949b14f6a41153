// The OS process of one process_worker: how it is invited, met and made ready, the connection with it, and
// how it ends. The worker's thread starts it and speaks with it; any thread may end it, and ask how that
// went.
#ifndef ERLPY_POOL_WORKER_PROCESS_HPP
#define ERLPY_POOL_WORKER_PROCESS_HPP

#include <signal.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include <erlpy/detail/wake_pipe.hpp>
#include <erlpy/pool/channel.hpp>
#include <erlpy/pool/rendezvous.hpp>
#include <erlpy/pool/worker.hpp>

namespace erlpy::pool {

class worker_process {
 public:
  // Why it is no more.
  enum class ending : std::uint8_t { none, crashed, replaced, stopped };

  // How long it has from its launch to its first word.
  static constexpr std::chrono::seconds connect_limit{30};

  worker_process() = default;
  worker_process(const worker_process&) = delete;
  worker_process& operator=(const worker_process&) = delete;
  ~worker_process() = default;

  // On the worker's thread -------------------------------------------------------------------------------

  // Has it started by launch(), once there is an invitation(); meets it, sends it the frame `configure`, and
  // waits until it is ready, or not wanted any more: `leaving()`, or it was ended. The result says why it is
  // not ready; it may run all the same. Errors: std::exception, for want of descriptors or memory.
  template <class Launch, class Leaving>
  [[nodiscard]] std::optional<start_failure> start(outgoing_frame& configure, Launch launch,
                                                   Leaving leaving) {
    rendezvous meeting;
    {
      const std::lock_guard lock(mutex_);
      invitation_ = meeting.path() + "\n" + meeting.secret() + "\n";
    }
    launch();
    const auto met = meeting.meet(line_, pipe_, connect_limit, [&] { return leaving() || ended(); });
    if (!met) {
      const std::string why_not = message();
      return start_failure{"", why_not.empty() ? "the worker process did not connect in time" : why_not};
    }
    id_.store(*met);
    connected_.store(true);
    if (ended()) kill_group();  // whoever ended it had no number to kill
    send(configure, leaving());
    return await_ready(leaving);
  }

  // Waits for the process where that is behind. `leaving`: its end is no crash.
  void send(outgoing_frame& frame, bool leaving) {
    if (!line_.send(frame)) lose(leaving);
  }
  // The connection has ended.
  void lose(bool leaving) {
    lost_ = why() == ending::none;  // else it was ended, for a reason that was given
    end(leaving ? ending::stopped : ending::crashed, "it has ended");
  }
  // Its receiving half is the thread's.
  [[nodiscard]] channel& line() noexcept { return line_; }

  // Any thread -------------------------------------------------------------------------------------------

  // What the process is told: where to connect, and the secret. Empty before there is a place.
  [[nodiscard]] std::string invitation() {
    const std::lock_guard lock(mutex_);
    return invitation_;
  }
  [[nodiscard]] bool connected() const noexcept { return connected_.load(); }
  // Wakes the worker's thread where that waits for frames.
  [[nodiscard]] const erlpy::detail::wake_pipe& pipe() const noexcept { return pipe_; }
  // Its number for the system; 0 before it has said it.
  [[nodiscard]] int id() const noexcept { return id_.load(); }

  // It has ended, as who started it knows.
  void note_end(const std::string& how) {
    {
      const std::lock_guard lock(mutex_);
      how_ended_ = how;
    }
    if (!connected()) end(ending::crashed, "the worker process ended at once: " + how);
    pipe_.wake();
  }
  // Ends it, at once, whatever it is at; the first reason stands.
  void end(ending why, const std::string& message) {
    {
      const std::lock_guard lock(mutex_);
      if (ending_ != ending::none) return;
      ending_ = why;
      message_ = message;
    }
    ended_.store(true);
    kill_group();
    if (connected()) line_.shut();
    pipe_.wake();
  }
  [[nodiscard]] bool ended() const noexcept { return ended_.load(); }
  // The reason of end(), and its message.
  [[nodiscard]] ending why() {
    const std::lock_guard lock(mutex_);
    return ending_;
  }
  [[nodiscard]] std::string message() {
    const std::lock_guard lock(mutex_);
    return message_;
  }

 private:
  using clock = std::chrono::steady_clock;

  template <class Leaving>
  [[nodiscard]] std::optional<start_failure> await_ready(Leaving leaving) {
    while (!leaving() && !ended()) {
      while (const auto came = line_.next()) {
        if (came->kind == frame_kind::ready) return std::nullopt;
        if (came->kind != frame_kind::failed) continue;
        frame_reader said(came->bytes);
        std::string name(said.get_text());
        return start_failure{std::move(name), std::string(said.get_text())};
      }
      if (line_.wait(pipe_) && !line_.read_some()) lose(leaving());
    }
    return start_failure{"", why_not_ready(leaving)};
  }

  // Who started it may know more than that its connection has ended, a moment later.
  template <class Leaving>
  [[nodiscard]] std::string why_not_ready(Leaving leaving) {
    const auto limit = clock::now() + std::chrono::milliseconds(500);
    for (;;) {
      {
        const std::lock_guard lock(mutex_);
        if (ending_ != ending::crashed || !lost_) return message_.empty() ? "the pool has stopped" : message_;
        if (!how_ended_.empty()) return "the worker process " + how_ended_ + " before it was ready";
      }
      if (leaving() || clock::now() > limit) return "the worker process ended before it was ready";
      (void)sockets::wait_readable(pipe_.reading_end(), std::chrono::milliseconds(50));
      pipe_.drain();
    }
  }

  // It made a group of its own before it said its number: what it started ends with it.
  void kill_group() noexcept {
    if (const int number = id(); number > 1) (void)::kill(-number, SIGKILL);
  }

  erlpy::detail::wake_pipe pipe_;
  channel line_;
  bool lost_ = false;  // the thread's own: the connection has ended by itself
  // Of these, whoever ends it sets one and looks at the other two, and its thread the other way round.
  std::atomic<bool> ended_{false};
  std::atomic<int> id_{0};
  std::atomic<bool> connected_{false};

  std::mutex mutex_;  // what follows; a leaf
  ending ending_ = ending::none;
  std::string message_;
  std::string invitation_;
  std::string how_ended_;
};

}  // namespace erlpy::pool

#endif
