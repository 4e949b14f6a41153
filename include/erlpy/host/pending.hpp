// The handle of a call that is under way: to be waited for, awaited, or given up.
#ifndef ERLPY_HOST_PENDING_HPP
#define ERLPY_HOST_PENDING_HPP

#include <chrono>
#include <coroutine>
#include <memory>
#include <mutex>
#include <utility>

#include <erlpy/host/call.hpp>
#include <erlpy/pool/timer.hpp>

namespace erlpy {

// Belongs to one thread or coroutine at a time. Dropping it gives the call up; where the call borrows memory
// (see host/arguments.hpp), that waits until the worker has let go of it.
template <class R>
class [[nodiscard]] pending {
 public:
  using clock = std::chrono::steady_clock;

  // Made by interpreter_pool.
  pending(host::typed_call<R>* call, host::deadline until) noexcept
      : share_(call), call_(call), until_(until) {}
  pending(pending&& other) noexcept
      : share_(std::move(other.share_)),
        call_(std::exchange(other.call_, nullptr)),
        until_(other.until_),
        where_(std::move(other.where_)),
        alarm_(std::move(other.alarm_)) {}
  pending& operator=(pending&& other) noexcept {
    if (this != &other) {
      drop();
      share_ = std::move(other.share_);
      call_ = std::exchange(other.call_, nullptr);
      until_ = other.until_;
      where_ = std::move(other.where_);
      alarm_ = std::move(other.alarm_);
    }
    return *this;
  }
  ~pending() { drop(); }

  // Waits for the result, once; with the GIL given up, should this thread hold it. Errors: python_error,
  // call_error (timeout after the deadline of call_options), cpp::mismatch, conversion_error.
  decltype(auto) get() {
    call_->wait(until_);
    return call_->value();
  }
  // The same, not longer than `limit`: after that the call is given up.
  decltype(auto) get(std::chrono::milliseconds limit) {
    const host::deadline end = host::deadline_after(limit);
    call_->wait(until_ && (!end || *until_ < *end) ? until_ : end);
    return call_->value();
  }
  // Whether get() would not wait.
  [[nodiscard]] bool ready() const { return call_->arrived().here(); }
  // Gives the call up: get() throws call_error (cancelled), unless the result has come already.
  void cancel() { call_->give_up_for(call_failure::cancelled); }
  // Lets the call go on without its caller. Where it borrows memory, waits for its end.
  void detach() {
    if (call_->lends()) call_->wait(until_);
    disarm();
    call_->wait_for_lent();
    call_ = nullptr;
    share_ = {};
  }

  // co_await: the coroutine goes on where `where` takes it; without, on a thread of the library that is not a
  // worker, without the GIL. It must not block that thread: others wait for it.
  [[nodiscard]] pending&& via(executor where) && noexcept {
    where_ = std::move(where);
    return std::move(*this);
  }
  class awaiter;
  [[nodiscard]] awaiter operator co_await() { return awaiter(*this); }

 private:
  // What the timer has of a call that is awaited: nothing, once the handle is gone.
  struct alarm {
    std::mutex mutex;
    host::typed_call<R>* call = nullptr;
  };

  // A coroutine has nobody who looks at the clock for it.
  void arm() {
    if (!until_) return;
    alarm_ = std::make_shared<alarm>();
    alarm_->call = call_;
    pool::timer::instance().at(*until_, [set = alarm_] {
      const std::lock_guard lock(set->mutex);
      if (set->call != nullptr) set->call->give_up_for(call_failure::timeout);
    });
  }
  void disarm() noexcept {
    if (!alarm_) return;
    const std::lock_guard lock(alarm_->mutex);
    alarm_->call = nullptr;
  }

  void drop() noexcept {
    disarm();
    if (call_ == nullptr) return;
    if (!call_->arrived().here()) call_->give_up_for(call_failure::cancelled);
    call_->wait_for_lent();
    call_ = nullptr;
  }

  pool::job_ptr share_;
  host::typed_call<R>* call_;
  host::deadline until_;
  executor where_;
  std::shared_ptr<alarm> alarm_;
};

// Lives in the coroutine that waits. One that is destroyed meanwhile is not resumed.
template <class R>
class pending<R>::awaiter {
 public:
  explicit awaiter(pending& self) noexcept : self_(self), share_(self.share_), call_(self.call_) {}
  awaiter(const awaiter&) = delete;
  awaiter& operator=(const awaiter&) = delete;
  ~awaiter() {
    if (waiting_) call_->arrived().forget(waiting_);
  }
  [[nodiscard]] bool await_ready() const { return call_->arrived().here(); }
  [[nodiscard]] bool await_suspend(std::coroutine_handle<> waiting) {
    self_.arm();
    waiting_ = waiting;  // first: once it can be resumed, nothing here is this thread's to touch
    if (call_->arrived().resume_then(waiting, std::move(self_.where_))) return true;
    waiting_ = nullptr;
    return false;
  }
  decltype(auto) await_resume() {
    waiting_ = nullptr;
    self_.disarm();
    return call_->value();
  }

 private:
  pending& self_;
  pool::job_ptr share_;  // of the call, which must be there to be told that this is gone
  host::typed_call<R>* call_;
  std::coroutine_handle<> waiting_;
};

}  // namespace erlpy

#endif
