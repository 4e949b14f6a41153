// What the coroutines of a nest of generators know of one another, and how one of them is run.
//
// A generator that yields the elements of another nests it; the outermost is the root, the innermost the
// leaf. The invariants:
//  - The caller resumes the root only. The root's exchange names the leaf, and the leaf is what runs: a
//    value costs the same at every depth.
//  - Every frame of a nest points to the root's exchange, and each but the root to the frame around it.
//  - A frame never resumes another: to go in or out it names the new leaf and suspends, and run() resumes
//    that. So the stack stays flat without symmetric transfer, which no compiler promises unoptimised.
//  - A frame is destroyed after those inside it, in a loop: the stack stays flat here too.
#ifndef ERLPY_STREAM_DETAIL_FRAME_HPP
#define ERLPY_STREAM_DETAIL_FRAME_HPP

#include <coroutine>
#include <cstdint>
#include <exception>
#include <type_traits>
#include <utility>

namespace erlpy::stream {

// How far resume() came: there is a value, the coroutine waits for something, or it has ended.
enum class progress : std::uint8_t { value, pending, done };

// What a pending coroutine waits for. The range adaptor of a plain program calls wait() and resumes; a
// worker never does: it is told.
class waiter {
 public:
  // Blocks until it is worth resuming the coroutine; what it throws comes out of the range adaptor.
  virtual void wait() = 0;

 protected:
  waiter() = default;
  waiter(const waiter&) = default;
  waiter& operator=(const waiter&) = default;
  ~waiter() = default;
};

namespace detail {

struct no_input {};
template <class Input>
using input_of = std::conditional_t<std::is_void_v<Input>, no_input, Input>;

template <class T, class Input>
class frame;

// What the caller of a nest and its leaf tell each other.
template <class T, class Input>
struct exchange {
  explicit exchange(frame<T, Input>* root) noexcept : leaf(root) {}

  frame<T, Input>* leaf;
  T* value = nullptr;  // lives in the leaf's frame
  waiter* waits_for = nullptr;
  std::exception_ptr failure;         // on its way from a frame that ended to the one around it
  progress last = progress::pending;  // what the root's caller was told
  bool leaf_changed = false;
  [[no_unique_address]] input_of<Input> input{};

  // The input is there once: taken again it is the default one.
  [[nodiscard]] Input take_input() {
    if constexpr (!std::is_void_v<Input>) return std::exchange(input, Input{});
  }
};

// The part of a promise that does not depend on what the coroutine returns.
template <class T, class Input>
class frame {
 public:
  using exchange_type = exchange<T, Input>;

  explicit frame(std::coroutine_handle<> self) noexcept : self_(self) {}
  frame(const frame&) = delete;
  frame& operator=(const frame&) = delete;

  // The exchange of the nest that this frame is in.
  [[nodiscard]] exchange_type& shared() const noexcept { return *shared_; }

  // Runs the nest of this root up to its next value, pending or end. What its coroutines let through is
  // thrown; the nest has ended then.
  progress run() {
    if (own_.last == progress::done) return progress::done;
    do {
      own_.leaf_changed = false;
      own_.leaf->self_.resume();
    } while (own_.leaf_changed);
    rethrow();
    return own_.last;
  }

  // Puts `inner`, the root of a nest of its own and perhaps half way, inside this frame, the leaf, which
  // then suspends. `owner` is what destroys `inner` if nobody is faster.
  void enter(frame& inner, frame*& owner) noexcept {
    frame* const leaf = std::exchange(inner.own_.leaf, &inner);
    for (frame* at = leaf; at != &inner; at = at->parent_) at->shared_ = shared_;
    inner.shared_ = shared_;
    inner.parent_ = this;
    inner.owner_ = &owner;
    change_leaf(leaf);
  }

  // This frame, the leaf, has ended; it then suspends for good.
  void leave() noexcept {
    if (parent_ == nullptr) {
      own_.last = progress::done;
    } else {
      change_leaf(parent_);
    }
  }

  void fail() noexcept { shared_->failure = std::current_exception(); }

  // Throws what the frame inside this one, or this root, let through.
  void rethrow() {
    if (shared_->failure) std::rethrow_exception(std::exchange(shared_->failure, nullptr));
  }

  // Destroys the nest of this root, leaf first.
  void destroy() noexcept {
    frame* at = own_.leaf;
    while (at != this) {
      frame* const around = at->parent_;
      *at->owner_ = nullptr;
      at->self_.destroy();
      at = around;
    }
    self_.destroy();
  }

 protected:
  ~frame() = default;

 private:
  void change_leaf(frame* leaf) noexcept {
    shared_->leaf = leaf;
    shared_->leaf_changed = true;
  }

  std::coroutine_handle<> self_;
  frame* parent_ = nullptr;
  frame** owner_ = nullptr;
  exchange_type own_{this};  // in use while this frame is the root
  exchange_type* shared_ = &own_;
};

}  // namespace detail

}  // namespace erlpy::stream

#endif
