// The Python type behind read-only memoryviews on bytes of another world: an object that owns the bytes
// and exports them through the buffer protocol, flat or as an array of some shape and item format.
#ifndef ERLPY_PYTHON_DETAIL_EXPORTER_HPP
#define ERLPY_PYTHON_DETAIL_EXPORTER_HPP

#include <cstddef>
#include <new>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <erlpy/data_model.hpp>
#include <erlpy/python/exception.hpp>
#include <erlpy/python/ref.hpp>

namespace erlpy::python::detail {

// What a buffer's consumer is told about its items: a format of Python's `struct` module and a shape.
struct item_layout {
  std::string format = "B";
  Py_ssize_t item_size = 1;
  std::vector<Py_ssize_t> shape;
  std::vector<Py_ssize_t> strides;  // of a row-major array; filled in by export_bytes()
};

struct exporter {
  PyObject base;
  shared_bytes_ptr bytes;
  item_layout layout;
};

[[nodiscard]] inline exporter& as_exporter(PyObject* object) noexcept {
  return *reinterpret_cast<exporter*>(object);
}

inline void exporter_dealloc(PyObject* self) noexcept {
  PyTypeObject* type = Py_TYPE(self);
  std::destroy_at(&as_exporter(self).layout);
  std::destroy_at(&as_exporter(self).bytes);
  type->tp_free(self);
  Py_DECREF(type);
}

inline int exporter_getbuffer(PyObject* self, Py_buffer* view, int flags) noexcept {
  static std::byte nothing{};  // an address for empty bytes; never read or written
  exporter& from = as_exporter(self);
  const bytes_view bytes = from.bytes->view();
  // Consumers get the address as non-const, and are told that it is read-only.
  void* const start = bytes.empty() ? &nothing : const_cast<std::byte*>(bytes.data());
  if (PyBuffer_FillInfo(view, self, start, static_cast<Py_ssize_t>(bytes.size()), 1, flags) < 0) return -1;
  view->itemsize = from.layout.item_size;
  if ((flags & PyBUF_FORMAT) == PyBUF_FORMAT) view->format = from.layout.format.data();
  if ((flags & PyBUF_ND) == PyBUF_ND) {
    view->ndim = static_cast<int>(from.layout.shape.size());
    view->shape = from.layout.shape.data();
    view->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? from.layout.strides.data() : nullptr;
  }
  return 0;
}

inline PyObject* refuse_new_exporter(PyTypeObject*, PyObject*, PyObject*) noexcept {
  PyErr_SetString(PyExc_TypeError, "buffers of Erlang binaries cannot be made in Python");
  return nullptr;
}

// A new exporter type, for the interpreter that the thread is attached to.
[[nodiscard]] inline ref make_exporter_type() {
  static PyType_Slot slots[] = {
      {Py_tp_doc, const_cast<char*>("Owner of bytes that Erlang and Python share.")},
      {Py_tp_new, reinterpret_cast<void*>(&refuse_new_exporter)},
      {Py_tp_dealloc, reinterpret_cast<void*>(&exporter_dealloc)},
      {0, nullptr},
  };
  static PyType_Spec spec = {"erlang._Buffer", sizeof(exporter), 0, Py_TPFLAGS_DEFAULT, slots};
  ref type = checked(PyType_FromSpec(&spec));
  // Not a slot above because 3.8 has none for it.
  reinterpret_cast<PyTypeObject*>(type.get())->tp_as_buffer->bf_getbuffer = &exporter_getbuffer;
  return type;
}

// A memoryview on `bytes`, which live until the last view on them is gone. The layout's shape times
// its item size is the number of bytes.
[[nodiscard]] inline ref export_bytes(PyObject* exporter_type, shared_bytes_ptr bytes, item_layout layout) {
  layout.strides.resize(layout.shape.size());
  Py_ssize_t stride = layout.item_size;
  for (std::size_t i = layout.shape.size(); i-- > 0; stride *= layout.shape[i]) layout.strides[i] = stride;
  auto* type = reinterpret_cast<PyTypeObject*>(exporter_type);
  const ref owner = checked(type->tp_alloc(type, 0));
  new (&as_exporter(owner.get()).bytes) shared_bytes_ptr(std::move(bytes));
  new (&as_exporter(owner.get()).layout) item_layout(std::move(layout));
  return checked(PyMemoryView_FromObject(owner.get()));
}

}  // namespace erlpy::python::detail

#endif
