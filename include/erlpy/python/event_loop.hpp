// The asyncio loop of one thread, made when it is first needed.
//
// It runs while a job awaits something, and in slices between jobs while tasks of streams are under way.
// Everything here runs attached, on that thread, but for wake().
#ifndef ERLPY_PYTHON_EVENT_LOOP_HPP
#define ERLPY_PYTHON_EVENT_LOOP_HPP

#include <atomic>
#include <chrono>
#include <memory>

#include <erlpy/detail/wake_pipe.hpp>
#include <erlpy/python/call.hpp>
#include <erlpy/python/exception.hpp>
#include <erlpy/python/interpreter.hpp>

namespace erlpy::python {

// Called when a step of a task begins and when it ends.
struct step_marks {
  ref enter, leave;
};

class event_loop {
 public:
  explicit event_loop(const interpreter& home) noexcept : home_(home) {}
  event_loop(const event_loop&) = delete;
  event_loop& operator=(const event_loop&) = delete;

  // Made anew if user code has closed it.
  [[nodiscard]] PyObject* get() {
    if (!loop_ || closed()) {
      if (!pipe_) {
        pipe_ = std::make_unique<const erlpy::detail::wake_pipe>();
        shown_pipe_.store(pipe_.get(), std::memory_order_release);
      }
      const ref descriptor = checked(PyLong_FromLong(pipe_->reading_end()));
      loop_ = call(helpers().new_loop.get(), descriptor.get());
    }
    return loop_.get();
  }
  // Closed by user code: what waits for it waits in vain.
  [[nodiscard]] bool lost() const { return loop_ && closed(); }

  // A task that awaits `awaitable`; run() takes it to its end, other tasks go on meanwhile.
  [[nodiscard]] ref start(PyObject* awaitable, const step_marks& marks) {
    return checked(PyObject_CallFunctionObjArgs(helpers().start_task.get(), get(), awaitable,
                                                marks.enter.get(), marks.leave.get(), nullptr));
  }
  // `woken` is called, outside of the loop, whenever the loop was stopped before that. A task that is left
  // before its end, by an exception, is cancelled.
  template <class Woken>
  [[nodiscard]] ref run(PyObject* task, Woken woken) {
    const cancelled_unless_done guard{task};
    for (;;) {
      const ref done =
          checked(PyObject_CallFunctionObjArgs(helpers().advance.get(), loop_.get(), task, nullptr));
      if (done.get() == Py_True) break;
      woken();
    }
    return checked(PyObject_CallMethod(task, "result", nullptr));
  }

  // A task that steps an async iterator: the object `Drive` of detail/loop_source.hpp. `told` is called in
  // it after each step.
  [[nodiscard]] ref drive(PyObject* iterator, const step_marks& marks, PyObject* told) {
    return checked(PyObject_CallFunctionObjArgs(helpers().drive.get(), get(), iterator, marks.enter.get(),
                                                marks.leave.get(), told, nullptr));
  }

  // The same for who runs the loop for this alone.
  [[nodiscard]] ref drive_alone(PyObject* iterator) {
    return checked(PyObject_CallFunctionObjArgs(helpers().drive_alone.get(), get(), iterator, nullptr));
  }

  // Another attached thread may call this: the task, or the step of a drive(), is cancelled as soon as the
  // loop runs. By force: of a drive() the task.
  [[nodiscard]] bool cancel(PyObject* task, bool by_force) const noexcept {
    const ref done = ref::steal(
        PyObject_CallFunctionObjArgs(helpers().cancel.get(), task, by_force ? Py_True : Py_False, nullptr));
    if (!done) PyErr_Clear();
    return static_cast<bool>(done);
  }

  // One round: what is ready now runs, nothing is waited for.
  void run_once() { quietly(helpers().run_once.get()); }
  // Runs until wake() or stop().
  void run_until_woken() { quietly(helpers().run_until_woken.get()); }
  // From a step: the loop ends this round, and then run_until_woken() returns.
  void stop() {
    const ref done = ref::steal(PyObject_CallMethod(loop_.get(), "stop", nullptr));
    if (!done) PyErr_Clear();
  }
  // Any thread, without the GIL.
  void wake() const noexcept {
    if (const auto* const pipe = shown_pipe_.load(std::memory_order_acquire)) pipe->wake();
  }
  // After get(): what wakes the loop.
  [[nodiscard]] const erlpy::detail::wake_pipe* pipe() const noexcept { return pipe_.get(); }

  // Takes what still runs to its end, within that time.
  void end_tasks(std::chrono::duration<double> limit) noexcept {
    if (!loop_) return;
    const ref seconds = ref::steal(PyFloat_FromDouble(limit.count()));
    const ref done = ref::steal(
        PyObject_CallFunctionObjArgs(helpers().end_tasks.get(), loop_.get(), seconds.get(), nullptr));
    if (!done) PyErr_WriteUnraisable(loop_.get());
  }
  void close() noexcept {
    if (!loop_) return;
    const ref done =
        ref::steal(PyObject_CallFunctionObjArgs(helpers().close_loop.get(), loop_.get(), nullptr));
    if (!done) PyErr_Clear();
    loop_ = nullptr;
  }

 private:
  struct cancelled_unless_done {
    PyObject* task;
    ~cancelled_unless_done() {
      const ref before = ref::steal(compat::take_raised_exception());
      // Of one that is done: nothing.
      const ref done = ref::steal(PyObject_CallMethod(task, "cancel", nullptr));
      PyErr_Clear();
      if (before) compat::set_raised_exception(before.get());
    }
  };

  [[nodiscard]] const support& helpers() const noexcept { return home_.helpers(); }

  [[nodiscard]] bool closed() const {
    const ref answer = checked(PyObject_CallMethod(loop_.get(), "is_closed", nullptr));
    return checked_status(PyObject_IsTrue(answer.get())) != 0;
  }

  // What comes out of the loop itself belongs to no job: a task's own errors stay with the task.
  void quietly(PyObject* function) {
    if (!loop_) return;
    const ref done = ref::steal(PyObject_CallFunctionObjArgs(function, loop_.get(), nullptr));
    if (!done) PyErr_WriteUnraisable(loop_.get());
  }

  const interpreter& home_;
  ref loop_;
  std::unique_ptr<const erlpy::detail::wake_pipe> pipe_;
  std::atomic<const erlpy::detail::wake_pipe*> shown_pipe_{nullptr};  // the same, for other threads
};

}  // namespace erlpy::python

#endif
