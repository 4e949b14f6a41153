// What becomes of a child that Python code makes with os.fork().
//
// It is a copy of the whole host with this one thread in it: no answer may be sent from there, and no
// next job taken. So such a child ends where its job ends, as a script does at its last line.
#ifndef ERLPY_PYTHON_FORK_HPP
#define ERLPY_PYTHON_FORK_HPP

#include <pthread.h>
#include <unistd.h>

#include <atomic>

#include <erlpy/python/exception.hpp>
#include <erlpy/python/ref.hpp>

namespace erlpy::python {

namespace detail {
inline std::atomic<bool>& forked_flag() noexcept {
  static std::atomic<bool> flag{false};
  return flag;
}
}  // namespace detail

// Once a process, before Python code runs.
inline void watch_forks() noexcept {
  pthread_atfork(nullptr, nullptr, [] { detail::forked_flag().store(true, std::memory_order_relaxed); });
}

[[nodiscard]] inline bool in_forked_child() noexcept {
  return detail::forked_flag().load(std::memory_order_relaxed);
}

// Ends the child with the status that a script would end with. `raised`: what ended its job, or null.
// Attached. No cleanup of the host runs: that is its parent's.
[[noreturn]] inline void end_forked_child(const exception* raised) noexcept {
  int status = 0;
  if (raised != nullptr) {
    status = 1;
    if (raised->is(PyExc_SystemExit)) {
      const ref code = ref::steal(PyObject_GetAttrString(raised->value(), "code"));
      if (code && code.get() == Py_None) status = 0;
      if (code && PyLong_Check(code.get())) status = static_cast<int>(PyLong_AsLong(code.get()));
    } else {
      raised->restore();
      PyErr_PrintEx(0);
    }
  }
  PyErr_Clear();
  for (const char* name : {"stdout", "stderr"}) {
    PyObject* const stream = PySys_GetObject(name);
    const ref flushed =
        ref::steal(stream == nullptr ? nullptr : PyObject_CallMethod(stream, "flush", nullptr));
    PyErr_Clear();
  }
  _exit(status);
}

}  // namespace erlpy::python

#endif
