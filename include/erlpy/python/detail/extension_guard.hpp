// What keeps extensions that do not support sub-interpreters from breaking the process: they are an
// ImportError.
//
// numpy is refused here, on every version. Before 3.12 CPython lets every extension in, and numpy works in
// one interpreter and crashes in the next; later versions refuse it half way through its initialisation, and
// the process ended in "free(): invalid pointer" after some of these (numpy 2.2 on Python 3.13).
//
// Before 3.12 `_asyncio` would raise the CancelledError of whichever interpreter imported it first,
// so asyncio has to do with what it has in Python. A fork would abort the child, and is refused as later
// versions do.
//
// Python 3.12 runs the initialisation of an extension first and refuses it then: what the extension keeps for
// the whole process has by that time been filled with objects of the sub-interpreter, and with a GIL for each
// interpreter that ends in a crash. An extension that the main interpreter has loaded is refused before. So
// it is loaded there first, which later versions do by themselves.
#ifndef ERLPY_PYTHON_DETAIL_EXTENSION_GUARD_HPP
#define ERLPY_PYTHON_DETAIL_EXTENSION_GUARD_HPP

#include <mutex>
#include <string>

#include <erlpy/python/exception.hpp>
#include <erlpy/python/gil.hpp>
#include <erlpy/python/ref.hpp>
#include <erlpy/python/thread_state.hpp>

namespace erlpy::python::detail {

// In the sub-interpreter: `load_in_main` is called with the name and the origin of whatever is to be loaded.
inline constexpr const char* guard_source = R"python(
import _imp


def guard(load_in_main, create):
    def create_after_main(spec, *rest):
        load_in_main(spec.name, spec.origin or '', create.__name__)
        return create(spec, *rest)
    return create_after_main


class Refused:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == 'numpy':
            raise ImportError('numpy does not support sub-interpreters', name=name)


def refuse_numpy():
    import sys
    sys.meta_path.insert(0, Refused)


def refuse_fork():
    raise RuntimeError('fork not supported for subinterpreters')


def refuse():
    import os
    import sys
    sys.modules['_asyncio'] = None
    os.fork = os.forkpty = refuse_fork


def install(load_in_main):
    for name in ('create_builtin', 'create_dynamic'):
        setattr(_imp, name, guard(load_in_main, getattr(_imp, name)))
)python";

// In the main interpreter. What fails here fails in the sub-interpreter too, where it is told.
inline constexpr const char* main_source = R"python(
import _imp
import importlib.machinery
import sys
if name not in sys.modules:
    getattr(_imp, create)(importlib.machinery.ModuleSpec(name, None, origin=origin))
)python";

// Attached to the main interpreter.
inline void load_extension(const std::string& name, const std::string& origin, const std::string& create) {
  const ref space = checked(PyDict_New());
  checked_status(PyDict_SetItemString(space.get(), "__builtins__", PyEval_GetBuiltins()));
  const auto put = [&](const char* key, const std::string& text) {
    const ref value = checked(PyUnicode_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size())));
    checked_status(PyDict_SetItemString(space.get(), key, value.get()));
  };
  put("name", name);
  put("origin", origin);
  put("create", create);
  const ref code = checked(Py_CompileString(main_source, "<erlang support>", Py_file_input));
  const ref done = checked(PyEval_EvalCode(code.get(), space.get(), space.get()));
}

inline PyObject* load_in_main(PyObject*, PyObject* arguments) noexcept {
  try {
    const char* name = nullptr;
    const char* origin = nullptr;
    const char* create = nullptr;
    if (PyArg_ParseTuple(arguments, "sss", &name, &origin, &create) == 0) return nullptr;
    const std::string copied_name(name);
    const std::string copied_origin(origin);
    const std::string copied_create(create);
    const detached no_gil;
    static std::mutex loading;  // one initialisation at a time
    const std::lock_guard lock(loading);
    const thread_state there(PyInterpreterState_Main());
    try {
      load_extension(copied_name, copied_origin, copied_create);
    } catch (const exception&) {
      // The sub-interpreter tries too, and tells.
    }
  } catch (...) {
    raise_current();
    return nullptr;
  }
  Py_RETURN_NONE;
}

// Attached to a new sub-interpreter.
inline void guard_extensions() {
  [[maybe_unused]] static PyMethodDef definition{"load_in_main", &load_in_main, METH_VARARGS, nullptr};
  const ref space = checked(PyDict_New());
  checked_status(PyDict_SetItemString(space.get(), "__builtins__", PyEval_GetBuiltins()));
  const ref code = checked(Py_CompileString(guard_source, "<erlang support>", Py_file_input));
  const ref run = checked(PyEval_EvalCode(code.get(), space.get(), space.get()));
  const auto found = [&](const char* name) { return ref::borrow(PyDict_GetItemString(space.get(), name)); };
  const ref without_numpy = checked(PyObject_CallObject(found("refuse_numpy").get(), nullptr));
  if constexpr (!compat::own_gil) {
    const ref done = checked(PyObject_CallObject(found("refuse").get(), nullptr));
  }
  if constexpr (compat::refuses_extensions_late) {
    const ref function = checked(PyCFunction_New(&definition, nullptr));
    const ref done = checked(PyObject_CallFunctionObjArgs(found("install").get(), function.get(), nullptr));
  }
}

}  // namespace erlpy::python::detail

#endif
