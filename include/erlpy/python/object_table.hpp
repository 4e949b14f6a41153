// The Python objects that Erlang holds by reference, one table for each worker slot.
//
// An entry is put in and found by threads attached to the interpreter; it is released by number from
// any thread (Erlang's garbage collector is the caller), which takes effect at the next `drain()` on
// the slot's own worker. A closed table has let everything go and finds nothing.
#ifndef ERLPY_PYTHON_OBJECT_TABLE_HPP
#define ERLPY_PYTHON_OBJECT_TABLE_HPP

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include <erlpy/data_model.hpp>
#include <erlpy/python/ref.hpp>

namespace erlpy::python {

class object_table final : public object_holder {
 public:
  // `wake` gets the slot's worker to drain; it is called from any thread, without a lock.
  // `owner`: its number, where another OS process gives the numbers.
  explicit object_table(std::function<void()> wake, std::uint64_t owner = next_owner())
      : owner_(owner), wake_(std::move(wake)) {}

  [[nodiscard]] std::uint64_t owner() const noexcept override { return owner_; }
  [[nodiscard]] bool closed() const noexcept override { return closed_.load(std::memory_order_acquire); }
  [[nodiscard]] std::size_t held() const noexcept override { return held_.load(std::memory_order_relaxed); }

  // Attached to the interpreter.
  [[nodiscard]] object_ref hold(ref object, bool generator) {
    const std::lock_guard lock(mutex_);
    if (closed()) throw conversion_error(fault::object_gone, "the worker that would hold the object is gone");
    std::uint32_t index = 0;
    if (free_.empty()) {
      index = static_cast<std::uint32_t>(entries_.size());
      entries_.emplace_back();
      if (free_.capacity() < entries_.size()) free_.reserve(entries_.capacity());  // drain() never allocates
    } else {
      index = free_.back();
      free_.pop_back();
    }
    entry& slot = entries_[index];
    slot.object = std::move(object);
    held_.fetch_add(1, std::memory_order_relaxed);
    return {owner_, (std::uint64_t{slot.generation} << 32U) | index, generator};
  }

  // Attached to the interpreter. Error: fault::object_gone.
  [[nodiscard]] ref find(std::uint64_t id) {
    const std::lock_guard lock(mutex_);
    entry* found = closed() ? nullptr : locate(id);
    if (found == nullptr) throw conversion_error(fault::object_gone, "the object was released");
    return found->object;
  }

  // Any thread, no GIL needed.
  void release(std::uint64_t id) noexcept override {
    bool was_empty = false;
    {
      const std::lock_guard lock(released_mutex_);
      if (closed()) return;
      was_empty = released_.empty();
      released_.push_back(id);
      waiting_.store(true, std::memory_order_relaxed);
    }
    if (was_empty && wake_) wake_();
  }

  // Whether drain() has something to do; a look without the lock.
  [[nodiscard]] bool waiting() const noexcept { return waiting_.load(std::memory_order_relaxed); }

  // On the slot's worker, with the GIL: lets go of what was released.
  void drain() {
    std::vector<std::uint64_t> ids;
    {
      const std::lock_guard lock(released_mutex_);
      if (released_.empty()) return;
      ids.swap(released_);
      waiting_.store(false, std::memory_order_relaxed);
    }
    for (const std::uint64_t id : ids) {
      ref gone;  // destroyed outside the lock: it may run Python
      {
        const std::lock_guard lock(mutex_);
        if (entry* found = locate(id)) {
          gone = std::move(found->object);
          ++found->generation;
          free_.push_back(static_cast<std::uint32_t>(id));
          held_.fetch_sub(1, std::memory_order_relaxed);
        }
      }
    }
  }

  // close() follows on the worker.
  void shut() noexcept override { closed_.store(true, std::memory_order_release); }

  // With the GIL: lets everything go, for good.
  void close() {
    std::vector<entry> gone;
    {
      const std::scoped_lock lock(mutex_, released_mutex_);
      closed_.store(true, std::memory_order_release);
      gone.swap(entries_);
      free_.clear();
      released_.clear();
      held_.store(0, std::memory_order_relaxed);
    }
  }

 private:
  struct entry {
    ref object;
    std::uint32_t generation = 1;  // tells a reused index from the one that was released
  };

  [[nodiscard]] entry* locate(std::uint64_t id) noexcept {
    const auto index = static_cast<std::uint32_t>(id);
    if (index >= entries_.size()) return nullptr;
    entry& found = entries_[index];
    return found.object && found.generation == static_cast<std::uint32_t>(id >> 32U) ? &found : nullptr;
  }

  const std::uint64_t owner_;
  std::function<void()> wake_;
  std::atomic<bool> closed_{false};
  std::atomic<bool> waiting_{false};
  std::atomic<std::size_t> held_{0};
  std::mutex mutex_;  // entries_, free_; a leaf: no Python runs under it
  std::vector<entry> entries_;
  std::vector<std::uint32_t> free_;
  std::mutex released_mutex_;  // released_; a leaf
  std::vector<std::uint64_t> released_;
};

}  // namespace erlpy::python

#endif
