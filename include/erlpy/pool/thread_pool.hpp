// A pool of workers in this process, in the main interpreter (isolation `shared`) or each in one of its own
// (`subinterpreter`), and what keeps it responsive: who gives a job up interrupts it, and a worker that
// cannot be interrupted is replaced.
#ifndef ERLPY_POOL_THREAD_POOL_HPP
#define ERLPY_POOL_THREAD_POOL_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <erlpy/pool/job.hpp>
#include <erlpy/pool/thread_worker.hpp>
#include <erlpy/pool/timer.hpp>
#include <erlpy/pool/worker_pool.hpp>
#include <erlpy/python/runtime.hpp>
#include <erlpy/python/subinterpreter.hpp>

namespace erlpy::pool {

class thread_pool final : public worker_pool {
 public:
  thread_pool(options settings, pool_events events)
      : worker_pool(std::move(settings), std::move(events)), homes_(settings_.num_workers) {}
  ~thread_pool() override {
    // A slot whose thread never came back keeps its namespace until here.
    for (const auto& each : homes_) {
      if (!each || !each->name_space) continue;
      drops_->lend();
      drops_->push(each->name_space.release());
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
  // How long C code may keep a GIL of its own without computing, once its job was given up.
  static constexpr std::chrono::seconds patience{2};

  [[nodiscard]] std::shared_ptr<thread_pool> shared_self() {
    return std::static_pointer_cast<thread_pool>(shared_from_this());
  }

  void interrupt_running(const std::shared_ptr<worker>& runner, const job_ptr& target) override {
    interrupt(std::static_pointer_cast<thread_worker>(runner), target, thread_worker::force::cancel_task);
  }

  void add_stats(pool_stats& stats) override {
    stats.abandoned = abandoned_;
    stats.parallel = own_gils() || (runtime_ != nullptr && runtime_->main_interpreter()->parallel());
    stats.leaked_interpreters = python::subinterpreter::leaked();
    for (const seat& each : seats_) {
      if (!each.thread) continue;
      const python::service* const attendant = static_cast<thread_worker&>(*each.thread).attendant();
      if (attendant != nullptr && attendant->waiting_for_gil() > settings_.grace) stats.gil_stalled = true;
    }
  }

  [[nodiscard]] bool own_interpreters() const noexcept { return settings_.kind == isolation::subinterpreter; }
  // Whether a worker whose C code keeps the GIL stalls itself alone.
  [[nodiscard]] bool own_gils() const noexcept { return own_interpreters() && python::compat::own_gil; }

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
      if (runtime_ == nullptr) {
        runtime_ = &python;
        drops_ = python.main_interpreter()->drops();
      }
      seat& here = seats_[index - 1];
      if (stopped_) return;
      if (here.thread) {
        const bool ready = here.ready;
        lock.unlock();
        if (ready) announce(index, std::nullopt, "");
        return;
      }
      added = make_worker(here);
      ++threads_;
    }
    added->main();
  }

  // Under the lock.
  [[nodiscard]] std::shared_ptr<thread_worker> make_worker(seat& here) {
    auto& home = homes_[here.place.index - 1];
    if (!home || own_interpreters()) {
      if (home) home->objects->shut();
      home = make_home(here.place.index);
      here.place.objects = home->objects;
    }
    auto made = std::make_shared<thread_worker>(
        here.place, home, jobs_, settings_,
        thread_worker::hooks{[self = shared_self()] { return self->lodge(); },
                             [self = shared_self()](thread_worker& who,
                                                    std::optional<python::failure> failed) {
                               if (!failed) return self->worker_started(who, std::nullopt);
                               self->worker_started(who, start_failure{failed->kind, failed->message});
                             },
                             [self = shared_self()](thread_worker& who) { self->thread_left(who); },
                             [self = shared_self()](thread_worker& who) {
                               self->watch(std::static_pointer_cast<thread_worker>(who.shared_from_this()),
                                           housekeeping::limit);
                             },
                             events().rest});
    here.thread = made;
    here.ready = false;
    return made;
  }

  [[nodiscard]] std::shared_ptr<python_home> make_home(std::size_t index) {
    auto made = std::make_shared<python_home>();
    made->module_name = "__erlang_" + settings_.name + "_" + std::to_string(index) + "__";
    made->objects = std::make_shared<python::object_table>(
        [weak = std::weak_ptr<thread_pool>(shared_self()), index] {
          if (const auto self = weak.lock()) self->jobs_.poke(index);
        },
        settings_.object_owner != 0 ? settings_.object_owner : object_holder::next_owner());
    return made;
  }

  // On a worker's thread. Errors: erlpy::error if there is no interpreter to be had.
  [[nodiscard]] lodging lodge() {
    tell(&pool_events::began);
    if (!own_interpreters()) return {runtime_->main_interpreter(), &runtime_->attendant()};
    auto own = python::subinterpreter::start(*runtime_);
    return {own->home(), &own->attendant(), own};
  }

  // Giving up -----------------------------------------------------------------------------------------

  void interrupt(const std::shared_ptr<thread_worker>& runner, const job_ptr& target,
                 thread_worker::force how) {
    const auto delivered = std::make_shared<std::atomic<bool>>(false);
    watch_delivery(runner, target, delivered);
    runner->attendant()->post([self = shared_self(), runner, target, how, delivered] {
      delivered->store(true);
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

  // What is not delivered within `grace` has met C code that keeps the GIL. Where that is the worker's own, a
  // new worker would not wait for it; but there the machine may just be busy, so it counts what the thread
  // has computed since, which Python code does not do while somebody waits.
  void watch_delivery(const std::shared_ptr<thread_worker>& runner, const job_ptr& target,
                      const std::shared_ptr<const std::atomic<bool>>& delivered) {
    const auto used = runner->used();
    timer::instance().at(timer::clock::now() + settings_.grace,
                         [self = shared_self(), runner, target, delivered, used] {
                           if (!self->own_gils()) {
                             if (!delivered->load() && runner->runs(*target)) (void)self->announce_stuck();
                           } else {
                             self->look_for_delivery(runner, target, delivered, used);
                           }
                         });
  }
  void look_for_delivery(const std::shared_ptr<thread_worker>& runner, const job_ptr& target,
                         const std::shared_ptr<const std::atomic<bool>>& delivered,
                         std::chrono::nanoseconds used) {
    if (delivered->load() || !runner->runs(*target)) return;
    const auto waited = runner->attendant()->waiting_for_gil();
    const bool computes = waited > settings_.grace / 2 && runner->used() - used > settings_.grace / 2;
    if (computes || waited > std::max<std::chrono::nanoseconds>(patience, settings_.grace))
      return replace(runner, target);
    timer::instance().at(timer::clock::now() + settings_.grace,
                         [self = shared_self(), runner, target, delivered, used] {
                           self->look_for_delivery(runner, target, delivered, used);
                         });
  }

  // `grace` after an interruption that was delivered, so the job did give the GIL up meanwhile.
  void escalate(const std::shared_ptr<thread_worker>& runner, const job_ptr& target,
                thread_worker::force tried) {
    if (!runner->runs(*target)) {
      settle(runner, target);
    } else if (tried == thread_worker::force::cancel_task && runner->awaiting(*target)) {
      interrupt(runner, target, thread_worker::force::raise);
    } else {
      replace(runner, target);
    }
  }

  void replace(const std::shared_ptr<thread_worker>& runner, const job_ptr& target) {
    if (announce_stuck()) return;
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
    timer::instance().at(timer::clock::now() + housekeeping::limit,
                         [self = shared_self(), home, alive, &target] {
                           const auto runner = home.lock();
                           if (!runner || target.over()) return;
                           runner->attendant()->post([runner, alive, &target] { target.cancel_step(true); });
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
      worker_left(*added);
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
    if (python::service* const attendant = each->attendant())
      attendant->post([each] { each->interrupt_preparation(); });
    const job_ptr current = each->current();
    if (current && current.get() != &each->house().stand_in()) {
      current->refuse(refusal::stopped);
      current->stop();
      interrupt(each, current, thread_worker::force::cancel_task);
    }
    jobs_.poke(each->place().index);
  }

  std::vector<std::shared_ptr<python_home>> homes_;  // of the slots; under the lock
  python::runtime* runtime_ = nullptr;
  std::shared_ptr<python::drop_queue> drops_;
  std::size_t abandoned_ = 0;  // under the pool's lock
};

}  // namespace erlpy::pool

#endif
