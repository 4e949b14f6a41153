// CPython in this OS process: initialised once, on a thread that lives as long as the process, and
// never finalised. Where a program has initialised Python itself, the runtime attaches to that.
//
// That thread then serves: it runs small tasks attached to the main interpreter (interrupting a
// worker, releasing objects), so that no caller ever waits for the GIL.
#ifndef ERLPY_PYTHON_RUNTIME_HPP
#define ERLPY_PYTHON_RUNTIME_HPP

#include <dlfcn.h>
#include <signal.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <erlpy/detail/thread.hpp>
#include <erlpy/python/fork.hpp>
#include <erlpy/python/gil.hpp>
#include <erlpy/python/interpreter.hpp>
#include <erlpy/python/service.hpp>

namespace erlpy::python {

struct runtime_options {
  std::string executable;                // the interpreter: gives prefix and site-packages (a venv's works)
  std::string default_executable;        // taken where `executable` is empty and Python is not up yet
};

class runtime {
 public:
  // The process's runtime: made at the first call, with that call's options. Later calls must name the
  // same executable or none. Blocks until Python is up: not for a BEAM scheduler.
  // Errors: erlpy::error with CPython's reason; it is remembered and thrown again. Where there was no thread
  // to be had, the next call tries again.
  [[nodiscard]] static runtime& start(const runtime_options& options) {
    runtime& self = instance();
    std::unique_lock lock(self.mutex_);
    if (!self.begun_) {
      self.executable_ = options.executable.empty() ? options.default_executable : options.executable;
      erlpy::detail::start_thread("erlpy-main", stack_size, [&self] { self.main(); });
      self.begun_ = true;
    }
    self.changed_.wait(lock, [&] { return self.ready_ || self.failure_.has_value(); });
    if (self.failure_) throw error(*self.failure_);
    if (!options.executable.empty() && options.executable != self.executable_) {
      throw error("this process runs the Python of " + self.executable_ + ", not of " + options.executable +
                  "; it is chosen once, by the first pool that starts");
    }
    return self;
  }

  [[nodiscard]] const std::shared_ptr<interpreter>& main_interpreter() const noexcept { return main_; }
  [[nodiscard]] service& attendant() noexcept { return service_; }

 private:
  static constexpr std::size_t stack_size = 64U << 20U;

  // Never destroyed: threads outlive every static destructor.
  [[nodiscard]] static runtime& instance() {
    static auto* const the_runtime = new runtime;
    return *the_runtime;
  }

  void main() noexcept {
    PyThreadState* state = nullptr;
    try {
      state = initialise();
      service_.adopt(main_->drops());
    } catch (const std::exception& failed) {
      finish_start(std::string("Python could not be started: ") + failed.what());
      if (Py_IsInitialized() != 0 && PyGILState_Check() != 0) PyEval_SaveThread();
      return;
    }
    finish_start(std::nullopt);
    service_.serve(state);
  }

  // Returns the calling thread's state, detached.
  [[nodiscard]] PyThreadState* initialise() {
    make_symbols_global();
    watch_forks();
    restore_child_signal();
    if (Py_IsInitialized() == 0) {
      initialise_python();
    } else {
      PyGILState_Ensure();  // kept for this thread's life
    }
    make_interpreter();
    return PyEval_SaveThread();
  }

  // Attached. Leaves nothing behind that would be released without the GIL.
  void make_interpreter() {
    main_ = std::make_shared<interpreter>([this] { service_.wake(); });
  }

  void initialise_python() const {
    PyConfig config;
    PyConfig_InitPythonConfig(&config);
    config.install_signal_handlers = 0;
    config.parse_argv = 0;
    PyStatus status = PyStatus_Ok();
    if (!executable_.empty())
      status = PyConfig_SetBytesString(&config, &config.program_name, executable_.c_str());
    if (PyStatus_Exception(status) == 0) status = Py_InitializeFromConfig(&config);
    const std::string reason = PyStatus_Exception(status) == 0 ? ""
                               : status.err_msg != nullptr     ? status.err_msg
                                                               : "unknown reason";
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status) != 0)
      throw error("Python could not be initialised (" + executable_ + "): " + reason);
  }

  // C extensions do not link libpython: they look for its symbols in the global scope.
  static void make_symbols_global() noexcept {
    Dl_info found{};
    if (dladdr(reinterpret_cast<const void*>(&Py_IsInitialized), &found) != 0 && found.dli_fname != nullptr)
      [[maybe_unused]] void* kept = dlopen(found.dli_fname, RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD);
  }

  // The Erlang VM may ignore SIGCHLD, and then `subprocess` would wait for ever.
  static void restore_child_signal() noexcept {
    struct sigaction now {};
    if (sigaction(SIGCHLD, nullptr, &now) == 0 && (now.sa_flags & SA_SIGINFO) == 0 &&
        now.sa_handler == SIG_IGN) {
      now.sa_handler = SIG_DFL;
      sigaction(SIGCHLD, &now, nullptr);
    }
  }

  void finish_start(std::optional<std::string> failure) {
    {
      const std::lock_guard lock(mutex_);
      failure_ = std::move(failure);
      ready_ = !failure_;
    }
    changed_.notify_all();
  }

  std::mutex mutex_;  // begun_, ready_, failure_, executable_
  std::condition_variable changed_;
  bool begun_ = false;
  bool ready_ = false;
  std::optional<std::string> failure_;
  std::string executable_;
  std::shared_ptr<interpreter> main_;
  service service_;
};

}  // namespace erlpy::python

#endif
