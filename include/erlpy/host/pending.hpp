// The handle of a call that is under way: to be waited for, awaited, or given up.
#ifndef ERLPY_HOST_PENDING_HPP
#define ERLPY_HOST_PENDING_HPP

#include <chrono>
#include <coroutine>
#include <utility>

#include <erlpy/host/alarm.hpp>
#include <erlpy/host/awaiting.hpp>
#include <erlpy/host/call.hpp>

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
        late_(std::move(other.late_)) {}
  pending& operator=(pending&& other) noexcept {
    if (this != &other) {
      drop();
      share_ = std::move(other.share_);
      call_ = std::exchange(other.call_, nullptr);
      until_ = other.until_;
      where_ = std::move(other.where_);
      late_ = std::move(other.late_);
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
  // Whether get() would not wait. After the deadline of call_options the call is given up, and it would not.
  [[nodiscard]] bool ready() const {
    if (!call_->arrived().here() && until_ && clock::now() >= *until_)
      call_->give_up_for(call_failure::timeout);
    return call_->arrived().here();
  }
  // Gives the call up: get() throws call_error (cancelled), unless the result has come already.
  void cancel() { call_->give_up_for(call_failure::cancelled); }
  // Lets the call go on without its caller, not longer than its deadline. Where it borrows memory, waits for
  // its end.
  void detach() {
    if (call_->lends()) call_->wait(until_);
    late_.disarm();
    call_->wait_for_lent();
    if (until_) call_->expire_at(*until_);
    call_ = nullptr;
    share_ = {};
  }

  // co_await: the coroutine goes on where `where` takes it; without, on a thread of the library that is not a
  // worker, without the GIL. It must not block that thread: others wait for it. Where the call borrows
  // memory, it goes on when the worker has let go of that, also after the deadline.
  [[nodiscard]] pending via(executor where) && noexcept {
    where_ = std::move(where);
    return std::move(*this);
  }
  class awaiter;
  [[nodiscard]] awaiter operator co_await() { return awaiter(*this); }

 private:
  // A coroutine has nobody who looks at the clock for it.
  void arm() {
    if (!until_) return;
    late_.arm(*until_, [call = call_] { call->give_up_for(call_failure::timeout); });
  }

  void drop() noexcept {
    late_.disarm();
    if (call_ == nullptr) return;
    if (!call_->arrived().here()) call_->give_up_for(call_failure::cancelled);
    call_->wait_for_lent();
    call_ = nullptr;
  }

  pool::job_ptr share_;
  host::typed_call<R>* call_;
  host::deadline until_;
  executor where_;
  host::alarm late_;
};

template <class R>
class pending<R>::awaiter {
 public:
  explicit awaiter(pending& self) noexcept
      : self_(self), call_(self.call_), there_(self.share_, call_->released(), std::move(self.where_)) {}
  [[nodiscard]] bool await_ready() const { return there_.await_ready(); }
  [[nodiscard]] bool await_suspend(std::coroutine_handle<> waiting) {
    self_.arm();
    return there_.await_suspend(waiting);
  }
  decltype(auto) await_resume() {
    there_.await_resume();
    call_->wait(std::nullopt);
    self_.late_.disarm();
    return call_->value();
  }

 private:
  pending& self_;
  host::typed_call<R>* call_;
  host::awaiting there_;
};

}  // namespace erlpy

#endif
