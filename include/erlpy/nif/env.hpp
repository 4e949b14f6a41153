// What every other header of this folder needs of erl_nif: an owner for process-independent
// environments, one for binaries under construction, and the two ways through the External Term
// Format (the only road for integers past 64 bits, and for atoms on older VMs).
//
// Everything here works on threads that ERTS does not know, on environments that belong to no
// process. An environment is used by one thread at a time; the terms in it may be read, but not
// added to, by many.
#ifndef ERLPY_NIF_ENV_HPP
#define ERLPY_NIF_ENV_HPP

#include <erl_nif.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>

#include <erlpy/data_model.hpp>

namespace erlpy::nif {

struct env_deleter {
  void operator()(ErlNifEnv* env) const noexcept { enif_free_env(env); }
};

// A process-independent environment; frees its terms with it. May be destroyed on any thread.
using env_ptr = std::unique_ptr<ErlNifEnv, env_deleter>;

// Throws std::bad_alloc.
[[nodiscard]] inline env_ptr make_env() {
  env_ptr env{enif_alloc_env()};
  if (env == nullptr) throw std::bad_alloc{};
  return env;
}

// The bytes of an inspected binary; valid as long as the environment of its term.
[[nodiscard]] inline bytes_view view_of(const ErlNifBinary& binary) noexcept {
  return {reinterpret_cast<const std::byte*>(binary.data), binary.size};
}

// A binary that is no term yet: given back to the VM unless into_term() takes it.
class owned_binary {
 public:
  // `size` bytes, not initialised. Throws std::bad_alloc, where enif_make_new_binary would end the VM.
  explicit owned_binary(std::size_t size) {
    if (!enif_alloc_binary(size, &binary_)) throw std::bad_alloc{};
  }

  // `term` in the External Term Format, version byte first. Throws std::bad_alloc: no term is
  // without such a form.
  owned_binary(ErlNifEnv* env, ERL_NIF_TERM term) {
    if (!enif_term_to_binary(env, term, &binary_)) throw std::bad_alloc{};
  }

  owned_binary(const owned_binary&) = delete;
  owned_binary& operator=(const owned_binary&) = delete;
  ~owned_binary() {
    if (!taken_) enif_release_binary(&binary_);
  }

  [[nodiscard]] bytes_view view() const noexcept { return view_of(binary_); }
  [[nodiscard]] std::span<std::byte> writable() noexcept {
    return {reinterpret_cast<std::byte*>(binary_.data), binary_.size};
  }

  // The binary as a term of `env`, which owns it from then on.
  [[nodiscard]] ERL_NIF_TERM into_term(ErlNifEnv* env) noexcept {
    taken_ = true;
    return enif_make_binary(env, &binary_);
  }

 private:
  ErlNifBinary binary_{};
  bool taken_ = false;
};

// A binary of this text. Throws std::bad_alloc.
[[nodiscard]] inline ERL_NIF_TERM make_binary(ErlNifEnv* env, std::string_view text) {
  owned_binary bytes(text.size());
  std::ranges::copy(as_bytes(text), bytes.writable().begin());
  return bytes.into_term(env);
}

inline constexpr std::byte external_version{131};

// Appends `term` in the External Term Format, without the leading version byte.
inline void append_external(ErlNifEnv* env, ERL_NIF_TERM term, byte_buffer& out) {
  const owned_binary encoded(env, term);
  const bytes_view body = encoded.view().subspan(1);
  out.insert(out.end(), body.begin(), body.end());
}

// Decodes one term, version byte first, into `env`. False if the VM refuses the bytes, or if they
// hold more than the term. Atoms that do not exist are made.
[[nodiscard]] inline bool decode_external(ErlNifEnv* env, bytes_view external, ERL_NIF_TERM& term) noexcept {
  return enif_binary_to_term(env, reinterpret_cast<const unsigned char*>(external.data()), external.size(),
                             &term, 0) == external.size();
}

// What Erlang would print for `term`, cut after about `limit` bytes.
[[nodiscard]] inline std::string printed(ERL_NIF_TERM term, std::size_t limit = 64 * 1024) {
  std::string text(std::min<std::size_t>(limit, 256), '\0');
  for (;;) {
    const int written = enif_snprintf(text.data(), text.size() + 1, "%T", term);
    if (written < 0) return "#Term<>";
    const auto needed = static_cast<std::size_t>(written);
    if (needed <= text.size()) {
      text.resize(needed);
      return text;
    }
    if (text.size() == limit) {
      text.resize(std::strlen(text.c_str()));
      return text + "...";
    }
    text.resize(std::min(needed, limit));
  }
}

}  // namespace erlpy::nif

#endif
