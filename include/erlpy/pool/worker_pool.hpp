// A pool of workers, whatever they are: the way of a job from its submission to a worker, and out of the
// pool again when its caller gives it up; the workers' coming and going; the statistics.
//
// It knows no term format: what it carries are jobs. How a worker starts, and how one is made to let go of a
// job, is for the kinds: thread_pool, process_pool.
#ifndef ERLPY_POOL_WORKER_POOL_HPP
#define ERLPY_POOL_WORKER_POOL_HPP

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <erlpy/pool/job.hpp>
#include <erlpy/pool/mailbox.hpp>
#include <erlpy/pool/options.hpp>
#include <erlpy/pool/seat.hpp>
#include <erlpy/pool/timer.hpp>
#include <erlpy/pool/worker.hpp>

namespace erlpy::pool {

// What the owner of a pool hears. Called on pool threads; must not block.
struct pool_events {
  std::function<void(std::size_t slot, std::optional<std::string> class_name, std::string message)> started;
  std::function<void(std::size_t slot)> replaced;
  std::function<void()> stopped;
  // First of all on the thread of each worker.
  std::function<void()> began = {};
  // What a thread_worker does instead of mailbox::await(), where its owner has a way of its own to wait for
  // jobs.
  std::function<void(mailbox& jobs, std::size_t slot, bool& searching)> rest = {};
  // Where somebody listens here, a worker that does not end in time is not replaced: the process ends.
  std::function<void()> stuck = {};
  // A worker process is to be started, and to be told this: two lines, where it connects and the secret.
  std::function<void(std::size_t slot, std::string told)> launch = {};
  // A worker process has ended unasked, or was ended for a reason of its own.
  std::function<void(std::size_t slot, std::string message)> crashed = {};
};

class worker_pool : public std::enable_shared_from_this<worker_pool> {
 public:
  using push_result = mailbox::push_result;

  worker_pool(const worker_pool&) = delete;
  worker_pool& operator=(const worker_pool&) = delete;
  virtual ~worker_pool() = default;

  [[nodiscard]] const options& settings() const noexcept { return settings_; }

  // Starts the worker of a slot, or reports the one that runs. Answers through pool_events::started.
  virtual void start_worker(std::size_t index) = 0;

  // Any thread, in about a microsecond. `to`: a slot, or mailbox::any.
  [[nodiscard]] push_result submit(job& added, std::size_t to) { return jobs_.push(added, to); }

  // The slot for a caller that will stay with it: each in turn.
  [[nodiscard]] std::size_t next_slot() noexcept {
    return turn_.fetch_add(1, std::memory_order_relaxed) % settings_.num_workers + 1;
  }

  // Any thread, without waiting: gives the job up if it was not answered. True if it was given up.
  [[nodiscard]] bool abandon(job& target, outcome why) {
    if (!target.give_up(why)) return false;
    if (why == outcome::timeout) count_timeout();
    end(target);
    return true;
  }

  void count_timeout() noexcept { timeouts_.fetch_add(1, std::memory_order_relaxed); }
  // Any thread, without waiting, for a resident that was marked to end: what runs of it is interrupted, and
  // else its worker sees to it.
  virtual void interrupt_resident(const std::shared_ptr<worker>& home, resident& target) = 0;

  // Any thread, without waiting. Every job is refused; pool_events::stopped follows when the last
  // worker has left.
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(stopped_, true)) return;
    }
    timer::instance().soon([self = shared_from_this()] { self->shut_down(); });
  }

  // The objects that the slot's worker holds for others; null before the first worker.
  [[nodiscard]] std::shared_ptr<object_holder> objects(std::size_t slot) {
    const std::lock_guard lock(mutex_);
    return seats_[slot - 1].place.objects;
  }

  [[nodiscard]] bool stopped() {
    const std::lock_guard lock(mutex_);
    return stopped_;
  }

  [[nodiscard]] pool_stats stats() {
    pool_stats result;
    const std::lock_guard lock(mutex_);
    result.queued = jobs_.queued(mailbox::any);
    for (const seat& each : seats_) {
      const worker_stats& one = result.workers.emplace_back(each.stats(jobs_));
      result.queued += one.queued;
      result.calls += one.calls;
      result.errors += one.errors;
      result.restarts += one.restarts;
      result.objects += one.objects;
      result.streams += one.streams;
      result.busy_us += one.busy_us;
    }
    result.overloads = jobs_.overloads();
    result.timeouts = timeouts_.load(std::memory_order_relaxed);
    add_stats(result);
    return result;
  }

 protected:
  worker_pool(options settings, pool_events events)
      : settings_(std::move(settings)),
        jobs_(settings_.num_workers, settings_.max_queue),
        events_(std::move(events)) {
    for (std::size_t i = 1; i <= settings_.num_workers; ++i) seats_.emplace_back().place.index = i;
  }

  // A job that was given up runs on this worker: it is to end.
  virtual void interrupt_running(const std::shared_ptr<worker>& runner, const job_ptr& target) = 0;
  // The pool has stopped: the worker was told to retire, and is to let go of what it is at.
  virtual void end_worker(const std::shared_ptr<worker>& running) = 0;
  // Under the lock.
  virtual void add_stats(pool_stats& stats) = 0;

  [[nodiscard]] seat& seat_of(const worker& who) noexcept { return seats_[who.place().index - 1]; }

  // How the start of a worker went. Under no lock.
  void worker_started(worker& who, std::optional<start_failure> failed) {
    {
      const std::lock_guard lock(mutex_);
      seat& here = seat_of(who);
      if (failed) {
        if (here.thread.get() == &who) here.thread = nullptr;
      } else {
        here.ready = true;
        if (stopped_) who.retire();
      }
    }
    const std::size_t index = who.place().index;
    if (!failed) return announce(index, std::nullopt, "");
    announce(index, failed->class_name.empty() ? std::nullopt : std::optional(failed->class_name),
             failed->message);
  }

  // The last act of a worker's thread. Under no lock.
  void worker_left(worker& who) {
    bool last = false;
    {
      const std::lock_guard lock(mutex_);
      if (seat_of(who).thread.get() == &who) seat_of(who).thread = nullptr;
      last = --threads_ == 0 && stopped_;
    }
    if (last) finish();
  }

  // Without the lock. True if somebody listens.
  template <class Event, class... Details>
  bool tell(Event event, Details... details) {
    std::remove_reference_t<decltype(events_.*event)> listener;
    {
      const std::lock_guard lock(mutex_);
      listener = events_.*event;
    }
    if (listener) listener(std::move(details)...);
    return static_cast<bool>(listener);
  }

  // Without the lock. Nobody hears of a worker that starts, or fails to, after the pool has stopped.
  void announce(std::size_t slot, std::optional<std::string> class_name, std::string message) {
    tell(&pool_events::started, slot, std::move(class_name), std::move(message));
  }
  void announce_replaced(std::size_t slot) { tell(&pool_events::replaced, slot); }
  // Under the lock.
  [[nodiscard]] const pool_events& events() const noexcept { return events_; }
  // True: the process is about to end.
  [[nodiscard]] bool announce_stuck() { return tell(&pool_events::stuck); }
  void announce_launch(std::size_t slot, std::string told) {
    tell(&pool_events::launch, slot, std::move(told));
  }
  void announce_crashed(std::size_t slot, std::string message) {
    tell(&pool_events::crashed, slot, std::move(message));
  }

  const options settings_;
  mailbox jobs_;

  std::mutex mutex_;  // what follows, but for the counters of slots; no Python under it
  std::deque<seat> seats_;
  bool stopped_ = false;
  std::size_t threads_ = 0;  // of workers: they keep the pool

 private:
  // A job that was given up: out of its queue, or interrupted.
  void end(job& target) {
    std::optional<std::size_t> running_on;
    job_ptr queued = jobs_.withdraw(target, running_on);
    if (queued) {
      // Freeing a big argument takes time that the caller's scheduler must not spend.
      timer::instance().soon([queued] { queued->discard(); });
      return;
    }
    if (!running_on) return;
    std::shared_ptr<worker> runner;
    {
      const std::lock_guard lock(mutex_);
      runner = seats_[*running_on - 1].thread;
    }
    if (runner) interrupt_running(runner, job_ptr(&target));
  }

  void shut_down() {
    job_list left = jobs_.close();
    while (!left.empty()) {
      job_ptr next = left.remove(left.front());
      next->refuse(refusal::stopped);
      next->discard();
    }
    bool none = false;
    std::vector<std::shared_ptr<worker>> running;
    {
      const std::lock_guard lock(mutex_);
      for (seat& each : seats_) {
        if (each.place.objects) each.place.objects->shut();
        if (each.thread) running.push_back(each.thread);
      }
      none = threads_ == 0;
    }
    for (const auto& each : running) {
      each->retire();
      end_worker(each);
    }
    if (none) finish();
  }

  // Nothing runs any more. The events go, and with them what they keep alive.
  // Both the last worker and shut_down() may find that they are the last.
  void finish() {
    pool_events last;
    {
      const std::lock_guard lock(mutex_);
      last = std::exchange(events_, {});
    }
    if (last.stopped) last.stopped();
  }

  pool_events events_;  // under the lock
  std::atomic<std::size_t> turn_{0};
  std::atomic<std::uint64_t> timeouts_{0};
};

}  // namespace erlpy::pool

#endif
