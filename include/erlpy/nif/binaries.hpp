// Binaries that cross without a copy, both ways: `binary_owner` keeps an Erlang binary alive for
// another world, `lent_bytes` makes an Erlang binary of bytes that another world owns.
#ifndef ERLPY_NIF_BINARIES_HPP
#define ERLPY_NIF_BINARIES_HPP

#include <erl_nif.h>

#include <cstddef>
#include <memory>
#include <new>
#include <utility>

#include <erlpy/data_model.hpp>
#include <erlpy/nif/env.hpp>
#include <erlpy/nif/resource.hpp>

namespace erlpy::nif {

// An Erlang binary held outside Erlang. Copying the term of a binary of more than 64 bytes only
// counts one more owner; a smaller one is copied into the environment that is kept here. Reading
// is safe on any thread, and so is destruction.
class binary_owner final : public shared_bytes {
 public:
  // Throws conversion_error (type) if `term` is no binary.
  explicit binary_owner(ERL_NIF_TERM term) : env_(make_env()), term_(enif_make_copy(env_.get(), term)) {
    ErlNifBinary binary;
    if (!enif_inspect_binary(env_.get(), term_, &binary)) throw conversion_error(fault::type, "not a binary");
    view_ = view_of(binary);
  }

  [[nodiscard]] bytes_view view() const noexcept override { return view_; }

  // The same binary again, in `env`.
  [[nodiscard]] ERL_NIF_TERM copy_to(ErlNifEnv* env) const noexcept { return enif_make_copy(env, term_); }

 private:
  env_ptr env_;
  ERL_NIF_TERM term_;
  bytes_view view_;
};

// The resource type behind binaries whose bytes belong to another world; the owner is let go, on
// whatever thread that happens, when the last such binary is gone. Cheap to copy; holds for as
// long as the NIF library is loaded.
class lent_bytes {
 public:
  // Only inside load or upgrade (where it takes the type over from the library before). Throws
  // erlpy::error.
  [[nodiscard]] static lent_bytes open(ErlNifEnv* env) {
    return lent_bytes{resource_type<shared_bytes_ptr>::open(env, "erlpy_lent_bytes").get()};
  }

  // A binary over `owner`'s bytes, without a copy.
  [[nodiscard]] ERL_NIF_TERM lend(ErlNifEnv* env, shared_bytes_ptr owner) const {
    const bytes_view view = owner->view();
    void* room = enif_alloc_resource(type_, sizeof(shared_bytes_ptr));
    if (room == nullptr) throw std::bad_alloc{};
    ::new (room) shared_bytes_ptr(std::move(owner));
    const ERL_NIF_TERM term = enif_make_resource_binary(env, room, view.data(), view.size());
    enif_release_resource(room);
    return term;
  }

 private:
  explicit lent_bytes(ErlNifResourceType* type) noexcept : type_(type) {}

  ErlNifResourceType* type_;
};

}  // namespace erlpy::nif

#endif
