// What a source does with the arrays and buffers of Python: numpy's, and whatever exports its memory.
#ifndef ERLPY_PYTHON_DETAIL_ARRAY_WALK_HPP
#define ERLPY_PYTHON_DETAIL_ARRAY_WALK_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include <erlpy/data_model.hpp>
#include <erlpy/python/context.hpp>
#include <erlpy/python/detail/buffer.hpp>
#include <erlpy/python/detail/text.hpp>
#include <erlpy/python/exception.hpp>

namespace erlpy::python::detail {

// A base of the source `Self`. `outer`: the containers that the object is in.
template <class Self>
class array_walk {
 protected:
  template <class To, class Outer>
  [[gnu::noinline]] typename To::value_type numpy_scalar(PyObject* object, To& to, const Outer* outer) {
    const ref plain = checked(PyObject_CallMethod(object, "item", nullptr));
    if (!self().known_.is_numpy_scalar(plain.get())) return self().value(plain.get(), to, outer);
    // A long double is its own item; a complex one is no number that Erlang has.
    const ref dtype = checked(PyObject_GetAttrString(object, "dtype"));
    if (kind_of(dtype.get()) == 'c') return self().held(object, to, false);
    const ref number = ref::steal(PyNumber_Float(plain.get()));
    if (number) return to.real(PyFloat_AS_DOUBLE(number.get()));
    PyErr_Clear();
    return self().held(object, to, false);
  }

  template <class To, class Outer>
  [[gnu::noinline]] typename To::value_type numpy_array(PyObject* object, To& to, const Outer* outer) {
    const ref dtype = checked(PyObject_GetAttrString(object, "dtype"));
    const ref has_objects = checked(PyObject_GetAttrString(dtype.get(), "hasobject"));
    if (checked_status(PyObject_IsTrue(has_objects.get())) != 0) return self().held(object, to, false);
    const ref extents = checked(PyObject_GetAttrString(object, "shape"));
    if (PyTuple_Check(extents.get()) && PyTuple_GET_SIZE(extents.get()) == 0) {
      const ref number = checked(PyObject_CallMethod(object, "item", nullptr));
      if (!self().known_.is_numpy_array(number.get())) return self().value(number.get(), to, outer);
    }
    const char letter = kind_of(dtype.get());
    const ref typestr = checked(PyObject_GetAttrString(dtype.get(), "str"));
    return encoded(typestr.get(), [&](std::string_view name) {
      // numpy does not export times as buffers.
      return letter == 'M' || letter == 'm' ? unexported_array(object, name, extents.get(), to)
                                            : buffer(object, to, name);
    });
  }

  // `typestr`: what numpy calls the items, where the object is numpy's.
  template <class To>
  [[gnu::noinline]] typename To::value_type buffer(PyObject* object, To& to, std::string_view typestr = {}) {
    const held_buffer view(object);
    if (PyMemoryView_Check(object)) {
      if (const shared_bytes_ptr ours = buffer_of(self().context_.home().types(), object))
        return to.shared(ours);
    }
    if (view.has_objects()) return self().held(object, to, false);
    const auto fill = [&](std::span<std::byte> room) { view.copy_to(room); };
    if (view.is_bytes()) return to.bytes_from(view.size(), fill);
    const std::vector<std::int64_t> shape = view.shape();
    if (!typestr.empty()) return to.ndarray(typestr, std::span<const std::int64_t>(shape), view.size(), fill);
    return to.ndarray(view.typestr(), std::span<const std::int64_t>(shape), view.size(), fill);
  }

 private:
  // numpy's letter for the kind of the items.
  [[nodiscard]] static char kind_of(PyObject* dtype) {
    const ref kind = checked(PyObject_GetAttrString(dtype, "kind"));
    return encoded(kind.get(), [](std::string_view text) { return text.empty() ? 'V' : text.front(); });
  }

  template <class To>
  typename To::value_type unexported_array(PyObject* object, std::string_view typestr, PyObject* extents,
                                           To& to) {
    const ref copied = checked(PyObject_CallMethod(object, "tobytes", nullptr));
    if (!PyBytes_CheckExact(copied.get()) || !PyTuple_Check(extents)) {
      PyErr_SetString(PyExc_TypeError, "tobytes() of an array did not return bytes");
      throw exception::fetch();
    }
    std::vector<std::int64_t> shape;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(extents); ++i) {
      shape.push_back(PyLong_AsLongLong(PyTuple_GET_ITEM(extents, i)));
      if (shape.back() == -1 && PyErr_Occurred() != nullptr) throw exception::fetch();
    }
    const shared_bytes_ptr lent = std::make_shared<lent_bytes>(copied.get(), self().context_.home().drops());
    return to.ndarray(typestr, std::span<const std::int64_t>(shape), lent);
  }

  [[nodiscard]] Self& self() noexcept { return static_cast<Self&>(*this); }
};

}  // namespace erlpy::python::detail

#endif
