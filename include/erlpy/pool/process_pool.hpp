// A pool whose workers are OS processes of their own (isolation `process`): one that crashes, that goes past
// its memory limit or does not let go of a call is ended, and another takes its seat.
//
// Who starts the processes is the pool's owner, see pool_events::launch: the pool waits for them to connect.
#ifndef ERLPY_POOL_PROCESS_POOL_HPP
#define ERLPY_POOL_PROCESS_POOL_HPP

#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <erlpy/detail/thread.hpp>
#include <erlpy/pool/preparation.hpp>
#include <erlpy/pool/process_worker.hpp>
#include <erlpy/pool/timer.hpp>
#include <erlpy/pool/worker_pool.hpp>

namespace erlpy::pool {

class process_pool final : public worker_pool {
 public:
  process_pool(options settings, pool_events events) : worker_pool(std::move(settings), std::move(events)) {}

  void start_worker(std::size_t index) override {
    timer::instance().soon([self = shared_self(), index] { self->start_or_report(index); });
  }

  // Any thread: the process that was launched for the slot, and told this, has ended. Of interest before it
  // was ready.
  void process_ended(std::size_t index, const std::string& told, const std::string& how) {
    const auto here = worker_of(index);
    if (here && !told.empty() && here->process().invitation() == told) here->process().note_end(how);
  }

  // Any thread: where the process stands that was launched for the slot, and told this.
  enum class launched : std::uint8_t { expected, connected, given_up };
  [[nodiscard]] launched state_of(std::size_t index, const std::string& told) {
    const auto here = worker_of(index);
    if (!here || here->process().invitation() != told) return launched::given_up;
    if (here->process().connected()) return launched::connected;
    return here->process().ended() ? launched::given_up : launched::expected;
  }

  void interrupt_resident(const std::shared_ptr<worker>& home, resident& target) override {
    const auto runner = std::static_pointer_cast<process_worker>(home);
    const auto before = runner->frames();
    runner->hurry(job_ptr(&target));
    timer::instance().at(timer::clock::now() + settings_.grace + hearing,
                         [runner, before, &target, alive = job_ptr(&target)] {
                           if (!target.over() && runner->frames() == before)
                             runner->process().end(worker_process::ending::replaced, "it did not answer");
                         });
  }

 private:
  // What a process gets to hear that a call is given up; what is frozen never does.
  static constexpr std::chrono::seconds hearing{1};
  static constexpr std::chrono::milliseconds memory_interval{100};
  // A process that ends without having done anything is not tried again at once.
  static constexpr std::chrono::seconds short_life{1};

  [[nodiscard]] std::shared_ptr<process_pool> shared_self() {
    return std::static_pointer_cast<process_pool>(shared_from_this());
  }
  [[nodiscard]] std::shared_ptr<process_worker> worker_of(std::size_t index) {
    const std::lock_guard lock(mutex_);
    return std::static_pointer_cast<process_worker>(seats_[index - 1].thread);
  }

  // Starting ------------------------------------------------------------------------------------------

  // On the timer.
  void start_or_report(std::size_t index) noexcept {
    try {
      std::shared_ptr<process_worker> added;
      {
        std::unique_lock lock(mutex_);
        if (stopped_) return;
        seat& here = seats_[index - 1];
        if (here.thread) {
          const auto running = std::static_pointer_cast<process_worker>(here.thread);
          lock.unlock();
          if (running->ready()) return announce(index, std::nullopt, "");
          return launch(*running);  // whoever was told before may be gone
        }
        added = make_worker(here);
      }
      run(added);
    } catch (const std::exception& failed) {
      announce(index, std::nullopt, failed.what());
    }
  }

  // Under the lock.
  [[nodiscard]] std::shared_ptr<process_worker> make_worker(seat& here) {
    auto home = std::make_shared<std::weak_ptr<process_worker>>();
    const auto objects = std::make_shared<remote_objects>([this_pool = weak_from_this(), home] {
      // The pool's mailbox has to be there for the worker to be woken.
      if (const auto alive = this_pool.lock()) {
        if (const auto found = home->lock()) found->attend_soon();
      }
    });
    here.place.objects = objects;
    auto made = std::make_shared<process_worker>(
        here.place, jobs_, settings_, objects,
        process_worker::hooks{
            [self = shared_self()](process_worker& who, std::optional<start_failure> failed) {
              self->worker_started(who, std::move(failed));
            },
            [self = shared_self()](process_worker& who) { self->launch(who); },
            [self = shared_self()](process_worker& who) { self->process_left(who); }});
    *home = made;
    here.thread = made;
    here.ready = false;
    ++threads_;
    return made;
  }

  void run(const std::shared_ptr<process_worker>& added) {
    watch_memory(added);
    try {
      erlpy::detail::start_thread("erlpy-process", worker_stack(settings_), [added] { added->main(); });
    } catch (...) {
      worker_left(*added);
      throw;
    }
  }

  // One that has no place to meet yet announces itself when it has.
  void launch(process_worker& who) {
    std::string told = who.process().invitation();
    if (!told.empty() && !who.process().connected()) announce_launch(who.place().index, std::move(told));
  }

  // Giving up -----------------------------------------------------------------------------------------

  void interrupt_running(const std::shared_ptr<worker>& runner, const job_ptr& target) override {
    const auto home = std::static_pointer_cast<process_worker>(runner);
    if (!home->cancel(*target)) return;
    // The process sees to it that the call ends, and says so where it does not. These are for one that is
    // frozen, or lies.
    timer::instance().at(timer::clock::now() + settings_.grace + hearing, [home, target] {
      if (home->runs(*target) && !home->hears())
        home->process().end(worker_process::ending::replaced, "it did not answer");
    });
    timer::instance().at(timer::clock::now() + 4 * settings_.grace + 3 * hearing, [home, target] {
      if (home->runs(*target))
        home->process().end(worker_process::ending::replaced, "it did not end a call in time");
    });
  }

  void watch_memory(const std::weak_ptr<process_worker>& watched) {
    if (settings_.memory_limit == 0) return;
    timer::instance().at(timer::clock::now() + memory_interval, [weak = weak_from_this(), watched] {
      const auto self = std::static_pointer_cast<process_pool>(weak.lock());
      const auto home = watched.lock();
      if (!self || !home || home->abandoned()) return;
      if (resident_bytes(home->process().id()) > self->settings_.memory_limit)
        home->process().end(worker_process::ending::crashed, "it went past its memory_limit");
      self->watch_memory(watched);
    });
  }

  // 0 where the system does not tell.
  [[nodiscard]] static std::uint64_t resident_bytes(int process_id) {
    std::ifstream file("/proc/" + std::to_string(process_id) + "/statm");
    std::uint64_t all = 0;
    std::uint64_t resident = 0;
    if (!(file >> all >> resident)) return 0;
    return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  }

  void end_worker(const std::shared_ptr<worker>& running) override {
    const auto each = std::static_pointer_cast<process_worker>(running);
    if (const job_ptr current = each->current()) {
      current->refuse(refusal::stopped);
      current->stop();
      (void)each->cancel(*current);
    }
    each->attend_soon();
    const auto limit = 2 * settings_.grace + hearing;
    timer::instance().at(timer::clock::now() + limit, [each] {
      each->process().end(worker_process::ending::stopped, "the pool has stopped");
    });
  }

  void add_stats(pool_stats& stats) override { stats.parallel = true; }

  // Leaving -------------------------------------------------------------------------------------------

  void process_left(process_worker& who) {
    const bool served = who.ready();
    std::shared_ptr<process_worker> added;
    std::string cannot;
    try {
      const std::lock_guard lock(mutex_);
      seat& here = seat_of(who);
      if (!stopped_ && served && here.thread.get() == &who) {
        here.place.restarts.fetch_add(1, std::memory_order_relaxed);
        added = make_worker(here);
      }
    } catch (const std::exception& failed) {
      cannot = failed.what();  // no descriptors, no memory: for the supervisor to try again
    }
    worker_left(who);
    if (!cannot.empty()) announce(who.place().index, std::nullopt, cannot);
    if (!added) return;
    const std::size_t index = added->place().index;
    if (who.process().why() == worker_process::ending::replaced) {
      announce_replaced(index);
    } else {
      announce_crashed(index, who.process().message());
    }
    const bool idle_end = !who.served() && std::chrono::steady_clock::now() - who.made() < short_life;
    const auto start = [self = shared_self(), added, index] {
      try {
        self->run(added);
      } catch (const std::exception& failed) {
        self->announce(index, std::nullopt, failed.what());
      }
    };
    if (idle_end) {
      timer::instance().at(timer::clock::now() + short_life, start);
    } else {
      start();
    }
  }
};

}  // namespace erlpy::pool

#endif
