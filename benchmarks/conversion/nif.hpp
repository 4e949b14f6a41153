// The world of NIF terms: ours, and loops over erl_nif. Each conversion builds its terms in an environment
// of its own, as a pool of workers does.
#ifndef ERLPY_BENCHMARKS_CONVERSION_NIF_HPP
#define ERLPY_BENCHMARKS_CONVERSION_NIF_HPP

#include <erl_nif.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include <erlpy/nif/sink.hpp>
#include <erlpy/nif/source.hpp>

#include "hand.hpp"

namespace conversion {

struct owned_term {
  erlpy::nif::env_ptr env;
  ERL_NIF_TERM term = 0;
};

namespace hand {

// The names of the fields as terms of an environment.
class nif_keys {
 public:
  nif_keys(ErlNifEnv* env, key_form form) {
    for (std::size_t i = 0; i < field_names.size(); ++i) {
      const std::string_view name = field_names[i];
      if (form == key_form::atom) {
        names[i] = enif_make_atom_len(env, name.data(), name.size());
      } else {
        unsigned char* const room = enif_make_new_binary(env, name.size(), &names[i]);
        std::memcpy(room, name.data(), name.size());
      }
    }
  }
  std::array<ERL_NIF_TERM, 4> names;
};

class nif_reader {
 public:
  nif_reader(ErlNifEnv* env, ERL_NIF_TERM list, const nif_keys& keys) noexcept
      : env_(env), list_(list), keys_(keys) {}

  std::size_t begin() {
    unsigned size = 0;
    expect(enif_get_list_length(env_, list_, &size) != 0, "a list is missing");
    return size;
  }
  void end() {}
  std::int64_t integer() { return integer_of(next()); }
  double real() { return real_of(next()); }
  std::string_view text() { return text_of(next()); }
  fields record() {
    const ERL_NIF_TERM map = next();
    std::size_t size = 0;
    expect(enif_get_map_size(env_, map, &size) != 0 && size == 4, "a map of four is missing");
    fields out;
    out.id = integer_of(field_of(map, 0));
    out.name = text_of(field_of(map, 1));
    out.score = real_of(field_of(map, 2));
    ERL_NIF_TERM tags = field_of(map, 3);
    for (std::string_view& tag : out.tags) tag = text_of(next_of(tags));
    expect(enif_is_empty_list(env_, tags) != 0, "a list of two is missing");
    return out;
  }

 private:
  ERL_NIF_TERM next() { return next_of(list_); }
  ERL_NIF_TERM next_of(ERL_NIF_TERM& list) {
    ERL_NIF_TERM head = 0;
    expect(enif_get_list_cell(env_, list, &head, &list) != 0, "an element is missing");
    return head;
  }
  ERL_NIF_TERM field_of(ERL_NIF_TERM map, std::size_t which) {
    ERL_NIF_TERM found = 0;
    expect(enif_get_map_value(env_, map, keys_.names[which], &found) != 0, "a field is missing");
    return found;
  }
  std::int64_t integer_of(ERL_NIF_TERM term) {
    ErlNifSInt64 value = 0;
    expect(enif_get_int64(env_, term, &value) != 0, "an integer is missing");
    return value;
  }
  double real_of(ERL_NIF_TERM term) {
    double value = 0;
    expect(enif_get_double(env_, term, &value) != 0, "a float is missing");
    return value;
  }
  std::string_view text_of(ERL_NIF_TERM term) {
    ErlNifBinary binary;
    expect(enif_inspect_binary(env_, term, &binary) != 0, "a binary is missing");
    return erlpy::as_text(erlpy::nif::view_of(binary));
  }

  ErlNifEnv* env_;
  ERL_NIF_TERM list_;
  const nif_keys& keys_;
};

class nif_writer {
 public:
  explicit nif_writer(key_form form) : env_(erlpy::nif::make_env()), keys_(env_.get(), form) {}

  void begin(std::size_t size) { terms_.reserve(size); }
  void integer(std::int64_t value) { terms_.push_back(enif_make_int64(env_.get(), value)); }
  void real(double value) { terms_.push_back(enif_make_double(env_.get(), value)); }
  void text(std::string_view value) { terms_.push_back(new_text(value)); }
  void record(const fields& value) {
    const ERL_NIF_TERM tags = enif_make_list2(env_.get(), new_text(value.tags[0]), new_text(value.tags[1]));
    const std::array<ERL_NIF_TERM, 4> mapped = {enif_make_int64(env_.get(), value.id), new_text(value.name),
                                                enif_make_double(env_.get(), value.score), tags};
    ERL_NIF_TERM map = 0;
    expect(enif_make_map_from_arrays(env_.get(), keys_.names.data(), const_cast<ERL_NIF_TERM*>(mapped.data()),
                                     mapped.size(), &map) != 0,
           "no map");
    terms_.push_back(map);
  }
  owned_term end() {
    const ERL_NIF_TERM list =
        enif_make_list_from_array(env_.get(), terms_.data(), static_cast<unsigned>(terms_.size()));
    return {std::move(env_), list};
  }

 private:
  ERL_NIF_TERM new_text(std::string_view value) {
    ERL_NIF_TERM term = 0;
    unsigned char* const room = enif_make_new_binary(env_.get(), value.size(), &term);
    expect(room != nullptr, "no memory");
    std::memcpy(room, value.data(), value.size());
    return term;
  }

  erlpy::nif::env_ptr env_;
  nif_keys keys_;
  std::vector<ERL_NIF_TERM> terms_;
};

}  // namespace hand

class nif_world {
 public:
  static constexpr std::string_view name = "nif";
  template <shape S>
  using value = owned_term;

  // Inside load.
  explicit nif_world(ErlNifEnv* env)
      : names_(env),
        sinks_(names_, erlpy::nif::lent_bytes::open(env), nullptr),
        sources_{names_},
        keys_env_(erlpy::nif::make_env()),
        texts_(keys_env_.get(), hand::key_form::text),
        atoms_(keys_env_.get(), hand::key_form::atom) {}

  template <shape S>
  [[nodiscard]] auto source(const value<S>& from) {
    return erlpy::nif::source(from.env.get(), from.term, sources_);
  }
  template <shape S, class Source>
  [[nodiscard]] value<S> build(Source&& from) {
    owned_term made{erlpy::nif::make_env()};
    erlpy::nif::sink to(made.env.get(), sinks_);
    made.term = erlpy::transcode(std::forward<Source>(from), to);
    return made;
  }

  template <shape S>
  [[nodiscard]] auto reader(const value<S>& from, hand::key_form keys) {
    return hand::nif_reader(from.env.get(), from.term, keys == hand::key_form::atom ? atoms_ : texts_);
  }
  template <shape S>
  [[nodiscard]] auto writer(hand::key_form keys) {
    return hand::nif_writer(keys);
  }
  // What the VM has for it.
  template <shape S>
  [[nodiscard]] static value<S> copy(const value<S>& from) {
    owned_term made{erlpy::nif::make_env()};
    made.term = enif_make_copy(made.env.get(), from.term);
    return made;
  }

  [[nodiscard]] static bool same(const owned_term& a, const owned_term& b) {
    return enif_is_identical(a.term, b.term) != 0;
  }

 private:
  erlpy::nif::atoms names_;
  erlpy::nif::sink_context sinks_;
  erlpy::nif::source_context sources_;
  erlpy::nif::env_ptr keys_env_;
  hand::nif_keys texts_, atoms_;
};

}  // namespace conversion

#endif
