// A stream whose iterable is in a worker process, as a stream of some world: what is asked goes over as
// frames, values and ends come back as frames.
//
// Written once for every world, as stepped_stream.hpp is for iterables of this process. The base class has,
// as there: signals_, made_, over_, home_; enter(on), leave(), asked_step(), flush(more), ended(), settled().
// And:
//   write_value(on, frame)      what goes with the asked step; errors: it cannot be sent
//   refuse_step_here(on)        in a catch block: that step cannot be sent
//   refuse_step(on, payload)    the process says that it cannot be done
//   put_payload(on, payload)    a value came; errors: it cannot be converted
//   end_as_done_payload(on, payload), end_as_raised_payload(on, payload)   how it ended; the first one stands
//   end_as_unreadable(on)       the same, in a catch block
#ifndef ERLPY_RELAYED_STREAM_HPP
#define ERLPY_RELAYED_STREAM_HPP

#include <cstdint>
#include <utility>

#include <erlpy/etf/detail/reader.hpp>
#include <erlpy/etf/detail/skip.hpp>
#include <erlpy/pool/process_worker.hpp>
#include <erlpy/stream/iterate.hpp>
#include <erlpy/stream/signals.hpp>

namespace erlpy {

template <class World>
class relayed_stream final : public World, public pool::frame_listener {
 public:
  // `number`: what the process knows the stream by. The rest goes to the world.
  template <class... Args>
  explicit relayed_stream(std::uint64_t number, Args&&... args)
      : World(std::forward<Args>(args)...), number_(number) {}

  // On the worker's thread, once.
  void open(pool::process_worker& on) {
    on.adopt(*this);
    on.listen(number_, *this);
  }

  // pool::resident -----------------------------------------------------------------------------------------

  void run(pool::worker& on) noexcept override { proceed(on); }
  void lose_loop(pool::worker&) noexcept override {}

  void proceed(pool::worker& on) noexcept override {
    const pool::job_ptr alive(this);
    if (this->over_) return;
    if (const auto home = this->home_.lock(); home.get() != &on) return this->refuse(pool::refusal::crashed);
    at_work(on, [&] { ask_for_more(pool::process_worker::of(on)); });
  }

  // The process is no more.
  void evict(pool::worker& from, pool::refusal why) noexcept override {
    const pool::job_ptr alive(this);
    this->refuse(why);
    close_up(from);
    this->signals_.end();
  }

  // pool::frame_listener -----------------------------------------------------------------------------------

  void heard(pool::worker& on, const pool::incoming_frame& frame) noexcept override {
    const pool::job_ptr alive(this);
    if (this->over_) return;
    at_work(on, [&] { take(pool::process_worker::of(on), frame); });
  }

 private:
  ~relayed_stream() = default;

  template <class Work>
  void at_work(pool::worker& on, Work work) noexcept {
    try {
      this->enter(on);
      work();
    } catch (...) {
      // Out of memory while it was told what happened.
      this->refuse(pool::refusal::crashed);
      close_up(on);
    }
    this->leave();
  }

  // What is wanted and was not asked for yet goes to the process.
  void ask_for_more(pool::process_worker& on) {
    for (;;) {
      if (closing_) return;
      if (this->signals_.closing()) {
        closing_ = true;
        (void)on.begin_frame(pool::frame_kind::close, number_);
        return on.send();
      }
      const std::uint64_t open = this->signals_.open();
      if (this->made_ < open) {
        if (open - this->made_ <= asked_) return;
        if (demand(on, open - this->made_ - asked_)) return;
        continue;
      }
      this->flush(false);
      if (this->signals_.settle(std::exchange(this->made_, 0))) continue;
      return this->settled();
    }
  }

  // False: what goes with the demand cannot be sent, which the asker was told.
  [[nodiscard]] bool demand(pool::process_worker& on, std::uint64_t count) {
    const stream::step what = this->asked_step();
    pool::outgoing_frame& frame = on.begin_frame(pool::frame_kind::demand, number_);
    frame.put(count);
    frame.put(static_cast<std::uint8_t>(what));
    if (what != stream::step::next) {
      try {
        this->write_value(on, frame);
      } catch (...) {
        ++this->made_;
        this->refuse_step_here(on);
        return false;
      }
    }
    asked_ += count;
    on.send();
    return true;
  }

  void take(pool::process_worker& on, const pool::incoming_frame& frame) {
    switch (frame.kind) {
      case pool::frame_kind::values: take_values(on, frame.bytes); break;
      case pool::frame_kind::step_refused:
        ++this->made_;
        --asked_;
        this->refuse_step(on, frame.bytes);
        break;
      case pool::frame_kind::done: this->end_as_done_payload(on, frame.bytes); return finish(on);
      case pool::frame_kind::raised: this->end_as_raised_payload(on, frame.bytes); return finish(on);
      case pool::frame_kind::closed: return finish(on);
      default: return;
    }
    ask_for_more(on);
  }

  void take_values(pool::process_worker& on, bytes_view bytes) {
    pool::frame_reader reader(bytes);
    std::uint64_t count = reader.get<std::uint64_t>();
    etf::detail::reader in(reader.rest());
    for (; count > 0; --count) {
      const bytes_view value = etf::detail::skip(in);
      ++this->made_;
      if (asked_ > 0) --asked_;
      if (closing_ || this->signals_.closing()) continue;
      try {
        this->put_payload(on, value);
      } catch (...) {
        this->end_as_unreadable(on);
        (void)this->signals_.close();  // the iterator is closed, then the error is told
      }
    }
    if (this->made_ < this->signals_.open()) this->flush(true);
  }

  void finish(pool::worker& on) {
    close_up(on);
    this->ended();
  }
  void close_up(pool::worker& on) noexcept {
    this->over_ = true;
    pool::process_worker::of(on).unlisten(number_);
    on.disown(*this);
  }

  const std::uint64_t number_;

  // The worker's.
  std::uint64_t asked_ = 0;  // values that the process was asked for and has not sent
  bool closing_ = false;     // it was told to close
};

}  // namespace erlpy

#endif
