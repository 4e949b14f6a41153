// A stream whose iterable lives in a worker process: demand goes there, values come from there.
#ifndef ERLPY_NIF_STREAM_REMOTE_HPP
#define ERLPY_NIF_STREAM_REMOTE_HPP

#include <erl_nif.h>

#include <optional>

#include <erlpy/etf.hpp>
#include <erlpy/nif/remote.hpp>
#include <erlpy/nif/stream.hpp>
#include <erlpy/pool/process_worker.hpp>
#include <erlpy/relayed_stream.hpp>

namespace erlpy::nif {

// The world of terms, for relayed_stream.
class relay_of_terms : public stream_core {
 public:
  using stream_core::stream_core;

 protected:
  ~relay_of_terms() override = default;

  void write_value(pool::worker& on, pool::outgoing_frame& frame) {
    const walk_limits limits = limits_on(on);
    etf::sink into(frame.bytes(), limits);
    (void)transcode(source(order_.env.get(), order_.value, library::current().sources, limits), into);
  }
  void refuse_step_here(pool::worker&) {
    const env_ptr env = make_env();
    tell_refused(env.get(), error_of_current(env.get()));
  }
  void refuse_step(pool::worker& on, bytes_view payload) {
    const env_ptr env = make_env();
    tell_refused(env.get(), read_error(on, env.get(), payload));
  }

  void put_payload(pool::worker& on, bytes_view payload) { put_term(read(on, value_env(), payload)); }

  void end_as_done_payload(pool::worker& on, bytes_view payload) {
    if (has_end()) return;
    const env_ptr env = make_env();
    end_as(enif_make_tuple2(env.get(), library::current().names.done, read(on, env.get(), payload)));
  }
  void end_as_raised_payload(pool::worker& on, bytes_view payload) {
    const env_ptr env = make_env();
    end_as_failed(env.get(), read_error(on, env.get(), payload));
  }
  void end_as_unreadable(pool::worker&) {
    const env_ptr env = make_env();
    end_as_failed(env.get(), error_of_current(env.get()));
  }

 private:
  [[nodiscard]] walk_limits limits_on(const pool::worker& on) const noexcept {
    return {on.settings().max_depth, &stop_flag()};
  }
  [[nodiscard]] ERL_NIF_TERM read(const pool::worker& on, ErlNifEnv* env, bytes_view bytes) const {
    sink into(env, worker_scratch::mine().sinks);
    return transcode(etf::source(bytes, limits_on(on)), into);
  }
  // {error, Reason}
  [[nodiscard]] ERL_NIF_TERM read_error(const pool::worker& on, ErlNifEnv* env, bytes_view bytes) const {
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
};

using remote_stream = relayed_stream<relay_of_terms>;

}  // namespace erlpy::nif

#endif
