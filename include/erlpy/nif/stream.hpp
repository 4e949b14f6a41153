// A Python iterable that a process steps: the coroutine, what is asked of it, and the messages about it.
//
// The core is what schedulers ask (pull, push, close, abandon), and what tells the owner; what runs the
// iterable is its subclass: stepped_stream where the worker is a thread of this process (local_stream), and
// remote_stream where it is another process. It lives with one worker. The term that Erlang holds is a handle
// in front of it: without its owner, or without anybody who holds it, the stream closes. The messages:
//   {py_stream, Tag, Values, more}          part of what a pull asked for
//   {py_stream, Tag, Values, stop}          the last part
//   {py_stream, Tag, [], {done, Returned}}  the end, or {error, Reason}; `closed` to who closes it
//   {py_chunk, Ref, V}, {py_end, Ref}, {py_error, Ref, Reason}   the same, pushed
#ifndef ERLPY_NIF_STREAM_HPP
#define ERLPY_NIF_STREAM_HPP

#include <erl_nif.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

#include <erlpy/bridge.hpp>
#include <erlpy/nif/env.hpp>
#include <erlpy/nif/format.hpp>
#include <erlpy/nif/library.hpp>
#include <erlpy/nif/refusal.hpp>
#include <erlpy/nif/resource.hpp>
#include <erlpy/nif/scratch.hpp>
#include <erlpy/nif/stream_chunk.hpp>
#include <erlpy/pool/worker_pool.hpp>
#include <erlpy/stream/iterate.hpp>
#include <erlpy/stream/signals.hpp>
#include <erlpy/stream_resident.hpp>

namespace erlpy::nif {

class stream_watch;

struct stream_settings {
  ErlNifPid owner{};
  bool traceback = false;
  bool keep_atoms = false;
};

class stream_core : public stream_resident {
 public:
  enum class shape : std::uint8_t { pull, push_plain, push_told };  // push_told: the end is as of a pull

  // What a pull or a push asks for. `tag` and `value` are terms of `env`.
  struct order {
    shape how = shape::pull;
    env_ptr env;
    ERL_NIF_TERM tag = 0;
    stream::step what = stream::step::next;
    ERL_NIF_TERM value = 0;  // of send: the value; of raise: {Class, Message}
    bool tell_end = false;   // the end comes with the values before it, not when one asks next
  };

  stream_core(std::shared_ptr<pool::worker_pool> pool, pool::worker& home, stream_settings settings)
      : pool_(std::move(pool)), home_(home.weak_from_this()), settings_(settings) {}
  stream_core(const stream_core&) = delete;
  stream_core& operator=(const stream_core&) = delete;

  // Asking; on a scheduler, by the owner -----------------------------------------------------------------

  // 0: a message will come. Else what the NIF answers: {ended, End}, {error, Reason}, or `stop`.
  [[nodiscard]] ERL_NIF_TERM ask(ErlNifEnv* env, order wanted, std::uint64_t count);
  // More for a push. The same results, and `ended`: a message says so, or has said so.
  [[nodiscard]] ERL_NIF_TERM demand_more(ErlNifEnv* env, std::uint64_t count);
  // Whether the answer to the next question is more than a normal scheduler has time to copy.
  [[nodiscard]] bool says_much();
  // Gives up what was asked: {abandoned, Values}; `sent`: a message has come; `again`, if not by force: the
  // worker is at the values. These are few: what is made in a millisecond goes out.
  [[nodiscard]] ERL_NIF_TERM abandon(ErlNifEnv* env, bool by_force);
  // True if it is closed; else a message with `tag` will say so.
  [[nodiscard]] bool close(ERL_NIF_TERM tag);
  // The end is known, and nobody waits for that message any more. True if it was sent.
  [[nodiscard]] bool forget_closer();
  // Any thread: nobody is there any more to hear of it.
  void drop() noexcept;
  // Any thread: nobody holds a handle. What was subscribed to goes on as far as it was asked for: the
  // consumer may hold nothing but its Ref.
  void orphan() noexcept;

  [[nodiscard]] const ErlNifPid& owner() const noexcept { return settings_.owner; }

  // pool::resident -----------------------------------------------------------------------------------------

  void refuse(pool::refusal why) noexcept override;

 protected:
  // What whoever asks next is told. It changes once from `live`, and to `over` when it was told. `telling`:
  // of a stream that is read ahead; the message is on its way.
  enum class fate : std::uint8_t { live, due, telling, over, replaced, crashed, stopped };

  ~stream_core() override = default;

  // On a scheduler.
  [[nodiscard]] ERL_NIF_TERM demanded(ErlNifEnv* env, std::uint64_t count);
  // Whether the worker has left it, and told nobody.
  [[nodiscard]] bool deserted() const noexcept;
  // 0 while it lives. Without `tell_end` a return is not told: `stop`.
  [[nodiscard]] ERL_NIF_TERM say_fate(ErlNifEnv* env, bool tell_end);
  void end_soon(stream::signals::asked before) noexcept;
  [[nodiscard]] resource_ptr<stream_watch> watch_owner(ErlNifEnv* env);

  // On the worker's thread; see stepped_stream.
  void enter(pool::worker& on);
  void leave() noexcept;
  void lend() noexcept { chunks_.lend(); }
  void recover() { chunks_.recover(); }
  [[nodiscard]] stream::step asked_step() noexcept { return std::exchange(order_.what, stream::step::next); }
  void flush(bool more);
  void ended();
  void settled() noexcept {
    if (orphaned_) drop();
  }
  // A value, built in this environment.
  [[nodiscard]] ErlNifEnv* value_env() noexcept { return chunks_.mine().env.get(); }
  void put_term(ERL_NIF_TERM value);
  // An answer that is not an end.
  void tell_refused(ErlNifEnv* env, ERL_NIF_TERM error) {
    if (claim()) send_end(env, enif_make_list(env, 0), error);
  }

  // Both.
  void settle_fate(fate last) noexcept {
    fate live = fate::live;
    (void)fate_.compare_exchange_strong(live, last, std::memory_order_acq_rel);
  }
  // The first stands, unless it is overruled.
  void end_as(ERL_NIF_TERM end, bool overrule = false);
  // {error, Reason}; a time-out that its owner has claimed already is the reason.
  void end_as_failed(ErlNifEnv* env, ERL_NIF_TERM error);
  [[nodiscard]] fate once_sent() const noexcept {
    return order_.how == shape::push_told ? fate::telling : fate::over;
  }
  [[nodiscard]] static bool is_done(ErlNifEnv* env, ERL_NIF_TERM end) noexcept {
    int arity = 0;
    const ERL_NIF_TERM* parts = nullptr;
    return enif_get_tuple(env, end, &arity, &parts) != 0 && parts[0] == library::current().names.done;
  }
  [[nodiscard]] bool has_end() {
    const std::lock_guard lock(mutex_);
    return static_cast<bool>(ending_);
  }
  [[nodiscard]] bool has_closer() {
    const std::lock_guard lock(mutex_);
    return static_cast<bool>(closer_);
  }
  void send_end(ErlNifEnv* env, ERL_NIF_TERM values, ERL_NIF_TERM end) noexcept;
  void tell_closer() noexcept;
  [[nodiscard]] ERL_NIF_TERM copy_tag(ErlNifEnv* env) const noexcept {
    return enif_make_copy(env, order_.tag);
  }
  void send(ErlNifEnv* env, ERL_NIF_TERM message) noexcept {
    ErlNifPid to = settings_.owner;
    (void)enif_send(nullptr, &to, env, message);  // it fails only if the owner is gone
  }
  [[nodiscard]] ERL_NIF_TERM reason_term(ErlNifEnv* env, pool::refusal why) const {
    return refusal_term(env, library::current().names, why, pool_->settings().name);
  }

  const std::shared_ptr<pool::worker_pool> pool_;
  const std::weak_ptr<pool::worker> home_;
  const stream_settings settings_;
  std::atomic<fate> fate_{fate::live};

  // Written by the owner while the signals are idle, read by the worker while they are not.
  order order_;
  std::atomic<bool> gave_{false};       // values went out already
  std::atomic<bool> timed_out_{false};  // the owner wants what there is
  std::atomic<bool> orphaned_{false};
  chunk_exchange chunks_;

  std::mutex mutex_;  // what follows; a leaf
  bool closed_ = false;
  env_ptr closer_;  // who closes it wants to know: the tag
  ERL_NIF_TERM closer_tag_ = 0;
  env_ptr ending_;  // {done, R} or {error, E}
  ERL_NIF_TERM ending_term_ = 0;
  std::optional<resource_ptr<stream_watch>> watch_;  // of the owner, while values are pushed
};

}  // namespace erlpy::nif

#include <erlpy/nif/stream_asking.hpp>
#include <erlpy/nif/stream_telling.hpp>

#endif
