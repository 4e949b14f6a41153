// lazy<T>: a coroutine of the library that starts when it is awaited, and goes on into its caller.
//
// Its caller resumes nothing: whoever resumes what it waits for does. It is awaited once, where it was made.
// One that is destroyed while it waits takes what it waits on with it. One that ends without having waited
// returns into its caller: a caller that awaits many in a row uses no more stack for that, whatever the
// compiler makes of symmetric transfer (GCC without optimisation: a call).
#ifndef ERLPY_HOST_LAZY_HPP
#define ERLPY_HOST_LAZY_HPP

#include <atomic>
#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

namespace erlpy::host {

template <class T>
class [[nodiscard]] lazy {
 public:
  struct promise_type;
  using handle = std::coroutine_handle<promise_type>;

  lazy(lazy&& other) noexcept : self_(std::exchange(other.self_, nullptr)) {}
  lazy& operator=(lazy&&) = delete;
  ~lazy() {
    if (self_) self_.destroy();
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  [[nodiscard]] bool await_suspend(std::coroutine_handle<> caller) {
    self_.promise().caller = caller;
    self_.resume();
    return !self_.promise().second.exchange(true, std::memory_order_acq_rel);
  }
  T await_resume() {
    if (self_.promise().failed) std::rethrow_exception(self_.promise().failed);
    return std::move(*self_.promise().value);
  }

 private:
  explicit lazy(handle self) noexcept : self_(self) {}

  handle self_;
};

template <class T>
struct lazy<T>::promise_type {
  // The caller goes on by itself if it is still in await_suspend(), which may be another thread. It may
  // destroy this coroutine as soon as it knows.
  struct back {
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(handle ended) const noexcept {
      const std::coroutine_handle<> caller = ended.promise().caller;
      if (ended.promise().second.exchange(true, std::memory_order_acq_rel)) caller.resume();
    }
    void await_resume() const noexcept {}
  };

  lazy get_return_object() noexcept { return lazy(handle::from_promise(*this)); }
  [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
  [[nodiscard]] back final_suspend() const noexcept { return {}; }
  void return_value(T given) { value.emplace(std::move(given)); }
  void unhandled_exception() noexcept { failed = std::current_exception(); }

  std::atomic<bool> second{false};  // of two that are due: this has ended, its caller waits
  std::coroutine_handle<> caller;
  std::optional<T> value;
  std::exception_ptr failed;
};

}  // namespace erlpy::host

#endif
