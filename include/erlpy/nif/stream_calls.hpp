// The NIFs of streams: from the arguments of py_nif.erl to what a stream is asked.
#ifndef ERLPY_NIF_STREAM_CALLS_HPP
#define ERLPY_NIF_STREAM_CALLS_HPP

#include <erl_nif.h>

#include <cstdint>
#include <utility>

#include <erlpy/nif/stream_handle.hpp>
#include <erlpy/nif/weight.hpp>

namespace erlpy::nif {

class stream_call {
 public:
  stream_call(ErlNifEnv* env, const ERL_NIF_TERM* argv) noexcept
      : env_(env), argv_(argv), loaded_(library::current()), names_(loaded_.names) {
    handle_ = loaded_.streams.get(env, argv[0]);
  }

  // argv: Handle, Tag, Count, What, TellEnd
  [[nodiscard]] ERL_NIF_TERM pull() const {
    if (const ERL_NIF_TERM refused = refusal(); refused != 0) return refused;
    std::uint64_t count = 0;
    stream_core::order wanted;
    if (!read_count(argv_[2], count)) return enif_make_badarg(env_);
    wanted.env = make_env();
    wanted.tell_end = argv_[4] == names_.true_;
    if (!read_step(wanted)) return enif_make_badarg(env_);
    return ask(std::move(wanted), count);
  }

  // argv: Handle, Tag, Count, Plain
  [[nodiscard]] ERL_NIF_TERM push() const {
    if (const ERL_NIF_TERM refused = refusal(); refused != 0) return refused;
    std::uint64_t count = 0;
    stream_core::order wanted;
    if (!read_count(argv_[2], count)) return enif_make_badarg(env_);
    wanted.env = make_env();
    wanted.tell_end = true;
    wanted.how = argv_[3] == names_.true_ ? stream_core::shape::push_plain : stream_core::shape::push_told;
    return ask(std::move(wanted), count);
  }

  // argv: Handle, Count
  [[nodiscard]] ERL_NIF_TERM demand() const {
    if (const ERL_NIF_TERM refused = refusal(); refused != 0) return refused;
    std::uint64_t count = 0;
    if (!read_count(argv_[1], count)) return enif_make_badarg(env_);
    const ERL_NIF_TERM said = handle_->core().demand_more(env_, count);
    return said == 0 ? names_.ok : said;
  }

  // argv: Handle, ByForce
  [[nodiscard]] ERL_NIF_TERM abandon() const {
    if (const ERL_NIF_TERM refused = refusal(); refused != 0) return refused;
    return handle_->core().abandon(env_, argv_[1] == names_.true_);
  }

  // argv: Handle, Tag; without a tag: the end is known, and nobody waits for a message any more
  [[nodiscard]] ERL_NIF_TERM close() const {
    if (const ERL_NIF_TERM refused = refusal(); refused != 0) return refused;
    if (argv_[1] == names_.none) return handle_->core().forget_closer() ? names_.closed : names_.wait;
    return handle_->core().close(argv_[1]) ? names_.closed : names_.wait;
  }

  // Whether a normal scheduler has no time for what is asked or answered. `sent`: what goes into the
  // generator.
  [[nodiscard]] bool is_heavy(ERL_NIF_TERM sent) const {
    return weigher(env_, light_weight).weigh(sent) == light_weight ||
           (handle_ != nullptr && handle_->core().says_much());
  }

 private:
  // 0 if the caller may ask.
  [[nodiscard]] ERL_NIF_TERM refusal() const {
    // Of another node, or from before the module was unloaded.
    if (handle_ == nullptr) return enif_make_tuple2(env_, names_.error, names_.closed);
    ErlNifPid caller;
    if (enif_self(env_, &caller) == nullptr) return enif_make_badarg(env_);
    if (enif_compare_pids(&caller, &handle_->core().owner()) == 0) return 0;
    return enif_make_tuple2(env_, names_.error, names_.not_owner);
  }

  [[nodiscard]] ERL_NIF_TERM ask(stream_core::order wanted, std::uint64_t count) const {
    wanted.tag = enif_make_copy(wanted.env.get(), argv_[1]);
    const ERL_NIF_TERM said = handle_->core().ask(env_, std::move(wanted), count);
    return said == 0 ? names_.wait : said;
  }

  [[nodiscard]] bool read_count(ERL_NIF_TERM from, std::uint64_t& count) const noexcept {
    if (from == names_.infinity) {
      count = stream::signals::most;
      return true;
    }
    ErlNifUInt64 number = 0;
    if (!enif_get_uint64(env_, from, &number) || number == 0) return false;
    count = number;
    return true;
  }

  // next | {send, V} | {throw, {Class, Message}}
  [[nodiscard]] bool read_step(stream_core::order& wanted) const noexcept {
    if (argv_[3] == names_.next) return true;
    int arity = 0;
    const ERL_NIF_TERM* parts = nullptr;
    if (!enif_get_tuple(env_, argv_[3], &arity, &parts) || arity != 2) return false;
    if (parts[0] != names_.send && parts[0] != names_.throw_) return false;
    wanted.what = parts[0] == names_.send ? stream::step::send : stream::step::raise;
    wanted.value = enif_make_copy(wanted.env.get(), parts[1]);
    return true;
  }

  ErlNifEnv* env_;
  const ERL_NIF_TERM* argv_;
  const library& loaded_;
  const atoms& names_;
  stream_handle* handle_ = nullptr;
};

}  // namespace erlpy::nif

#endif
