// What is told of a Python exception outside Python: its class, its message, where it came from.
#ifndef ERLPY_PYTHON_FAILURE_HPP
#define ERLPY_PYTHON_FAILURE_HPP

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <erlpy/python/exception.hpp>
#include <erlpy/python/interpreter.hpp>

namespace erlpy::python {

struct frame {
  std::string file;
  std::int64_t line = 0;
  std::string function;
};

struct failure {
  std::string kind;           // the class's name, without its module; UTF-8
  std::string message;        // str() of the exception; UTF-8
  std::vector<frame> frames;  // outermost first; only where asked for
};

// Longest message passed on, in bytes; an exception may carry a whole document.
inline constexpr std::size_t max_message = 64U << 10U;

namespace detail {

// UTF-8 of any str; lone surrogates are escaped.
[[nodiscard]] inline std::string lossy_utf8(PyObject* text) {
  const ref encoded = ref::steal(PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace"));
  if (!encoded) {
    PyErr_Clear();
    return "<text that cannot be encoded>";
  }
  return {PyBytes_AS_STRING(encoded.get()), static_cast<std::size_t>(PyBytes_GET_SIZE(encoded.get()))};
}

[[nodiscard]] inline std::string class_name(PyTypeObject* type) {
  const std::string_view full = type->tp_name;  // static types carry their module in front
  const std::size_t dot = full.rfind('.');
  return std::string((type->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0 || dot == std::string_view::npos
                         ? full
                         : full.substr(dot + 1));
}

inline void cut_utf8(std::string& text, std::size_t limit) {
  if (text.size() <= limit) return;
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xC0U) == 0x80U) --limit;
  text.resize(limit);
  text += "...";
}

[[nodiscard]] inline std::vector<frame> frames_of(const interpreter& home, PyObject* raised) {
  std::vector<frame> found;
  const ref list = ref::steal(PyObject_CallFunctionObjArgs(home.helpers().frames.get(), raised, nullptr));
  if (!list) {
    PyErr_Clear();
    return found;
  }
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list.get()); ++i) {
    PyObject* const entry = PyList_GET_ITEM(list.get(), i);
    found.push_back({lossy_utf8(PyTuple_GET_ITEM(entry, 0)), PyLong_AsLongLong(PyTuple_GET_ITEM(entry, 1)),
                     lossy_utf8(PyTuple_GET_ITEM(entry, 2))});
  }
  return found;
}

}  // namespace detail

// Attached. Runs user code (`__str__`); never fails.
[[nodiscard]] inline failure describe(const interpreter& home, const exception& raised, bool with_frames) {
  failure result;
  result.kind = detail::class_name(Py_TYPE(raised.value()));
  const ref text = ref::steal(PyObject_Str(raised.value()));
  if (text) {
    result.message = detail::lossy_utf8(text.get());
    detail::cut_utf8(result.message, max_message);
  } else {
    PyErr_Clear();
    result.message = "<the exception's own str() failed>";
  }
  if (with_frames) result.frames = detail::frames_of(home, raised.value());
  return result;
}

}  // namespace erlpy::python

#endif
