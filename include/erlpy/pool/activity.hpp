// What a worker's thread executes at this moment, and how others interrupt it.
//
// A job is on the list from its begin() to its end(); one that awaits something is below the steps that
// the event loop runs meanwhile, of its own task and of streams. Only what is on top executes: an
// asynchronous exception is set under the lock that shows it there, and taken back if it was not raised
// before the step ended.
#ifndef ERLPY_POOL_ACTIVITY_HPP
#define ERLPY_POOL_ACTIVITY_HPP

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include <erlpy/pool/job.hpp>
#include <erlpy/python/compat.hpp>

namespace erlpy::pool {

class activity {
 public:
  activity() { executing_.reserve(4); }

  // On the worker's thread, before anything else. `timeout`: the exception that interrupts; outlives this.
  void bind(PyObject* timeout) noexcept {
    thread_id_ = PyThread_get_thread_ident();
    timeout_ = timeout;
  }

  // On the worker's thread, attached. Null stands for what is no job: a preload.
  void begin(job* next) {
    const std::lock_guard lock(mutex_);
    executing_.push_back(next);
    ++begun_;
  }
  // What was to interrupt it, and came too late, is taken back.
  void end() {
    const std::lock_guard lock(mutex_);
    executing_.pop_back();
    clear_exception();
  }
  // The same within a job, where other code begins that is not to be interrupted for what was before.
  void take_back() {
    const std::lock_guard lock(mutex_);
    clear_exception();
  }
  // How many have begun.
  [[nodiscard]] std::uint64_t begun() {
    const std::lock_guard lock(mutex_);
    return begun_;
  }

  enum class found : std::uint8_t { absent, executing, waiting };

  // Attached, from another thread. With `raise` what is on top gets the exception.
  [[nodiscard]] found look(const job& target, bool raise) {
    const std::lock_guard lock(mutex_);
    if (!executing_.empty() && executing_.back() == &target) {
      if (raise) set_exception();
      return found::executing;
    }
    return has_locked(target) ? found::waiting : found::absent;
  }
  void interrupt_preparation() {
    const std::lock_guard lock(mutex_);
    if (!executing_.empty() && executing_.front() == nullptr) set_exception();
  }

  [[nodiscard]] bool busy() {
    const std::lock_guard lock(mutex_);
    return !executing_.empty();
  }
  [[nodiscard]] bool has(const job& target) {
    const std::lock_guard lock(mutex_);
    return has_locked(target);
  }
  // The job that was taken from the mailbox, if any.
  [[nodiscard]] job_ptr current() {
    const std::lock_guard lock(mutex_);
    return job_ptr(executing_.empty() ? nullptr : executing_.front());
  }

  // True if the job still executes: then this thread is out of the pool as soon as the job ends.
  [[nodiscard]] bool abandon_while(const job& target) {
    const std::lock_guard lock(mutex_);
    if (!has_locked(target)) return false;
    abandoned_ = true;
    return true;
  }
  [[nodiscard]] bool abandoned() {
    const std::lock_guard lock(mutex_);
    return abandoned_;
  }

 private:
  [[nodiscard]] bool has_locked(const job& target) const {
    return std::find(executing_.begin(), executing_.end(), &target) != executing_.end();
  }
  void clear_exception() {
    if (std::exchange(raised_, false)) PyThreadState_SetAsyncExc(thread_id_, nullptr);
  }
  void set_exception() {
    PyThreadState_SetAsyncExc(thread_id_, timeout_);
    raised_ = true;
  }

  std::mutex mutex_;  // a leaf, but that an asynchronous exception is set under it
  std::vector<job*> executing_;
  std::uint64_t begun_ = 0;
  unsigned long thread_id_ = 0;
  PyObject* timeout_ = nullptr;
  bool raised_ = false;
  bool abandoned_ = false;
};

}  // namespace erlpy::pool

#endif
