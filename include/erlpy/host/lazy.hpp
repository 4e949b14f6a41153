// lazy<T>: a coroutine of the library that starts when it is awaited, and goes on into its caller.
//
// Its caller resumes nothing: whoever resumes what it waits for does. It is awaited once, where it was made.
// One that is destroyed while it waits takes what it waits on with it.
#ifndef ERLPY_HOST_LAZY_HPP
#define ERLPY_HOST_LAZY_HPP

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
  [[nodiscard]] std::coroutine_handle<> await_suspend(std::coroutine_handle<> caller) noexcept {
    self_.promise().caller = caller;
    return self_;
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
  // To the caller, without a frame of the stack for each that ends.
  struct back {
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    [[nodiscard]] std::coroutine_handle<> await_suspend(handle ended) const noexcept {
      return ended.promise().caller;
    }
    void await_resume() const noexcept {}
  };

  lazy get_return_object() noexcept { return lazy(handle::from_promise(*this)); }
  [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
  [[nodiscard]] back final_suspend() const noexcept { return {}; }
  void return_value(T given) { value.emplace(std::move(given)); }
  void unhandled_exception() noexcept { failed = std::current_exception(); }

  std::coroutine_handle<> caller;
  std::optional<T> value;
  std::exception_ptr failed;
};

}  // namespace erlpy::host

#endif
