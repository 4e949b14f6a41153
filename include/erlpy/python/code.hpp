// Running source text: statements in a namespace, expressions with parameters, names looked up in
// modules. Everything here runs attached and may run user code.
#ifndef ERLPY_PYTHON_CODE_HPP
#define ERLPY_PYTHON_CODE_HPP

#include <string>
#include <string_view>

#include <erlpy/python/exception.hpp>
#include <erlpy/python/interpreter.hpp>
#include <erlpy/python/ref.hpp>

namespace erlpy::python {

[[nodiscard]] inline ref make_str(std::string_view text) {
  return checked(PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "strict"));
}

// A module object of its own, registered in sys.modules: there pickle and dataclasses find what `exec`
// defines. Its name is `wanted`, with a number behind it where another module has that name.
[[nodiscard]] inline ref make_namespace(const std::string& wanted) {
  PyObject* const modules = PyImport_GetModuleDict();
  ref name = make_str(wanted);
  for (int count = 2;; ++count) {
    const ref module = checked(PyModule_NewObject(name.get()));
    checked_status(
        PyDict_SetItemString(PyModule_GetDict(module.get()), "__builtins__", PyEval_GetBuiltins()));
    // One step, for another thread may want the same name.
    PyObject* const there = PyDict_SetDefault(modules, name.get(), module.get());
    if (there == nullptr) throw exception::fetch();
    if (there == module.get()) return module;
    name = make_str(wanted + std::to_string(count));
  }
}

// Takes a namespace out of sys.modules again, if it is still there.
inline void forget_namespace(PyObject* module) {
  PyObject* const modules = PyImport_GetModuleDict();
  const ref name = checked(PyModule_GetNameObject(module));
  const ref there = ref::steal(compat::dict_item(modules, name.get()));
  if (there.get() == module) checked_status(PyDict_DelItem(modules, name.get()));
}

// Runs statements in UTF-8, whatever a coding comment in them says. Errors: python::exception; source
// text with a NUL character is a ValueError.
inline void exec_code(PyObject* module, std::string_view text) {
  if (text.find('\0') != std::string_view::npos)
    throw conversion_error(fault::value, "source code cannot contain null bytes");
  const std::string terminated(text);
  PyCompilerFlags flags{};
  flags.cf_flags = PyCF_SOURCE_IS_UTF8 | PyCF_IGNORE_COOKIE;
  flags.cf_feature_version = PY_MINOR_VERSION;
  const ref code = checked(Py_CompileStringExFlags(terminated.c_str(), "<exec>", Py_file_input, &flags, -1));
  PyObject* globals = PyModule_GetDict(module);
  const ref done = checked(PyEval_EvalCode(code.get(), globals, globals));
}

// Evaluates an expression; `locals` (a dict of str to values, or null) are its parameters.
[[nodiscard]] inline ref eval_code(const interpreter& home, PyObject* module, PyObject* text,
                                   PyObject* locals) {
  PyObject* globals = PyModule_GetDict(module);
  if (locals == nullptr || PyDict_GET_SIZE(locals) == 0) {
    const ref none = checked(PyTuple_New(0));
    const ref code =
        checked(PyObject_CallFunctionObjArgs(home.helpers().expression.get(), text, none.get(), nullptr));
    return checked(PyEval_EvalCode(code.get(), globals, globals));
  }
  const ref keys = checked(PyDict_Keys(locals));
  const Py_ssize_t count = PyList_GET_SIZE(keys.get());
  for (Py_ssize_t i = 0; i < count; ++i) {
    if (!PyUnicode_Check(PyList_GET_ITEM(keys.get(), i)))
      throw conversion_error(fault::type, "names of locals must be atoms, strings or binaries");
  }
  checked_status(PyList_Sort(keys.get()));
  const ref names = checked(PyList_AsTuple(keys.get()));
  const ref code =
      checked(PyObject_CallFunctionObjArgs(home.helpers().expression.get(), text, names.get(), nullptr));
  const ref function = checked(PyEval_EvalCode(code.get(), globals, globals));
  const ref values = checked(PyTuple_New(count));
  for (Py_ssize_t i = 0; i < count; ++i) {
    ref value = checked(compat::dict_item(locals, PyTuple_GET_ITEM(names.get(), i)));
    PyTuple_SET_ITEM(values.get(), i, value.release());
  }
  return checked(PyObject_Call(function.get(), values.get(), nullptr));
}

// The module of that name, imported if need be ("os.path" gives the submodule).
[[nodiscard]] inline ref import_module(const interpreter& home, PyObject* name) {
  const ref top = checked(PyImport_ImportModuleLevelObject(name, nullptr, nullptr, nullptr, 0));
  if (PyUnicode_FindChar(name, '.', 0, PyUnicode_GET_LENGTH(name), 1) < 0) return top;
  return checked(PyObject_CallFunctionObjArgs(home.helpers().import_name.get(), name, nullptr));
}

// An attribute; a name with dots ("datetime.now") is followed step by step.
[[nodiscard]] inline ref attribute(PyObject* object, PyObject* name) {
  ref found = ref::steal(PyObject_GetAttr(object, name));
  if (found) return found;
  exception missing = exception::fetch();
  const Py_ssize_t length = PyUnicode_GET_LENGTH(name);
  Py_ssize_t dot = PyUnicode_FindChar(name, '.', 0, length, 1);
  if (dot < 0 || !missing.is(PyExc_AttributeError)) throw std::move(missing);
  const ref dots = make_str(".");
  const ref steps = checked(PyUnicode_Split(name, dots.get(), -1));
  found = ref::borrow(object);
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(steps.get()); ++i)
    found = checked(PyObject_GetAttr(found.get(), PyList_GET_ITEM(steps.get(), i)));
  return found;
}

// Attached, where no import of this thread is under way: gives the import lock back that an interruption has
// left with it. importlib takes that lock before the `try` that lets go of it, so that an asynchronous
// exception between the two would stop every later import, before 3.12 those of all interpreters.
inline void release_import_lock() noexcept {
  const ref name = ref::steal(PyUnicode_FromString("_imp"));
  const ref imports = ref::steal(name ? PyImport_GetModule(name.get()) : nullptr);
  while (imports) {
    if (const ref released = ref::steal(PyObject_CallMethod(imports.get(), "release_lock", nullptr));
        !released)
      break;
  }
  PyErr_Clear();  // RuntimeError: this thread does not have it
}

}  // namespace erlpy::python

#endif
