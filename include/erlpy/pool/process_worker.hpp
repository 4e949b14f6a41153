// A worker that is another OS process: the thread on this side, which takes jobs from the mailbox, sends them
// over, and hands out what comes back.
//
// One call is with the process at a time; streams are spoken with at any time. Who gives a call up has it
// cancelled there; a process that does not let go of it says so, and is killed. Each life of a process has a
// worker of its own: with the process the worker leaves, and its pool puts another into the seat.
#ifndef ERLPY_POOL_PROCESS_WORKER_HPP
#define ERLPY_POOL_PROCESS_WORKER_HPP

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <erlpy/pool/remote.hpp>
#include <erlpy/pool/remote_objects.hpp>
#include <erlpy/pool/setup.hpp>
#include <erlpy/pool/worker.hpp>
#include <erlpy/pool/worker_process.hpp>

namespace erlpy::pool {

class process_worker final : public worker {
 public:
  struct hooks {
    std::function<void(process_worker&, std::optional<start_failure>)> started;
    std::function<void(process_worker&)>
        launch;  // the process is to be started, and told process().invitation()
    std::function<void(process_worker&)> left;    // the thread's last act
  };

  process_worker(slot& place, mailbox& jobs, const options& settings, std::shared_ptr<remote_objects> objects,
                 hooks events)
      : worker(place, jobs, settings), held_(std::move(objects)), events_(std::move(events)) {}

  // The worker that a job of a process_pool runs on.
  [[nodiscard]] static process_worker& of(worker& on) noexcept { return static_cast<process_worker&>(on); }

  void main() override {
    try {
      if (prepare()) serve();
    } catch (const std::exception& failed) {
      process_.end(ending::crashed, failed.what());
      if (const job_ptr left = current()) left->refuse(ending_reason());
    }
    // However it came to an end: no mark of this worker stays in the mailbox.
    jobs_.leave(searching_);
    jobs_.leave(place_.index, process_.pipe());
    end();
    events_.left(*this);
  }

  // From a job or a stream, on this thread ---------------------------------------------------------------

  // A frame for what a job or stream asks; valid until the next.
  [[nodiscard]] outgoing_frame& begin_frame(frame_kind kind, std::uint64_t id) {
    outgoing_.begin(kind, id);
    return outgoing_;
  }
  // Sends the frame that was begun.
  void send() { process_.send(outgoing_, leaving()); }
  // The same for the call of the job under way, whose answer is then waited for.
  [[nodiscard]] outgoing_frame& begin_call() { return begin_frame(frame_kind::call, ++calls_); }
  void ask() {
    asked_ = true;
    served_.store(true, std::memory_order_relaxed);
    send();
  }
  void listen(std::uint64_t stream, frame_listener& listener) { listeners_[stream] = &listener; }
  void unlisten(std::uint64_t stream) noexcept { listeners_.erase(stream); }

  // Any thread ------------------------------------------------------------------------------------------

  // The one it was made for.
  [[nodiscard]] worker_process& process() noexcept { return process_; }
  // The process has said that it is ready.
  [[nodiscard]] bool ready() const noexcept { return ready_.load(std::memory_order_acquire); }
  // When this worker was made: before its process.
  [[nodiscard]] std::chrono::steady_clock::time_point made() const noexcept { return made_; }

  // The job under way is given up: the process is told. False: it is not under way.
  [[nodiscard]] bool cancel(const job& target) {
    {
      const std::lock_guard lock(mutex_);
      if (current_.get() != &target) return false;
      cancel_ = true;
    }
    process_.pipe().wake();
    return true;
  }
  [[nodiscard]] bool runs(const job& target) {
    const std::lock_guard lock(mutex_);
    return current_.get() == &target;
  }
  // How many frames have come: one that says nothing more does not hear.
  [[nodiscard]] std::uint64_t frames() const noexcept { return frames_.load(std::memory_order_relaxed); }
  // Whether the process has heard that the job under way is given up.
  [[nodiscard]] bool hears() const noexcept { return acknowledged_.load(std::memory_order_acquire); }
  // A stream that waits for its process has something to say to it.
  void hurry(job_ptr stream) {
    {
      const std::lock_guard lock(mutex_);
      hurried_.push_back(std::move(stream));
    }
    attend_soon();
  }
  // Something waits that is no job: released objects.
  void attend_soon() {
    process_.pipe().wake();
    jobs_.poke(place_.index);
  }
  // Whether it was given a call.
  [[nodiscard]] bool served() const noexcept { return served_.load(std::memory_order_relaxed); }

  [[nodiscard]] bool abandoned() override { return process_.ended(); }
  [[nodiscard]] bool busy() override {
    const std::lock_guard lock(mutex_);
    return static_cast<bool>(current_);
  }
  [[nodiscard]] job_ptr current() override {
    const std::lock_guard lock(mutex_);
    return current_;
  }

 private:
  using clock = std::chrono::steady_clock;
  using ending = worker_process::ending;

  [[nodiscard]] bool prepare() {
    std::optional<start_failure> failed;
    try {
      outgoing_frame& configure = begin_frame(frame_kind::configure, held_->owner());
      write_setup(configure, settings_, place_.index);
      failed = process_.start(configure, [this] { events_.launch(*this); }, [this] { return leaving(); });
    } catch (const std::exception& other) {
      failed.emplace(start_failure{"", other.what()});
    }
    if (failed) process_.end(ending::crashed, failed->message);
    const bool good = !failed;
    if (good) ready_.store(true, std::memory_order_release);
    events_.started(*this, std::move(failed));
    return good;
  }

  // Serving -------------------------------------------------------------------------------------------

  void serve() {
    while (!leaving() && !abandoned()) {
      if (const job_ptr next = jobs_.take(place_.index, searching_)) {
        execute(next);
        attend();
        continue;
      }
      attend();
      if (!spin([this] { return jobs_.has_work(place_.index); })) {
        if (!jobs_.enter_loop(place_.index, searching_, process_.pipe())) continue;
        wait();
        jobs_.leave_loop(place_.index, searching_);
      }
      hear();
    }
  }

  void execute(const job_ptr& next) {
    const auto began = clock::now();
    {
      const std::lock_guard lock(mutex_);
      current_ = next;
      cancel_ = false;
    }
    told_ = false;
    acknowledged_.store(false, std::memory_order_release);
    if (next->wanted()) {
      next->run(*this);
    } else {
      next->discard();
    }
    if (asked_) await_answer();
    if (asked_ && !went_back_) next->refuse(ending_reason());
    asked_ = false;
    {
      const std::lock_guard lock(mutex_);
      current_ = {};
    }
    const auto spent = std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - began);
    place_.busy_us.fetch_add(static_cast<std::uint64_t>(spent.count()), std::memory_order_relaxed);
  }

  // Streams go on meanwhile.
  void await_answer() {
    jobs_.reach(place_.index, process_.pipe());
    while (asked_ && !abandoned()) {
      pass_cancel_on();
      serve_residents();
      attend();
      if (!asked_ || abandoned()) break;
      if (!spin([] { return false; })) wait();
      hear();
    }
    jobs_.leave(place_.index, process_.pipe());
  }

  void pass_cancel_on() {
    if (told_) return;
    {
      const std::lock_guard lock(mutex_);
      if (!cancel_) return;
    }
    told_ = true;
    (void)begin_frame(frame_kind::cancel, calls_);
    send();
  }

  void serve_residents() {
    const auto last = jobs_.last_ticket();
    while (!abandoned()) {
      const job_ptr next = jobs_.take_resident(place_.index, last);
      if (!next) return;
      next->run(*this);
    }
  }

  // What is no job: objects that were let go of, streams that are to close.
  void attend() {
    if (const auto released = held_->take_released(); !released.empty()) {
      outgoing_frame& frame = begin_frame(frame_kind::release, 0);
      for (const std::uint64_t id : released) frame.put(id);
      send();
    }
    std::vector<job_ptr> hurried;
    {
      const std::lock_guard lock(mutex_);
      hurried.swap(hurried_);
    }
    for (const job_ptr& each : hurried) static_cast<resident&>(*each).proceed(*this);
  }

  // Until something came, or somebody woke this thread.
  void wait() {
    if (!line().wait(process_.pipe())) return;
    (void)received([this] {
      if (!line().read_some()) lose();
      return true;
    });
  }
  // True: bytes have come.
  template <class OtherWork>
  [[nodiscard]] bool spin(OtherWork other_work) {
    return received([&] { return line().spin_read(other_work); });
  }
  // A frame for which there is no memory is this process's end, and nothing else's.
  template <class Receive>
  [[nodiscard]] bool received(Receive receive) {
    try {
      return receive();
    } catch (const std::exception& failed) {
      process_.end(ending::crashed, std::string("what it sent cannot be received: ") + failed.what());
      return true;
    }
  }

  // All that has come.
  void hear() {
    try {
      while (const auto came = line().next()) {
        frames_.fetch_add(1, std::memory_order_relaxed);
        dispatch(*came);
      }
    } catch (const std::exception& broken) {
      process_.end(ending::crashed, broken.what());
    }
  }

  void dispatch(const incoming_frame& came) {
    switch (came.kind) {
      case frame_kind::answer:
      case frame_kind::refusal:
        if (asked_ && came.id == calls_) {
          asked_ = false;
          static_cast<remote_job&>(*current()).answered(*this, came.kind == frame_kind::answer, came.bytes);
        }
        return;
      case frame_kind::cancelling:
        if (came.id == calls_) acknowledged_.store(true, std::memory_order_release);
        return;
      case frame_kind::stuck: return stuck(came.id);
      default:
        if (const auto found = listeners_.find(came.id); found != listeners_.end())
          found->second->heard(*this, came);
    }
  }

  // A call that the process had not begun is not lost with it.
  void stuck(std::uint64_t begun_call) {
    if (asked_ && begun_call != calls_) {
      const job_ptr waiting = current();
      if (waiting->wanted()) went_back_ = jobs_.put_back(*waiting, place_.index);
    }
    process_.end(ending::replaced, "it did not end a call or a step in time");
  }

  // Leaving -------------------------------------------------------------------------------------------

  void lose() { process_.lose(leaving()); }

  // What the pool's clients are told of it.
  [[nodiscard]] refusal ending_reason() {
    if (leaving()) return refusal::stopped;
    return process_.why() == ending::replaced ? refusal::replaced : refusal::crashed;
  }

  void end() {
    held_->shut();
    const refusal why = ending_reason();
    for (const job_ptr& each : residents_.all()) each->refuse(why);
    if (leaving() && !abandoned()) close_streams();
    process_.end(ending::stopped, "the pool has stopped");
    for (const job_ptr& each : residents_.all()) static_cast<resident&>(*each).evict(*this, why);
  }

  // The pool has stopped: its generators are closed there, as long as that may take.
  void close_streams() {
    (void)begin_frame(frame_kind::stop, 0);
    send();
    const auto limit = clock::now() + settings_.grace + std::chrono::seconds(1);
    try {
      while (!abandoned() && clock::now() < limit) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(limit - clock::now());
        if (sockets::wait_readable(line().number(), left) && !line().read_some()) return;
        while (line().next()) {
        }
      }
    } catch (const std::exception&) {
      // Nobody waits for what it says any more.
    }
  }

  [[nodiscard]] channel& line() noexcept { return process_.line(); }

  const std::shared_ptr<remote_objects> held_;
  hooks events_;
  const clock::time_point made_ = clock::now();
  worker_process process_;
  std::atomic<bool> ready_{false};
  std::atomic<bool> served_{false};
  std::atomic<bool> acknowledged_{false};
  std::atomic<std::uint64_t> frames_{0};

  // The thread's own.
  outgoing_frame outgoing_;
  std::unordered_map<std::uint64_t, frame_listener*> listeners_;  // each in residents_ too, which keeps it
  std::uint64_t calls_ = 0;
  bool searching_ = false;
  bool asked_ = false;      // the answer of the call under way is still to come
  bool told_ = false;       // that it was given up
  bool went_back_ = false;  // into its queue

  std::mutex mutex_;  // what follows; a leaf
  job_ptr current_;
  bool cancel_ = false;
  std::vector<job_ptr> hurried_;
};

}  // namespace erlpy::pool

#endif
