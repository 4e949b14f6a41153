// A raised Python exception as a C++ exception, and the checks that turn one into the other.
//
// `python::exception` takes the pending exception off the thread state, so that C++ unwinding runs
// with a clean one. It holds Python objects: it is caught and destroyed with the GIL held.
#ifndef ERLPY_PYTHON_EXCEPTION_HPP
#define ERLPY_PYTHON_EXCEPTION_HPP

#include <string>
#include <utility>

#include <erlpy/error.hpp>
#include <erlpy/python/ref.hpp>

namespace erlpy::python {

class exception : public error {
 public:
  // Takes the pending exception; the caller knows that there is one (if not: a SystemError).
  [[nodiscard]] static exception fetch() {
    ref value = ref::steal(compat::take_raised_exception());
    if (!value) {
      PyErr_SetString(PyExc_SystemError, "a call failed without setting an exception");
      value = ref::steal(compat::take_raised_exception());
    }
    return exception(std::move(value));
  }

  // The exception instance; its type is Py_TYPE(value()), its traceback `__traceback__`.
  [[nodiscard]] PyObject* value() const noexcept { return value_.get(); }
  [[nodiscard]] bool is(PyObject* type) const noexcept {
    return PyErr_GivenExceptionMatches(value_.get(), type) != 0;
  }
  // Makes it the pending exception again, to return it to Python.
  void restore() const noexcept { compat::set_raised_exception(value_.get()); }

 private:
  explicit exception(ref value) : error("Python exception"), value_(std::move(value)) {}
  ref value_;
};

// A new reference that must not be null.
[[nodiscard]] inline ref checked(PyObject* new_reference) {
  if (new_reference == nullptr) throw exception::fetch();
  return ref::steal(new_reference);
}

// A status that is negative on failure, as most int-returning C API functions have it.
inline int checked_status(int status) {
  if (status < 0) throw exception::fetch();
  return status;
}

// Sets the Python exception for a C++ one that is under way; used at the border back into CPython,
// inside a catch block.
inline void raise_current() noexcept {
  try {
    throw;
  } catch (const exception& raised) {
    raised.restore();
  } catch (const conversion_error& failed) {
    PyObject* type = PyExc_ValueError;
    switch (failed.kind()) {
      case fault::type: type = PyExc_TypeError; break;
      case fault::overflow: type = PyExc_OverflowError; break;
      case fault::recursion: type = PyExc_RecursionError; break;
      default: break;
    }
    PyErr_SetString(type, failed.what());
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& other) {
    PyErr_SetString(PyExc_SystemError, other.what());
  } catch (...) {
    PyErr_SetString(PyExc_SystemError, "unknown C++ exception");
  }
}

}  // namespace erlpy::python

#endif
