// generator<T, Return, Input>: a coroutine that yields values of T one by one, whoever drives it.
//
// It differs from std::generator in four things. It may suspend without a value (`co_await pending{w}`),
// so that one thread drives many that wait. It returns a value besides those that it yields. Its caller
// may hand it an Input with every resume. And it is driven by resume(), the range is an adaptor on top.
//
// Inside a coroutine:
//   co_yield value               suspends with it: an rvalue and an lvalue of T go by address, a const one is
//                                copied, anything else is converted. Evaluates to the Input of the resume
//                                that continues it (to nothing if Input is void).
//   co_yield elements_of{other}  runs another generator of the same T and Input in its place: values and
//                                pendings go straight to the caller, at O(1) a value however deep the nest;
//                                what it throws comes out here; evaluates to its Return. It may be half way.
//   co_await current_input{}     the Input of the resume that came last. An input is there once: what a
//                                co_yield has given, or this, is Input{} from then on.
//   co_await pending{waiter}     suspends without a value.
//
// GCC 12 miscompiles three things in any coroutine. Write them otherwise if it is to compile yours:
//   co_yield b ? x : make()      destroys a value twice: yield a named object. Also an aggregate with a
//                                destructor that is made on the spot, which is refused at compile time.
//   if (co_yield 3)              with a temporary as operand, in any condition, never suspends: take the
//                                result first, if (auto got = co_yield 3; got).
//   x ? co_yield 1 : co_yield 2  destroys an Input twice: use a statement for each.
//
// It starts with the first resume. One allocation a coroutine, none a value. A generator is used by one
// thread at a time, and not from inside itself; it need not always be the same thread.
#ifndef ERLPY_STREAM_GENERATOR_HPP
#define ERLPY_STREAM_GENERATOR_HPP

#include <cassert>
#include <concepts>
#include <coroutine>
#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>

#include <erlpy/error.hpp>
#include <erlpy/stream/detail/frame.hpp>

namespace erlpy::stream {

// What can be yielded, returned, and handed in.
template <class T>
concept yieldable = std::is_object_v<T> && std::same_as<T, std::remove_cv_t<T>>;
template <class R>
concept returnable = std::is_void_v<R> ||(std::is_object_v<R>&& std::move_constructible<R>);
template <class I>
concept input_value = std::is_void_v<I> ||(std::default_initializable<I>&& std::movable<I>);

template <yieldable T, returnable Return = void, input_value Input = void>
class generator;

// `co_yield elements_of{std::move(g)}` nests the generator g. It has a constructor because GCC 12 destroys a
// temporary aggregate of a co_yield twice.
template <class G>
struct elements_of {
  explicit elements_of(G generator) noexcept : inner(std::move(generator)) {}
  G inner;
};

struct current_input {};

struct pending {
  waiter& reason;  // outlives the suspension
};

namespace detail {

// What GCC 12 would destroy twice, were it yielded as a temporary.
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
template <class T>
concept yielded_by_name = std::is_aggregate_v<T> && !std::is_trivially_destructible_v<T>;
#else
template <class T>
concept yielded_by_name = false;
#endif

// The result of a coroutine, from its co_return until somebody takes it.
template <class Return>
class result_slot {
 public:
  template <class U = Return>
  requires std::convertible_to<U, Return>
  void return_value(U&& value) { value_.emplace(std::forward<U>(value)); }
  [[nodiscard]] Return take_result() {
    if (!value_) throw error("the generator has no result: not ended, ended by an exception, or taken");
    Return taken = std::move(*value_);
    value_.reset();
    return taken;
  }

 private:
  std::optional<Return> value_;
};

template <>
class result_slot<void> {
 public:
  void return_void() noexcept {}
  void take_result() noexcept {}
};

template <class T, class Return, class Input>
class promise final : public frame<T, Input>, public result_slot<Return> {
  using base = frame<T, Input>;
  using self_handle = std::coroutine_handle<promise>;

  // Suspends with the value at an address, which holds until the coroutine goes on.
  struct yield_address {
    base& at;
    T* value;

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(self_handle) noexcept {
      at.shared().value = value;
      at.shared().last = progress::value;
    }
    Input await_resume() { return at.shared().take_input(); }
  };

  // Suspends with a copy of its own.
  struct yield_copy {
    base& at;
    T copy;

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(self_handle) noexcept {
      at.shared().value = std::addressof(copy);
      at.shared().last = progress::value;
    }
    Input await_resume() { return at.shared().take_input(); }
  };

  // Suspends until another generator has ended, and owns it.
  template <class Inner>
  class nest {
   public:
    nest(base& outer, Inner&& inner) noexcept : outer_(outer), inner_(std::move(inner)) {}

    [[nodiscard]] bool await_ready() const noexcept { return inner_.done(); }
    void await_suspend(self_handle) noexcept { outer_.enter(*inner_.frame_, inner_.frame_); }
    auto await_resume() {
      outer_.rethrow();
      return inner_.result();
    }

   private:
    base& outer_;
    Inner inner_;
  };

  struct suspend_pending {
    base& at;
    waiter& reason;

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(self_handle) noexcept {
      at.shared().waits_for = &reason;
      at.shared().last = progress::pending;
    }
    void await_resume() const noexcept {}
  };

  struct give_input {
    base& at;

    [[nodiscard]] bool await_ready() const noexcept { return true; }
    void await_suspend(self_handle) const noexcept {}
    Input await_resume() { return at.shared().take_input(); }
  };

  struct end {
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(self_handle self) noexcept { self.promise().leave(); }
    void await_resume() const noexcept {}
  };

 public:
  promise() noexcept : base(self_handle::from_promise(*this)) {}

  [[nodiscard]] generator<T, Return, Input> get_return_object() noexcept {
    return generator<T, Return, Input>(*this);
  }
  [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
  [[nodiscard]] end final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { this->fail(); }

  [[nodiscard]] yield_address yield_value(T& value) noexcept { return {*this, std::addressof(value)}; }
  [[nodiscard]] yield_address yield_value(T&& value) noexcept requires(!yielded_by_name<T>) {
    return {*this, std::addressof(value)};
  }
  yield_address yield_value(T&& value) requires yielded_by_name<T>
  = delete;
  [[nodiscard]] yield_copy yield_value(const T& value) requires std::copy_constructible<T> {
    return {*this, value};
  }
  template <class InnerReturn>
  [[nodiscard]] auto yield_value(elements_of<generator<T, InnerReturn, Input>>&& all) noexcept {
    return nest<generator<T, InnerReturn, Input>>(*this, std::move(all.inner));
  }

  // Nothing else can be awaited: whoever drives a generator would not know of it.
  [[nodiscard]] suspend_pending await_transform(pending on) noexcept { return {*this, on.reason}; }
  [[nodiscard]] give_input await_transform(current_input) noexcept requires(!std::is_void_v<Input>) {
    return {*this};
  }
};

}  // namespace detail

// Move-only. Destroying it half way destroys the coroutine's frame, nested ones first. An empty one (made
// by default, moved from) is one that has ended.
template <yieldable T, returnable Return, input_value Input>
class [[nodiscard]] generator : public std::ranges::view_base {
 public:
  using value_type = T;
  using promise_type = detail::promise<T, Return, Input>;
  class iterator;

  generator() noexcept = default;
  generator(generator&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  generator& operator=(generator&& other) noexcept {
    generator taken(std::move(other));
    std::swap(frame_, taken.frame_);
    return *this;
  }
  ~generator() {
    if (frame_ != nullptr) frame_->destroy();
  }

  // Runs the coroutine up to its next value, pending or end, with Input{} if it takes one. What the
  // coroutine throws comes out, and then it has ended. After the end: done again, with no effect.
  [[nodiscard]] progress resume() {
    if (frame_ == nullptr) return progress::done;
    if constexpr (!std::is_void_v<Input>) frame_->shared().input = Input{};
    return frame_->run();
  }
  // The same, with an input.
  [[nodiscard]] progress resume(detail::input_of<Input> input) requires(!std::is_void_v<Input>) {
    if (frame_ == nullptr) return progress::done;
    frame_->shared().input = std::move(input);
    return frame_->run();
  }

  // The value, after progress::value and until the next resume. It may be moved from: unless the coroutine
  // says otherwise, it does not look at it again.
  [[nodiscard]] T& value() noexcept {
    assert(frame_ != nullptr && frame_->shared().last == progress::value);
    return *frame_->shared().value;
  }

  // What the coroutine returned, after progress::done; moved out, so once. Else erlpy::error.
  Return result() {
    if constexpr (!std::is_void_v<Return>) {
      if (frame_ == nullptr) throw error("an empty generator has no result");
      return static_cast<promise_type*>(frame_)->take_result();
    }
  }

  [[nodiscard]] bool done() const noexcept {
    return frame_ == nullptr || frame_->shared().last == progress::done;
  }

  // After progress::pending: what has to happen before it is worth resuming; else null.
  [[nodiscard]] waiter* waiting_for() const noexcept {
    if (frame_ == nullptr || frame_->shared().last != progress::pending) return nullptr;
    return frame_->shared().waits_for;
  }

  // The values from here on as an input range of T&, single pass: begin() runs to the next value. Waits
  // where the coroutine is pending. Errors: what the coroutine and its waiters throw.
  [[nodiscard]] iterator begin() {
    iterator first(*this);
    ++first;
    return first;
  }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

 private:
  friend promise_type;
  template <class, class, class>
  friend class detail::promise;

  explicit generator(promise_type& promise) noexcept : frame_(&promise) {}

  detail::frame<T, Input>* frame_ = nullptr;
};

template <yieldable T, returnable Return, input_value Input>
class generator<T, Return, Input>::iterator {
 public:
  using iterator_concept = std::input_iterator_tag;
  using value_type = T;
  using difference_type = std::ptrdiff_t;

  [[nodiscard]] T& operator*() const noexcept { return of_->value(); }
  iterator& operator++() {
    while (of_->resume() == progress::pending) of_->waiting_for()->wait();
    return *this;
  }
  void operator++(int) { ++*this; }
  [[nodiscard]] friend bool operator==(const iterator& at, std::default_sentinel_t) noexcept {
    return at.of_->done();
  }

 private:
  friend generator;
  explicit iterator(generator& of) noexcept : of_(&of) {}

  generator* of_;
};

}  // namespace erlpy::stream

namespace erlpy {
using stream::generator;
}  // namespace erlpy

#endif
