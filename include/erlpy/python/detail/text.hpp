// The characters of `str` and the bytes of `bytes`, as other worlds want them.
#ifndef ERLPY_PYTHON_DETAIL_TEXT_HPP
#define ERLPY_PYTHON_DETAIL_TEXT_HPP

#include <cstddef>
#include <string_view>
#include <utility>

#include <erlpy/data_model.hpp>
#include <erlpy/python/exception.hpp>

namespace erlpy::python::detail {

// Valid as long as the object.
[[nodiscard]] inline std::string_view ascii_of(PyObject* object) noexcept {
  return {reinterpret_cast<const char*>(PyUnicode_1BYTE_DATA(object)),
          static_cast<std::size_t>(PyUnicode_GET_LENGTH(object))};
}

[[nodiscard]] inline bytes_view bytes_of(PyObject* object) noexcept {
  return {reinterpret_cast<const std::byte*>(PyBytes_AS_STRING(object)),
          static_cast<std::size_t>(PyBytes_GET_SIZE(object))};
}

// Texts up to this many characters may keep their UTF-8 form beside them for the next time.
inline constexpr Py_ssize_t keep_utf8_to = 1024;

template <class Use>
[[gnu::noinline]] auto encoded_slowly(PyObject* object, Use&& use) {
  if (!compat::ready_text(object)) throw exception::fetch();
  if (PyUnicode_GET_LENGTH(object) <= keep_utf8_to) {
    Py_ssize_t size = 0;
    const char* utf8 = PyUnicode_AsUTF8AndSize(object, &size);
    if (utf8 == nullptr) throw exception::fetch();
    return use(std::string_view(utf8, static_cast<std::size_t>(size)));
  }
  const ref utf8 = checked(PyUnicode_AsUTF8String(object));
  return use(as_text(bytes_of(utf8.get())));
}

// Calls `use` with the UTF-8 of a `str`. Error: UnicodeEncodeError for a lone surrogate.
template <class Use>
auto encoded(PyObject* object, Use&& use) {
  if (PyUnicode_IS_COMPACT_ASCII(object)) return use(ascii_of(object));
  return encoded_slowly(object, std::forward<Use>(use));
}

}  // namespace erlpy::python::detail

#endif
