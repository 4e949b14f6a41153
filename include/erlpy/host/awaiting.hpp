// co_await on an arrival.
#ifndef ERLPY_HOST_AWAITING_HPP
#define ERLPY_HOST_AWAITING_HPP

#include <coroutine>
#include <utility>

#include <erlpy/host/arrival.hpp>
#include <erlpy/pool/job.hpp>

namespace erlpy::host {

// Lives in the coroutine that waits. One that is destroyed meanwhile is not resumed.
class awaiting {
 public:
  // `whose`: what has the arrival, which must be there to be told that this is gone. `where`: see
  // completions.
  awaiting(pool::job_ptr whose, arrival& what, executor where) noexcept
      : whose_(std::move(whose)), what_(what), where_(std::move(where)) {}
  awaiting(const awaiting&) = delete;
  awaiting& operator=(const awaiting&) = delete;
  ~awaiting() {
    if (waiting_) what_.forget(waiting_);
  }

  [[nodiscard]] bool await_ready() const { return what_.here(); }
  [[nodiscard]] bool await_suspend(std::coroutine_handle<> waiting) {
    waiting_ = waiting;  // first: once it can be resumed, nothing here is this thread's to touch
    if (what_.resume_then(waiting, std::move(where_))) return true;
    waiting_ = nullptr;
    return false;
  }
  void await_resume() noexcept { waiting_ = nullptr; }

 private:
  pool::job_ptr whose_;
  arrival& what_;
  executor where_;
  std::coroutine_handle<> waiting_;
};

}  // namespace erlpy::host

#endif
