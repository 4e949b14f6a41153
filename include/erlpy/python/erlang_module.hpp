// The Python module `erlang`: the types that stand for what only Erlang has.
//
//   Term     a term that Python can keep, compare, hash and give back, but not look into
//   Pid      a Term that is a process identifier
//   Atom     a `str` that crosses back as an atom
//   Timeout  raised in Python code whose time is up; a BaseException, so that `except Exception` lets it by
//
// Every interpreter gets a module, and types, of its own: nothing here is shared between interpreters
// but C functions and constant tables. All functions are called attached to the interpreter.
#ifndef ERLPY_PYTHON_ERLANG_MODULE_HPP
#define ERLPY_PYTHON_ERLANG_MODULE_HPP

#include <cstddef>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include <erlpy/crossing.hpp>
#include <erlpy/data_model.hpp>
#include <erlpy/python/detail/exporter.hpp>
#include <erlpy/python/exception.hpp>
#include <erlpy/python/ref.hpp>

namespace erlpy::python {

// The module of one interpreter and its types. `buffer` is the (unnamed) owner of shared bytes.
struct erlang_types {
  ref module, term, pid, atom, timeout, buffer;
};

namespace detail {

struct term_object {
  PyObject base;
  opaque_ptr handle;
};

[[nodiscard]] inline opaque_ptr& handle_of(PyObject* term) noexcept {
  return reinterpret_cast<term_object*>(term)->handle;
}

inline void term_dealloc(PyObject* self) noexcept {
  PyTypeObject* type = Py_TYPE(self);
  std::destroy_at(&handle_of(self));
  type->tp_free(self);
  Py_DECREF(type);
}

// Terms cannot be made in Python, so their deallocator tells them from everything else, in whichever
// interpreter they live.
[[nodiscard]] inline bool is_term(PyObject* object) noexcept {
  return Py_TYPE(object)->tp_dealloc == &term_dealloc;
}

inline PyObject* refuse_new_term(PyTypeObject* type, PyObject*, PyObject*) noexcept {
  PyErr_Format(PyExc_TypeError, "%s cannot be made in Python: it only comes from Erlang", type->tp_name);
  return nullptr;
}

inline PyObject* term_compare(PyObject* self, PyObject* other, int operation) noexcept {
  if ((operation != Py_EQ && operation != Py_NE) || !is_term(other)) Py_RETURN_NOTIMPLEMENTED;
  try {
    const bool same = self == other || handle_of(self)->same_as(*handle_of(other));
    return PyBool_FromLong(same == (operation == Py_EQ) ? 1 : 0);
  } catch (...) {
    raise_current();
    return nullptr;
  }
}

inline Py_hash_t term_hash(PyObject* self) noexcept {
  const auto hash = static_cast<Py_hash_t>(handle_of(self)->hash());
  return hash == -1 ? -2 : hash;  // -1 says that hashing failed
}

inline PyObject* term_repr(PyObject* self) noexcept {
  try {
    const std::string text = handle_of(self)->text();
    const ref shown =
        checked(PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "backslashreplace"));
    return PyUnicode_FromFormat("<%s %U>", Py_TYPE(self)->tp_name, shown.get());
  } catch (...) {
    raise_current();
    return nullptr;
  }
}

// copy.copy() and copy.deepcopy(): a term never changes, so it is its own copy.
inline PyObject* term_copy(PyObject* self, PyObject*) noexcept {
  Py_INCREF(self);
  return self;
}

inline PyMethodDef* term_methods() noexcept {
  static PyMethodDef methods[] = {
      {"__copy__", &term_copy, METH_NOARGS, nullptr},
      {"__deepcopy__", &term_copy, METH_O, nullptr},
      {nullptr, nullptr, 0, nullptr},
  };
  return methods;
}

[[nodiscard]] inline ref make_term_type() {
  static PyType_Slot slots[] = {
      {Py_tp_doc, const_cast<char*>("An Erlang term that has no Python counterpart.")},
      {Py_tp_new, reinterpret_cast<void*>(&refuse_new_term)},
      {Py_tp_dealloc, reinterpret_cast<void*>(&term_dealloc)},
      {Py_tp_richcompare, reinterpret_cast<void*>(&term_compare)},
      {Py_tp_hash, reinterpret_cast<void*>(&term_hash)},
      {Py_tp_repr, reinterpret_cast<void*>(&term_repr)},
      {Py_tp_methods, term_methods()},
      {0, nullptr},
  };
  static PyType_Spec spec = {"erlang.Term", sizeof(term_object), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                             slots};
  return checked(PyType_FromSpec(&spec));
}

[[nodiscard]] inline ref make_pid_type(PyObject* term) {
  static PyType_Slot slots[] = {
      {Py_tp_doc, const_cast<char*>("An Erlang process identifier.")},
      {Py_tp_new, reinterpret_cast<void*>(&refuse_new_term)},
      {Py_tp_dealloc, reinterpret_cast<void*>(&term_dealloc)},
      {0, nullptr},
  };
  static PyType_Spec spec = {"erlang.Pid", sizeof(term_object), 0, Py_TPFLAGS_DEFAULT, slots};
  const ref bases = checked(PyTuple_Pack(1, term));
  return checked(PyType_FromSpecWithBases(&spec, bases.get()));
}

inline PyObject* atom_new(PyTypeObject* type, PyObject* args, PyObject* keywords) noexcept {
  PyObject* atom = PyUnicode_Type.tp_new(type, args, keywords);
  if (atom == nullptr) return nullptr;
  const Py_ssize_t length = PyUnicode_GetLength(atom);
  if (length <= static_cast<Py_ssize_t>(crossing::max_atom_characters)) return atom;
  Py_DECREF(atom);
  PyErr_Format(PyExc_ValueError, "an atom has at most %zu characters, this has %zd",
               crossing::max_atom_characters, length);
  return nullptr;
}

inline PyObject* atom_repr(PyObject* self) noexcept {
  PyObject* text = PyUnicode_Type.tp_repr(self);
  if (text == nullptr) return nullptr;
  PyObject* shown = PyUnicode_FromFormat("%s(%U)", Py_TYPE(self)->tp_name, text);
  Py_DECREF(text);
  return shown;
}

[[nodiscard]] inline ref make_atom_type() {
  static PyType_Slot slots[] = {
      {Py_tp_doc, const_cast<char*>("A str that is an atom in Erlang.")},
      {Py_tp_new, reinterpret_cast<void*>(&atom_new)},
      {Py_tp_repr, reinterpret_cast<void*>(&atom_repr)},
      {0, nullptr},
  };
  static PyType_Spec spec = {"erlang.Atom", 0, 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
  const ref bases = checked(PyTuple_Pack(1, &PyUnicode_Type));
  ref type = checked(PyType_FromSpecWithBases(&spec, bases.get()));
  const ref none = checked(PyTuple_New(0));
  checked_status(PyObject_SetAttrString(type.get(), "__slots__", none.get()));
  return type;
}

inline int fill_erlang_module(PyObject* module) noexcept {
  try {
    const auto add = [&](const char* name, const ref& value) {
      checked_status(PyObject_SetAttrString(module, name, value.get()));
    };
    const ref term = make_term_type();
    add("Term", term);
    add("Pid", make_pid_type(term.get()));
    add("Atom", make_atom_type());
    add("Timeout", checked(PyErr_NewExceptionWithDoc("erlang.Timeout",
                                                     "The time that the caller in Erlang gave is over.",
                                                     PyExc_BaseException, nullptr)));
    add("_Buffer", make_exporter_type());
    return 0;
  } catch (...) {
    raise_current();
    return -1;
  }
}

[[nodiscard]] inline erlang_types types_of(ref module) {
  const auto get = [&](const char* name) { return checked(PyObject_GetAttrString(module.get(), name)); };
  erlang_types types{nullptr, get("Term"), get("Pid"), get("Atom"), get("Timeout"), get("_Buffer")};
  types.module = std::move(module);
  return types;
}

// Whether it is a module that this code has made, not another version of it, nor a user's of that name.
[[nodiscard]] inline bool made_here(PyObject* module) noexcept {
  const ref term = ref::steal(PyObject_GetAttrString(module, "Term"));
  if (!term) PyErr_Clear();
  return term && PyType_Check(term.get()) != 0 &&
         reinterpret_cast<PyTypeObject*>(term.get())->tp_dealloc == &term_dealloc;
}

}  // namespace detail

// Makes the module, puts it into sys.modules, and returns its types. Where it is there already it stays, so
// that an interpreter has one however often this is called. Errors: python::exception.
[[nodiscard]] inline erlang_types install_erlang_module() {
  PyObject* const modules = PyImport_GetModuleDict();
  const ref key = checked(PyUnicode_FromString("erlang"));
  ref there = ref::steal(compat::dict_item(modules, key.get()));
  if (there && detail::made_here(there.get())) return detail::types_of(std::move(there));
  static PyModuleDef definition = [] {
    PyModuleDef made{};
    made.m_base = PyModuleDef_HEAD_INIT;
    made.m_name = "erlang";
    made.m_doc = "What Python code sees of the Erlang that calls it.";
    made.m_slots = compat::module_slots(&detail::fill_erlang_module);
    return made;
  }();
  const ref machinery = checked(PyImport_ImportModule("importlib.machinery"));
  const ref spec = checked(PyObject_CallMethod(machinery.get(), "ModuleSpec", "sO", "erlang", Py_None));
  ref module = checked(PyModule_FromDefAndSpec(&definition, spec.get()));
  checked_status(PyModule_ExecDef(module.get(), &definition));
  checked_status(PyObject_SetAttrString(module.get(), "__spec__", spec.get()));
  checked_status(PyDict_SetItem(modules, key.get(), module.get()));
  return detail::types_of(std::move(module));
}

// An erlang.Pid for a pid, an erlang.Term for any other term. `kind` is the handle's.
[[nodiscard]] inline ref make_term(const erlang_types& types, opaque_kind kind, opaque_ptr handle) {
  const ref& chosen = kind == opaque_kind::pid ? types.pid : types.term;
  auto* type = reinterpret_cast<PyTypeObject*>(chosen.get());
  ref term = checked(type->tp_alloc(type, 0));
  new (&detail::handle_of(term.get())) opaque_ptr(std::move(handle));
  return term;
}

// What an erlang.Term or erlang.Pid holds; null for every other object.
[[nodiscard]] inline opaque_ptr term_of(const erlang_types& types, PyObject* object) {
  const auto* type = reinterpret_cast<PyObject*>(Py_TYPE(object));
  if (type != types.pid.get() && type != types.term.get()) return nullptr;
  return detail::handle_of(object);
}

// A read-only memoryview on the bytes, which live as long as any view on them.
[[nodiscard]] inline ref make_buffer(const erlang_types& types, shared_bytes_ptr bytes) {
  detail::item_layout layout;
  layout.shape.push_back(static_cast<Py_ssize_t>(bytes->view().size()));
  return detail::export_bytes(types.buffer.get(), std::move(bytes), std::move(layout));
}

// The bytes behind a memoryview that covers all of them, in order, as bytes (what make_buffer gave, or
// `view[:]` of it); null for every other memoryview. `view` has not been released, and stays so during
// the call (the caller holds a buffer of it).
[[nodiscard]] inline shared_bytes_ptr buffer_of(const erlang_types& types, PyObject* view) {
  const Py_buffer& seen = *PyMemoryView_GET_BUFFER(view);
  if (seen.obj == nullptr || reinterpret_cast<PyObject*>(Py_TYPE(seen.obj)) != types.buffer.get())
    return nullptr;
  const shared_bytes_ptr& bytes = detail::as_exporter(seen.obj).bytes;
  const bytes_view whole = bytes->view();
  const bool plain = seen.ndim == 1 && seen.itemsize == 1 && PyBuffer_IsContiguous(&seen, 'C') == 1 &&
                     (seen.format == nullptr || std::string_view(seen.format) == "B");
  const bool covers = static_cast<std::size_t>(seen.len) == whole.size() &&
                      (whole.empty() || seen.buf == static_cast<const void*>(whole.data()));
  return plain && covers ? bytes : nullptr;
}

}  // namespace erlpy::python

#endif
