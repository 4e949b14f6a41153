// Holding the GIL for a scope (on free-threaded builds: being attached to the interpreter).
#ifndef ERLPY_PYTHON_GIL_HPP
#define ERLPY_PYTHON_GIL_HPP

#include <erlpy/python/compat.hpp>

namespace erlpy::python {

// Attaches a thread state that belongs to the calling thread and is not attached; detaches at the end.
class attached {
 public:
  explicit attached(PyThreadState* state) noexcept { PyEval_RestoreThread(state); }
  attached(const attached&) = delete;
  attached& operator=(const attached&) = delete;
  ~attached() { PyEval_SaveThread(); }
};

// Gives the GIL up for a scope, around anything that may block.
class detached {
 public:
  detached() noexcept : state_(PyEval_SaveThread()) {}
  detached(const detached&) = delete;
  detached& operator=(const detached&) = delete;
  ~detached() { PyEval_RestoreThread(state_); }

 private:
  PyThreadState* state_;
};

}  // namespace erlpy::python

#endif
