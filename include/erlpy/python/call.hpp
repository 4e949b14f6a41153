// Calling Python objects with arguments that were just converted.
#ifndef ERLPY_PYTHON_CALL_HPP
#define ERLPY_PYTHON_CALL_HPP

#include <concepts>

#include <erlpy/python/exception.hpp>
#include <erlpy/python/ref.hpp>

namespace erlpy::python {

// Calls with the elements of a list, and a dict of keywords or null. The list is ours alone, so its
// array serves as the argument vector: no tuple is made.
[[nodiscard]] inline ref call(PyObject* callable, PyObject* arguments, PyObject* keywords) {
  if (!PyList_CheckExact(arguments)) throw conversion_error(fault::type, "arguments must be a list");
  if (keywords != nullptr && PyDict_GET_SIZE(keywords) == 0) keywords = nullptr;
  return checked(compat::call_vector(callable, PySequence_Fast_ITEMS(arguments),
                                     static_cast<std::size_t>(PyList_GET_SIZE(arguments)), keywords));
}

// Calls a function of our own with positional arguments.
template <std::same_as<PyObject*>... Arguments>
[[nodiscard]] ref call(PyObject* function, Arguments... arguments)
  requires(sizeof...(Arguments) < 2)
{
  return checked(PyObject_CallFunctionObjArgs(function, arguments..., nullptr));
}

[[nodiscard]] inline bool is_awaitable(PyObject* object) noexcept {
  const PyAsyncMethods* methods = Py_TYPE(object)->tp_as_async;
  return methods != nullptr && methods->am_await != nullptr;
}

// A garbage collection of that generation and the younger ones; how many objects were unreachable.
[[nodiscard]] inline ref collect(int generation) {
  const ref module = checked(PyImport_ImportModule("gc"));
  return checked(PyObject_CallMethod(module.get(), "collect", "i", generation));
}

}  // namespace erlpy::python

#endif
