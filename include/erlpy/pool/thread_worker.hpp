// A worker in this process: one OS thread, one Python thread state, and the slot of the pool that it serves.
//
// The thread lives until the pool stops or until it is abandoned: a job that cannot be interrupted in
// time keeps its thread, and a new worker takes the slot over. In the main interpreter it inherits all that
// belongs to the slot (the lane of the mailbox, the namespace, the objects that Erlang holds); where each
// worker has an interpreter of its own, the lane alone.
#ifndef ERLPY_POOL_THREAD_WORKER_HPP
#define ERLPY_POOL_THREAD_WORKER_HPP

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
#include <vector>

#include <erlpy/pool/activity.hpp>
#include <erlpy/pool/awaited.hpp>
#include <erlpy/pool/housekeeping.hpp>
#include <erlpy/pool/job.hpp>
#include <erlpy/pool/mailbox.hpp>
#include <erlpy/pool/options.hpp>
#include <erlpy/pool/preparation.hpp>
#include <erlpy/pool/step_marks.hpp>
#include <erlpy/pool/worker.hpp>
#include <erlpy/python/call.hpp>
#include <erlpy/python/code.hpp>
#include <erlpy/python/context.hpp>
#include <erlpy/python/event_loop.hpp>
#include <erlpy/python/failure.hpp>
#include <erlpy/python/gil.hpp>
#include <erlpy/python/service.hpp>
#include <erlpy/python/subinterpreter.hpp>
#include <erlpy/python/thread_state.hpp>

namespace erlpy::pool {

// The Python side of a place in the pool, which a replacement in the same interpreter takes over.
struct python_home {
  std::string module_name;                        // wanted for its namespace, in sys.modules
  std::shared_ptr<python::object_table> objects;  // made with the first worker
  python::ref name_space;                         // touched attached only
};

// Where a worker works: in the main interpreter, or in one that is its own.
struct lodging {
  std::shared_ptr<python::interpreter> home;
  python::service* attendant = nullptr;              // the interpreter's; of the runtime, or of `own`
  std::shared_ptr<python::subinterpreter> own = {};  // retired by the worker
};

class thread_worker final : public worker {
 public:
  // How much force an interruption uses.
  enum class force : std::uint8_t { cancel_task, raise };

  struct hooks {
    std::function<lodging()> lodge;  // the first act of the thread; throws if there is no interpreter
    std::function<void(thread_worker&, std::optional<python::failure>)> started;
    std::function<void(thread_worker&)> left;                                     // the thread's last act
    std::function<void(thread_worker&)> watch;  // attached: it begins to keep house, see housekeeping
    std::function<void(mailbox&, std::size_t slot, bool& searching)> rest = {};  // see pool_events::rest
  };

  thread_worker(slot& place, std::shared_ptr<python_home> own, mailbox& jobs, const options& settings,
                hooks events)
      : worker(place, jobs, settings), own_(std::move(own)), events_(std::move(events)) {}

  // The worker that a job of a thread_pool runs on.
  [[nodiscard]] static thread_worker& of(worker& on) noexcept { return static_cast<thread_worker&>(on); }

  // The thread's life.
  void main() override {
    processor_.bind();
    try {
      if (settle()) live();
    } catch (const std::exception& failed) {
      // There was no memory for a thread state.
      events_.started(*this, python::failure{"SystemError", failed.what(), {}});
    }
    if (lodging_.own) lodging_.own->retire();
    events_.left(*this);
  }

  // Running a job -----------------------------------------------------------------------------------

  [[nodiscard]] python::context& context() noexcept { return *context_; }
  [[nodiscard]] PyObject* name_space() const noexcept { return own_->name_space.get(); }
  // Runs an awaitable on this thread's event loop to its end. From a job; streams go on meanwhile.
  [[nodiscard]] python::ref await(const python::ref& awaitable) {
    const job_ptr asking = activity_.current();
    const awaited::mark mark(awaited_, *asking,
                             loop_->start(awaitable.get(), marking::marks(self(), *asking)));
    const reachable_mark reachable(*this);
    serve_residents();
    return loop_->run(mark.task(), [this] { serve_residents(); });
  }

  // Streams -----------------------------------------------------------------------------------------

  // A task of this worker's loop that steps an async iterator for a stream; see event_loop::drive().
  [[nodiscard]] python::ref drive(resident& stream, const python::ref& iterator) {
    return loop_->drive(iterator.get(), marking::marks(self(), stream),
                       marking::told(self(), stream).get());
  }
  // Attached, from another thread: its step, or its whole task, is cancelled as soon as the loop runs.
  void cancel(PyObject* driving, bool task) noexcept { (void)loop_->cancel(driving, task); }
  // For the code that ends a stream, as its `finally` blocks: nobody interrupts it before
  // housekeeping::limit.
  template <class Work>
  void keep_house(Work work) {
    const housekeeping::mark mark(house_, activity_, [this] { events_.watch(*this); });
    work();
  }
  // How many streams wait for a step of their tasks; with none the loop need not run.
  void wait_for_step(bool waiting) noexcept { waiting ? ++waiting_ : --waiting_; }

  // Called by tasks of the loop.
  void enter_step(job& who) {
    leave_loop();
    begin_slice();
    activity_.begin(ending_ ? &house_.stand_in() : &who);
  }
  void leave_step() {
    activity_.end();
    if (serving_loop_) loop_->stop();
  }
  bool proceed(resident& stream) noexcept {
    stream.proceed(*this);
    return slice_over();
  }

  // A slice is the time that a stream may produce while others wait; begun anew for each.
  void begin_slice() noexcept { slice_began_ = clock::now(); }
  [[nodiscard]] bool slice_over() const noexcept {
    return clock::now() - slice_began_ > (jobs_.call_waits(place_.index) ? short_slice : slice);
  }

  // Interrupting it -----------------------------------------------------------------------------------

  // Any thread: how much processor time its thread has used.
  [[nodiscard]] std::chrono::nanoseconds used() const noexcept { return processor_.used(); }
  // Any thread: who runs small tasks in its interpreter; null before it has one.
  [[nodiscard]] python::service* attendant() {
    const std::lock_guard lock(lodging_mutex_);
    return lodging_.attendant;
  }

  // Attached, from the interpreter's service thread. False: there is nothing of the job here (any more).
  [[nodiscard]] bool interrupt(job& target, force how) {
    const python::ref task = awaited_.task_of(target);
    const bool cancel = task || target.asynchronous();
    if (how == force::cancel_task && !target.to_interrupt()) return false;
    const auto seen = activity_.look(target, !cancel || how == force::raise);
    if (task) {
      (void)loop_->cancel(task.get(), false);  // where the exception was set too, this wakes the loop to see it
    } else if (target.asynchronous()) {
      target.cancel_step(false);
    }
    return cancel || seen != activity::found::absent;
  }

  // Whether the job waits in the event loop, so that its step can be cancelled.
  [[nodiscard]] bool awaiting(const job& target) {
    return static_cast<bool>(awaited_.task_of(target)) || target.asynchronous();
  }
  [[nodiscard]] bool runs(const job& target) { return activity_.has(target); }
  // Another number at another step.
  [[nodiscard]] std::uint64_t step_number() { return activity_.begun(); }
  // True if the job still runs here: then this thread is out of the pool as soon as the job ends.
  [[nodiscard]] bool abandon_while(const job& target) {
    if (!activity_.abandon_while(target)) return false;
    loop_->wake();
    return true;
  }
  [[nodiscard]] bool abandoned() override { return activity_.abandoned(); }
  // Attached, from the service thread: a preload under way is not waited for.
  void interrupt_preparation() { activity_.interrupt_preparation(); }

  [[nodiscard]] bool busy() override { return activity_.busy(); }
  // Destructors and the ends of streams; any thread.
  [[nodiscard]] housekeeping& house() noexcept { return house_; }
  [[nodiscard]] job_ptr current() override { return activity_.current(); }

 private:
  using clock = std::chrono::steady_clock;
  static constexpr std::chrono::microseconds slice{1'000};
  static constexpr std::chrono::microseconds short_slice{100};  // while a call waits

  [[nodiscard]] std::shared_ptr<thread_worker> self() {
    return std::static_pointer_cast<thread_worker>(shared_from_this());
  }

  using marking = step_functions<thread_worker>;

  // While a job awaits something its worker has hands free for its streams.
  class reachable_mark {
   public:
    explicit reachable_mark(thread_worker& owner) noexcept : owner_(owner) {
      owner_.jobs_.reach(owner_.place_.index, *owner_.loop_->pipe());
    }
    reachable_mark(const reachable_mark&) = delete;
    reachable_mark& operator=(const reachable_mark&) = delete;
    ~reachable_mark() { owner_.jobs_.leave(owner_.place_.index, *owner_.loop_->pipe()); }

   private:
    thread_worker& owner_;
  };

  // An interpreter to work in. False: there is none, and that was told.
  [[nodiscard]] bool settle() {
    try {
      lodging found = events_.lodge();
      home_ = found.home;
      loop_.emplace(*home_);
      home_->add(own_->objects);
      const std::lock_guard lock(lodging_mutex_);
      lodging_ = std::move(found);
      return true;
    } catch (const std::exception& failed) {
      events_.started(*this, python::failure{"RuntimeError", failed.what(), {}});
      return false;
    }
  }

  void live() {
    {
      const python::turns::mark working(lodging_.attendant->turn());
      // This thread's one state, for its whole life (pybind11 issue 2888).
      const python::thread_state state(home_->state());
      python::context context(home_, own_->objects);
      context_ = &context;
      activity_.bind(home_->types().timeout.get());
      try {
        if (prepare()) serve();
      } catch (const std::exception& failed) {
        // What is Python's of it ends here, attached.
        leave_loop();
        jobs_.leave(searching_);
        events_.started(*this, python::failure{"SystemError", failed.what(), {}});
      }
      end_residents();
      loop_->close();
      python::release_import_lock();
      if (lodging_.own || (leaving() && !abandoned())) empty_slot();
      context_ = nullptr;
    }
  }

  // Without the GIL, until there may be something to do.
  void rest() {
    if (events_.rest) {
      events_.rest(jobs_, place_.index, searching_);
    } else {
      jobs_.await(place_.index, searching_);
    }
  }

  [[nodiscard]] bool prepare() {
    std::optional<python::failure> failed;
    activity_.begin(nullptr);
    try {
      // Who told it to leave may have come too early to interrupt what follows.
      if (leaving()) throw error("the pool has stopped");
      prepare_interpreter(*home_, settings_);
      if (!own_->name_space) own_->name_space = python::make_namespace(own_->module_name);
      if (!settings_.preload.empty()) python::exec_code(own_->name_space.get(), settings_.preload);
    } catch (const python::exception& raised) {
      failed = python::describe(*home_, raised, false);
    } catch (const conversion_error& refused) {
      failed = python::failure{std::string(exception_name(refused.kind())), refused.what(), {}};
    } catch (const std::exception& other) {
      failed = python::failure{"SystemError", other.what(), {}};
    }
    activity_.end();
    if (failed) python::release_import_lock();
    home_->note_gil();
    const bool good = !failed.has_value();
    events_.started(*this, std::move(failed));
    return good;
  }

  // Attached at entry and exit; without the GIL while there is nothing to do.
  void serve() {
    for (;;) {
      while (!leaving()) {
        job_ptr next = jobs_.take(place_.index, searching_);
        if (!next) break;
        execute(next);
        if (abandoned()) return;
        tidy();
        if (abandoned()) return;
        if (waiting_ != 0 && clock::now() - looped_ > slice) run_loop([&] { loop_->run_once(); });
        if (abandoned()) return;
      }
      if (leaving()) break;
      if (untidy()) {
        jobs_.leave(searching_);  // destructors may take their time: let others look for jobs
        tidy();
        if (abandoned()) return;
      } else if (waiting_ != 0) {
        wait_in_loop();
        if (abandoned()) return;
      } else {
        home_->note_gil();
        const python::detached no_gil;
        lodging_.attendant->turn().end_work();
        rest();
        lodging_.attendant->turn().begin_work();
      }
    }
    jobs_.leave(searching_);
  }

  // One round of those that are queued: what queues itself again has woken the loop for another round.
  void serve_residents() {
    const auto last = jobs_.last_ticket();
    while (!leaving() && !abandoned()) {
      const job_ptr next = jobs_.take_resident(place_.index, last);
      if (!next) return;
      begin_slice();
      activity_.begin(next.get());
      next->run(*this);
      activity_.end();
    }
  }

  // Steps of streams run until one has run, or there is a job. A worker that is in a step takes no job:
  // it leaves the mailbox's list of those that wait before the step begins.
  void wait_in_loop() {
    if (loop_->lost()) {
      for (const job_ptr& each : residents_.all()) static_cast<resident&>(*each).lose_loop(*this);
      return;
    }
    if (!jobs_.enter_loop(place_.index, searching_, *loop_->pipe())) return;
    in_loop_ = true;
    run_loop([&] { loop_->run_until_woken(); });
    if (!abandoned()) leave_loop();
  }
  void leave_loop() {
    if (std::exchange(in_loop_, false)) jobs_.leave_loop(place_.index, searching_);
  }

  template <class Run>
  void run_loop(Run run) {
    serving_loop_ = true;
    begin_slice();
    run();
    serving_loop_ = false;
    looped_ = clock::now();
  }

  void execute(job_ptr& next) {
    const auto started = clock::now();
    slice_began_ = started;
    activity_.begin(next.get());
    if (next->wanted()) {
      next->run(*this);
    } else {
      next->discard();
    }
    activity_.end();
    if (next->stop_flag().load(std::memory_order_relaxed)) python::release_import_lock();
    const auto spent = std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - started);
    place_.busy_us.fetch_add(static_cast<std::uint64_t>(spent.count()), std::memory_order_relaxed);
  }

  [[nodiscard]] bool untidy() const noexcept { return own_->objects->waiting() || home_->drops()->waiting(); }

  // Releases what Erlang let go of. Attached, between jobs. Destructors are user code: they are watched,
  // and interrupted past a limit, as a job is.
  void tidy() {
    if (home_->drops()->waiting()) home_->drops()->drain();
    if (!own_->objects->waiting()) return;
    keep_house([&] { own_->objects->drain(); });
  }

  // The worker leaves: its generators are closed here, on the thread that stepped them.
  void end_residents() {
    const refusal why = abandoned() ? refusal::replaced : refusal::stopped;
    ending_ = true;
    for (const job_ptr& each : residents_.all()) static_cast<resident&>(*each).evict(*this, why);
    keep_house([&] { loop_->end_tasks(housekeeping::limit); });
    for (const job_ptr& each : residents_.all()) static_cast<resident&>(*each).evict(*this, why);
  }

  // Nobody inherits: lets go of the namespace and of what Erlang held.
  void empty_slot() noexcept {
    home_->remove(own_->objects->owner());
    own_->objects->close();
    if (!own_->name_space) return;
    try {
      python::forget_namespace(own_->name_space.get());
    } catch (const python::exception&) {
      // It stays in sys.modules, where it harms nobody.
    }
    own_->name_space = nullptr;
  }

  const std::shared_ptr<python_home> own_;
  hooks events_;
  erlpy::detail::processor_clock processor_;
  std::mutex lodging_mutex_;  // lodging_, which is written once; a leaf
  lodging lodging_;
  std::shared_ptr<python::interpreter> home_;  // this and loop_: before the first job
  std::optional<python::event_loop> loop_;
  python::context* context_ = nullptr;         // of live()
  housekeeping house_;
  activity activity_;
  awaited awaited_;

  // The thread's own.
  bool searching_ = false;
  bool in_loop_ = false;        // waits there for jobs too
  bool serving_loop_ = false;   // runs the loop for the streams alone
  bool ending_ = false;         // it leaves: what still runs is cleaning up
  std::size_t waiting_ = 0;
  clock::time_point slice_began_{};
  clock::time_point looped_{};
};

}  // namespace erlpy::pool

#endif
