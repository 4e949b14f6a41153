// Where jobs wait: one lane for each worker slot, and one that all share.
//
// A job for a certain worker waits in its lane, any other in the shared one; an idle worker takes
// whichever came first. Nothing is assigned before it can run, so a job never waits behind a call
// that sleeps while another worker is free.
//
// Workers look for a job only with the GIL in hand: one that waits for the GIL has promised nothing,
// and the one that has it goes on taking jobs. So a burst is run by one thread without a hand-over,
// and as soon as a job gives the GIL up, the next worker is already there. At most one worker at a
// time is on its way ("searching") for the shared lane; it sends for the next when it finds a job.
//
// One leaf lock guards it all: no Python, no allocation and no waiting under it.
#ifndef ERLPY_POOL_MAILBOX_HPP
#define ERLPY_POOL_MAILBOX_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <erlpy/detail/wake_pipe.hpp>
#include <erlpy/pool/job.hpp>

namespace erlpy::pool {

class mailbox {
 public:
  static constexpr std::size_t any = 0;  // the shared lane; worker slots count from 1

  enum class push_result : std::uint8_t { queued, full, closed };

  mailbox(std::size_t slots, std::size_t max_queue) : lanes_(slots + 1), max_queue_(max_queue) {
    parked_.reserve(slots);
  }

  // Any thread. Takes a share of the job if it is queued.
  [[nodiscard]] push_result push(job& added, std::size_t to) {
    std::size_t woken = none;
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return push_result::closed;
      lane& into = lanes_[to];
      const std::size_t bound = to == any ? max_queue_ * open_lanes() : max_queue_;
      if (into.jobs.size() >= bound || (to != any && into.refusing)) {
        ++overloads_;
        return push_result::full;
      }
      enqueue(added, to, into.jobs);
      if (to != any) {
        if (into.parked) woken = unpark(to);
      } else if (searching_ == 0 && !parked_.empty()) {
        woken = unpark(parked_.back());
      }
    }
    signal(woken);
    return push_result::queued;
  }

  // Any thread: a resident of the slot has something to do. Not bounded: a resident is queued once at most.
  // False once the mailbox is closed.
  [[nodiscard]] bool schedule(resident& added, std::size_t to) {
    std::size_t woken = none;
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return false;
      lane& into = lanes_[to];
      enqueue(added, to, into.residents);
      if (into.parked) {
        woken = unpark(to);
      } else if (into.pipe != nullptr) {
        into.pipe->wake();
      }
    }
    signal(woken);
    return true;
  }

  // The slot's worker, with the GIL: the next job, or none. `searching` is the caller's own mark,
  // false when it comes from a job.
  [[nodiscard]] job_ptr take(std::size_t slot, bool& searching) {
    job_ptr taken;
    std::size_t woken = none;
    {
      const std::lock_guard lock(mutex_);
      job* const first = next_job(slot);
      if (first == nullptr) {
        if (!searching) ++searching_;
        searching = true;
        return {};
      }
      taken = take_out(*first);
      lanes_[slot].ran_resident = first->resident_;
      first->place_ = job::place::running;
      first->lane_ = slot;
      if (searching) --searching_;
      searching = false;
      if (!lanes_[any].jobs.empty() && searching_ == 0 && !parked_.empty()) woken = unpark(parked_.back());
    }
    signal(woken);
    return taken;
  }

  // The slot's worker, in a job that waits in its event loop: until leave() whoever has work for one of its
  // residents writes to `pipe`.
  void reach(std::size_t slot, const erlpy::detail::wake_pipe& pipe) {
    const std::lock_guard lock(mutex_);
    lanes_[slot].pipe = &pipe;
  }
  void leave(std::size_t slot, const erlpy::detail::wake_pipe& pipe) {
    const std::lock_guard lock(mutex_);
    if (lanes_[slot].pipe == &pipe) lanes_[slot].pipe = nullptr;  // else it has another worker now
  }
  // The same: the next of its residents that were queued at that time, or none.
  [[nodiscard]] job_ptr take_resident(std::size_t slot, std::uint64_t last_ticket) {
    const std::lock_guard lock(mutex_);
    lane& mine = lanes_[slot];
    if (mine.residents.empty() || mine.residents.front()->ticket_ > last_ticket) return {};
    job* const first = mine.residents.front();
    first->place_ = job::place::running;
    return take_out(*first);
  }

  // The slot's worker, without the GIL and searching: returns when there may be something to do.
  void await(std::size_t slot, bool& searching) {
    lane& mine = lanes_[slot];
    for (int spin = 0; spin < spins; ++spin) {
      if (has_work(slot)) return take_poke(mine);
      spin % yield_every == yield_every - 1 ? std::this_thread::yield() : pause();
    }
    {
      const std::lock_guard lock(mutex_);
      if (closed_ || next_job(slot) != nullptr || mine.poked.load(std::memory_order_relaxed))
        return take_poke(mine);
      if (searching) --searching_;
      searching = false;
      mine.parked = true;
      mine.signal.store(0, std::memory_order_relaxed);
      parked_.push_back(slot);
    }
    mine.signal.wait(0, std::memory_order_acquire);
    searching = true;  // counted by unpark()
    take_poke(mine);
  }

  // The slot's worker, searching and attached, about to wait in its event loop: false if there is something
  // to do. Until leave_loop() whoever has work for it writes to `pipe`.
  [[nodiscard]] bool enter_loop(std::size_t slot, bool& searching, const erlpy::detail::wake_pipe& pipe) {
    const std::lock_guard lock(mutex_);
    lane& mine = lanes_[slot];
    if (closed_ || next_job(slot) != nullptr || mine.poked.load(std::memory_order_relaxed)) {
      take_poke(mine);
      return false;
    }
    if (searching) --searching_;
    searching = false;
    mine.parked = true;
    mine.pipe = &pipe;
    parked_.push_back(slot);
    return true;
  }
  // The same worker: it has work of its own now, or was woken.
  void leave_loop(std::size_t slot, bool& searching) {
    const std::lock_guard lock(mutex_);
    lane& mine = lanes_[slot];
    mine.pipe = nullptr;
    searching = !std::exchange(mine.parked, false);  // counted by unpark()
    if (!searching) std::erase(parked_, slot);
    take_poke(mine);
  }

  // Any thread: wakes the slot's worker for something that is not a job.
  void poke(std::size_t slot) {
    std::size_t woken = none;
    {
      const std::lock_guard lock(mutex_);
      lanes_[slot].poked.store(true, std::memory_order_relaxed);
      if (lanes_[slot].parked) woken = unpark(slot);
    }
    signal(woken);
  }

  // The slot's worker: a job that it took and did not begin goes back to where it was first. False once the
  // mailbox is closed.
  [[nodiscard]] bool put_back(job& taken, std::size_t slot) {
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    taken.lane_ = slot;
    taken.place_ = job::place::queued;
    lanes_[slot].jobs.push_front(job_ptr(&taken));
    lanes_[slot].size.fetch_add(1, std::memory_order_relaxed);
    return true;
  }

  // Whether there is something for the slot's worker; a look without the lock.
  [[nodiscard]] bool has_work(std::size_t slot) const noexcept {
    const lane& mine = lanes_[slot];
    return lanes_[any].size.load(std::memory_order_relaxed) != 0 ||
           mine.size.load(std::memory_order_relaxed) != 0 ||
           mine.resident_size.load(std::memory_order_relaxed) != 0 ||
           mine.poked.load(std::memory_order_relaxed);
  }

  // A worker that leaves while searching gives its mark back.
  void leave(bool& searching) {
    const std::lock_guard lock(mutex_);
    if (searching) --searching_;
    searching = false;
  }

  // Any thread: where a given-up job is. Queued: it is taken out and returned. Running: its slot is
  // put into `running_on`.
  [[nodiscard]] job_ptr withdraw(job& given_up, std::optional<std::size_t>& running_on) {
    const std::lock_guard lock(mutex_);
    if (given_up.place_ == job::place::running) running_on = given_up.lane_;
    if (given_up.place_ != job::place::queued) return {};
    job_ptr taken = take_out(given_up);
    given_up.place_ = job::place::outside;
    return taken;
  }

  // A lane whose worker is stuck and cannot be replaced refuses jobs.
  void refuse(std::size_t slot, bool refusing) {
    const std::lock_guard lock(mutex_);
    lanes_[slot].refusing = refusing;
  }

  // No more jobs; returns those that waited, and wakes every worker.
  [[nodiscard]] job_list close() {
    job_list left;
    const std::lock_guard lock(mutex_);
    closed_ = true;
    for (lane& each : lanes_) {
      for (job_list* const list : {&each.jobs, &each.residents}) {
        while (!list->empty()) {
          list->front()->place_ = job::place::outside;
          left.push_back(list->remove(list->front()));
        }
      }
      each.size.store(0, std::memory_order_relaxed);
      each.resident_size.store(0, std::memory_order_relaxed);
    }
    while (!parked_.empty()) signal(unpark(parked_.back()));
    return left;
  }

  // Whether a call waits that the slot's worker could take; a look without the lock.
  [[nodiscard]] bool call_waits(std::size_t slot) const noexcept {
    return lanes_[slot].size.load(std::memory_order_relaxed) != 0 ||
           lanes_[any].size.load(std::memory_order_relaxed) != 0;
  }
  [[nodiscard]] std::size_t queued(std::size_t slot) const noexcept {
    return lanes_[slot].size.load(std::memory_order_relaxed);
  }
  // Of what was queued last.
  [[nodiscard]] std::uint64_t last_ticket() {
    const std::lock_guard lock(mutex_);
    return tickets_;
  }
  [[nodiscard]] std::uint64_t overloads() {
    const std::lock_guard lock(mutex_);
    return overloads_;
  }

 private:
  static constexpr std::size_t none = 0;
  // About the time of a round trip to a caller that calls again at once.
  static constexpr int spins = 400;
  // The caller that the worker waits for may need this very core: without a yield its next call took
  // 21 us at the median where the two shared one, with it 11 us.
  static constexpr int yield_every = 16;

  struct lane {
    job_list jobs;
    job_list residents;  // streams that have something to do
    bool refusing = false;
    bool parked = false;
    const erlpy::detail::wake_pipe* pipe = nullptr;  // its worker runs an event loop, which this wakes
    bool ran_resident = false;  // its worker, last
    std::atomic<std::size_t> size{0};          // copies to look at without the lock: of jobs,
    std::atomic<std::size_t> resident_size{0};  // of residents
    std::atomic<bool> poked{false};
    std::atomic<std::uint32_t> signal{0};

    [[nodiscard]] std::atomic<std::size_t>& count(const job& of) noexcept {
      return of.resident_ ? resident_size : size;
    }
  };

  static void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  static void take_poke(lane& mine) noexcept { mine.poked.store(false, std::memory_order_relaxed); }

  [[nodiscard]] std::size_t open_lanes() const noexcept {
    std::size_t count = 0;
    for (std::size_t i = 1; i < lanes_.size(); ++i) count += lanes_[i].refusing ? 0 : 1;
    return count;
  }

  // What the slot's worker takes next, null if there is nothing: a job if the last was a resident, so that a
  // call waits for one slice of a stream however many there are, and otherwise what was queued first.
  [[nodiscard]] job* next_job(std::size_t slot) const noexcept {
    const auto earlier = [](job* one, job* other) noexcept {
      if (one == nullptr || other == nullptr) return one != nullptr ? one : other;
      return one->ticket_ < other->ticket_ ? one : other;
    };
    const lane& mine = lanes_[slot];
    job* const call = earlier(mine.jobs.front(), lanes_[any].jobs.front());
    if (call != nullptr && mine.ran_resident) return call;
    return earlier(call, mine.residents.front());
  }

  void enqueue(job& added, std::size_t to, job_list& list) {
    added.ticket_ = ++tickets_;
    added.lane_ = to;
    added.place_ = job::place::queued;
    list.push_back(job_ptr(&added));
    lanes_[to].count(added).fetch_add(1, std::memory_order_relaxed);
  }
  [[nodiscard]] job_ptr take_out(job& queued) noexcept {
    lane& from = lanes_[queued.lane_];
    from.count(queued).fetch_sub(1, std::memory_order_relaxed);
    return (queued.resident_ ? from.residents : from.jobs).remove(&queued);
  }

  // Under the lock; the caller signals after it.
  [[nodiscard]] std::size_t unpark(std::size_t slot) noexcept {
    std::erase(parked_, slot);
    lanes_[slot].parked = false;
    ++searching_;
    // Under the lock, for its worker may close the pipe after leave_loop().
    if (lanes_[slot].pipe != nullptr) lanes_[slot].pipe->wake();
    return slot;
  }

  void signal(std::size_t slot) noexcept {
    if (slot == none) return;
    lanes_[slot].signal.store(1, std::memory_order_release);
    lanes_[slot].signal.notify_one();
  }

  std::mutex mutex_;
  std::deque<lane> lanes_;
  std::vector<std::size_t> parked_;  // last parked is woken first: its caches are warm
  std::size_t searching_ = 0;
  const std::size_t max_queue_;
  std::uint64_t tickets_ = 0;
  std::uint64_t overloads_ = 0;
  bool closed_ = false;
};

}  // namespace erlpy::pool

#endif
