// What is asked of a stream, in one atomic word: how many values, and whether it is to close.
//
// The word is zero exactly while nobody works on the stream. Who makes it more than zero has to see to it
// that the worker runs it; the worker goes on until settle() brings it back to zero. So a demand is neither
// lost nor run twice, and a stream is queued once at most.
#ifndef ERLPY_STREAM_SIGNALS_HPP
#define ERLPY_STREAM_SIGNALS_HPP

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace erlpy::stream {

class signals {
 public:
  // Open demand, at most; what goes beyond is cut off.
  static constexpr std::uint64_t most = std::uint64_t{1} << 60U;

  enum class asked : std::uint8_t { idle, busy, closing, ended };  // what the stream was before

  // Any thread. After `idle` the caller schedules the stream.
  [[nodiscard]] asked demand(std::uint64_t count) noexcept {
    auto before = word_.load(std::memory_order_relaxed);
    do {
      if ((before & ended_bit) != 0) return asked::ended;
    } while (!word_.compare_exchange_weak(
        before, (before & close_bit) | (std::min((before & count_bits) + std::min(count, most), most)),
        std::memory_order_acq_rel));
    return before == 0 ? asked::idle : asked::busy;
  }
  [[nodiscard]] asked close() noexcept {
    const auto before = word_.fetch_or(close_bit, std::memory_order_acq_rel);
    if ((before & ended_bit) != 0) return asked::ended;
    if ((before & close_bit) != 0) return asked::closing;
    return before == 0 ? asked::idle : asked::busy;
  }

  // What is still wanted; zero if it is to close.
  [[nodiscard]] std::uint64_t open() const noexcept {
    const auto now = word_.load(std::memory_order_acquire);
    return (now & close_bit) != 0 ? 0 : now & count_bits;
  }
  [[nodiscard]] bool closing() const noexcept {
    return (word_.load(std::memory_order_acquire) & close_bit) != 0;
  }
  // The worker, with so many values made: whether there is more to do.
  [[nodiscard]] bool settle(std::uint64_t made) noexcept {
    return word_.fetch_sub(made, std::memory_order_seq_cst) != made;
  }
  // Nobody works on it.
  [[nodiscard]] bool idle() const noexcept { return word_.load(std::memory_order_seq_cst) == 0; }
  // The worker: nothing will be done any more.
  void end() noexcept { word_.store(ended_bit | close_bit, std::memory_order_release); }

 private:
  static constexpr std::uint64_t close_bit = std::uint64_t{1} << 63U;
  static constexpr std::uint64_t ended_bit = std::uint64_t{1} << 62U;
  static constexpr std::uint64_t count_bits = ended_bit - 1;

  std::atomic<std::uint64_t> word_{0};
};

}  // namespace erlpy::stream

#endif
