// A pool of workers in the main interpreter (isolation `shared`), and what keeps it responsive: who
// gives a job up interrupts it, and a worker that cannot be interrupted is replaced.
#ifndef ERLPY_POOL_THREAD_POOL_HPP
#define ERLPY_POOL_THREAD_POOL_HPP

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include <erlpy/pool/job.hpp>
#include <erlpy/pool/thread_worker.hpp>
#include <erlpy/pool/timer.hpp>
#include <erlpy/pool/worker_pool.hpp>
#include <erlpy/python/runtime.hpp>

namespace erlpy::pool {

class thread_pool final : public worker_pool {
 public:
  thread_pool(options settings, pool_events events) : worker_pool(std::move(settings), std::move(events)) {
    for (std::size_t i = 1; i <= settings_.num_workers; ++i)
      homes_.emplace_back().module_name = "__erlang_" + settings_.name + "_" + std::to_string(i) + "__";
  }
  ~thread_pool() override {
    // A slot whose thread never came back keeps its namespace until here.
    for (python_home& each : homes_) {
      if (PyObject* left = each.name_space.release()) drops_->push(left);
    }
  }

  void start_worker(std::size_t index) override {
    timer::instance().soon([self = shared_self(), index] { self->launch(index); });
  }

  void interrupt_resident(const std::shared_ptr<worker>& home, resident& target) override {
    const auto runner = std::static_pointer_cast<thread_worker>(home);
    interrupt(runner, job_ptr(&target), thread_worker::force::cancel_task);
    if (target.asynchronous()) insist(runner, job_ptr(&target), target);
  }

 private:
  [[nodiscard]] std::shared_ptr<thread_pool> shared_self() {
    return std::static_pointer_cast<thread_pool>(shared_from_this());
  }

  void interrupt_running(const std::shared_ptr<worker>& runner, const job_ptr& target) override {
    interrupt(std::static_pointer_cast<thread_worker>(runner), target, thread_worker::force::cancel_task);
  }

  void add_stats(pool_stats& stats) override {
    stats.abandoned = abandoned_;
    stats.gil_stalled = runtime_ != nullptr && runtime_->attendant().waiting_for_gil() > settings_.grace;
  }

  // Starting ------------------------------------------------------------------------------------------

  // On the timer: hands over to a thread that may wait for Python to come up.
  void launch(std::size_t index) noexcept {
    try {
      detail::start_thread("erlpy-worker", worker_stack(settings_), [self = shared_self(), index] {
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
    std::shared_ptr<thread_worker> added;
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
        homes_[index - 1].objects = std::make_shared<python::object_table>(
            [weak = std::weak_ptr<thread_pool>(shared_self()), index] {
              if (const auto self = weak.lock()) self->jobs_.poke(index);
            });
        here.place.objects = homes_[index - 1].objects;
        python.main_interpreter()->add(homes_[index - 1].objects);
      }
      added = make_worker(here);
      ++threads_;
    }
    added->main();
  }

  // Under the lock.
  [[nodiscard]] std::shared_ptr<thread_worker> make_worker(seat& here) {
    auto made = std::make_shared<thread_worker>(
        here.place, homes_[here.place.index - 1], jobs_, settings_, runtime_->main_interpreter(),
        thread_worker::hooks{[self = shared_self()](thread_worker& who, std::optional<python::failure> failed) {
                        self->worker_started(who, std::move(failed));
                      },
                      [self = shared_self()](thread_worker& who) { self->thread_left(who); },
                      [self = shared_self()](thread_worker& who) {
                        self->watch(std::static_pointer_cast<thread_worker>(who.shared_from_this()), housekeeping::limit);
                      }});
    here.thread = made;
    here.ready = false;
    return made;
  }

  void worker_started(thread_worker& who, std::optional<python::failure> failed) {
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

  void interrupt(const std::shared_ptr<thread_worker>& runner, const job_ptr& target, thread_worker::force how) {
    runtime_->attendant().post([self = shared_self(), runner, target, how] {
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
  void escalate(const std::shared_ptr<thread_worker>& runner, const job_ptr& target, thread_worker::force tried) {
    if (!runner->runs(*target)) {
      settle(runner, target);
    } else if (tried == thread_worker::force::cancel_task && runner->awaiting(*target)) {
      interrupt(runner, target, thread_worker::force::raise);
    } else {
      replace(runner, target);
    }
  }

  void replace(const std::shared_ptr<thread_worker>& runner, const job_ptr& target) {
    std::shared_ptr<thread_worker> added;
    {
      const std::lock_guard lock(mutex_);
      seat& here = seat_of(*runner);
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
      announce_replaced(added->place().index);
      run_in_thread(added);
    } else {
      // Stuck for want of a thread: look again, until the job ends or another thread has come back.
      timer::instance().at(timer::clock::now() + settings_.grace, [self = shared_self(), runner, target] {
        self->escalate(runner, target, thread_worker::force::raise);
      });
    }
  }

  // What is cancelled has the time of a clean-up; then that is cancelled too, again and again.
  void insist(const std::weak_ptr<thread_worker>& home, const job_ptr& alive, resident& target) {
    timer::instance().at(timer::clock::now() + housekeeping::limit, [self = shared_self(), home, alive, &target] {
      const auto runner = home.lock();
      if (!runner || target.over()) return;
      self->runtime_->attendant().post([runner, alive, &target] { target.cancel_step(true); });
      self->insist(home, alive, target);
    });
  }

  // An overdue job has ended after all.
  void settle(const std::shared_ptr<thread_worker>& runner, const job_ptr& target) {
    const std::lock_guard lock(mutex_);
    seat& here = seat_of(*runner);
    if (here.overdue.get() != target.get()) return;
    here.overdue = {};
    jobs_.refuse(here.place.index, false);
  }

  void run_in_thread(const std::shared_ptr<thread_worker>& added) noexcept {
    try {
      detail::start_thread("erlpy-worker", worker_stack(settings_), [added] { added->main(); });
    } catch (const std::exception& failed) {
      {
        const std::lock_guard lock(mutex_);
        seat& here = seat_of(*added);
        if (here.thread == added) here.thread = nullptr;
        --threads_;
      }
      announce(added->place().index, std::nullopt, failed.what());
    }
  }

  // Destructors of released objects belong to no call, so nobody would give them up: the timer does.
  void watch(const std::shared_ptr<thread_worker>& runner, std::chrono::nanoseconds after) {
    timer::instance().at(timer::clock::now() + after, [self = shared_self(), runner] {
      const auto taken = runner->house().still_at_it();
      if (taken == std::chrono::nanoseconds::zero()) return;
      if (taken < housekeeping::limit) return self->watch(runner, housekeeping::limit - taken);
      self->interrupt(runner, job_ptr(&runner->house().stand_in()), thread_worker::force::raise);
    });
  }

  // Leaving -------------------------------------------------------------------------------------------

  void thread_left(thread_worker& who) {
    if (who.abandoned()) {
      const std::lock_guard lock(mutex_);
      --abandoned_;
    }
    worker_left(who);
  }

  void end_worker(const std::shared_ptr<worker>& running) override {
    const auto each = std::static_pointer_cast<thread_worker>(running);
    runtime_->attendant().post([each] { each->interrupt_preparation(); });
    const job_ptr current = each->current();
    if (current && current.get() != &each->house().stand_in()) {
      current->refuse(refusal::stopped);
      current->stop();
      interrupt(each, current, thread_worker::force::cancel_task);
    }
    jobs_.poke(each->place().index);
  }

  std::deque<python_home> homes_;
  python::runtime* runtime_ = nullptr;
  std::shared_ptr<python::drop_queue> drops_;
  std::size_t abandoned_ = 0;  // under the pool's lock
};

}  // namespace erlpy::pool

#endif
