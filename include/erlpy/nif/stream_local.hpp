// A stream whose iterable lives in this process: values go straight from Python into terms.
#ifndef ERLPY_NIF_STREAM_LOCAL_HPP
#define ERLPY_NIF_STREAM_LOCAL_HPP

#include <erl_nif.h>

#include <optional>

#include <erlpy/nif/stream.hpp>
#include <erlpy/stepped_stream.hpp>

namespace erlpy::nif {

// The world of terms, for stepped_stream.
class stream_of_terms : public stream_core {
 public:
  using stream_core::stream_core;

 protected:
  [[nodiscard]] python::ref asked_value(pool::thread_worker& on) {
    const walk_limits limits{on.settings().max_depth, &stop_flag()};
    python::sink into(on.context(), {settings_.keep_atoms});
    return transcode(source(order_.env.get(), order_.value, library::current().sources, limits), into);
  }

  void step_refused(pool::thread_worker& on) {
    const env_ptr env = make_env();
    tell_refused(env.get(), error_of_current(env.get(), on));
  }

  void put(pool::thread_worker& on, const python::ref& given) {
    walk_limits limits{on.settings().max_depth, &stop_flag()};
    limits.breathe = [](void*) { const python::detached others; };
    ERL_NIF_TERM value{};
    {
      sink into(value_env(), worker_scratch::mine().sinks);
      value = transcode(python::source(on.context(), given.get(), limits), into);
    }
    put_term(value);
  }

  void end_as_done(pool::thread_worker& on, const python::ref& returned) {
    if (has_end()) return;
    const env_ptr env = make_env();
    try {
      const walk_limits limits{on.settings().max_depth, &stop_flag()};
      sink into(env.get(), worker_scratch::mine().sinks);
      const ERL_NIF_TERM value = transcode(python::source(on.context(), returned.get(), limits), into);
      end_as(enif_make_tuple2(env.get(), library::current().names.done, value));
    } catch (...) {
      end_as_error(on);
    }
  }

  void end_as_error(pool::thread_worker& on) {
    const env_ptr env = make_env();
    end_as_failed(env.get(), error_of_current(env.get(), on));
  }

 private:
  // Inside a catch block: {error, Reason}.
  [[nodiscard]] ERL_NIF_TERM error_of_current(ErlNifEnv* env, pool::thread_worker& on) const {
    const library& loaded = library::current();
    format terms(env, loaded.sources, worker_scratch::mine().sinks, loaded.budget, false);
    terms.begin_answer();
    return enif_make_tuple2(env, loaded.names.error,
                            reason_of_current(terms, on.context().home(), settings_.traceback, std::nullopt));
  }
};

using local_stream = stepped_stream<stream_of_terms>;

}  // namespace erlpy::nif

#endif
