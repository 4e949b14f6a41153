// The Python thread state of one of our threads, for a time in which the thread works in one interpreter.
#ifndef ERLPY_PYTHON_THREAD_STATE_HPP
#define ERLPY_PYTHON_THREAD_STATE_HPP

#include <new>

#include <erlpy/python/compat.hpp>

namespace erlpy::python {

// Attached from its constructor to its destructor, as far as nobody detaches meanwhile. The thread has no
// other state then, in no interpreter: so what extensions do with PyGILState_Ensure() finds this one, and an
// asynchronous exception for the thread finds no other.
class thread_state {
 public:
  explicit thread_state(PyInterpreterState* of) : thread_state(made_for(of)) {}
  // Takes over a state of the calling thread that is not attached.
  explicit thread_state(PyThreadState* own) noexcept : state_(own) { PyEval_RestoreThread(state_); }
  thread_state(const thread_state&) = delete;
  thread_state& operator=(const thread_state&) = delete;
  ~thread_state() {
    if (state_ == nullptr) return;
    PyThreadState_Clear(state_);
    PyThreadState_DeleteCurrent();
  }

  [[nodiscard]] PyThreadState* get() const noexcept { return state_; }
  // Whether it is the interpreter's only one.
  [[nodiscard]] bool alone() const noexcept {
    PyThreadState* const first = PyInterpreterState_ThreadHead(state_->interp);
    return first == state_ && PyThreadState_Next(first) == nullptr;
  }
  // Ends the interpreter, a sub-interpreter, and the state with it. Attached, and alone().
  void end_interpreter() noexcept {
    compat::end_interpreter(state_);
    state_ = nullptr;
  }

 private:
  [[nodiscard]] static PyThreadState* made_for(PyInterpreterState* of) {
    PyThreadState* const made = compat::new_thread_state(of);
    if (made == nullptr) throw std::bad_alloc();
    return made;
  }

  PyThreadState* state_;
};

}  // namespace erlpy::python

#endif
