// Terms that only Erlang understands (pids, references, ports, funs, bitstrings, improper lists):
// `boxed_term` owns one outside Erlang, `term_handle` is one on offer while a source walks.
#ifndef ERLPY_NIF_OPAQUE_HPP
#define ERLPY_NIF_OPAQUE_HPP

#include <erl_nif.h>

#include <cstddef>
#include <memory>
#include <string>

#include <erlpy/data_model.hpp>
#include <erlpy/nif/env.hpp>

namespace erlpy::nif {

// A copy of a term in an environment of its own. Its members only read that environment, so that
// any number of threads may use one box; it may be destroyed on any thread.
class boxed_term final : public opaque_term {
 public:
  // `term` may live in any environment that the calling thread may read.
  boxed_term(ERL_NIF_TERM term, opaque_kind kind)
      : env_(make_env()), term_(enif_make_copy(env_.get(), term)), kind_(kind) {}

  [[nodiscard]] opaque_kind kind() const noexcept override { return kind_; }

  // A term of another world is compared by its external form.
  [[nodiscard]] bool same_as(const opaque_term& other) const override {
    if (const auto* boxed = dynamic_cast<const boxed_term*>(&other))
      return enif_is_identical(term_, boxed->term_) != 0;
    if (kind_ != other.kind()) return false;
    byte_buffer mine;
    byte_buffer theirs;
    append_external(mine);
    other.append_external(theirs);
    return mine == theirs;
  }

  // Equal boxes have equal hashes: Erlang's portable hash is a function of the value (the external
  // form is not: equal funs may name different creators there).
  [[nodiscard]] std::size_t hash() const noexcept override {
    return static_cast<std::size_t>(enif_hash(ERL_NIF_PHASH2, term_, 0));
  }

  void append_external(byte_buffer& out) const override { nif::append_external(env_.get(), term_, out); }

  [[nodiscard]] std::string text() const override { return printed(term_); }

  // The term itself, in `env`.
  [[nodiscard]] ERL_NIF_TERM copy_to(ErlNifEnv* env) const noexcept { return enif_make_copy(env, term_); }

 private:
  env_ptr env_;
  ERL_NIF_TERM term_;
  opaque_kind kind_;
};

// What nif::source offers to a sink's opaque(); valid while the source walks.
class term_handle {
 public:
  term_handle(ErlNifEnv* env, ERL_NIF_TERM term, opaque_kind kind) noexcept
      : env_(env), term_(term), kind_(kind) {}

  [[nodiscard]] opaque_kind kind() const noexcept { return kind_; }
  void external(byte_buffer& out) const { append_external(env_, term_, out); }
  [[nodiscard]] opaque_ptr share() const { return std::make_shared<const boxed_term>(term_, kind_); }
  [[nodiscard]] ERL_NIF_TERM copy_to(ErlNifEnv* env) const noexcept { return enif_make_copy(env, term_); }

 private:
  ErlNifEnv* env_;
  ERL_NIF_TERM term_;
  opaque_kind kind_;
};

static_assert(opaque_handle<term_handle>);

}  // namespace erlpy::nif

#endif
