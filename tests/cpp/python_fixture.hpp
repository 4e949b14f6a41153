// An embedded Python for the Catch2 suites: initialised at first use, on the main thread, which then
// stays attached; never finalised.
#ifndef ERLPY_TESTS_PYTHON_FIXTURE_HPP
#define ERLPY_TESTS_PYTHON_FIXTURE_HPP

#include <dlfcn.h>
#include <pthread.h>

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <erlpy/python/context.hpp>
#include <erlpy/python/gil.hpp>
#include <erlpy/python/sink.hpp>
#include <erlpy/python/source.hpp>

#include "catch.hpp"

namespace test {

namespace python = erlpy::python;
using python::ref;

class world {
 public:
  // The one of this process. Never destroyed: Python is not finalised either.
  static world& get() {
    static world* const the_world = new world;
    return *the_world;
  }

  [[nodiscard]] python::context& context() noexcept { return *context_; }
  [[nodiscard]] const python::erlang_types& types() const noexcept { return home_->types(); }
  [[nodiscard]] python::object_table& objects() noexcept { return *objects_; }
  [[nodiscard]] python::interpreter& home() noexcept { return *home_; }
  [[nodiscard]] PyObject* names() const noexcept { return names_.get(); }

 private:
  world() {
    initialise();
    home_ = std::make_shared<python::interpreter>([] {});
    objects_ = std::make_shared<python::object_table>([] {});
    home_->add(objects_);
    context_ = std::make_unique<python::context>(home_, objects_);
    const ref module = ref::borrow(PyImport_AddModule("test_names"));
    names_ = ref::borrow(PyModule_GetDict(module.get()));
    PyDict_SetItemString(names_.get(), "__builtins__", PyEval_GetBuiltins());
    // Later versions refuse to print the integers of thousands of digits that the tests compare.
    PyRun_SimpleString("import sys\ngetattr(sys, 'set_int_max_str_digits', id)(0)");
  }

  static void initialise() {
    // C extensions such as numpy do not link libpython: they look for its symbols in the global scope.
    Dl_info found{};
    if (dladdr(reinterpret_cast<const void*>(&Py_IsInitialized), &found) != 0 && found.dli_fname != nullptr)
        [[maybe_unused]]
      void* kept = dlopen(found.dli_fname, RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD);
    if (Py_IsInitialized() != 0) return;
    PyConfig config;
    PyConfig_InitPythonConfig(&config);
    config.install_signal_handlers = 0;
    config.parse_argv = 0;
    const PyStatus status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status) != 0) throw std::runtime_error("Python could not be initialised");
  }

  std::shared_ptr<python::interpreter> home_;
  std::shared_ptr<python::object_table> objects_;
  std::unique_ptr<python::context> context_;
  ref names_;
};

// The class and the message of an exception that is under way, "ValueError: no" for ValueError("no").
[[nodiscard]] inline std::string described(PyObject* raised) {
  const ref text = python::checked(PyObject_Str(raised));
  const char* utf8 = PyUnicode_AsUTF8(text.get());
  return std::string(Py_TYPE(raised)->tp_name) + ": " + (utf8 == nullptr ? "?" : utf8);
}

// Runs statements; an exception fails the test with its text.
inline void run(const std::string& code) {
  PyObject* names = world::get().names();
  const ref done = ref::steal(PyRun_String(code.c_str(), Py_file_input, names, names));
  if (!done) throw std::runtime_error(described(python::exception::fetch().value()));
}

// Evaluates an expression; an exception fails the test with its text.
[[nodiscard]] inline ref py(const std::string& expression) {
  PyObject* names = world::get().names();
  ref value = ref::steal(PyRun_String(expression.c_str(), Py_eval_input, names, names));
  if (!value) throw std::runtime_error(described(python::exception::fetch().value()) + " in " + expression);
  return value;
}

// Makes a C++-made value available to py() and run().
inline void let(const char* name, const ref& value) {
  PyDict_SetItemString(world::get().names(), name, value.get());
}

[[nodiscard]] inline bool truth(const std::string& expression) {
  return PyObject_IsTrue(py(expression).get()) == 1;
}

[[nodiscard]] inline std::string repr(const ref& value) {
  const ref text = python::checked(PyObject_Repr(value.get()));
  return PyUnicode_AsUTF8(text.get());
}

// What an action throws: "ValueError: ..." for Python's exceptions and ours alike, "" for nothing.
template <class Action>
[[nodiscard]] std::string failure(Action&& action) {
  try {
    std::forward<Action>(action)();
    return "";
  } catch (const python::exception& raised) {
    return described(raised.value());
  } catch (const erlpy::conversion_error& failed) {
    return std::string(erlpy::exception_name(failed.kind())) + ": " + failed.what();
  }
}

// What evaluating an expression in Python raises, "" for nothing.
[[nodiscard]] inline std::string raised(const char* expression) {
  PyObject* names = world::get().names();
  return failure(
      [&] { const ref done = python::checked(PyRun_String(expression, Py_eval_input, names, names)); });
}

[[nodiscard]] inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// Numpy, if it is installed for this Python; else says so.
[[nodiscard]] inline bool has_numpy() {
  const ref numpy = ref::steal(PyImport_ImportModule("numpy"));
  if (numpy) {
    let("numpy", numpy);
    return true;
  }
  PyErr_Clear();
  WARN("skipped: numpy cannot be imported by this Python");
  return false;
}

// Runs an action on a thread with a stack of the size that the pool's own threads have, attached;
// what it throws is thrown here.
inline void on_worker_stack(const std::function<void()>& action, std::size_t bytes = 64U << 20U) {
  struct job {
    const std::function<void()>& action;
    std::exception_ptr failed;
  } work{action, nullptr};
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, bytes);
  {
    const python::detached others;
    pthread_t thread{};
    pthread_create(
        &thread, &attributes,
        [](void* argument) -> void* {
          auto& self = *static_cast<job*>(argument);
          const PyGILState_STATE state = PyGILState_Ensure();
          try {
            self.action();
          } catch (...) {
            self.failed = std::current_exception();
          }
          PyGILState_Release(state);
          return nullptr;
        },
        &work);
    pthread_join(thread, nullptr);
  }
  pthread_attr_destroy(&attributes);
  if (work.failed) std::rethrow_exception(work.failed);
}

// A copy made by walking the value and building it anew: Python to Python.
[[nodiscard]] inline ref copy_of(const ref& value, erlpy::walk_limits limits = {}) {
  python::sink to(world::get().context());
  return erlpy::transcode(python::source(world::get().context(), value.get(), limits), to);
}

// Why the value of an expression cannot be walked.
[[nodiscard]] inline std::string failure_of(const std::string& expression, erlpy::walk_limits limits = {}) {
  const ref value = py(expression);
  return failure([&] { const ref copy = copy_of(value, limits); });
}

// Number of objects that the garbage collector tracks, after a collection.
[[nodiscard]] inline std::size_t tracked_objects() {
  run("import gc\ngc.collect()");
  return PyLong_AsSize_t(py("len(gc.get_objects())").get());
}

}  // namespace test

#endif
