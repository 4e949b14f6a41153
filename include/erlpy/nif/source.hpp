// A source over a NIF term: walks it with the erl_nif calls alone and tells any sink what it finds.
// Into sinks that speak Erlang the term passes exactly as it is; for others the crossing table is
// applied here (true, false and the none atoms, the tagged tuples, references to Python objects).
//
// The cost of a walk is the calls into erl_nif. Elements of a list, keys of a map and values of a map
// tend to have one type, so each is first tried as what the one before it was, which makes it one
// call; else enif_term_type decides.
#ifndef ERLPY_NIF_SOURCE_HPP
#define ERLPY_NIF_SOURCE_HPP

#include <erl_nif.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <erlpy/data_model.hpp>
#include <erlpy/detail/utf8.hpp>
#include <erlpy/nif/atom_text.hpp>
#include <erlpy/nif/binaries.hpp>
#include <erlpy/nif/context.hpp>
#include <erlpy/nif/env.hpp>
#include <erlpy/nif/opaque.hpp>

namespace erlpy::nif {

namespace detail {

// A sink that keeps what it made of an atom: `key` is the atom itself, the text is asked for at
// most once an atom.
template <class S>
concept atom_cache = requires(S& s, std::uintptr_t key, std::string (*text)()) {
  s.cached_atom(key, text);
};

// One pass over a map, ended on every way out.
class map_pass {
 public:
  map_pass(ErlNifEnv* env, ERL_NIF_TERM map) : env_(env) {
    if (!enif_map_iterator_create(env, map, &iterator_, ERL_NIF_MAP_ITERATOR_FIRST))
      throw conversion_error(fault::type, "not a map");
  }
  map_pass(const map_pass&) = delete;
  map_pass& operator=(const map_pass&) = delete;
  ~map_pass() { enif_map_iterator_destroy(env_, &iterator_); }

  [[nodiscard]] bool pair(ERL_NIF_TERM& key, ERL_NIF_TERM& value) noexcept {
    return enif_map_iterator_get_pair(env_, &iterator_, &key, &value) != 0;
  }
  void next() noexcept { enif_map_iterator_next(env_, &iterator_); }

 private:
  ErlNifEnv* env_;
  ErlNifMapIterator iterator_;
};

// One walk of one term.
class walker {
 public:
  walker(ErlNifEnv* env, const source_context& context, const walk_limits& limits) noexcept
      : env_(env), context_(context), guard_(limits) {}

  // `guess` is the type to try first, and is left as the type that was found.
  template <class To>
  auto value(ERL_NIF_TERM term, To&& to, ErlNifTermType& guess) {
    guard_.tick();
    if (guess == ERL_NIF_TERM_TYPE_INTEGER) {
      ErlNifSInt64 integer;
      if (enif_get_int64(env_, term, &integer)) return to.integer(integer);
    } else if (guess == ERL_NIF_TERM_TYPE_FLOAT) {
      double real;
      if (enif_get_double(env_, term, &real)) return to.real(real);
    } else if (guess == ERL_NIF_TERM_TYPE_BITSTRING) {
      ErlNifBinary binary;
      if (enif_inspect_binary(env_, term, &binary)) return to.binary(view_of(binary));
    } else if (guess == ERL_NIF_TERM_TYPE_LIST) {
      unsigned length;
      if (enif_get_list_length(env_, term, &length)) return proper_list(term, length, to);
    }
    guess = enif_term_type(env_, term);
    switch (guess) {
      case ERL_NIF_TERM_TYPE_INTEGER:
        return integer(term, to);
      case ERL_NIF_TERM_TYPE_BITSTRING:
        return binary(term, to);
      case ERL_NIF_TERM_TYPE_FLOAT:
        return real(term, to);
      case ERL_NIF_TERM_TYPE_LIST:
        return list(term, to);
      case ERL_NIF_TERM_TYPE_ATOM:
        return atom(term, to);
      case ERL_NIF_TERM_TYPE_TUPLE:
        return tuple(term, to);
      case ERL_NIF_TERM_TYPE_MAP:
        return map(term, to);
      case ERL_NIF_TERM_TYPE_PID:
        return opaque(term, opaque_kind::pid, to);
      case ERL_NIF_TERM_TYPE_PORT:
        return opaque(term, opaque_kind::port, to);
      case ERL_NIF_TERM_TYPE_REFERENCE:
        return opaque(term, opaque_kind::reference, to);
      case ERL_NIF_TERM_TYPE_FUN:
        return opaque(term, opaque_kind::fun, to);
      default:
        return opaque(term, opaque_kind::record, to);  // of an OTP later than this header
    }
  }

 private:
  template <class To>
  using built = typename To::value_type;

  template <class To>
  built<To> integer(ERL_NIF_TERM term, To& to) {
    ErlNifSInt64 integer;
    if (enif_get_int64(env_, term, &integer)) return to.integer(integer);
    return big_integer(term, to);
  }

  template <class To>
  built<To> real(ERL_NIF_TERM term, To& to) {
    double real;
    if (!enif_get_double(env_, term, &real)) throw conversion_error(fault::type, "not a float");
    return to.real(real);
  }

  template <class To>
  built<To> binary(ERL_NIF_TERM term, To& to) {
    ErlNifBinary binary;
    if (enif_inspect_binary(env_, term, &binary)) return to.binary(view_of(binary));
    return opaque(term, opaque_kind::bitstring, to);
  }

  template <class To>
  built<To> list(ERL_NIF_TERM term, To& to) {
    unsigned length;
    if (!enif_get_list_length(env_, term, &length)) return opaque(term, opaque_kind::improper_list, to);
    return proper_list(term, length, to);
  }

  template <class To>
  [[gnu::noinline]] built<To> proper_list(ERL_NIF_TERM term, unsigned length, To& to) {
    const walk_guard::level inside(guard_);
    auto builder = to.list(length);
    ErlNifTermType guess = ERL_NIF_TERM_TYPE_INTEGER;
    for (ERL_NIF_TERM head; enif_get_list_cell(env_, term, &head, &term);)
      push_element(builder, [&](auto& child) { return value(head, child, guess); });
    return builder.finish();
  }

  template <class To>
  [[gnu::noinline]] built<To> map(ERL_NIF_TERM term, To& to) {
    std::size_t size;
    if (!enif_get_map_size(env_, term, &size)) throw conversion_error(fault::type, "not a map");
    const walk_guard::level inside(guard_);
    auto builder = to.map(size);
    map_pass pass(env_, term);
    ErlNifTermType key_guess = ERL_NIF_TERM_TYPE_BITSTRING;
    ErlNifTermType other_guess = ERL_NIF_TERM_TYPE_INTEGER;
    std::size_t place = 0;
    for (ERL_NIF_TERM key, mapped; pass.pair(key, mapped); pass.next()) {
      ErlNifTermType& value_guess = place < field_guesses_.size() ? field_guesses_[place++] : other_guess;
      push_entry(
          builder, [&](auto& child) { return value(key, child, key_guess); },
          [&](auto& child) { return value(mapped, child, value_guess); });
    }
    return builder.finish();
  }

  template <class To>
  [[gnu::noinline]] built<To> tuple(ERL_NIF_TERM term, To& to) {
    int arity;
    const ERL_NIF_TERM* elements;
    if (!enif_get_tuple(env_, term, &arity, &elements)) throw conversion_error(fault::type, "not a tuple");
    const std::span all{elements, static_cast<std::size_t>(arity)};
    if constexpr (!To::erlang_terms) {
      if (arity == 2) {
        const ERL_NIF_TERM tag = all[0];
        if (tag == context_.names.bytes || tag == context_.names.buffer) {
          ErlNifBinary content;
          if (enif_inspect_binary(env_, all[1], &content))
            return tag == context_.names.bytes ? to.bytes(view_of(content)) : shared_binary(all[1], to);
        }
      } else if (arity == 4 && all[0] == context_.names.ndarray) {
        return tagged_ndarray(all, to);
      }
    }
    if (arity == 2 && (all[0] == context_.names.py_object || all[0] == context_.names.generator)) {
      object_ref object{0, 0, all[0] == context_.names.generator};
      if (context_.resolve(env_, all[1], object)) return to.object(object);
      if (context_.objects != nullptr && enif_is_ref(env_, all[1]))
        throw conversion_error(fault::object_gone, "the object lives on another node");
    }
    const walk_guard::level inside(guard_);
    auto builder = to.tuple(all.size());
    ErlNifTermType guess = ERL_NIF_TERM_TYPE_INTEGER;
    for (const ERL_NIF_TERM element : all)
      push_element(builder, [&](auto& child) { return value(element, child, guess); });
    return builder.finish();
  }

  template <class To>
  built<To> atom(ERL_NIF_TERM term, To& to) {
    if constexpr (!To::erlang_terms) {
      const atoms& names = context_.names;
      if (term == names.true_) return to.boolean(true);
      if (term == names.false_) return to.boolean(false);
      if (term == names.none || term == names.nil || term == names.undefined) return to.none();
    }
    if constexpr (atom_cache<To>) {
      return to.cached_atom(static_cast<std::uintptr_t>(term), [this, term] {
        atom_buffer buffer;
        return std::string(atom_text(env_, term, buffer));
      });
    } else {
      return atom_by_text(term, to);
    }
  }

  template <class To>
  [[gnu::noinline]] built<To> atom_by_text(ERL_NIF_TERM term, To& to) {
    const auto place = static_cast<std::size_t>(term >> 6U) % seen_atoms_.size();
    short_text& kept = atom_texts_[place];
    if (seen_atoms_[place] == term) return to.atom({kept.text.data(), kept.size});
    atom_buffer buffer;
    const std::string_view text = atom_text(env_, term, buffer);
    if (text.size() <= kept.text.size()) {
      seen_atoms_[place] = term;
      kept.size = text.size();
      std::memcpy(kept.text.data(), text.data(), text.size());
    }
    return to.atom(text);
  }

  // Past 64 bits the digits are to be had in the external form alone: 110, a one-byte count, or 111,
  // a four-byte count; then the sign, then the magnitude with the least significant byte first.
  template <class To>
  [[gnu::noinline]] built<To> big_integer(ERL_NIF_TERM term, To& to) {
    ErlNifUInt64 positive;
    if (enif_get_uint64(env_, term, &positive)) {
      std::array<std::byte, sizeof(positive)> magnitude;
      for (std::byte& digit : magnitude) {
        digit = static_cast<std::byte>(positive & 0xFFU);
        positive >>= 8U;
      }
      return to.big_integer(false, magnitude);
    }
    const owned_binary encoded(env_, term);
    const bytes_view external = encoded.view();
    constexpr std::byte small_big{110};
    constexpr std::byte large_big{111};
    const std::size_t sign = external[1] == small_big ? 3 : external[1] == large_big ? 6 : 0;
    if (sign == 0) throw conversion_error(fault::type, "the VM gave an integer in a form that is not known");
    return to.big_integer(external[sign] != std::byte{0}, external.subspan(sign + 1));
  }

  template <class To>
  [[gnu::noinline]] built<To> opaque(ERL_NIF_TERM term, opaque_kind kind, To& to) {
    return to.opaque(term_handle(env_, term, kind));
  }

  template <class To>
  [[gnu::noinline]] built<To> shared_binary(ERL_NIF_TERM term, To& to) {
    return to.shared(std::make_shared<const binary_owner>(term));
  }

  template <class To>
  [[gnu::noinline]] built<To> tagged_ndarray(std::span<const ERL_NIF_TERM> parts, To& to) {
    atom_buffer dtype_buffer;
    std::array<std::int64_t, max_dimensions> shape_buffer;
    const std::string_view dtype = read_dtype(parts[1], dtype_buffer);
    const std::span<const std::int64_t> shape = read_shape(parts[2], shape_buffer);
    ErlNifBinary content;
    if (!enif_inspect_binary(env_, parts[3], &content))
      throw conversion_error(fault::value, "the last element of an '$ndarray' is a binary");
    return to.ndarray(dtype, shape, std::make_shared<const binary_owner>(parts[3]));
  }

  // As many as numpy 2 has; more is an error there too.
  static constexpr std::size_t max_dimensions = 64;

  [[nodiscard]] std::string_view read_dtype(ERL_NIF_TERM term, atom_buffer& buffer) const {
    std::string_view dtype;
    ErlNifBinary binary;
    if (enif_inspect_binary(env_, term, &binary))
      dtype = as_text(view_of(binary));
    else if (enif_is_atom(env_, term))
      dtype = atom_text(env_, term, buffer);
    if (dtype.empty() || !erlpy::detail::is_ascii(dtype))
      throw conversion_error(fault::value, "the Dtype of an '$ndarray' is a binary or an atom, in ASCII");
    return dtype;
  }

  [[nodiscard]] std::span<const std::int64_t> read_shape(
      ERL_NIF_TERM term, std::array<std::int64_t, max_dimensions>& buffer) const {
    std::size_t count = 0;
    const auto add = [&](ERL_NIF_TERM dimension) {
      ErlNifSInt64 extent;
      if (!enif_get_int64(env_, dimension, &extent) || extent < 0)
        throw conversion_error(fault::value, "the Shape of an '$ndarray' holds integers from 0 to 2^63 - 1");
      if (count == max_dimensions)
        throw conversion_error(fault::value, "the Shape of an '$ndarray' has at most " +
                                                 std::to_string(max_dimensions) + " dimensions");
      buffer[count++] = extent;
    };
    int arity;
    const ERL_NIF_TERM* elements;
    unsigned length;
    if (enif_get_tuple(env_, term, &arity, &elements)) {
      for (const ERL_NIF_TERM element : std::span{elements, static_cast<std::size_t>(arity)}) add(element);
    } else if (enif_get_list_length(env_, term, &length)) {
      for (ERL_NIF_TERM head; enif_get_list_cell(env_, term, &head, &term);) add(head);
    } else {
      throw conversion_error(fault::value, "the Shape of an '$ndarray' is a tuple or a list");
    }
    return {buffer.data(), count};
  }

  ErlNifEnv* env_;
  const source_context& context_;
  walk_guard guard_;
  // Atoms of short texts seen in this walk: the keys of records are few.
  struct short_text {
    std::size_t size;
    std::array<char, 24> text;
  };
  std::array<ERL_NIF_TERM, 16> seen_atoms_{};
  std::array<short_text, 16> atom_texts_;
  // Maps that are records of one kind: what the first values of the last one were.
  std::array<ErlNifTermType, 8> field_guesses_ = every_integer();
  [[nodiscard]] static std::array<ErlNifTermType, 8> every_integer() noexcept {
    std::array<ErlNifTermType, 8> all;
    all.fill(ERL_NIF_TERM_TYPE_INTEGER);
    return all;
  }
};

}  // namespace detail

// One term of `env`. The environment and the context outlive the source; nothing may be added to the
// environment by another thread while it walks (and by the sink only if it is the sink's too).
class source {
 public:
  source(ErlNifEnv* env, ERL_NIF_TERM term, const source_context& context, walk_limits limits = {}) noexcept
      : env_(env), term_(term), context_(context), limits_(limits) {}

  // Reports the term to `to` and returns what it built. Any thread with a stack for
  // limits.max_depth levels. Errors: conversion_error, and what the sink throws.
  template <class To>
  [[nodiscard]] typename std::remove_cvref_t<To>::value_type walk(To&& to) const {
    detail::walker walker(env_, context_, limits_);
    ErlNifTermType guess = ERL_NIF_TERM_TYPE_INTEGER;
    return walker.value(term_, to, guess);
  }

 private:
  ErlNifEnv* env_;
  ERL_NIF_TERM term_;
  const source_context& context_;
  walk_limits limits_;
};

static_assert(::erlpy::source<source>);

}  // namespace erlpy::nif

#endif
