// A sub-interpreter, on a thread of its own that makes it, serves it, and ends it.
//
// That thread does for it what the runtime's does for the main interpreter. Others come with a thread_state
// in it, and are gone before it is retired. It ends only when nothing needs it: while other worlds hold bytes
// of it it waits, and one with live threads that Python code started is never ended (CPython would abort the
// process): it is leaked, and counted.
#ifndef ERLPY_PYTHON_SUBINTERPRETER_HPP
#define ERLPY_PYTHON_SUBINTERPRETER_HPP

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <erlpy/detail/thread.hpp>
#include <erlpy/detail/wake_pipe.hpp>
#include <erlpy/python/detail/extension_guard.hpp>
#include <erlpy/python/exception.hpp>
#include <erlpy/python/gil.hpp>
#include <erlpy/python/interpreter.hpp>
#include <erlpy/python/runtime.hpp>
#include <erlpy/python/service.hpp>
#include <erlpy/python/thread_state.hpp>

namespace erlpy::python {

class subinterpreter : public std::enable_shared_from_this<subinterpreter> {
 public:
  subinterpreter(const subinterpreter&) = delete;
  subinterpreter& operator=(const subinterpreter&) = delete;
  ~subinterpreter() = default;

  // Makes one, from the settings of the main interpreter. Blocks until it is there, which takes some 20 ms,
  // and the main interpreter's GIL: neither for a BEAM scheduler nor for a thread that is attached. Errors:
  // erlpy::error with the reason.
  [[nodiscard]] static std::shared_ptr<subinterpreter> start(runtime& python) {
    const turns::mark waits(python.attendant().turn());
    const std::shared_ptr<subinterpreter> made(new subinterpreter);
    erlpy::detail::start_thread("erlpy-interp", stack_size, [made] { made->main(); });
    std::unique_lock lock(made->mutex_);
    made->changed_.wait(lock, [&] { return made->home_ || made->failure_; });
    if (made->failure_) throw error(*made->failure_);
    return made;
  }

  [[nodiscard]] const std::shared_ptr<interpreter>& home() const noexcept { return home_; }
  [[nodiscard]] service& attendant() noexcept { return service_; }

  // Any thread, once: nobody comes to it any more; no thread state of ours but its attendant's is left in it.
  void retire() { service_.stop(); }

  // How many there are that were not ended, leaked ones included, and how many were leaked, in this process.
  [[nodiscard]] static std::uint64_t alive() noexcept {
    return counts().alive.load(std::memory_order_relaxed);
  }
  [[nodiscard]] static std::uint64_t leaked() noexcept {
    return counts().leaked.load(std::memory_order_relaxed);
  }

 private:
  static constexpr std::size_t stack_size = 64U << 20U;
  static constexpr std::chrono::milliseconds patience{1'000};  // for threads that are about to end

  struct counters {
    std::atomic<std::uint64_t> alive{0}, leaked{0};
  };
  [[nodiscard]] static counters& counts() noexcept {
    static counters the_counts;
    return the_counts;
  }
  // CPython is not made for two of them at once. Never destroyed: threads outlive every static destructor.
  [[nodiscard]] static std::mutex& making() {
    static auto* const the_mutex = new std::mutex;
    return *the_mutex;
  }

  subinterpreter() = default;

  // The thread's life.
  void main() noexcept {
    std::optional<thread_state> state;
    try {
      enter(state);
    } catch (const exception& raised) {
      fail(text_of(raised));
    } catch (const std::exception& failed) {
      fail(failed.what());
    }
    std::optional<turns::mark> ends;
    if (home_) {
      const detached no_gil;
      service_.serve(state->get());
      ends.emplace(service_.turn());
    }
    if (state) end(*state);
  }

  void enter(std::optional<thread_state>& state) {
    make(state);
    counts().alive.fetch_add(1, std::memory_order_relaxed);
    // The thread that imports it first is the main thread for `threading`, and has to outlive the others.
    const ref threading = checked(PyImport_ImportModule("threading"));
    detail::guard_extensions();
    auto home = std::make_shared<interpreter>([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->service_.wake();
    });
    service_.adopt(home->drops());
    {
      const std::lock_guard lock(mutex_);
      home_ = std::move(home);
    }
    changed_.notify_all();
  }

  // Afterwards `state` is the only one of this thread, and of the interpreter.
  static void make(std::optional<thread_state>& state) {
    need_descriptors();
    PyThreadState* first = nullptr;
    {
      const std::lock_guard lock(making());
      thread_state outer(PyInterpreterState_Main());
      if constexpr (compat::own_gil) make_shared_types();
      const char* reason = nullptr;
      first = compat::new_interpreter(reason);
      if (first == nullptr) throw error(std::string("no sub-interpreter: ") + reason);
      PyEval_SaveThread();
      PyEval_RestoreThread(outer.get());
    }
    if constexpr (compat::own_gil) {
      state.emplace(first);
    } else {
      // It was made while the thread had another state: PyGILState_Ensure() would not find it.
      state.emplace(first->interp);
      PyThreadState_Clear(first);
      PyThreadState_Delete(first);
    }
  }

  // An interpreter that cannot read its modules as it starts ends the process in its failure (seen on 3.11),
  // so it does not start where there are no descriptors to be had. Error: std::system_error.
  static void need_descriptors() { [[maybe_unused]] const std::array<erlpy::detail::wake_pipe, 8> room{}; }

  // The types of `datetime` are one for the process, and several interpreters that make them at once break
  // them.
  static void make_shared_types() noexcept {
    const ref made = ref::steal(PyImport_ImportModule("_datetime"));
    if (!made) PyErr_Clear();
  }

  void end(thread_state& state) noexcept {
    if (home_) run(home_->helpers().end_idle_threads);
    bool ends = alone_soon(state);
    if (ends && home_) {
      run(home_->helpers().run_exit_functions);
      ends = alone_soon(state);
    }
    if (home_) home_->close();
    if (ends) {
      state.end_interpreter();
      counts().alive.fetch_sub(1, std::memory_order_relaxed);
    } else {
      counts().leaked.fetch_add(1, std::memory_order_relaxed);
    }
  }

  static void run(const ref& function) noexcept {
    const ref done = ref::steal(PyObject_CallObject(function.get(), nullptr));
    if (!done) PyErr_WriteUnraisable(function.get());
  }

  [[nodiscard]] static bool alone_soon(const thread_state& state) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!state.alone()) {
      if (std::chrono::steady_clock::now() > end) return false;
      const detached no_gil;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
  }

  [[nodiscard]] static std::string text_of(const exception& raised) {
    const ref shown = ref::steal(PyObject_Repr(raised.value()));
    const char* const text = shown ? PyUnicode_AsUTF8(shown.get()) : nullptr;
    PyErr_Clear();
    return std::string("no sub-interpreter: ") + (text == nullptr ? "an exception" : text);
  }

  void fail(std::string reason) {
    {
      const std::lock_guard lock(mutex_);
      failure_ = std::move(reason);
    }
    changed_.notify_all();
  }

  std::mutex mutex_;  // until it is made: home_, failure_
  std::condition_variable changed_;
  std::shared_ptr<interpreter> home_;
  std::optional<std::string> failure_;
  service service_;
};

}  // namespace erlpy::python

#endif
