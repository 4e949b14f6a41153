// The Python callables by which a task on a worker's event loop shows that a step of it runs, and tells
// that a step of a stream is done. They may outlive the job: the task may be held by user code.
#ifndef ERLPY_POOL_STEP_MARKS_HPP
#define ERLPY_POOL_STEP_MARKS_HPP

#include <memory>
#include <utility>

#include <erlpy/pool/job.hpp>
#include <erlpy/python/event_loop.hpp>
#include <erlpy/python/exception.hpp>

namespace erlpy::pool {

// Worker has enter_step(job&), leave_step() and proceed(resident&), which returns whether the task should
// let others run. Attached.
template <class Worker>
class step_functions {
 public:
  [[nodiscard]] static python::step_marks marks(std::shared_ptr<Worker> on, job& who) {
    const python::ref self = capsule({std::move(on), job_ptr(&who), nullptr});
    return {function(enter_, self), function(leave_, self)};
  }
  [[nodiscard]] static python::ref told(std::shared_ptr<Worker> on, resident& who) {
    return function(told_, capsule({std::move(on), job_ptr(&who), &who}));
  }

 private:
  struct bound {
    std::shared_ptr<Worker> on;
    job_ptr who;
    resident* stream;
  };

  [[nodiscard]] static python::ref capsule(bound content) {
    auto owned = std::make_unique<bound>(std::move(content));
    python::ref made = python::checked(PyCapsule_New(owned.get(), nullptr, [](PyObject* self) noexcept {
      const std::unique_ptr<bound> ends(static_cast<bound*>(PyCapsule_GetPointer(self, nullptr)));
    }));
    (void)owned.release();
    return made;
  }
  [[nodiscard]] static python::ref function(PyMethodDef& definition, const python::ref& self) {
    return python::checked(PyCFunction_New(&definition, self.get()));
  }
  [[nodiscard]] static bound& content(PyObject* self) noexcept {
    return *static_cast<bound*>(PyCapsule_GetPointer(self, nullptr));
  }

  static PyObject* enter(PyObject* self, PyObject*) noexcept {
    content(self).on->enter_step(*content(self).who);
    Py_RETURN_NONE;
  }
  static PyObject* leave(PyObject* self, PyObject*) noexcept {
    content(self).on->leave_step();
    Py_RETURN_NONE;
  }
  static PyObject* told(PyObject* self, PyObject*) noexcept {
    return PyBool_FromLong(content(self).on->proceed(*content(self).stream) ? 1 : 0);
  }

  inline static PyMethodDef enter_{"enter", enter, METH_NOARGS, nullptr};
  inline static PyMethodDef leave_{"leave", leave, METH_NOARGS, nullptr};
  inline static PyMethodDef told_{"told", told, METH_NOARGS, nullptr};
};

}  // namespace erlpy::pool

#endif
