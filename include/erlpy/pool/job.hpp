// One call on its way through a pool.
//
// A job is answered at most once. Sending the answer and giving the job up are one atomic step on
// `outcome`: who comes second knows that the other was first. So a caller that gave up gets no late
// message, and one that comes too late to give up knows that its answer is on the way.
#ifndef ERLPY_POOL_JOB_HPP
#define ERLPY_POOL_JOB_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace erlpy::pool {

class worker;

enum class outcome : std::uint8_t { open, sent, timeout, cancelled };

// Why a job did not run to its end.
enum class refusal : std::uint8_t { stopped, replaced, crashed };

class job {
 public:
  job() = default;
  job(const job&) = delete;
  job& operator=(const job&) = delete;

  // On the worker's thread, attached to its interpreter where that is in this process. Tells the worker with
  // count() how the call went, then answers if claim() says so.
  virtual void run(worker& on) noexcept = 0;
  // Any thread, without the GIL, instead of run() or while it runs: answers with the reason if claim()
  // says so.
  virtual void refuse(refusal why) noexcept = 0;
  // Any thread, after the job left its queue without being run: frees what it carries.
  virtual void discard() noexcept = 0;
  // Shared ownership, counted by the host.
  virtual void retain() noexcept = 0;
  virtual void release() noexcept = 0;

  // Whether run() still has something to do.
  [[nodiscard]] virtual bool wanted() const noexcept { return result() == outcome::open; }
  // Whether what runs now is still to be interrupted: what one interruption ends has no need of another,
  // which would hit its clean-up. Says yes once for each step of a resident.
  [[nodiscard]] virtual bool to_interrupt() noexcept { return true; }
  // Whether it waits in the worker's event loop, so that cancel_step() can end what is under way. Any thread.
  [[nodiscard]] virtual bool asynchronous() const noexcept { return false; }
  // Attached, on any thread: cancels the asynchronous step under way, once; by force its
  // clean-up too.
  virtual void cancel_step(bool /*by_force*/) noexcept {}

  // True for exactly one caller, who then must send the answer.
  [[nodiscard]] bool claim() noexcept {
    auto expected = outcome::open;
    return outcome_.compare_exchange_strong(expected, outcome::sent, std::memory_order_acq_rel);
  }
  // After claim(): what was sent was not the last of it.
  void reopen() noexcept { outcome_.store(outcome::open, std::memory_order_release); }
  // Before a resident is asked again.
  void start_again() noexcept {
    stop_.store(false, std::memory_order_relaxed);
    reopen();
  }
  // True if no answer was sent and none will be.
  [[nodiscard]] bool give_up(outcome why) noexcept {
    auto expected = outcome::open;
    const bool mine = outcome_.compare_exchange_strong(expected, why, std::memory_order_acq_rel);
    if (mine) stop();
    return mine;
  }
  [[nodiscard]] outcome result() const noexcept { return outcome_.load(std::memory_order_acquire); }

  // Makes conversions under way end; see walk_limits::stop.
  void stop() noexcept { stop_.store(true, std::memory_order_relaxed); }
  [[nodiscard]] const std::atomic<bool>& stop_flag() const noexcept { return stop_; }

 protected:
  virtual ~job() = default;

 private:
  friend class job_list;
  friend class mailbox;
  friend class resident;

  std::atomic<outcome> outcome_{outcome::open};
  std::atomic<bool> stop_{false};
  // Under the mailbox's lock.
  job* previous_ = nullptr;
  job* next_ = nullptr;
  std::uint64_t ticket_ = 0;      // order of submission
  std::size_t lane_ = 0;          // where it is queued, or the slot that runs it
  enum class place : std::uint8_t { outside, queued, running } place_ = place::outside;
  bool resident_ = false;
};

// A job that stays with one worker and runs there again and again: a stream. `Attached`: as with job::run().
class resident : public job {
 public:
  resident() noexcept { resident_ = true; }
  // Also when nobody wants an answer: then it has to close.
  [[nodiscard]] bool wanted() const noexcept override { return true; }
  // Any thread: nothing of it runs any more.
  [[nodiscard]] virtual bool over() const noexcept = 0;
  // On its worker, attached, in or outside the event loop: goes on with what it has to do.
  virtual void proceed(worker& on) noexcept = 0;
  // On its worker, attached: user code has closed the event loop; what waited there ends.
  virtual void lose_loop(worker& on) noexcept = 0;
  // On its worker, attached, outside of the loop: ends now, for the worker leaves. What it does in the loop
  // for that has a few seconds, is cancelled then, and what is left is told a second time.
  virtual void evict(worker& from, refusal why) noexcept = 0;

 protected:
  ~resident() override = default;
};

// A job, or a kind of job, that counts its shares itself: made with `new`, and given to a job_ptr at once.
template <class Base>
class counted : public Base {
 public:
  using Base::Base;
  void retain() noexcept override { shares_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept override {
    if (shares_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

 protected:
  ~counted() override = default;

 private:
  std::atomic<std::size_t> shares_{0};
};

// Shared ownership of a job.
class job_ptr {
 public:
  job_ptr() noexcept = default;
  explicit job_ptr(job* shared) noexcept : job_(shared) {
    if (job_ != nullptr) job_->retain();
  }
  job_ptr(const job_ptr& other) noexcept : job_ptr(other.job_) {}
  job_ptr(job_ptr&& other) noexcept : job_(std::exchange(other.job_, nullptr)) {}
  job_ptr& operator=(job_ptr other) noexcept {
    std::swap(job_, other.job_);
    return *this;
  }
  ~job_ptr() {
    if (job_ != nullptr) job_->release();
  }
  // Takes over a share that the caller has.
  [[nodiscard]] static job_ptr adopt(job* owned) noexcept {
    job_ptr result;
    result.job_ = owned;
    return result;
  }
  [[nodiscard]] job* get() const noexcept { return job_; }
  [[nodiscard]] job* detach() noexcept { return std::exchange(job_, nullptr); }
  job* operator->() const noexcept { return job_; }
  job& operator*() const noexcept { return *job_; }
  [[nodiscard]] explicit operator bool() const noexcept { return job_ != nullptr; }

 private:
  job* job_ = nullptr;
};

// An intrusive first-in first-out list that owns a share of each job. Not synchronised.
class job_list {
 public:
  [[nodiscard]] bool empty() const noexcept { return head_ == nullptr; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] job* front() const noexcept { return head_; }

  void push_back(job_ptr added) noexcept {
    job* const node = added.detach();
    node->previous_ = tail_;
    node->next_ = nullptr;
    (tail_ != nullptr ? tail_->next_ : head_) = node;
    tail_ = node;
    ++size_;
  }
  void push_front(job_ptr added) noexcept {
    job* const node = added.detach();
    node->previous_ = nullptr;
    node->next_ = head_;
    (head_ != nullptr ? head_->previous_ : tail_) = node;
    head_ = node;
    ++size_;
  }
  // `node` is in this list.
  [[nodiscard]] job_ptr remove(job* node) noexcept {
    (node->previous_ != nullptr ? node->previous_->next_ : head_) = node->next_;
    (node->next_ != nullptr ? node->next_->previous_ : tail_) = node->previous_;
    node->previous_ = node->next_ = nullptr;
    --size_;
    return job_ptr::adopt(node);
  }

 private:
  job* head_ = nullptr;
  job* tail_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace erlpy::pool

#endif
