// A deadline of somebody who waits without looking at the clock: a function that runs at a time, unless the
// alarm is gone by then.
#ifndef ERLPY_HOST_ALARM_HPP
#define ERLPY_HOST_ALARM_HPP

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include <erlpy/pool/timer.hpp>

namespace erlpy::host {

class alarm {
 public:
  alarm() noexcept = default;
  alarm(alarm&&) noexcept = default;
  alarm& operator=(alarm&& other) noexcept {
    if (this != &other) {
      disarm();
      state_ = std::move(other.state_);
      ticket_ = other.ticket_;
    }
    return *this;
  }
  ~alarm() { disarm(); }

  [[nodiscard]] bool armed() const noexcept { return state_ != nullptr; }
  // `ring` runs on the timer's thread: see pool::timer.
  void arm(std::chrono::steady_clock::time_point when, std::function<void()> ring) {
    disarm();
    state_ = std::make_shared<state>();
    state_->ring = std::move(ring);
    ticket_ = pool::timer::instance().at(when, [set = state_] {
      const std::lock_guard lock(set->mutex);
      if (set->ring) set->ring();
    });
  }
  // It does not ring any more; what rings now is waited for.
  void disarm() noexcept {
    const auto set = std::exchange(state_, nullptr);
    if (!set) return;
    pool::timer::instance().cancel(ticket_);
    const std::lock_guard lock(set->mutex);
    set->ring = nullptr;
  }

 private:
  struct state {
    std::mutex mutex;
    std::function<void()> ring;
  };

  std::shared_ptr<state> state_;
  pool::timer::ticket ticket_;
};

}  // namespace erlpy::host

#endif
