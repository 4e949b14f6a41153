// The Python objects of one worker process that this process holds: by number, until they are released.
#ifndef ERLPY_POOL_REMOTE_OBJECTS_HPP
#define ERLPY_POOL_REMOTE_OBJECTS_HPP

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include <erlpy/data_model.hpp>

namespace erlpy::pool {

class remote_objects final : public object_holder {
 public:
  // `wake` gets take_released() called soon; any thread.
  explicit remote_objects(std::function<void()> wake) : owner_(next_owner()), wake_(std::move(wake)) {}

  [[nodiscard]] std::uint64_t owner() const noexcept override { return owner_; }
  [[nodiscard]] bool closed() const noexcept override { return closed_.load(std::memory_order_acquire); }
  [[nodiscard]] std::size_t held() const noexcept override {
    return closed() ? 0 : held_.load(std::memory_order_relaxed);
  }
  void lent() noexcept override { held_.fetch_add(1, std::memory_order_relaxed); }
  void release(std::uint64_t id) noexcept override {
    held_.fetch_sub(1, std::memory_order_relaxed);
    if (closed()) return;
    bool was_empty = false;
    {
      const std::lock_guard lock(mutex_);
      was_empty = released_.empty();
      released_.push_back(id);
    }
    if (was_empty) wake_();
  }
  void shut() noexcept override { closed_.store(true, std::memory_order_release); }

  // What was released since; the worker is to hear of it.
  [[nodiscard]] std::vector<std::uint64_t> take_released() {
    const std::lock_guard lock(mutex_);
    return std::exchange(released_, {});
  }

 private:
  const std::uint64_t owner_;
  std::function<void()> wake_;
  std::atomic<bool> closed_{false};
  std::atomic<std::size_t> held_{0};
  std::mutex mutex_;  // a leaf
  std::vector<std::uint64_t> released_;
};

}  // namespace erlpy::pool

#endif
