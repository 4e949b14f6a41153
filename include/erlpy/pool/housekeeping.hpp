// User code that belongs to no call: destructors of released objects, and what ends a stream. Nobody's
// time-out covers it, so it is watched: past a limit it is interrupted as a job is, under a stand-in.
#ifndef ERLPY_POOL_HOUSEKEEPING_HPP
#define ERLPY_POOL_HOUSEKEEPING_HPP

#include <atomic>
#include <chrono>

#include <erlpy/pool/activity.hpp>
#include <erlpy/pool/job.hpp>

namespace erlpy::pool {

class housekeeping {
 public:
  // How long it may take.
  static constexpr std::chrono::seconds limit{5};

  // The worker keeps house while a mark lives; what was to interrupt the job before is taken back.
  class mark {
   public:
    // `watch` is called where nobody watches yet: it has still_at_it() asked when the limit is over.
    template <class Watch>
    mark(housekeeping& house, activity& executing, Watch watch) : house_(house), executing_(executing) {
      executing_.take_back();
      executing_.begin(&house_.stand_in_);
      house_.since_.store(clock::now().time_since_epoch().count(), std::memory_order_relaxed);
      if (!house_.watched_.exchange(true)) watch();
    }
    mark(const mark&) = delete;
    mark& operator=(const mark&) = delete;
    ~mark() {
      house_.since_.store(0, std::memory_order_relaxed);
      executing_.end();
    }

   private:
    housekeeping& house_;
    activity& executing_;
  };

  // Any thread: how long it has taken. Zero: nothing is under way, and the next mark asks to be watched
  // again.
  [[nodiscard]] std::chrono::nanoseconds still_at_it() noexcept {
    const auto since = since_.load(std::memory_order_relaxed);
    if (since == 0) {
      watched_.store(false);
      return std::chrono::nanoseconds::zero();
    }
    return clock::now().time_since_epoch() - clock::duration(since);
  }
  // What stands for it where a job is expected. Part of the worker, which outlives it.
  [[nodiscard]] job& stand_in() noexcept { return stand_in_; }

 private:
  using clock = std::chrono::steady_clock;

  class nothing final : public job {
   public:
    void run(worker&) noexcept override {}
    void refuse(refusal) noexcept override {}
    void discard() noexcept override {}
    void retain() noexcept override {}
    void release() noexcept override {}
  };

  nothing stand_in_;
  std::atomic<clock::rep> since_{0};
  std::atomic<bool> watched_{false};
};

}  // namespace erlpy::pool

#endif
