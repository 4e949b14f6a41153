// Making a map of many keys, whatever the VM is able to do.
//
// Two bugs of the VM are avoided here. Until OTP 27.3 it sorts more than 128 keys with the help of
// its scheduler's state, which threads of our own do not have: a segmentation fault in
// enif_make_map_from_arrays, and in enif_binary_to_term too (github.com/erlang/otp/issues/8208).
// And it does not refuse equal keys in a map of more than 32 (issues/10975).
#ifndef ERLPY_NIF_MAPS_HPP
#define ERLPY_NIF_MAPS_HPP

#include <erl_nif.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include <erlpy/data_model.hpp>
#include <erlpy/nif/env.hpp>

namespace erlpy::nif::detail {

// The most keys that one call may be given on any thread: all of them, from ERTS 15.2.3 on.
[[nodiscard]] inline std::size_t keys_at_once() noexcept {
  constexpr std::size_t safe_everywhere = 128;
  constexpr std::array<unsigned, 3> repaired = {15, 2, 3};
  ErlNifSysInfo info{};
  enif_system_info(&info, sizeof(info));
  if (info.erts_version == nullptr) return safe_everywhere;
  std::string_view version = info.erts_version;
  std::array<unsigned, 3> running{};
  for (unsigned& part : running) {
    const auto [end, failed] = std::from_chars(version.data(), version.data() + version.size(), part);
    if (failed != std::errc{}) break;
    version.remove_prefix(static_cast<std::size_t>(end - version.data()));
    if (version.starts_with('.')) version.remove_prefix(1);
  }
  return running < repaired ? safe_everywhere : std::numeric_limits<std::size_t>::max();
}

// Whether a term in the External Term Format may hold a map of more than `keys` keys: looks for what
// could be the head of one (116, a four-byte count), so that it errs on the safe side.
[[nodiscard]] inline bool may_hold_map_past(std::size_t keys, bytes_view external) noexcept {
  constexpr std::byte map_tag{116};
  constexpr std::size_t head = 5;
  if (keys >= external.size()) return false;
  for (std::size_t i = 0; i + head <= external.size(); ++i) {
    if (external[i] != map_tag) continue;
    std::size_t count = 0;
    for (std::size_t digit = 1; digit < head; ++digit)
      count = (count << 8U) | std::to_integer<std::size_t>(external[i + digit]);
    if (count > keys && count <= external.size() / 2) return true;
  }
  return false;
}

[[noreturn]] inline void throw_merged(const char* what, ERL_NIF_TERM term) {
  throw conversion_error(fault::value,
                         std::string("two ") + what + " become one in Erlang: " + printed(term, 200));
}

// Throws the error for a map whose keys, which it sorts, are not all different.
[[noreturn]] inline void throw_duplicate_key(std::span<ERL_NIF_TERM> keys) {
  std::sort(keys.begin(), keys.end(), [](ERL_NIF_TERM a, ERL_NIF_TERM b) { return enif_compare(a, b) < 0; });
  // 1 and 1.0 compare as equal and are two keys: look through each run of equals.
  for (auto run = keys.begin(); run != keys.end();) {
    const auto end =
        std::find_if(run, keys.end(), [run](ERL_NIF_TERM key) { return enif_compare(*run, key) != 0; });
    for (; run != end; ++run)
      for (auto other = run + 1; other != end; ++other)
        if (enif_is_identical(*run, *other)) throw_merged("keys of a map", *run);
  }
  throw conversion_error(fault::value, "two keys of a map become one in Erlang");
}

// The map of these keys and values; may reorder both. Errors: conversion_error (value) for a key
// that is there twice.
[[nodiscard]] inline ERL_NIF_TERM make_map(ErlNifEnv* env, std::span<ERL_NIF_TERM> keys,
                                           std::span<ERL_NIF_TERM> values, std::size_t at_once) {
  ERL_NIF_TERM map;
  const std::size_t first = std::min(keys.size(), at_once);
  if (!enif_make_map_from_arrays(env, keys.data(), values.data(), first, &map)) throw_duplicate_key(keys);
  std::size_t size = 0;
  if (!enif_get_map_size(env, map, &size) || size != first) throw_duplicate_key(keys);
  for (std::size_t i = first; i < keys.size(); ++i)
    if (!enif_make_map_put(env, map, keys[i], values[i], &map))
      throw conversion_error(fault::value, "the VM refused a map");
  if (!enif_get_map_size(env, map, &size) || size != keys.size()) throw_duplicate_key(keys);
  return map;
}

}  // namespace erlpy::nif::detail

#endif
