// A place in a pool: what belongs to it, and the worker that fills it at the moment.
#ifndef ERLPY_POOL_SEAT_HPP
#define ERLPY_POOL_SEAT_HPP

#include <atomic>
#include <memory>

#include <erlpy/pool/job.hpp>
#include <erlpy/pool/mailbox.hpp>
#include <erlpy/pool/options.hpp>
#include <erlpy/pool/worker.hpp>

namespace erlpy::pool {

// Under the pool's lock, but for the counters of `place`.
struct seat {
  slot place;
  std::shared_ptr<worker> thread;
  bool ready = false;
  job_ptr overdue;  // what it is stuck with, where max_abandoned forbids a replacement

  [[nodiscard]] worker_stats stats(const mailbox& jobs) const {
    const auto value = [](const std::atomic<std::uint64_t>& counter) {
      return counter.load(std::memory_order_relaxed);
    };
    worker_stats result;
    result.index = place.index;
    result.state = !thread           ? worker_state::down
                   : !ready          ? worker_state::starting
                   : overdue         ? worker_state::stuck
                   : thread->busy()  ? worker_state::busy
                                     : worker_state::idle;
    result.queued = jobs.queued(place.index);
    result.calls = value(place.calls);
    result.errors = value(place.errors);
    result.restarts = value(place.restarts);
    result.busy_us = value(place.busy_us);
    result.objects = place.objects ? place.objects->held() : 0;
    result.streams = value(place.streams);
    return result;
  }
};

}  // namespace erlpy::pool

#endif
