// The streams of one worker: added and removed on its thread, looked at by any.
#ifndef ERLPY_POOL_RESIDENTS_HPP
#define ERLPY_POOL_RESIDENTS_HPP

#include <atomic>
#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <vector>

#include <erlpy/pool/job.hpp>

namespace erlpy::pool {

class resident_list {
 public:
  // `count` follows the size; it is the slot's, so that it covers threads that were replaced too.
  explicit resident_list(std::atomic<std::uint64_t>& count) noexcept : count_(count) {}

  void add(resident& added) {
    const std::lock_guard lock(mutex_);
    if (members_.emplace(&added, &added).second) count_.fetch_add(1, std::memory_order_relaxed);
  }
  void remove(resident& gone) noexcept {
    job_ptr last;  // declared before the lock, so let go of after it
    const std::lock_guard lock(mutex_);
    const auto found = members_.find(&gone);
    if (found == members_.end()) return;
    last = std::move(found->second);
    members_.erase(found);
    count_.fetch_sub(1, std::memory_order_relaxed);
  }
  [[nodiscard]] std::vector<job_ptr> all() {
    std::vector<job_ptr> result;
    const std::lock_guard lock(mutex_);
    result.reserve(members_.size());
    for (const auto& [address, member] : members_) result.push_back(member);
    return result;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<const resident*, job_ptr> members_;
  std::atomic<std::uint64_t>& count_;
};

}  // namespace erlpy::pool

#endif
