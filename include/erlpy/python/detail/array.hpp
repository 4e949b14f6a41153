// Arrays in Python on bytes of another world: numpy's where numpy can be imported, else memoryviews of
// that shape. Both are read-only and keep the bytes alive.
#ifndef ERLPY_PYTHON_DETAIL_ARRAY_HPP
#define ERLPY_PYTHON_DETAIL_ARRAY_HPP

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <erlpy/data_model.hpp>
#include <erlpy/python/detail/dtype.hpp>
#include <erlpy/python/erlang_module.hpp>
#include <erlpy/python/exception.hpp>

namespace erlpy::python::detail {

// Bytes of our own, to be filled once before they are shared.
class owned_bytes final : public shared_bytes {
 public:
  explicit owned_bytes(std::size_t size) : bytes_(std::make_unique<std::byte[]>(size)), size_(size) {}
  [[nodiscard]] std::span<std::byte> room() noexcept { return {bytes_.get(), size_}; }
  [[nodiscard]] bytes_view view() const noexcept override { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t size_;
};

[[nodiscard]] inline std::string shown_shape(std::span<const std::int64_t> shape) {
  std::string text = "{";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ",") + std::to_string(shape[i]);
  return text + "}";
}

// Error: fault::value unless an array of that shape and item size has exactly `size` bytes.
inline void check_array_size(std::string_view dtype, std::size_t item_size,
                             std::span<const std::int64_t> shape, std::size_t size) {
  const auto described = [&] {
    return "ndarray of dtype " + std::string(dtype) + " and shape " + shown_shape(shape);
  };
  // Empty arrays have extents too, whose product must fit for the strides.
  std::size_t extent_bytes = item_size == 0 ? 1 : item_size;
  bool empty = item_size == 0;
  for (const std::int64_t extent : shape) {
    if (extent < 0) throw conversion_error(fault::value, described() + ": an extent is negative");
    if (extent == 0) {
      empty = true;
      continue;
    }
    constexpr auto largest = static_cast<std::size_t>(std::numeric_limits<Py_ssize_t>::max());
    if (extent_bytes > largest / static_cast<std::size_t>(extent))
      throw conversion_error(fault::value, described() + " is larger than memory");
    extent_bytes *= static_cast<std::size_t>(extent);
  }
  const std::size_t needed = empty ? 0 : extent_bytes;
  if (needed != size) {
    throw conversion_error(fault::value, described() + " needs " + std::to_string(needed) +
                                             " bytes, the binary has " + std::to_string(size));
  }
}

// numpy, or null if it cannot be imported (it is not there, or it refuses this kind of interpreter).
[[nodiscard]] inline ref import_numpy() {
  ref numpy = ref::steal(PyImport_ImportModule("numpy"));
  if (!numpy) {
    exception failed = exception::fetch();
    if (!failed.is(PyExc_Exception)) throw std::move(failed);
  }
  return numpy;
}

[[nodiscard]] inline ref make_numpy_array(PyObject* numpy, const erlang_types& types, std::string_view dtype,
                                          std::span<const std::int64_t> shape,
                                          const shared_bytes_ptr& bytes) {
  const auto refuse = [&](const std::string& why) {
    throw conversion_error(fault::value, "ndarray: dtype " + std::string(dtype) + " " + why);
  };
  const ref parsed = ref::steal(
      PyObject_CallMethod(numpy, "dtype", "s#", dtype.data(), static_cast<Py_ssize_t>(dtype.size())));
  if (!parsed) {
    exception failed = exception::fetch();
    if (!failed.is(PyExc_TypeError) && !failed.is(PyExc_ValueError) && !failed.is(PyExc_SyntaxError))
      throw std::move(failed);
    refuse("is none that numpy knows");
  }
  const ref has_objects = checked(PyObject_GetAttrString(parsed.get(), "hasobject"));
  if (checked_status(PyObject_IsTrue(has_objects.get())) != 0) refuse("holds Python objects");
  const ref item_size = checked(PyObject_GetAttrString(parsed.get(), "itemsize"));
  const std::size_t size = PyLong_AsSize_t(item_size.get());
  if (PyErr_Occurred() != nullptr) throw exception::fetch();
  check_array_size(dtype, size, shape, bytes->view().size());

  const ref extents = checked(PyTuple_New(static_cast<Py_ssize_t>(shape.size())));
  for (std::size_t i = 0; i < shape.size(); ++i)
    PyTuple_SET_ITEM(extents.get(), static_cast<Py_ssize_t>(i),
                     checked(PyLong_FromLongLong(shape[i])).release());
  const ref view = make_buffer(types, bytes);
  return checked(PyObject_CallMethod(numpy, "ndarray", "OOO", extents.get(), parsed.get(), view.get()));
}

[[nodiscard]] inline ref make_view_array(const erlang_types& types, std::string_view dtype,
                                         std::span<const std::int64_t> shape, const shared_bytes_ptr& bytes) {
  std::optional<struct_format> known = struct_format_of(dtype);
  if (!known) {
    throw conversion_error(
        fault::value, "ndarray: dtype " + std::string(dtype) + " needs numpy, which cannot be imported here");
  }
  check_array_size(dtype, known->item_size, shape, bytes->view().size());
  item_layout layout;
  layout.format = std::move(known->format);
  layout.item_size = static_cast<Py_ssize_t>(known->item_size);
  layout.shape.assign(shape.begin(), shape.end());
  return export_bytes(types.buffer.get(), bytes, std::move(layout));
}

// Attached. Errors: fault::value (dtype, shape and size do not fit together), python::exception.
[[nodiscard]] inline ref make_array(const erlang_types& types, std::string_view dtype,
                                    std::span<const std::int64_t> shape, const shared_bytes_ptr& bytes) {
  const ref numpy = import_numpy();
  return numpy ? make_numpy_array(numpy.get(), types, dtype, shape, bytes)
               : make_view_array(types, dtype, shape, bytes);
}

}  // namespace erlpy::python::detail

#endif
