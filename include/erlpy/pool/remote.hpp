// Jobs and streams whose work is done in another process: what a process_worker calls back.
#ifndef ERLPY_POOL_REMOTE_HPP
#define ERLPY_POOL_REMOTE_HPP

#include <erlpy/pool/frame.hpp>
#include <erlpy/pool/job.hpp>

namespace erlpy::pool {

// Its run() asks the worker (process_worker::ask), or has answered already.
class remote_job : public job {
 public:
  // On the worker's thread: `good` says whether it is a result or a reason.
  virtual void answered(worker& on, bool good, bytes_view payload) noexcept = 0;
};

// Hears the frames of one stream.
class frame_listener {
 public:
  frame_listener() = default;
  frame_listener(const frame_listener&) = delete;
  frame_listener& operator=(const frame_listener&) = delete;
  // On the worker's thread.
  virtual void heard(worker& on, const incoming_frame& frame) noexcept = 0;

 protected:
  ~frame_listener() = default;
};

}  // namespace erlpy::pool

#endif
