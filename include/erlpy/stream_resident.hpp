// What every stream on a worker has, whoever runs its iterable and wherever its values go: shares, what is
// asked of it, and what those look at who interrupt it.
#ifndef ERLPY_STREAM_RESIDENT_HPP
#define ERLPY_STREAM_RESIDENT_HPP

#include <atomic>
#include <cstdint>

#include <erlpy/pool/job.hpp>
#include <erlpy/stream/signals.hpp>

namespace erlpy {

class stream_resident : public pool::counted<pool::resident> {
 public:
  // As a job it has nothing to answer until it is asked for something.
  stream_resident() noexcept { (void)claim(); }

  void discard() noexcept override {}
  [[nodiscard]] bool asynchronous() const noexcept override { return asynchronous_; }
  [[nodiscard]] bool to_interrupt() noexcept override { return !interrupted_.exchange(true); }
  [[nodiscard]] bool over() const noexcept override { return over_.load(std::memory_order_acquire); }

 protected:
  ~stream_resident() override = default;

  stream::signals signals_;
  std::atomic<bool> interrupted_{false};  // the step under way
  std::atomic<bool> over_{false};         // nothing of it will run any more
  bool asynchronous_ = false;             // set as it is opened
  std::uint64_t made_ = 0;                // values since the signals were settled; its worker's
};

}  // namespace erlpy

#endif
