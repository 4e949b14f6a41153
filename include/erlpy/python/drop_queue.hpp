// Python objects that other threads have let go of, waiting for a thread with the GIL.
//
// Erlang collects its references on any scheduler, where Python must not run: what is dropped there
// is queued here, and released by `drain()` on a thread that is attached to the interpreter.
#ifndef ERLPY_PYTHON_DROP_QUEUE_HPP
#define ERLPY_PYTHON_DROP_QUEUE_HPP

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <erlpy/data_model.hpp>
#include <erlpy/python/ref.hpp>

namespace erlpy::python {

// Any thread may push; `wake` is called (without the lock) when the queue was empty, and must only
// signal. Lives, through shared_ptr, as long as anything that may push.
class drop_queue {
 public:
  explicit drop_queue(std::function<void()> wake) : wake_(std::move(wake)) {}

  // Takes over one reference to `object`, which was lent. Without the GIL; never blocks on Python.
  void push(PyObject* object) noexcept {
    bool was_empty = false;
    {
      const std::lock_guard lock(mutex_);
      was_empty = objects_.empty();
      objects_.push_back(object);
      waiting_.store(true, std::memory_order_relaxed);
    }
    if (was_empty && wake_) wake_();
  }

  // Whether drain() has something to do; a look without the lock.
  [[nodiscard]] bool waiting() const noexcept { return waiting_.load(std::memory_order_relaxed); }

  // Any thread: one more object will be pushed. Each push() is announced by one lend().
  void lend() noexcept { lent_.fetch_add(1, std::memory_order_relaxed); }
  // How many were lent and are not released yet: with any, the interpreter must not end.
  [[nodiscard]] std::size_t lent() const noexcept { return lent_.load(std::memory_order_relaxed); }

  // Releases what was pushed. With the GIL; runs destructors of Python objects.
  void drain() noexcept {
    std::vector<PyObject*> batch;
    {
      const std::lock_guard lock(mutex_);
      if (objects_.empty()) return;
      batch.swap(objects_);
      waiting_.store(false, std::memory_order_relaxed);
    }
    for (PyObject* object : batch) Py_DECREF(object);
    lent_.fetch_sub(batch.size(), std::memory_order_relaxed);
  }

 private:
  std::mutex mutex_;
  std::vector<PyObject*> objects_;  // each one owned
  std::atomic<bool> waiting_{false};
  std::atomic<std::size_t> lent_{0};
  std::function<void()> wake_;
};

// The bytes of an exact `bytes` object, lent to another world without a copy.
class lent_bytes final : public shared_bytes {
 public:
  // With the GIL. `object` is exactly a `bytes`.
  lent_bytes(PyObject* object, std::shared_ptr<drop_queue> queue)
      : view_(reinterpret_cast<const std::byte*>(PyBytes_AS_STRING(object)),
              static_cast<std::size_t>(PyBytes_GET_SIZE(object))),
        object_(object),
        queue_(std::move(queue)) {
    Py_INCREF(object);
    queue_->lend();
  }
  ~lent_bytes() override { queue_->push(object_); }
  [[nodiscard]] bytes_view view() const noexcept override { return view_; }

 private:
  bytes_view view_;
  PyObject* object_;  // owned; released through queue_, because this destructor has no GIL
  std::shared_ptr<drop_queue> queue_;
};

}  // namespace erlpy::python

#endif
