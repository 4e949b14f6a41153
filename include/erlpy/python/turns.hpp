// Turns at a GIL that several interpreters share.
//
// From Python 3.9 to 3.11 sub-interpreters share the GIL, but a thread that waits for it asks only the
// threads of its own interpreter to let go: one that computes in another interpreter would keep it for as
// long as it computes. So while two interpreters or more have work, someone in each of them asks for the GIL
// now and then.
#ifndef ERLPY_PYTHON_TURNS_HPP
#define ERLPY_PYTHON_TURNS_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <erlpy/detail/thread.hpp>
#include <erlpy/python/compat.hpp>

namespace erlpy::python {

class turns {
 public:
  // One interpreter. `ask` is called from a thread of our own, under a lock: it only has a thread of the
  // interpreter attach and detach, soon.
  class member {
   public:
    explicit member(std::function<void()> ask) : ask_(std::move(ask)) {
      if constexpr (compat::unfair_gil) turns::instance().add(*this);
    }
    member(const member&) = delete;
    member& operator=(const member&) = delete;
    ~member() {
      if constexpr (compat::unfair_gil) turns::instance().remove(*this);
    }

    // Any thread: one more, or one less, thread works in the interpreter or wants to.
    void begin_work() {
      if constexpr (compat::unfair_gil) {
        if (working_.fetch_add(1) == 0) turns::instance().begin_work();
      }
    }
    void end_work() noexcept {
      if constexpr (compat::unfair_gil) {
        if (working_.fetch_sub(1) == 1) turns::instance().working_.fetch_sub(1);
      }
    }

   private:
    friend class turns;
    std::function<void()> ask_;
    std::atomic<int> working_{0};
  };

  // Work for a scope.
  class mark {
   public:
    explicit mark(member& whose) : whose_(whose) { whose_.begin_work(); }
    mark(const mark&) = delete;
    mark& operator=(const mark&) = delete;
    ~mark() { whose_.end_work(); }

   private:
    member& whose_;
  };

 private:
  static constexpr std::chrono::milliseconds interval{5};  // as CPython's own

  // Never destroyed: its thread outlives every static destructor.
  [[nodiscard]] static turns& instance() {
    static auto* const the_turns = new turns;
    return *the_turns;
  }

  void add(member& added) {
    const std::lock_guard lock(mutex_);
    members_.push_back(&added);
  }
  void remove(member& gone) {
    const std::lock_guard lock(mutex_);
    members_.erase(std::find(members_.begin(), members_.end(), &gone));
  }

  // One more interpreter has work.
  void begin_work() {
    if (working_.fetch_add(1) == 0 || !asleep_.load()) return;
    const std::lock_guard lock(mutex_);
    if (!started_) erlpy::detail::start_thread("erlpy-turns", 256U << 10U, [this] { serve(); });
    started_ = true;
    asleep_ = false;
    changed_.notify_one();
  }

  [[noreturn]] void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      asleep_ = true;
      if (working_.load() < 2) changed_.wait(lock, [&] { return !asleep_.load(); });
      asleep_ = false;
      lock.unlock();
      std::this_thread::sleep_for(interval);
      lock.lock();
      if (working_.load() < 2) continue;
      for (member* const each : members_)
        if (each->working_.load() != 0) each->ask_();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<member*> members_;
  bool started_ = false;
  std::atomic<bool> asleep_{true};
  std::atomic<int> working_{0};  // interpreters with work
};

}  // namespace erlpy::python

#endif
