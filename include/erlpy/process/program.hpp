// The life of a worker process: it connects to its pool, is told its options, serves, and ends with the pool.
//
// It has one worker in a thread_pool of its own, so calls, streams, deadlines and the event loop are those of
// the `shared` kind. What the pool says is heard whatever Python does (see reception.hpp); and when the
// connection ends, so does the process, with all that it started.
#ifndef ERLPY_PROCESS_PROGRAM_HPP
#define ERLPY_PROCESS_PROGRAM_HPP

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include <erlpy/pool/channel.hpp>
#include <erlpy/pool/setup.hpp>
#include <erlpy/pool/thread_pool.hpp>
#include <erlpy/process/call.hpp>
#include <erlpy/process/post.hpp>
#include <erlpy/process/reception.hpp>
#include <erlpy/process/stream.hpp>

namespace erlpy::process {

class program {
 public:
  // Connects and says the secret. Errors: std::exception.
  program(const std::string& address, const std::string& secret)
      : line_(pool::channel::connect(address)), office_(line_) {
    keep_from_children();
    leave_signals_to_worker();
    pool::outgoing_frame hello;
    hello.begin(pool::frame_kind::hello, static_cast<std::uint64_t>(::getpid()));
    hello.put_bytes(as_bytes(secret));
    office_.send(hello);
  }

  // Does not return: the process ends with its connection.
  [[noreturn]] void run() {
    reception_.attend_for_ever();
  }

 private:
  // A child that Python forks has a copy of the connection, and would keep it alive.
  void keep_from_children() {
    static std::atomic<int> number{-1};
    number.store(line_.number());
    if (pthread_atfork(nullptr, nullptr, [] { ::close(number.load()); }) != 0) throw std::bad_alloc();
  }

  // A signal that ends the process, sent by Python code to itself, is to do so before the code goes on: so
  // the worker's thread alone takes it. Threads inherit what is blocked from who starts them.
  static void leave_signals_to_worker() noexcept {
    const sigset_t fatal = fatal_signals();
    pthread_sigmask(SIG_BLOCK, &fatal, nullptr);
  }
  static void take_signals() noexcept {
    const sigset_t fatal = fatal_signals();
    pthread_sigmask(SIG_UNBLOCK, &fatal, nullptr);
  }
  // Those that end a process with a core dump, sent or raised.
  [[nodiscard]] static sigset_t fatal_signals() noexcept {
    sigset_t fatal;
    sigemptyset(&fatal);
    for (const int each :
         {SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS, SIGXCPU, SIGXFSZ})
      sigaddset(&fatal, each);
    return fatal;
  }

  void take(const pool::incoming_frame& came) {
    switch (came.kind) {
      case pool::frame_kind::configure: return configure(came);
      case pool::frame_kind::call: return call(came);
      case pool::frame_kind::cancel: return cancel(came.id);
      case pool::frame_kind::release: return release(came.bytes);
      case pool::frame_kind::stop: return workers_->stop();
      case pool::frame_kind::demand:
        if (const auto stream = office_.stream(came.id))
          served(stream).demand(came.bytes, [&] { return line_.keep(came); });
        return;
      case pool::frame_kind::close:
        acknowledge(0);
        if (const auto stream = office_.stream(came.id)) served(stream).close();
        return;
      default: return;
    }
  }
  [[nodiscard]] static served_stream& served(const pool::job_ptr& stream) noexcept {
    return static_cast<served_stream&>(*stream);
  }

  void configure(const pool::incoming_frame& came) {
    pool::pool_events events;
    events.started = [this](std::size_t, const std::optional<std::string>& kind, const std::string& message) {
      report_start(kind, message);
    };
    events.began = take_signals;
    events.stopped = [] { post::end_process(); };
    events.stuck = [this] { report_stuck(); };
    events.rest = [this](pool::mailbox& jobs, std::size_t slot, bool& searching) {
      reception_.rest(jobs, slot, searching);
    };
    workers_ = std::make_shared<pool::thread_pool>(pool::read_setup(came), std::move(events));
    office_.serve(workers_);
    workers_->start_worker(1);
  }

  void report_start(const std::optional<std::string>& kind, const std::string& message) {
    pool::outgoing_frame frame;
    if (!kind && message.empty()) {
      frame.begin(pool::frame_kind::ready);
    } else {
      frame.begin(pool::frame_kind::failed);
      frame.put_text(kind.value_or(""));
      frame.put_text(message);
    }
    office_.send_soon(std::move(frame));  // this thread has the GIL
  }

  // The pool kills this process, and wants to know whether a call of its goes with it.
  void report_stuck() {
    pool::outgoing_frame frame;
    {
      const std::lock_guard lock(mutex_);
      const bool began = current_ && static_cast<served_call&>(*current_).began();
      frame.begin(pool::frame_kind::stuck, began ? static_cast<served_call&>(*current_).id() : 0);
    }
    office_.send_soon(std::move(frame));
  }

  void call(const pool::incoming_frame& came) {
    const pool::job_ptr made(new served_call(office_, came.id, line_.keep(came)));
    {
      const std::lock_guard lock(mutex_);
      current_ = made;
    }
    if (workers_->submit(*made, 1) != pool::mailbox::push_result::queued) post::end_process();
  }

  // Sent by another thread: while this one waited for room, nobody would receive, and the pool might be
  // waiting too.
  void acknowledge(std::uint64_t id) {
    pool::outgoing_frame heard;
    heard.begin(pool::frame_kind::cancelling, id);
    office_.send_soon(std::move(heard));
  }

  void cancel(std::uint64_t id) {
    acknowledge(id);
    pool::job_ptr target;
    {
      const std::lock_guard lock(mutex_);
      target = current_;
    }
    if (target && static_cast<served_call&>(*target).id() == id)
      (void)workers_->abandon(*target, pool::outcome::cancelled);
  }

  void release(bytes_view numbers) {
    const auto objects = workers_->objects(1);
    pool::frame_reader from(numbers);
    while (!from.rest().empty()) {
      const auto id = from.get<std::uint64_t>();
      if (objects) objects->release(id);
    }
  }

  pool::channel line_;
  post office_;
  reception reception_{line_, [this](const pool::incoming_frame& came) { take(came); },
                       [] { post::end_process(); }};
  std::shared_ptr<pool::thread_pool> workers_;
  std::mutex mutex_;
  pool::job_ptr current_;  // the last call that came
};

}  // namespace erlpy::process

#endif
