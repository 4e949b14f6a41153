// What the owner of a stream is told: values, and how it ended. On the thread of its worker. Included by
// stream.hpp.
#ifndef ERLPY_NIF_STREAM_TELLING_HPP
#define ERLPY_NIF_STREAM_TELLING_HPP

#include <erlpy/nif/stream.hpp>

namespace erlpy::nif {

inline void stream_core::enter(pool::worker& on) {
  chunks_.recover();
  worker_scratch::mine().minter.serve({pool_, on.place().index, on.objects()});
}

inline void stream_core::leave() noexcept {
  worker_scratch::mine().minter.leave();
  chunks_.lend();
}

// A value of value_env(): kept for the next message of a pull, or sent.
inline void stream_core::put_term(ERL_NIF_TERM value) {
  stream_chunk& chunk = chunks_.mine();
  if (order_.how == shape::pull) {
    chunk.values.push_back(value);
    return;
  }
  if (claim()) {
    ErlNifEnv* const env = chunk.env.get();
    send(env, enif_make_tuple3(env, library::current().names.py_chunk, copy_tag(env), value));
    reopen();
  }
  enif_clear_env(chunk.env.get());
}

// What a pull has so far goes out; `more`: and more will follow.
inline void stream_core::flush(bool more) {
  stream_chunk& chunk = chunks_.mine();
  if (order_.how != shape::pull || (more && chunk.values.empty())) return;
  if (claim()) {
    const atoms& names = library::current().names;
    ErlNifEnv* const env = chunk.env.get();
    const ERL_NIF_TERM list = chunk.take_list();
    gave_ = true;  // before the owner knows, and asks again
    send(env, enif_make_tuple4(env, names.py_stream, copy_tag(env), list, more ? names.more : names.stop));
    if (more) reopen();
  }
  chunk.values.clear();
  enif_clear_env(chunk.env.get());
}

inline void stream_core::end_as(ERL_NIF_TERM end, bool overrule) {
  env_ptr env = make_env();
  const ERL_NIF_TERM copy = enif_make_copy(env.get(), end);
  const std::lock_guard lock(mutex_);
  if (ending_ && !overrule) return;
  ending_ = std::move(env);
  ending_term_ = copy;
}

inline void stream_core::end_as_failed(ErlNifEnv* env, ERL_NIF_TERM error) {
  const atoms& names = library::current().names;
  end_as(timed_out_ ? enif_make_tuple2(env, names.error, names.timeout) : error);
}

// It has ended as end_as() said: the owner is told now, or when it asks next.
inline void stream_core::ended() {
  stream_chunk& chunk = chunks_.mine();
  if (fate_.load(std::memory_order_acquire) != fate::live) {
    signals_.end();
    // Its owner closes it, perhaps in the midst of a fold.
    if (order_.how == shape::push_told && has_closer() && result() != pool::outcome::timeout) {
      const atoms& names = library::current().names;
      enif_clear_env(chunk.env.get());
      send_end(chunk.env.get(), enif_make_list(chunk.env.get(), 0),
               enif_make_tuple2(chunk.env.get(), names.error, names.closed));
      enif_clear_env(chunk.env.get());
    }
    return tell_closer();
  }
  const bool later = order_.how == shape::pull && !order_.tell_end &&
                     (gave_ || !chunk.values.empty() || is_done(ending_.get(), ending_term_));
  if (later) {
    settle_fate(fate::due);
    signals_.end();
    flush(false);
  } else if (claim()) {
    settle_fate(once_sent());
    signals_.end();
    ErlNifEnv* const env = chunk.env.get();
    send_end(env, chunk.take_list(), enif_make_copy(env, ending_term_));
    enif_clear_env(env);
  } else {
    if (result() != pool::outcome::timeout) settle_fate(fate::over);  // else abandon() is about to say
    signals_.end();
  }
  tell_closer();
}

inline void stream_core::send_end(ErlNifEnv* env, ERL_NIF_TERM values, ERL_NIF_TERM end) noexcept {
  const atoms& names = library::current().names;
  if (order_.how != shape::push_plain)
    return send(env, enif_make_tuple4(env, names.py_stream, copy_tag(env), values, end));
  if (is_done(env, end)) return send(env, enif_make_tuple2(env, names.py_end, copy_tag(env)));
  int arity = 0;
  const ERL_NIF_TERM* parts = nullptr;
  if (enif_get_tuple(env, end, &arity, &parts) != 0)
    send(env, enif_make_tuple3(env, names.py_error, copy_tag(env), parts[1]));
}

inline void stream_core::tell_closer() noexcept {
  env_ptr env;
  ERL_NIF_TERM tag{};
  std::optional<resource_ptr<stream_watch>> watch;  // let go of outside the lock
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    env = std::move(closer_);
    tag = closer_tag_;
    std::swap(watch, watch_);
  }
  if (!env) return;
  const atoms& names = library::current().names;
  send(env.get(),
       enif_make_tuple4(env.get(), names.py_stream, tag, enif_make_list(env.get(), 0), names.closed));
}

}  // namespace erlpy::nif

#endif
