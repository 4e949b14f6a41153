// The worker's side of a stream: the coroutine is resumed, its values become terms, its end is told.
// Included by stream.hpp.
#ifndef ERLPY_NIF_STREAM_PRODUCING_HPP
#define ERLPY_NIF_STREAM_PRODUCING_HPP

#include <erlpy/nif/stream.hpp>

namespace erlpy::nif {

inline void stream_core::open(pool::thread_worker& on, const python::ref& object) {
  asynchronous_ = stream::is_async_iterable(object.get());
  if (asynchronous_) {
    iterator_ = stream::async_iterator(object.get());
    const python::ref driving = on.drive(*this, iterator_);
    set_driving(driving);
    steps_ = stream::iterate_async(driving);
  } else {
    iterator_ = python::checked(PyObject_GetIter(object.get()));
    steps_ = stream::iterate_sync(iterator_);
  }
  on.adopt(*this);
}

inline void stream_core::proceed(pool::worker& runner) noexcept {
  pool::thread_worker& on = pool::thread_worker::of(runner);
  const pool::job_ptr alive(this);
  if (const auto home = home_.lock(); home.get() != &on) {
    if (!home || home->abandoned() || !home->schedule(*this)) refuse(pool::refusal::replaced);
    return;
  }
  if (!iterator_) return;  // it has ended
  worker_scratch& scratch = worker_scratch::mine();
  try {
    chunks_.recover();
    scratch.minter.serve({pool_, on.place().index, on.place().objects});
    if (produce(on)) (void)on.schedule(*this);
  } catch (...) {
    // Out of memory while it was told what happened: nobody waits for a message that cannot be made.
    refuse(pool::refusal::replaced);
    close_up(on);
  }
  scratch.minter.leave();
  chunks_.lend();
}

// True: there is more to do, after others had their turn.
inline bool stream_core::produce(pool::thread_worker& on) {
  for (;;) {
    if (!waiting_ && !closing_) {
      if (signals_.closing()) {
        closing_ = true;
      } else if (made_ >= signals_.open()) {
        flush(false);
        if (signals_.settle(std::exchange(made_, 0))) continue;
        if (orphaned_) drop();
        return false;
      }
    }
    stream::progress now{};
    try {
      if (!take_step(on, now)) continue;  // refused
    } catch (...) {
      end_as_error(on);
      finish(on);
      return false;
    }
    if (python::in_forked_child()) python::end_forked_child(nullptr);
    if (now == stream::progress::pending) {
      flush(true);
      return false;
    }
    if (now == stream::progress::done) {
      end_as_done(on);
      finish(on);
      return false;
    }
    if (!closing_ && !signals_.closing()) add_value(on);
    if (made_ < signals_.open() && on.slice_over()) {
      flush(true);
      const python::detached others;  // who has waited for the GIL has it now
      return true;
    }
  }
}

// False: what was asked cannot be done with this iterator, which the asker was told.
inline bool stream_core::take_step(pool::thread_worker& on, stream::progress& now) {
  stream::command next{closing_ ? stream::step::close : stream::step::next, nullptr};
  if (!waiting_ && !closing_ && order_.what != stream::step::next) {
    try {
      next = asked_command(on);
    } catch (...) {
      order_.what = stream::step::next;
      const env_ptr env = make_env();
      const ERL_NIF_TERM error = error_of_current(env.get(), on);
      ++made_;
      if (claim()) send_end(env.get(), enif_make_list(env.get(), 0), error);
      return false;
    }
    order_.what = stream::step::next;
  }
  stepped_ = true;
  if (!waiting_) interrupted_ = false;
  chunks_.lend();
  try {
    if (closing_ && !asynchronous_) {
      on.keep_house([&] { now = steps_.resume(std::move(next)); });
    } else {
      now = steps_.resume(std::move(next));
    }
  } catch (...) {
    chunks_.recover();
    wait_for_step(on, false);
    throw;
  }
  chunks_.recover();
  wait_for_step(on, now == stream::progress::pending);
  return true;
}

// Of send and throw, checked: nothing has happened to the iterator yet.
inline stream::command stream_core::asked_command(pool::thread_worker& on) {
  const library& loaded = library::current();
  const walk_limits limits{on.settings().max_depth, &stop_flag()};
  python::sink into(on.context(), {settings_.keep_atoms});
  python::ref value = transcode(source(order_.env.get(), order_.value, loaded.sources, limits), into);
  if (order_.what == stream::step::raise) {
    value = python::checked(PyObject_CallFunctionObjArgs(on.context().home().helpers().make_exception.get(),
                                                         value.get(), PyModule_GetDict(on.name_space()),
                                                         nullptr));
  }
  stream::command asked{order_.what, std::move(value)};
  if (asynchronous_) {
    stream::check_async(iterator_.get(), asked, !stepped_);
  } else {
    stream::check(iterator_.get(), asked);
  }
  return asked;
}

inline void stream_core::add_value(pool::thread_worker& on) {
  stream_chunk& chunk = chunks_.mine();
  ERL_NIF_TERM value{};
  ++made_;
  try {
    walk_limits limits{on.settings().max_depth, &stop_flag()};
    limits.breathe = [](void*) { const python::detached others; };
    sink into(chunk.env.get(), worker_scratch::mine().sinks);
    const python::ref given = std::move(steps_.value());
    stream::check_value(iterator_.get(), given.get());
    value = transcode(python::source(on.context(), given.get(), limits), into);
  } catch (...) {
    end_as_error(on);
    closing_ = true;  // the iterator is closed, then the error is told
    return;
  }
  if (order_.how == shape::pull) {
    chunk.values.push_back(value);
  } else {
    if (claim()) {
      ErlNifEnv* const env = chunk.env.get();
      send(env, enif_make_tuple3(env, library::current().names.py_chunk, copy_tag(env), value));
      reopen();
    }
    enif_clear_env(chunk.env.get());
  }
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

// Ending -------------------------------------------------------------------------------------------------------

inline void stream_core::end_as(ERL_NIF_TERM end, bool overrule) {
  env_ptr env = make_env();
  const ERL_NIF_TERM copy = enif_make_copy(env.get(), end);
  const std::lock_guard lock(mutex_);
  if (ending_ && !overrule) return;
  ending_ = std::move(env);
  ending_term_ = copy;
}

inline void stream_core::end_as_done(pool::thread_worker& on) {
  const python::ref returned = steps_.result();
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

inline void stream_core::end_as_error(pool::thread_worker& on) {
  const env_ptr env = make_env();
  const ERL_NIF_TERM error = error_of_current(env.get(), on);
  const atoms& names = library::current().names;
  end_as(timed_out_ ? enif_make_tuple2(env.get(), names.error, names.timeout) : error);
}

// Inside a catch block: {error, Reason}.
inline ERL_NIF_TERM stream_core::error_of_current(ErlNifEnv* env, pool::thread_worker& on) const {
  const library& loaded = library::current();
  format terms(env, loaded.sources, worker_scratch::mine().sinks, loaded.budget, false);
  terms.begin_answer();
  return enif_make_tuple2(env, loaded.names.error,
                          reason_of_current(terms, on.context().home(), settings_.traceback, std::nullopt));
}

// The coroutine has ended: the owner is told now, or when it asks next.
inline void stream_core::finish(pool::thread_worker& on) {
  close_up(on);
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

// Lets go of all that is Python's.
inline void stream_core::close_up(pool::thread_worker& on) noexcept {
  wait_for_step(on, false);
  iterator_ = nullptr;  // first: what the end of the steps tells is not for going on
  steps_ = {};
  set_driving(nullptr);
  over_ = true;
  on.disown(*this);
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

inline void stream_core::lose_loop(pool::worker& runner) noexcept {
  pool::thread_worker& on = pool::thread_worker::of(runner);
  if (!waiting_) return;
  const pool::job_ptr alive(this);
  try {
    chunks_.recover();
    try {
      PyErr_SetString(PyExc_RuntimeError, "the event loop of the worker was closed");
      throw python::exception::fetch();
    } catch (...) {
      end_as_error(on);
    }
    finish(on);
  } catch (...) {
    refuse(pool::refusal::replaced);
    close_up(on);
  }
  chunks_.lend();
}

// The first time it is asked to close; the second time it has to be gone.
inline void stream_core::evict(pool::worker& runner, pool::refusal why) noexcept {
  pool::thread_worker& from = pool::thread_worker::of(runner);
  const pool::job_ptr alive(this);
  refuse(why);
  (void)signals_.close();
  if (!iterator_) return;
  if (std::exchange(evicted_, true)) {
    close_up(from);
  } else if (waiting_) {
    cancel_step(false);
  } else {
    proceed(from);
  }
}

}  // namespace erlpy::nif

#endif
