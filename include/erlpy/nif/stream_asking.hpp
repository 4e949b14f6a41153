// The scheduler's side of a stream: what its owner asks for, and how it gives up. Included by stream.hpp.
#ifndef ERLPY_NIF_STREAM_ASKING_HPP
#define ERLPY_NIF_STREAM_ASKING_HPP

#include <erlpy/nif/stream.hpp>
#include <erlpy/nif/weight.hpp>

namespace erlpy::nif {

inline ERL_NIF_TERM stream_core::ask(ErlNifEnv* env, order wanted, std::uint64_t count) {
  const atoms& names = library::current().names;
  if (const ERL_NIF_TERM said = say_fate(env, wanted.tell_end); said != 0) return said;
  if (order_.how != shape::pull) return enif_make_tuple2(env, names.error, names.subscribed);
  if (wanted.how != shape::pull) {
    auto watch = watch_owner(env);
    const std::lock_guard lock(mutex_);
    watch_ = std::move(watch);
  }
  order_ = std::move(wanted);
  gave_ = false;
  timed_out_ = false;
  start_again();
  return demanded(env, count);
}

inline ERL_NIF_TERM stream_core::demand_more(ErlNifEnv* env, std::uint64_t count) {
  const atoms& names = library::current().names;
  if (order_.how == shape::pull) return enif_make_tuple2(env, names.error, names.not_subscribed);
  const fate now = fate_.load(std::memory_order_acquire);
  if (now == fate::live) return demanded(env, count);
  if (now == fate::telling || order_.how == shape::push_plain) return names.ended;
  return say_fate(env, true);
}

// Null, or what stands against it. Where the stream ended just now, whoever claims the order tells it.
inline ERL_NIF_TERM stream_core::demanded(ErlNifEnv* env, std::uint64_t count) {
  const auto before = signals_.demand(count);
  bool heard = before == stream::signals::asked::busy;
  if (before == stream::signals::asked::idle) {
    const auto home = home_.lock();
    heard = home && home->schedule(*this);
    if (!heard) settle_fate(fate::stopped);
  }
  if (heard && !deserted()) return 0;
  return claim() ? say_fate(env, true) : 0;
}

// refuse() settles the fate, then looks for an order to claim; here the order is open, then the fate is
// looked at: one of the two sees the other.
inline bool stream_core::deserted() const noexcept {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const fate now = fate_.load(std::memory_order_acquire);
  return now == fate::replaced || now == fate::crashed || now == fate::stopped;
}

inline ERL_NIF_TERM stream_core::say_fate(ErlNifEnv* env, bool tell_end) {
  const atoms& names = library::current().names;
  const fate now = fate_.load(std::memory_order_acquire);
  if (now == fate::live) return 0;
  if (now == fate::due && !tell_end) {
    const std::lock_guard lock(mutex_);
    if (is_done(ending_.get(), ending_term_)) return names.stop;
  }
  fate_.store(fate::over, std::memory_order_release);
  switch (now) {
    case fate::due: {
      const std::lock_guard lock(mutex_);
      return enif_make_tuple2(env, names.ended, enif_make_copy(env, ending_term_));
    }
    case fate::replaced: return enif_make_tuple2(env, names.error, reason_term(env, pool::refusal::replaced));
    case fate::crashed: return enif_make_tuple2(env, names.error, reason_term(env, pool::refusal::crashed));
    case fate::stopped: return enif_make_tuple2(env, names.error, reason_term(env, pool::refusal::stopped));
    default: return enif_make_tuple2(env, names.error, names.closed);
  }
}

inline bool stream_core::says_much() {
  if (fate_.load(std::memory_order_acquire) != fate::due) return false;
  const std::lock_guard lock(mutex_);
  return weigher(ending_.get(), light_weight).weigh(ending_term_) == light_weight;
}

inline ERL_NIF_TERM stream_core::abandon(ErlNifEnv* env, bool by_force) {
  const atoms& names = library::current().names;
  const std::unique_ptr<stream_chunk> taken = chunks_.take();
  if (!taken && !by_force) {
    if (result() == pool::outcome::sent) return names.sent;
    timed_out_ = true;
    stop();  // a conversion under way ends
    return names.again;
  }
  if (!give_up(pool::outcome::timeout)) return names.sent;
  ERL_NIF_TERM values = enif_make_list(env, 0);
  if (taken && !taken->values.empty()) {
    values = enif_make_copy(env, taken->take_list());
    gave_ = true;
  }
  const bool gave = gave_ && !order_.tell_end;  // then {error, timeout} is for the next pull to say
  if (gave) end_as(enif_make_tuple2(env, names.error, names.timeout), true);
  settle_fate(gave ? fate::due : fate::over);
  pool_->count_timeout();
  end_soon(signals_.close());
  return enif_make_tuple2(env, names.abandoned, values);
}

inline void stream_core::drop() noexcept {
  settle_fate(fate::over);
  (void)give_up(pool::outcome::cancelled);
  end_soon(signals_.close());
}

inline void stream_core::orphan() noexcept {
  if (order_.how != shape::push_plain || fate_.load(std::memory_order_acquire) != fate::live) return drop();
  orphaned_ = true;
  if (signals_.idle()) drop();
}

inline bool stream_core::close(ERL_NIF_TERM tag) {
  env_ptr env = make_env();
  fate_.store(fate::over, std::memory_order_release);
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return true;
    closer_tag_ = enif_make_copy(env.get(), tag);
    closer_ = std::move(env);
  }
  drop();
  return false;
}

inline bool stream_core::forget_closer() {
  fate_.store(fate::over, std::memory_order_release);
  const std::lock_guard lock(mutex_);
  closer_.reset();
  return closed_;
}

// Nobody need wait for a thread that was given up: it closes what it has when it comes back.
inline void stream_core::end_soon(stream::signals::asked before) noexcept {
  const auto home = home_.lock();
  if (!home) return;
  if (before == stream::signals::asked::idle) (void)home->schedule(*this);
  if (before == stream::signals::asked::busy) pool_->interrupt_resident(home, *this);
}

inline void stream_core::refuse(pool::refusal why) noexcept {
  settle_fate(why == pool::refusal::replaced  ? fate::replaced
              : why == pool::refusal::crashed ? fate::crashed
                                              : fate::stopped);
  std::atomic_thread_fence(std::memory_order_seq_cst);  // see deserted()
  if (claim()) {
    fate_.store(once_sent(), std::memory_order_release);
    try {
      const env_ptr env = make_env();
      const ERL_NIF_TERM error =
          enif_make_tuple2(env.get(), library::current().names.error, reason_term(env.get(), why));
      send_end(env.get(), enif_make_list(env.get(), 0), error);
    } catch (...) {
      // Out of memory: the owner's own time-out tells it.
    }
  }
  tell_closer();
}

}  // namespace erlpy::nif

#endif
