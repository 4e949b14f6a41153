// A stream in a worker process: the steps of stepped_stream, whose values and end go out as frames.
#ifndef ERLPY_PROCESS_STREAM_HPP
#define ERLPY_PROCESS_STREAM_HPP

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include <erlpy/pool/thread_worker.hpp>
#include <erlpy/process/format.hpp>
#include <erlpy/process/post.hpp>
#include <erlpy/stepped_stream.hpp>
#include <erlpy/stream_maker.hpp>
#include <erlpy/stream_resident.hpp>

namespace erlpy::process {

struct stream_flags {
  bool traceback = false;
  bool keep_atoms = false;
  etf::bytes_form form = etf::bytes_form::plain;
};

// The world of frames, for stepped_stream.
class stream_of_frames : public stream_resident {
 public:
  stream_of_frames(post& office, pool::thread_worker& home, stream_flags flags)
      : office_(office), home_worker_(home.weak_from_this()), flags_(flags) {}

  // With its first share. The number by which the pool knows it.
  [[nodiscard]] std::uint64_t register_here() { return number_ = office_.add_stream(pool::job_ptr(this)); }

  // Asking; on the receiving thread ------------------------------------------------------------------------

  // `frame`: the payload of `demand`; keep() owns it where it has to stay.
  template <class Keep>
  void demand(bytes_view frame, Keep keep) {
    pool::frame_reader reader(frame);
    const auto count = reader.get<std::uint64_t>();
    const auto what = static_cast<stream::step>(reader.get<std::uint8_t>());
    if (what != stream::step::next) {
      const std::lock_guard lock(mutex_);
      asked_ = what;
      value_ = keep();
      value_at_ = value_->view().size() - reader.rest().size();
    }
    wake(signals_.demand(count));
  }
  void close() {
    stop();  // a conversion under way ends
    wake(signals_.close());
  }

  // pool::resident -----------------------------------------------------------------------------------------

  // The pool knows of a worker that is gone.
  void refuse(pool::refusal) noexcept override {}

 protected:
  ~stream_of_frames() override = default;

  void enter(pool::worker&) noexcept {}
  void leave() noexcept {}
  void recover() noexcept {}
  // A step begins, which may take its time.
  void lend() {
    bool wait = false;
    {
      const std::unique_lock lock(sending_, std::try_to_lock);
      wait = lock.owns_lock() && count_ != 0 && !std::exchange(waits_, true);
    }
    if (wait) office_.flushed().add([this, alive = pool::job_ptr(this)] { flush_values(); });
  }

  [[nodiscard]] stream::step asked_step() {
    const std::lock_guard lock(mutex_);
    return std::exchange(asked_, stream::step::next);
  }
  [[nodiscard]] python::ref asked_value(pool::thread_worker& on) {
    shared_bytes_ptr value;
    {
      const std::lock_guard lock(mutex_);
      value = std::exchange(value_, nullptr);
    }
    const walk_limits limits{on.settings().max_depth, &stop_flag()};
    python::sink into(on.context(), {flags_.keep_atoms});
    return transcode(etf::source(value->view().subspan(value_at_), limits, value), into);
  }
  void step_refused(pool::thread_worker& on) {
    flush(false);
    pool::outgoing_frame frame;
    write_error(on, frame);
    frame.retitle(pool::frame_kind::step_refused);
    office_.send_attached(frame);
  }

  void put(pool::thread_worker& on, const python::ref& given) {
    walk_limits limits{on.settings().max_depth, &stop_flag()};
    limits.breathe = [](void*) { const python::detached others; };
    scratch_.clear();
    etf::sink into(scratch_, limits, flags_.form);
    (void)transcode(python::source(on.context(), given.get(), limits), into);
    append();
  }
  // What was put goes out. Values of a stream keep their order: one lock for the frame and its sending.
  void flush(bool) {
    attached_lock lock(sending_);
    if (count_ == 0) return;
    seal();
    office_.send_attached(values_);
  }
  void end_as_done(pool::thread_worker& on, const python::ref& returned) {
    if (ending_) return;
    try {
      pool::outgoing_frame frame;
      frame.begin(pool::frame_kind::done, number_);
      const walk_limits limits{on.settings().max_depth, &stop_flag()};
      etf::sink into(frame.bytes(), limits, flags_.form);
      (void)transcode(python::source(on.context(), returned.get(), limits), into);
      ending_ = std::move(frame);
    } catch (...) {
      end_as_error(on);
    }
  }
  void end_as_error(pool::thread_worker& on) {
    if (ending_) return;
    pool::outgoing_frame frame;
    write_error(on, frame);
    frame.retitle(pool::frame_kind::raised);
    ending_ = std::move(frame);
  }
  void ended() {
    signals_.end();
    flush(false);
    if (!ending_) {
      ending_.emplace();
      ending_->begin(pool::frame_kind::closed, number_);
    }
    office_.send_attached(*ending_);
    office_.remove_stream(number_);
  }
  void settled() noexcept {}

 private:
  // On the flusher's thread.
  void flush_values() noexcept {
    const std::lock_guard lock(sending_);
    waits_ = false;
    if (count_ == 0) return;
    seal();
    office_.send(values_);
  }

  // From an attached thread: waits for a mutex without the GIL. Nobody waits for it with the GIL, so the
  // thread may wait for the GIL again with it in hand.
  class attached_lock {
   public:
    explicit attached_lock(std::mutex& mutex) : lock_(mutex, std::try_to_lock) {
      if (lock_.owns_lock()) return;
      const python::detached no_gil;
      lock_.lock();
    }

   private:
    std::unique_lock<std::mutex> lock_;
  };

  void wake(stream::signals::asked before) {
    const auto home = home_worker_.lock();
    if (!home) return;
    if (before == stream::signals::asked::idle) (void)home->schedule(*this);
    if (before == stream::signals::asked::busy && signals_.closing())
      office_.workers().interrupt_resident(home, *this);
  }

  void append() {
    attached_lock lock(sending_);
    if (count_++ == 0) {
      values_.begin(pool::frame_kind::values, number_);
      values_.put<std::uint64_t>(0);
    }
    values_.bytes().insert(values_.bytes().end(), scratch_.begin(), scratch_.end());
    if (scratch_.capacity() > kept) scratch_ = byte_buffer();
  }
  // Under the lock.
  void seal() {
    values_.put_at(0, count_);
    count_ = 0;
  }

  // Inside a catch block.
  void write_error(pool::thread_worker& on, pool::outgoing_frame& frame) {
    format terms(nullptr, frame, number_);
    terms.begin_answer();
    (void)reason_of_current(terms, on.context().home(), flags_.traceback, std::nullopt);
  }

  static constexpr std::size_t kept = std::size_t{1} << 20U;

  post& office_;
  const std::weak_ptr<pool::worker> home_worker_;
  const stream_flags flags_;
  std::uint64_t number_ = 0;

  // The worker's.
  byte_buffer scratch_;
  std::optional<pool::outgoing_frame> ending_;

  std::mutex sending_;  // values_, count_, waits_: held while they are sent, not with the GIL in hand
  pool::outgoing_frame values_;
  std::uint64_t count_ = 0;
  bool waits_ = false;  // with the flusher

  std::mutex mutex_;  // what goes with a send or throw; a leaf
  stream::step asked_ = stream::step::next;
  shared_bytes_ptr value_;     // in it from here on:
  std::size_t value_at_ = 0;
};

using served_stream = stepped_stream<stream_of_frames>;

class stream_opener final : public stream_maker<std::uint64_t> {
 public:
  stream_opener(post& office, pool::thread_worker& on, stream_flags flags) noexcept
      : office_(office), on_(on), flags_(flags) {}

  [[nodiscard]] std::uint64_t make_stream(const python::ref& iterable) override {
    auto* const opened = new served_stream(office_, on_, flags_);
    const pool::job_ptr share(opened);
    opened->open(on_, iterable);
    return opened->register_here();
  }

 private:
  post& office_;
  pool::thread_worker& on_;
  stream_flags flags_;
};

}  // namespace erlpy::process

#endif
