// A worker as its pool sees it: who fills a seat, takes the jobs of the seat's lane, and has the seat's
// streams. What runs them is the business of the kinds: a thread of this process (thread_worker), or another
// OS process (process_worker).
#ifndef ERLPY_POOL_WORKER_HPP
#define ERLPY_POOL_WORKER_HPP

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <erlpy/data_model.hpp>
#include <erlpy/pool/job.hpp>
#include <erlpy/pool/mailbox.hpp>
#include <erlpy/pool/options.hpp>
#include <erlpy/pool/residents.hpp>

namespace erlpy::pool {

// What belongs to a place in the pool rather than to the worker that fills it at the moment.
struct slot {
  std::size_t index = 0;
  std::shared_ptr<object_holder> objects;  // of its worker, under the pool's lock; null before the first
  std::atomic<std::uint64_t> calls{0}, errors{0}, restarts{0}, busy_us{0}, streams{0};
};

// Why a worker did not start: the class of a Python exception, or none, and a message.
struct start_failure {
  std::string class_name;
  std::string message;
};

class worker : public std::enable_shared_from_this<worker> {
 public:
  worker(slot& place, mailbox& jobs, const options& settings)
      : place_(place), jobs_(jobs), settings_(settings), residents_(place.streams), objects_(place.objects) {}
  worker(const worker&) = delete;
  worker& operator=(const worker&) = delete;
  virtual ~worker() = default;

  // The life of the thread that takes the jobs.
  virtual void main() = 0;

  [[nodiscard]] const options& settings() const noexcept { return settings_; }
  [[nodiscard]] slot& place() const noexcept { return place_; }
  // Any thread: the objects that Erlang holds of this worker, which its place may have others for by now.
  [[nodiscard]] const std::shared_ptr<object_holder>& objects() const noexcept { return objects_; }

  // From a job, before it answers: so that a caller with an answer finds its call in the statistics.
  void count(bool good) noexcept {
    place_.calls.fetch_add(1, std::memory_order_relaxed);
    if (!good) place_.errors.fetch_add(1, std::memory_order_relaxed);
  }

  // On its thread: this worker has one stream more. It goes with disown(), or when the worker leaves.
  void adopt(resident& added) { residents_.add(added); }
  void disown(resident& gone) noexcept { residents_.remove(gone); }
  // Any thread.
  [[nodiscard]] std::vector<job_ptr> residents() { return residents_.all(); }
  // Any thread: the stream has something to do here. False: the pool has stopped.
  [[nodiscard]] bool schedule(resident& busy) { return jobs_.schedule(busy, place_.index); }

  // Any thread: it is out of the pool, whose seat has another worker.
  [[nodiscard]] virtual bool abandoned() = 0;
  [[nodiscard]] virtual bool busy() = 0;
  // Any thread: the job under way, if any.
  [[nodiscard]] virtual job_ptr current() = 0;
  // Any thread: the worker leaves as soon as it can.
  void retire() noexcept { retired_.store(true, std::memory_order_release); }

 protected:
  [[nodiscard]] bool leaving() const noexcept { return retired_.load(std::memory_order_acquire); }

  slot& place_;
  mailbox& jobs_;
  const options& settings_;
  resident_list residents_;

 private:
  const std::shared_ptr<object_holder> objects_;
  std::atomic<bool> retired_{false};
};

}  // namespace erlpy::pool

#endif
