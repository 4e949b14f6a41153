// A stream whose iterable lives in a worker process: demand goes there, values come from there.
#ifndef ERLPY_NIF_STREAM_REMOTE_HPP
#define ERLPY_NIF_STREAM_REMOTE_HPP

#include <erl_nif.h>

#include <cstdint>
#include <memory>
#include <utility>

#include <erlpy/etf.hpp>
#include <erlpy/nif/remote.hpp>
#include <erlpy/nif/stream.hpp>
#include <erlpy/pool/process_worker.hpp>

namespace erlpy::nif {

class remote_stream final : public stream_core, public pool::frame_listener {
 public:
  remote_stream(std::shared_ptr<pool::worker_pool> pool, pool::process_worker& home, stream_settings settings,
                std::uint64_t number)
      : stream_core(std::move(pool), home, settings), number_(number) {}

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
    if (over_) return;
    if (const auto home = home_.lock(); home.get() != &on) return refuse(pool::refusal::crashed);
    try {
      enter(on);
      ask_for_more(pool::process_worker::of(on));
    } catch (...) {
      lose(on);
    }
    leave();
  }

  // The process is no more.
  void evict(pool::worker& from, pool::refusal why) noexcept override {
    const pool::job_ptr alive(this);
    refuse(why);
    close_up(from);
    signals_.end();
  }

  // pool::frame_listener -----------------------------------------------------------------------------------

  void heard(pool::worker& on, const pool::incoming_frame& frame) noexcept override {
    const pool::job_ptr alive(this);
    if (over_) return;
    try {
      enter(on);
      take(pool::process_worker::of(on), frame);
    } catch (...) {
      lose(on);
    }
    leave();
  }

 private:
  ~remote_stream() override = default;

  // What is wanted and was not asked for yet goes to the process.
  void ask_for_more(pool::process_worker& on) {
    for (;;) {
      if (closing_) return;
      if (signals_.closing()) {
        closing_ = true;
        (void)on.begin_frame(pool::frame_kind::close, number_);
        return on.send();
      }
      const std::uint64_t open = signals_.open();
      if (made_ < open) {
        if (open - made_ <= asked_) return;
        if (demand(on, open - made_ - asked_)) return;
        continue;
      }
      flush(false);
      if (signals_.settle(std::exchange(made_, 0))) continue;
      return settled();
    }
  }

  // False: what goes with the demand cannot be sent, which the asker was told.
  [[nodiscard]] bool demand(pool::process_worker& on, std::uint64_t count) {
    const stream::step what = asked_step();
    pool::outgoing_frame& frame = on.begin_frame(pool::frame_kind::demand, number_);
    frame.put(count);
    frame.put(static_cast<std::uint8_t>(what));
    if (what != stream::step::next) {
      try {
        const walk_limits limits{on.settings().max_depth, &stop_flag()};
        etf::sink into(frame.bytes(), limits);
        (void)transcode(source(order_.env.get(), order_.value, library::current().sources, limits), into);
      } catch (...) {
        const env_ptr env = make_env();
        ++made_;
        tell_refused(env.get(), error_of_current(env.get()));
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
      case pool::frame_kind::step_refused: {
        const env_ptr env = make_env();
        ++made_;
        --asked_;
        tell_refused(env.get(), read_error(on, env.get(), frame.bytes));
        break;
      }
      case pool::frame_kind::done: {
        if (has_end()) return finish(on);
        const env_ptr env = make_env();
        end_as(enif_make_tuple2(env.get(), library::current().names.done, read(on, env.get(), frame.bytes)));
        return finish(on);
      }
      case pool::frame_kind::raised: {
        const env_ptr env = make_env();
        end_as_failed(env.get(), read_error(on, env.get(), frame.bytes));
        return finish(on);
      }
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
      const etf::term value(etf::detail::skip(in));
      ++made_;
      if (asked_ > 0) --asked_;
      if (closing_ || signals_.closing()) continue;
      try {
        put_term(read(on, value_env(), value.bytes()));
      } catch (...) {
        const env_ptr env = make_env();
        end_as_failed(env.get(), error_of_current(env.get()));
        (void)signals_.close();  // the iterator is closed, then the error is told
      }
    }
    if (made_ < signals_.open()) flush(true);
  }

  [[nodiscard]] ERL_NIF_TERM read(pool::process_worker& on, ErlNifEnv* env, bytes_view bytes) {
    const walk_limits limits{on.settings().max_depth, &stop_flag()};
    sink into(env, worker_scratch::mine().sinks);
    return transcode(etf::source(bytes, limits), into);
  }
  // {error, Reason}
  [[nodiscard]] ERL_NIF_TERM read_error(pool::process_worker& on, ErlNifEnv* env, bytes_view bytes) {
    const library& loaded = library::current();
    return enif_make_tuple2(env, loaded.names.error,
                            with_class_atoms(env, read(on, env, bytes), loaded.budget));
  }
  // Inside a catch block: {error, Reason}.
  [[nodiscard]] static ERL_NIF_TERM error_of_current(ErlNifEnv* env) {
    const library& loaded = library::current();
    format terms(env, loaded.sources, worker_scratch::mine().sinks, loaded.budget, false);
    terms.begin_answer();
    return enif_make_tuple2(env, loaded.names.error, reason_of_conversion(terms, std::nullopt));
  }

  void finish(pool::worker& on) {
    close_up(on);
    ended();
  }
  void close_up(pool::worker& on) noexcept {
    over_ = true;
    pool::process_worker::of(on).unlisten(number_);
    on.disown(*this);
  }
  // Out of memory while it was told what happened.
  void lose(pool::worker& on) noexcept {
    refuse(pool::refusal::crashed);
    close_up(on);
  }

  const std::uint64_t number_;

  // The worker's.
  std::uint64_t asked_ = 0;  // values that the process was asked for and has not sent
  bool closing_ = false;     // it was told to close
};

}  // namespace erlpy::nif

#endif
