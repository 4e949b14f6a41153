// The task that a worker's job awaits, for whoever gives the job up.
#ifndef ERLPY_POOL_AWAITED_HPP
#define ERLPY_POOL_AWAITED_HPP

#include <mutex>
#include <utility>

#include <erlpy/pool/job.hpp>
#include <erlpy/python/ref.hpp>

namespace erlpy::pool {

class awaited {
 public:
  // Shows the task while it lives. On the worker, attached.
  class mark {
   public:
    mark(awaited& shown, const job& who, python::ref task) : shown_(shown), task_(std::move(task)) {
      const std::lock_guard lock(shown_.mutex_);
      shown_.task_ = task_;
      shown_.who_ = &who;
    }
    mark(const mark&) = delete;
    mark& operator=(const mark&) = delete;
    ~mark() {
      python::ref done;  // let go of outside the lock
      const std::lock_guard lock(shown_.mutex_);
      std::swap(done, shown_.task_);
      shown_.who_ = nullptr;
    }
    [[nodiscard]] PyObject* task() const noexcept { return task_.get(); }

   private:
    awaited& shown_;
    python::ref task_;
  };

  // Attached, any thread: the task that the job awaits, or null.
  [[nodiscard]] python::ref task_of(const job& target) {
    const std::lock_guard lock(mutex_);
    return who_ == &target ? task_ : python::ref();
  }

 private:
  std::mutex mutex_;  // a leaf
  python::ref task_;
  const job* who_ = nullptr;
};

}  // namespace erlpy::pool

#endif
