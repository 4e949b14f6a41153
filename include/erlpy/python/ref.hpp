// The owning reference to a Python object: the only way this library owns one.
//
// A `ref` is moved and copied with the GIL held (on free-threaded builds: attached), and must be
// empty or destroyed before its interpreter goes away.
#ifndef ERLPY_PYTHON_REF_HPP
#define ERLPY_PYTHON_REF_HPP

#include <utility>

#include <erlpy/python/compat.hpp>

namespace erlpy::python {

class ref {
 public:
  ref() noexcept = default;
  ref(std::nullptr_t) noexcept {}
  ref(const ref& other) noexcept : object_(other.object_) { Py_XINCREF(object_); }
  ref(ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  ref& operator=(ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~ref() { Py_XDECREF(object_); }

  // Takes over a new reference ("Return value: New reference" in the C API manual); may be null.
  [[nodiscard]] static ref steal(PyObject* object) noexcept { return ref(object); }
  // Adds a reference to one that somebody else owns; may be null.
  [[nodiscard]] static ref borrow(PyObject* object) noexcept {
    Py_XINCREF(object);
    return ref(object);
  }

  [[nodiscard]] PyObject* get() const noexcept { return object_; }
  // Gives the reference away, to C API functions that steal.
  [[nodiscard]] PyObject* release() noexcept { return std::exchange(object_, nullptr); }
  [[nodiscard]] explicit operator bool() const noexcept { return object_ != nullptr; }

 private:
  explicit ref(PyObject* object) noexcept : object_(object) {}
  PyObject* object_ = nullptr;
};

}  // namespace erlpy::python

#endif
