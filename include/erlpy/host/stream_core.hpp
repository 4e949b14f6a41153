// A Python iterable as a stream of C++ values: what its worker makes, and its consumer takes.
//
// The worlds of stepped_stream (an iterable of this process) and relayed_stream (one of a worker process).
// Values wait in a queue that is no longer than what the consumer asked for.
#ifndef ERLPY_HOST_STREAM_CORE_HPP
#define ERLPY_HOST_STREAM_CORE_HPP

#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include <erlpy/cpp.hpp>
#include <erlpy/etf.hpp>
#include <erlpy/host/arrival.hpp>
#include <erlpy/host/call.hpp>
#include <erlpy/host/errors.hpp>
#include <erlpy/pool/worker_pool.hpp>
#include <erlpy/relayed_stream.hpp>
#include <erlpy/stepped_stream.hpp>
#include <erlpy/stream_resident.hpp>

namespace erlpy::host {

// All but the type of the values.
class basic_stream : public stream_resident {
 public:
  basic_stream(std::shared_ptr<pool::worker_pool> pool, pool::worker& home, bool with_frames)
      : pool_(std::move(pool)), home_(home.weak_from_this()), with_frames_(with_frames) {}
  basic_stream(const basic_stream&) = delete;
  basic_stream& operator=(const basic_stream&) = delete;

  // The consumer's; any thread -----------------------------------------------------------------------------

  void demand(std::uint64_t count) {
    if (signals_.demand(count) != stream::signals::asked::idle) return;
    const auto home = home_.lock();
    if (!home || !home->schedule(*this)) refuse(pool::refusal::stopped);
  }
  // The iterable is closed, soon; what runs of it is interrupted.
  void close() {
    stop();  // a conversion under way ends
    const auto before = signals_.close();
    const auto home = home_.lock();
    if (!home) return;
    if (before == stream::signals::asked::idle) (void)home->schedule(*this);
    if (before == stream::signals::asked::busy) pool_->interrupt_resident(home, *this);
  }
  // Of a value, or of the end.
  [[nodiscard]] arrival& arrived() noexcept { return arrived_; }

  // pool::resident -----------------------------------------------------------------------------------------

  void refuse(pool::refusal why) noexcept override {
    end_as(refusal_error(why, pool_->settings().name), true);
  }

 protected:
  ~basic_stream() override = default;

  // See stepped_stream: nothing here is collected or sent apart from the value itself.
  void enter(pool::worker&) noexcept {}
  void leave() noexcept {}
  void lend() noexcept {}
  void recover() noexcept {}
  void flush(bool) noexcept {}
  void settled() noexcept {}
  [[nodiscard]] static stream::step asked_step() noexcept { return stream::step::next; }
  [[nodiscard]] static python::ref asked_value(pool::thread_worker&) { return python::ref::borrow(Py_None); }
  void step_refused(pool::worker&) noexcept {}
  static void write_value(pool::worker&, pool::outgoing_frame&) noexcept {}
  void refuse_step_here(pool::worker&) noexcept {}
  void refuse_step(pool::worker&, bytes_view) noexcept {}

  void end_as_done(pool::thread_worker&, const python::ref&) noexcept { end_as(nullptr, false); }
  void end_as_error(pool::thread_worker& on) {
    end_as(error_of_current(on.context().home(), with_frames_), false);
  }
  void end_as_done_payload(pool::worker&, bytes_view) noexcept { end_as(nullptr, false); }
  void end_as_raised_payload(pool::worker&, bytes_view payload) { end_as(error_of_payload(payload), false); }
  void end_as_unreadable(pool::worker&) noexcept { end_as(std::current_exception(), false); }
  void ended() {
    signals_.end();
    end_as(nullptr, true);
  }

  [[nodiscard]] walk_limits limits_on(const pool::worker& on) const noexcept {
    return {on.settings().max_depth, &stop_flag()};
  }

  const std::shared_ptr<pool::worker_pool> pool_;
  const std::weak_ptr<pool::worker> home_;
  const bool with_frames_;

  std::mutex mutex_;  // what follows, and the queue; a leaf
  bool finished_ = false;
  bool told_ = false;  // the consumer may know the end
  std::exception_ptr failed_;

  arrival arrived_;

 private:
  // The first one stands. `now`: nothing of the iterable is left to be done before.
  void end_as(std::exception_ptr failed, bool now) noexcept {
    {
      const std::lock_guard lock(mutex_);
      if (!std::exchange(finished_, true)) failed_ = std::move(failed);
      told_ = told_ || now;
      if (!told_) return;
    }
    arrived_.announce();
  }
};

template <class T>
class value_queue : public basic_stream {
 public:
  using basic_stream::basic_stream;
  using value_type = cpp::result_t<T>;

  // The next value that is there; none: none is there now, or, if `end`, ever. Errors: what the stream ended
  // with, after its values.
  [[nodiscard]] std::optional<value_type> take(bool& end) {
    const std::lock_guard lock(mutex_);
    if (!values_.empty()) {
      std::optional<value_type> first(std::move(values_.front()));
      values_.pop_front();
      return first;
    }
    end = told_;
    if (told_ && failed_) std::rethrow_exception(std::exchange(failed_, nullptr));
    if (!told_) arrived_.rearm();
    return std::nullopt;
  }

 protected:
  ~value_queue() override = default;

  void put(pool::thread_worker& on, const python::ref& given) {
    walk_limits limits = limits_on(on);
    limits.breathe = [](void*) { const python::detached others; };
    cpp::sink<T> into;
    python::source from(on.context(), given.get(), limits);
    from.hold_nothing();
    add(transcode(from, into));
  }
  void put_payload(pool::worker& on, bytes_view payload) {
    cpp::sink<T> into;
    add(transcode(etf::source(payload, limits_on(on), nullptr, etf::bytes_form::tagged), into));
  }

 private:
  void add(value_type made) {
    {
      const std::lock_guard lock(mutex_);
      values_.push_back(std::move(made));
    }
    arrived_.announce();
  }

  std::deque<value_type> values_;
};

}  // namespace erlpy::host

#endif
