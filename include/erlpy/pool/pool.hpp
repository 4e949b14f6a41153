// A pool of workers in the main interpreter (isolation `shared`), and what keeps it responsive: who
// gives a job up interrupts it, and a worker that cannot be interrupted is replaced.
//
// It knows no term format: what it carries are jobs.
#ifndef ERLPY_POOL_POOL_HPP
#define ERLPY_POOL_POOL_HPP

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include <erlpy/pool/job.hpp>
#include <erlpy/pool/mailbox.hpp>
#include <erlpy/pool/options.hpp>
#include <erlpy/pool/seat.hpp>
#include <erlpy/pool/timer.hpp>
#include <erlpy/pool/worker.hpp>
#include <erlpy/python/runtime.hpp>

namespace erlpy::pool {

// What the owner of a pool hears. Called on pool threads; must not block.
struct pool_events {
  std::function<void(std::size_t slot, std::optional<std::string> class_name, std::string message)> started;
  std::function<void(std::size_t slot)> replaced;
  std::function<void()> stopped;
};

class thread_pool : public std::enable_shared_from_this<thread_pool> {
 public:
  using push_result = mailbox::push_result;

  thread_pool(options settings, pool_events events)
      : settings_(std::move(settings)),
        events_(std::move(events)),
        jobs_(settings_.num_workers, settings_.max_queue) {
    for (std::size_t i = 1; i <= settings_.num_workers; ++i) {
      seat& added = seats_.emplace_back();
      added.place.index = i;
      added.place.module_name = "__erlang_" + settings_.name + "_" + std::to_string(i) + "__";
    }
  }
  thread_pool(const thread_pool&) = delete;
  thread_pool& operator=(const thread_pool&) = delete;
  ~thread_pool() {
    // A slot whose thread never came back keeps its namespace until here.
    for (seat& each : seats_) {
      if (PyObject* left = each.place.name_space.release()) drops_->push(left);
    }
  }

  [[nodiscard]] const options& settings() const noexcept { return settings_; }

  // Starts the worker of a slot, or reports the one that runs. Answers through pool_events::started.
  void start_worker(std::size_t index) {
    timer::instance().soon([self = shared_from_this(), index] { self->launch(index); });
  }

  // Any thread, in about a microsecond. `to`: a slot, or mailbox::any.
  [[nodiscard]] push_result submit(job& added, std::size_t to) { return jobs_.push(added, to); }

  // The slot for a caller that will stay with it: each in turn.
  [[nodiscard]] std::size_t next_slot() noexcept {
    return turn_.fetch_add(1, std::memory_order_relaxed) % settings_.num_workers + 1;
  }

  // Any thread, without waiting: gives the job up if it was not answered. True if it was given up.
  [[nodiscard]] bool abandon(job& target, outcome why) {
    if (!target.give_up(why)) return false;
    end(target, why);
    return true;
  }

  void count_timeout() noexcept { timeouts_.fetch_add(1, std::memory_order_relaxed); }
  // Any thread, without waiting, for a resident that was marked to end: what runs of it is interrupted, and
  // else its worker sees to it.
  void interrupt_resident(const std::shared_ptr<worker>& home, resident& target) {
    interrupt(home, job_ptr(&target), worker::force::cancel_task);
    if (target.asynchronous()) insist(home, job_ptr(&target), target);
  }

  // Any thread, without waiting. Every job is refused; pool_events::stopped follows when the last
  // worker has left.
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(stopped_, true)) return;
    }
    timer::instance().soon([self = shared_from_this()] { self->shut_down(); });
  }

  [[nodiscard]] bool stopped() {
    const std::lock_guard lock(mutex_);
    return stopped_;
  }

  [[nodiscard]] pool_stats stats() {
    pool_stats result;
    const std::lock_guard lock(mutex_);
    for (const seat& each : seats_) result.workers.push_back(each.stats(jobs_));
    result.queued = jobs_.queued(mailbox::any);
    result.overloads = jobs_.overloads();
    result.timeouts = timeouts_.load(std::memory_order_relaxed);
    result.abandoned = abandoned_;
    result.gil_stalled = runtime_ != nullptr && runtime_->attendant().waiting_for_gil() > settings_.grace;
    return result;
  }

 private:
  // Starting ------------------------------------------------------------------------------------------

  // On the timer: hands over to a thread that may wait for Python to come up.
  void launch(std::size_t index) noexcept {
    try {
      detail::start_thread("erlpy-worker", worker_stack(settings_), [self = shared_from_this(), index] {
        try {
          self->run_first(index);
        } catch (const std::exception& failed) {
          self->announce(index, std::nullopt, failed.what());
        }
      });
    } catch (const std::exception& failed) {
      announce(index, std::nullopt, failed.what());
    }
  }

  void run_first(std::size_t index) {
    auto& python = python::runtime::start({settings_.python, settings_.default_python});
    std::shared_ptr<worker> added;
    {
      std::unique_lock lock(mutex_);
      runtime_ = &python;
      drops_ = python.main_interpreter()->drops();
      seat& here = seats_[index - 1];
      if (stopped_) return;
      if (here.thread) {
        const bool ready = here.ready;
        lock.unlock();
        if (ready) announce(index, std::nullopt, "");
        return;
      }
      if (!here.place.objects) {
        here.place.objects = std::make_shared<python::object_table>(
            [weak = weak_from_this(), index] {
              if (const auto self = weak.lock()) self->jobs_.poke(index);
            });
        python.main_interpreter()->add(here.place.objects);
      }
      added = make_worker(here);
      ++threads_;
    }
    added->main();
  }

  // Under the lock.
  [[nodiscard]] std::shared_ptr<worker> make_worker(seat& here) {
    here.thread = std::make_shared<worker>(
        here.place, jobs_, settings_, runtime_->main_interpreter(),
        worker::hooks{[self = shared_from_this()](worker& who, std::optional<python::failure> failed) {
                        self->worker_started(who, std::move(failed));
                      },
                      [self = shared_from_this()](worker& who) { self->worker_left(who); },
                      [self = shared_from_this()](worker& who) {
                        self->watch(who.shared_from_this(), housekeeping::limit);
                      }});
    here.ready = false;
    return here.thread;
  }

  void worker_started(worker& who, std::optional<python::failure> failed) {
    const std::size_t index = who.place().index;
    {
      const std::lock_guard lock(mutex_);
      seat& here = seats_[index - 1];
      if (failed) {
        if (here.thread.get() == &who) here.thread = nullptr;
      } else {
        here.ready = true;
        if (stopped_) who.retire();
      }
    }
    if (failed) {
      announce(index, failed->kind, failed->message);
    } else {
      announce(index, std::nullopt, "");
    }
  }

  // Giving up -----------------------------------------------------------------------------------------

  // A job that was given up or refused: out of its queue, or interrupted.
  void end(job& target, outcome why) {
    if (why == outcome::timeout) count_timeout();
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
    if (runner) interrupt(runner, job_ptr(&target), worker::force::cancel_task);
  }

  void interrupt(const std::shared_ptr<worker>& runner, const job_ptr& target, worker::force how) {
    runtime_->attendant().post([self = shared_from_this(), runner, target, how] {
      const auto step = runner->step_number();
      if (!runner->interrupt(*target, how)) return;
      timer::instance().at(timer::clock::now() + self->settings_.grace, [self, runner, target, how, step] {
        // What was cancelled and goes on is cleaning up, unless it is the very step that was to end; and the
        // stand-in of housekeeping stands for another destructor by now.
        const bool stands_for_many = target->asynchronous() || target.get() == &runner->house().stand_in();
        if (stands_for_many && runner->step_number() != step) return;
        self->escalate(runner, target, how);
      });
    });
  }

  // `grace` after an interruption that was delivered, so the job did give the GIL up meanwhile.
  void escalate(const std::shared_ptr<worker>& runner, const job_ptr& target, worker::force tried) {
    if (!runner->runs(*target)) {
      settle(runner, target);
    } else if (tried == worker::force::cancel_task && runner->awaiting(*target)) {
      interrupt(runner, target, worker::force::raise);
    } else {
      replace(runner, target);
    }
  }

  void replace(const std::shared_ptr<worker>& runner, const job_ptr& target) {
    std::shared_ptr<worker> added;
    {
      const std::lock_guard lock(mutex_);
      seat& here = seats_[runner->place().index - 1];
      if (here.thread != runner || stopped_) return;
      if (abandoned_ >= settings_.max_abandoned) {
        here.overdue = target;
        jobs_.refuse(here.place.index, true);
      } else if (runner->abandon_while(*target)) {
        ++abandoned_;
        here.place.restarts.fetch_add(1, std::memory_order_relaxed);
        here.overdue = {};
        jobs_.refuse(here.place.index, false);
        added = make_worker(here);
        ++threads_;
      }
    }
    if (added) {
      for (const job_ptr& stream : runner->residents()) stream->refuse(refusal::replaced);
      events_.replaced(added->place().index);
      run_in_thread(added);
    } else {
      // Stuck for want of a thread: look again, until the job ends or another thread has come back.
      timer::instance().at(timer::clock::now() + settings_.grace, [self = shared_from_this(), runner, target] {
        self->escalate(runner, target, worker::force::raise);
      });
    }
  }

  // What is cancelled has the time of a clean-up; then that is cancelled too, again and again.
  void insist(const std::weak_ptr<worker>& home, const job_ptr& alive, resident& target) {
    timer::instance().at(timer::clock::now() + housekeeping::limit, [self = shared_from_this(), home, alive, &target] {
      const auto runner = home.lock();
      if (!runner || target.over()) return;
      self->runtime_->attendant().post([runner, alive, &target] { target.cancel_step(true); });
      self->insist(home, alive, target);
    });
  }

  // An overdue job has ended after all.
  void settle(const std::shared_ptr<worker>& runner, const job_ptr& target) {
    const std::lock_guard lock(mutex_);
    seat& here = seats_[runner->place().index - 1];
    if (here.overdue.get() != target.get()) return;
    here.overdue = {};
    jobs_.refuse(here.place.index, false);
  }

  void run_in_thread(const std::shared_ptr<worker>& added) noexcept {
    try {
      detail::start_thread("erlpy-worker", worker_stack(settings_), [added] { added->main(); });
    } catch (const std::exception& failed) {
      {
        const std::lock_guard lock(mutex_);
        seat& here = seats_[added->place().index - 1];
        if (here.thread == added) here.thread = nullptr;
        --threads_;
      }
      announce(added->place().index, std::nullopt, failed.what());
    }
  }

  // Destructors of released objects belong to no call, so nobody would give them up: the timer does.
  void watch(const std::shared_ptr<worker>& runner, std::chrono::nanoseconds after) {
    timer::instance().at(timer::clock::now() + after, [self = shared_from_this(), runner] {
      const auto taken = runner->house().still_at_it();
      if (taken == std::chrono::nanoseconds::zero()) return;
      if (taken < housekeeping::limit) return self->watch(runner, housekeeping::limit - taken);
      self->interrupt(runner, job_ptr(&runner->house().stand_in()), worker::force::raise);
    });
  }

  // Leaving -------------------------------------------------------------------------------------------

  // The last act of a worker's thread, without the GIL.
  void worker_left(worker& who) {
    bool last = false;
    {
      const std::lock_guard lock(mutex_);
      seat& here = seats_[who.place().index - 1];
      if (here.thread.get() == &who) here.thread = nullptr;
      if (who.abandoned()) --abandoned_;
      last = --threads_ == 0 && stopped_;
    }
    if (last) finish();
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

  // Without the lock. Nobody hears of a worker that starts, or fails to, after the pool has stopped.
  void announce(std::size_t slot, std::optional<std::string> class_name, std::string message) {
    std::function<void(std::size_t, std::optional<std::string>, std::string)> started;
    {
      const std::lock_guard lock(mutex_);
      started = events_.started;
    }
    if (started) started(slot, std::move(class_name), std::move(message));
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
      runtime_->attendant().post([each] { each->interrupt_preparation(); });
      const job_ptr current = each->current();
      if (current && current.get() != &each->house().stand_in()) {
        current->refuse(refusal::stopped);
        current->stop();
        interrupt(each, current, worker::force::cancel_task);
      }
      jobs_.poke(each->place().index);
    }
    if (none) finish();
  }

  const options settings_;
  pool_events events_;
  mailbox jobs_;
  std::deque<seat> seats_;
  std::atomic<std::size_t> turn_{0};
  std::atomic<std::uint64_t> timeouts_{0};
  python::runtime* runtime_ = nullptr;
  std::shared_ptr<python::drop_queue> drops_;

  std::mutex mutex_;  // seats_' threads and marks, and what follows; no Python under it
  bool stopped_ = false;
  std::size_t threads_ = 0;
  std::size_t abandoned_ = 0;
};

}  // namespace erlpy::pool

#endif
