// Types of modules that may never have been imported: enum, dataclasses, numpy.
//
// None is imported for our sake: where `enum` is not in sys.modules, no object can be an Enum. One
// `known_types` belongs to one walk; it finds each type at its first use, and keeps it.
#ifndef ERLPY_PYTHON_DETAIL_KNOWN_TYPES_HPP
#define ERLPY_PYTHON_DETAIL_KNOWN_TYPES_HPP

#include <string>

#include <erlpy/python/exception.hpp>
#include <erlpy/python/ref.hpp>

namespace erlpy::python::detail {

class known_types {
 public:
  [[nodiscard]] bool is_enum(PyObject* object) { return is_instance(enum_, "enum", "Enum", object); }
  [[nodiscard]] bool is_numpy_scalar(PyObject* object) {
    return is_instance(numpy_scalar_, "numpy", "generic", object);
  }
  [[nodiscard]] bool is_numpy_array(PyObject* object) {
    return is_instance(numpy_array_, "numpy", "ndarray", object);
  }

  // The names of the fields, a tuple of `str`, if the object is an instance of a dataclass; else null.
  [[nodiscard]] ref dataclass_fields(PyObject* object) {
    auto* type = reinterpret_cast<PyObject*>(Py_TYPE(object));
    if (type == dataclass_.get()) return field_names_;
    if (!resolve(fields_, "dataclasses", "fields")) return {};
    if (!marker_) marker_ = checked(PyUnicode_InternFromString("__dataclass_fields__"));
    const ref marked = ref::steal(compat::optional_attribute(type, marker_.get()));
    if (!marked) {
      if (PyErr_Occurred() != nullptr) throw exception::fetch();
      return {};
    }
    const ref fields = checked(PyObject_CallFunctionObjArgs(fields_.get(), type, nullptr));
    ref names = checked(PySequence_Tuple(fields.get()));
    const Py_ssize_t count = PyTuple_GET_SIZE(names.get());
    ref found = checked(PyTuple_New(count));
    for (Py_ssize_t i = 0; i < count; ++i) {
      ref name = checked(PyObject_GetAttrString(PyTuple_GET_ITEM(names.get(), i), "name"));
      PyTuple_SET_ITEM(found.get(), i, name.release());
    }
    dataclass_ = ref::borrow(type);
    field_names_ = std::move(found);
    return field_names_;
  }

 private:
  [[nodiscard]] static bool resolve(ref& slot, const char* module, const char* name) {
    if (slot) return true;
    const ref key = checked(PyUnicode_FromString(module));
    const ref found = ref::steal(PyImport_GetModule(key.get()));
    if (!found) {
      if (PyErr_Occurred() != nullptr) throw exception::fetch();
      return false;
    }
    const ref attribute = checked(PyUnicode_FromString(name));
    slot = ref::steal(compat::optional_attribute(found.get(), attribute.get()));
    // A module that is just being imported may not have the name yet.
    if (!slot && PyErr_Occurred() != nullptr) throw exception::fetch();
    return static_cast<bool>(slot);
  }

  [[nodiscard]] static bool is_instance(ref& slot, const char* module, const char* name, PyObject* object) {
    return resolve(slot, module, name) && PyType_Check(slot.get()) &&
           PyType_IsSubtype(Py_TYPE(object), reinterpret_cast<PyTypeObject*>(slot.get())) != 0;
  }

  ref enum_, numpy_scalar_, numpy_array_, fields_, marker_;
  ref dataclass_, field_names_;  // the dataclass seen last: values often hold many of one
};

}  // namespace erlpy::python::detail

#endif
