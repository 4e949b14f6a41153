// Buffers of Python objects (bytearray, memoryview, numpy arrays, ...) as sources of bytes and arrays.
#ifndef ERLPY_PYTHON_DETAIL_BUFFER_HPP
#define ERLPY_PYTHON_DETAIL_BUFFER_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <erlpy/data_model.hpp>
#include <erlpy/python/detail/dtype.hpp>
#include <erlpy/python/exception.hpp>

namespace erlpy::python::detail {

// A buffer of an object, held: while it is, the object neither moves nor resizes its bytes.
class held_buffer {
 public:
  // Attached. Error: what the exporter raises.
  explicit held_buffer(PyObject* object) {
    checked_status(PyObject_GetBuffer(object, &view_, PyBUF_FULL_RO));
  }
  held_buffer(const held_buffer&) = delete;
  held_buffer& operator=(const held_buffer&) = delete;
  ~held_buffer() { PyBuffer_Release(&view_); }

  [[nodiscard]] std::size_t size() const noexcept { return static_cast<std::size_t>(view_.len); }
  [[nodiscard]] std::string_view format() const noexcept {
    return view_.format == nullptr ? std::string_view("B") : std::string_view(view_.format);
  }
  // A row of bytes, as opposed to an array of numbers.
  [[nodiscard]] bool is_bytes() const noexcept {
    std::string_view letter = format();
    if (letter.size() == 2 && std::string_view("@=<>!").find(letter.front()) != std::string_view::npos)
      letter.remove_prefix(1);
    return view_.ndim == 1 && view_.itemsize == 1 && (letter == "B" || letter == "b" || letter == "c");
  }
  // Pointers to Python objects, which mean nothing elsewhere.
  [[nodiscard]] bool has_objects() const noexcept {
    bool in_name = false;  // the names of fields stand between colons
    for (const char letter : format()) {
      if (letter == ':') in_name = !in_name;
      if (letter == 'O' && !in_name) return true;
    }
    return false;
  }

  [[nodiscard]] std::string typestr() const {
    return typestr_of(format(), static_cast<std::size_t>(view_.itemsize));
  }
  [[nodiscard]] std::vector<std::int64_t> shape() const {
    if (view_.ndim > 0 && view_.shape != nullptr) return {view_.shape, view_.shape + view_.ndim};
    if (view_.ndim == 0) return {};
    return {static_cast<std::int64_t>(view_.len / view_.itemsize)};
  }

  // Copies everything, row-major. `to` has size() bytes.
  void copy_to(std::span<std::byte> to) const {
    if (to.empty()) return;
    if (PyBuffer_IsContiguous(&view_, 'C') == 1) {
      std::memcpy(to.data(), view_.buf, to.size());
    } else {
      checked_status(PyBuffer_ToContiguous(to.data(), &view_, view_.len, 'C'));
    }
  }

 private:
  // Not const: the C API takes it by mutable pointer even to read it.
  mutable Py_buffer view_{};
};

}  // namespace erlpy::python::detail

#endif
