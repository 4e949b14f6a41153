// A worker: one OS thread, one Python thread state, and the slot of the pool that it serves.
//
// The thread lives until the pool stops or until it is abandoned: a job that cannot be interrupted in
// time keeps its thread, and a new worker takes the slot over with all that belongs to it (the lane of
// the mailbox, the namespace, the objects that Erlang holds).
#ifndef ERLPY_POOL_WORKER_HPP
#define ERLPY_POOL_WORKER_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include <erlpy/pool/job.hpp>
#include <erlpy/pool/mailbox.hpp>
#include <erlpy/pool/options.hpp>
#include <erlpy/python/call.hpp>
#include <erlpy/python/code.hpp>
#include <erlpy/python/context.hpp>
#include <erlpy/python/failure.hpp>
#include <erlpy/python/gil.hpp>

namespace erlpy::pool {

// What belongs to a place in the pool rather than to the thread that fills it at the moment.
struct slot {
  std::size_t index = 0;
  std::string module_name;                        // wanted for its namespace, in sys.modules
  std::shared_ptr<python::object_table> objects;  // made with the pool
  python::ref name_space;                         // touched attached only
  std::atomic<std::uint64_t> calls{0}, errors{0}, restarts{0}, busy_us{0};
};

class worker : public std::enable_shared_from_this<worker> {
 public:
  // How much force an interruption uses.
  enum class force : std::uint8_t { cancel_task, raise };

  struct hooks {
    std::function<void(worker&, std::optional<python::failure>)> started;  // attached
    std::function<void(worker&)> left;                                     // the thread's last act
    std::function<void(worker&)> watch;  // attached: it begins to release objects, see still_tidying()
  };

  // The stack of a worker's thread, in bytes.
  [[nodiscard]] static std::size_t stack_size(const options& settings) noexcept {
    return std::max(settings.stack_size, python::compat::least_stack);
  }

  worker(slot& place, mailbox& jobs, const options& settings, std::shared_ptr<python::interpreter> home,
         hooks events)
      : place_(place), jobs_(jobs), settings_(settings), home_(std::move(home)), events_(std::move(events)) {}

  // The thread's life.
  void main() {
    // This thread's one state, for its whole life (pybind11 issue 2888).
    const PyGILState_STATE outer = PyGILState_Ensure();
    {
      python::context context(home_, place_.objects);
      context_ = &context;
      thread_id_ = PyThread_get_thread_ident();
      if (prepare()) serve();
      close_loop();
      if (leaving() && !abandoned()) empty_slot();
      context_ = nullptr;
    }
    PyGILState_Release(outer);
    events_.left(*this);
  }

  // Running a job -----------------------------------------------------------------------------------

  [[nodiscard]] python::context& context() noexcept { return *context_; }
  [[nodiscard]] PyObject* name_space() const noexcept { return place_.name_space.get(); }
  [[nodiscard]] const options& settings() const noexcept { return settings_; }
  [[nodiscard]] slot& place() const noexcept { return place_; }

  // From a job, before it answers: so that a caller with an answer finds its call in the statistics.
  void count(bool good) noexcept {
    place_.calls.fetch_add(1, std::memory_order_relaxed);
    if (!good) place_.errors.fetch_add(1, std::memory_order_relaxed);
  }

  // Runs an awaitable on this thread's event loop to its end. From a job.
  [[nodiscard]] python::ref await(const python::ref& awaitable) {
    const auto& helpers = home_->helpers();
    if (!loop_ || loop_closed()) loop_ = python::call(helpers.new_loop.get());
    python::ref task = python::checked(
        PyObject_CallFunctionObjArgs(helpers.start_task.get(), loop_.get(), awaitable.get(), nullptr));
    const task_mark mark(*this, task);
    return python::checked(
        PyObject_CallFunctionObjArgs(helpers.finish_task.get(), loop_.get(), task.get(), nullptr));
  }

  // Interrupting it -----------------------------------------------------------------------------------

  // Attached, from the interpreter's service thread. False: the job does not run here (any more).
  [[nodiscard]] bool interrupt(const job& target, force how) {
    python::ref task;
    {
      const std::lock_guard lock(current_mutex_);
      if (current_ != &target) return false;
      task = task_;
      if (!task || how == force::raise) {
        PyThreadState_SetAsyncExc(thread_id_, home_->types().timeout.get());
        raised_ = true;
      }
    }
    if (task) {  // where the exception was set too, this wakes the loop to see it
      const python::ref done = python::ref::steal(PyObject_CallFunctionObjArgs(
          home_->helpers().cancel_task.get(), loop_.get(), task.get(), nullptr));
      if (!done) PyErr_Clear();
    }
    return true;
  }

  // The job under way is an awaitable on the event loop.
  [[nodiscard]] bool awaiting() {
    const std::lock_guard lock(current_mutex_);
    return static_cast<bool>(task_);
  }
  [[nodiscard]] bool runs(const job& target) {
    const std::lock_guard lock(current_mutex_);
    return current_ == &target;
  }
  // True if the job still runs here: then this thread is out of the pool as soon as the job ends.
  [[nodiscard]] bool abandon_while(const job& target) {
    const std::lock_guard lock(current_mutex_);
    if (current_ != &target) return false;
    abandoned_ = true;
    return true;
  }
  [[nodiscard]] bool abandoned() {
    const std::lock_guard lock(current_mutex_);
    return abandoned_;
  }
  // Attached, from the service thread: a preload under way is not waited for.
  void interrupt_preparation() {
    const std::lock_guard lock(current_mutex_);
    if (!preparing_) return;
    PyThreadState_SetAsyncExc(thread_id_, home_->types().timeout.get());
    raised_ = true;
  }

  [[nodiscard]] bool busy() {
    const std::lock_guard lock(current_mutex_);
    return current_ != nullptr;
  }
  // How long destructors may run.
  static constexpr std::chrono::seconds tidy_limit{5};
  // By whom events_.watch asked, `tidy_limit` later: how long the release under way has taken. Zero: there
  // is none, and the next will ask again.
  [[nodiscard]] std::chrono::nanoseconds still_tidying() noexcept {
    const auto since = tidying_since_.load(std::memory_order_relaxed);
    if (since == 0) {
      watched_.store(false);
      return std::chrono::nanoseconds::zero();
    }
    return clock::now().time_since_epoch() - clock::duration(since);
  }
  [[nodiscard]] job& housekeeping() noexcept { return housekeeping_; }

  // Any thread: the job under way, if any.
  [[nodiscard]] job_ptr current() {
    const std::lock_guard lock(current_mutex_);
    return job_ptr(current_);
  }
  // Any thread: the worker leaves as soon as it can.
  void retire() noexcept { retired_.store(true, std::memory_order_release); }

 private:
  using clock = std::chrono::steady_clock;

  // Stands for the release of objects where a job is expected. Part of the worker, which outlives it.
  class housekeeping_job final : public job {
   public:
    void run(worker&) noexcept override {}
    void refuse(refusal) noexcept override {}
    void discard() noexcept override {}
    void retain() noexcept override {}
    void release() noexcept override {}
  };

  // Shows the task of an awaited job while it runs.
  class task_mark {
   public:
    task_mark(worker& owner, const python::ref& task) : owner_(owner) {
      const std::lock_guard lock(owner_.current_mutex_);
      owner_.task_ = task;
    }
    task_mark(const task_mark&) = delete;
    task_mark& operator=(const task_mark&) = delete;
    ~task_mark() {
      python::ref done;
      const std::lock_guard lock(owner_.current_mutex_);
      std::swap(done, owner_.task_);
    }

   private:
    worker& owner_;
  };

  // User code may have closed it.
  [[nodiscard]] bool loop_closed() const {
    const python::ref closed = python::checked(PyObject_CallMethod(loop_.get(), "is_closed", nullptr));
    return python::checked_status(PyObject_IsTrue(closed.get())) != 0;
  }

  [[nodiscard]] bool prepare() {
    std::optional<python::failure> failed;
    set_preparing(true);
    try {
      limit_recursion();
      extend_path();
      if (!place_.name_space) place_.name_space = python::make_namespace(place_.module_name);
      if (!settings_.preload.empty()) python::exec_code(place_.name_space.get(), settings_.preload);
    } catch (const python::exception& raised) {
      failed = python::describe(*home_, raised, false);
    } catch (const conversion_error& refused) {
      failed = python::failure{std::string(exception_name(refused.kind())), refused.what(), {}};
    } catch (const std::exception& other) {
      failed = python::failure{"SystemError", other.what(), {}};
    }
    set_preparing(false);
    const bool good = !failed.has_value();
    events_.started(*this, std::move(failed));
    return good;
  }

  void set_preparing(bool preparing) {
    const std::lock_guard lock(current_mutex_);
    preparing_ = preparing;
    if (!preparing && std::exchange(raised_, false)) PyThreadState_SetAsyncExc(thread_id_, nullptr);
  }

  // What a call of Python takes of the C stack at most, and half as much again: 3.4 KB were measured for
  // each level that the recursion limit counts (list.sort() with a key function that sorts again).
  static constexpr std::size_t stack_per_call = 5 * 1024;

  void limit_recursion() {
    const python::ref cap = python::checked(PyLong_FromSize_t(stack_size(settings_) / stack_per_call));
    const python::ref done = python::call(home_->helpers().limit_recursion.get(), cap.get());
  }

  // sys.path belongs to the interpreter: what one pool adds, others of the same interpreter see too.
  void extend_path() {
    if (settings_.python_path.empty()) return;
    const python::ref entries = python::checked(PyList_New(0));
    for (const std::string& entry : settings_.python_path)
      python::checked_status(PyList_Append(entries.get(), python::make_str(entry).get()));
    const python::ref done = python::call(home_->helpers().extend_path.get(), entries.get());
  }

  // Attached at entry and exit; without the GIL while there is nothing to do.
  void serve() {
    bool searching = false;
    for (;;) {
      while (!leaving()) {
        job_ptr next = jobs_.take(place_.index, searching);
        if (!next) break;
        execute(next);
        if (abandoned()) return;
        tidy();
        if (abandoned()) return;
      }
      if (leaving()) break;
      if (untidy()) {
        jobs_.leave(searching);  // destructors may take their time: let others look for jobs
        tidy();
        if (abandoned()) return;
        continue;
      }
      const python::detached no_gil;
      jobs_.await(place_.index, searching);
    }
    jobs_.leave(searching);
  }

  [[nodiscard]] bool leaving() const noexcept { return retired_.load(std::memory_order_acquire); }

  void execute(job_ptr& next) {
    const auto started = clock::now();
    begin(next.get());
    if (next->result() == outcome::open) {
      next->run(*this);
    } else {
      next->discard();
    }
    end();
    const auto spent = std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - started);
    place_.busy_us.fetch_add(static_cast<std::uint64_t>(spent.count()), std::memory_order_relaxed);
  }

  [[nodiscard]] bool untidy() const noexcept { return place_.objects->waiting() || home_->drops()->waiting(); }

  // Releases what Erlang let go of. Attached, between jobs. Destructors are user code: they are watched,
  // and interrupted past a limit, as a job is.
  void tidy() {
    if (home_->drops()->waiting()) home_->drops()->drain();
    if (!place_.objects->waiting()) return;
    begin(&housekeeping_);
    tidying_since_.store(clock::now().time_since_epoch().count(), std::memory_order_relaxed);
    if (!watched_.exchange(true)) events_.watch(*this);
    place_.objects->drain();
    tidying_since_.store(0, std::memory_order_relaxed);
    end();
  }

  void begin(job* next) {
    const std::lock_guard lock(current_mutex_);
    current_ = next;
  }
  // What was to interrupt the job, and came too late, is taken back.
  void end() {
    const std::lock_guard lock(current_mutex_);
    current_ = nullptr;
    if (std::exchange(raised_, false)) PyThreadState_SetAsyncExc(thread_id_, nullptr);
  }

  // The pool has stopped: lets go of the namespace and of what Erlang held.
  void empty_slot() noexcept {
    home_->remove(place_.objects->owner());
    place_.objects->close();
    if (!place_.name_space) return;
    try {
      python::forget_namespace(place_.name_space.get());
    } catch (const python::exception&) {
      // It stays in sys.modules, where it harms nobody.
    }
    place_.name_space = nullptr;
  }

  void close_loop() noexcept {
    if (!loop_) return;
    const python::ref done = python::ref::steal(
        PyObject_CallFunctionObjArgs(home_->helpers().close_loop.get(), loop_.get(), nullptr));
    if (!done) PyErr_Clear();
    loop_ = nullptr;
  }

  slot& place_;
  mailbox& jobs_;
  const options& settings_;
  std::shared_ptr<python::interpreter> home_;
  hooks events_;
  python::context* context_ = nullptr;  // of main()
  python::ref loop_;
  std::atomic<bool> retired_{false};
  housekeeping_job housekeeping_;
  std::atomic<clock::rep> tidying_since_{0};
  std::atomic<bool> watched_{false};
  unsigned long thread_id_ = 0;

  // Guards what follows; a leaf, except that interrupt() sets an asynchronous exception under it.
  std::mutex current_mutex_;
  job* current_ = nullptr;
  python::ref task_;
  bool preparing_ = false;
  bool raised_ = false;
  bool abandoned_ = false;
};

}  // namespace erlpy::pool

#endif
