// A sink that builds NIF terms in one environment. Containers are gathered on scratch stacks of the
// sink_context and made with one call each, so that an element costs its own erl_nif call and a
// store; nothing is allocated for each element but the terms themselves.
//
// One thread at a time, with the environment and the context its own for as long.
#ifndef ERLPY_NIF_SINK_HPP
#define ERLPY_NIF_SINK_HPP

#include <erl_nif.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <erlpy/data_model.hpp>
#include <erlpy/nif/atom_text.hpp>
#include <erlpy/nif/binaries.hpp>
#include <erlpy/nif/context.hpp>
#include <erlpy/nif/env.hpp>
#include <erlpy/nif/maps.hpp>
#include <erlpy/nif/opaque.hpp>

namespace erlpy::nif {

namespace detail {

// The VM keeps the arity of a tuple in 24 bits, and checks it nowhere on this road.
inline constexpr std::size_t max_arity = (std::size_t{1} << 24U) - 1;

}  // namespace detail

class sink {
 public:
  using value_type = ERL_NIF_TERM;
  static constexpr bool erlang_terms = true;

  // Begins a conversion. `env` and `context` outlive the sink.
  sink(ErlNifEnv* env, sink_context& context) noexcept
      : env_(env), context_(context), conversion_(context.begin_conversion()) {}
  sink(const sink&) = delete;
  sink& operator=(const sink&) = delete;
  ~sink() { context_.end_conversion(); }

  [[nodiscard]] value_type none() noexcept { return context_.names.none; }
  [[nodiscard]] value_type boolean(bool flag) noexcept {
    return flag ? context_.names.true_ : context_.names.false_;
  }
  [[nodiscard]] value_type integer(std::int64_t value) noexcept { return enif_make_int64(env_, value); }

  // Errors: conversion_error (overflow) past what the VM can hold.
  [[nodiscard]] value_type big_integer(bool negative, bytes_view magnitude) {
    while (!magnitude.empty() && magnitude.back() == std::byte{0})
      magnitude = magnitude.first(magnitude.size() - 1);
    if (magnitude.size() > sizeof(std::uint64_t)) return large_integer(negative, magnitude);
    std::uint64_t value = 0;
    for (std::size_t i = magnitude.size(); i-- > 0;)
      value = (value << 8U) | std::to_integer<std::uint64_t>(magnitude[i]);
    constexpr std::uint64_t lowest = std::uint64_t{1} << 63U;
    if (!negative) return enif_make_uint64(env_, value);
    if (value > lowest) return large_integer(negative, magnitude);
    return enif_make_int64(env_, static_cast<std::int64_t>(~value + 1));
  }

  [[nodiscard]] value_type real(double value) noexcept {
    if (std::isfinite(value)) [[likely]]
      return enif_make_double(env_, value);
    if (std::isnan(value)) return context_.names.nan;
    return value > 0 ? context_.names.infinity : context_.names.neg_infinity;
  }

  [[nodiscard]] value_type atom(std::string_view utf8) {
    return context_.made_atoms_.get(utf8, [&] { return make_atom(env_, utf8); });
  }
  [[nodiscard]] value_type text(std::string_view utf8) { return bytes(as_bytes(utf8)); }
  [[nodiscard]] value_type binary(bytes_view content) { return bytes(content); }

  [[nodiscard]] value_type bytes(bytes_view content) {
    return bytes_from(content.size(), [content](std::span<std::byte> room) {
      if (!content.empty()) std::memcpy(room.data(), content.data(), content.size());
    });
  }

  // Errors: what `fill` throws; std::bad_alloc.
  template <class Fill>
  [[nodiscard]] value_type bytes_from(std::size_t size, Fill&& fill) {
    if (size >= checked_allocation) {
      owned_binary room(size);
      fill(room.writable());
      return room.into_term(env_);
    }
    if (size <= heap_binary) make_slack();
    ERL_NIF_TERM term;
    unsigned char* room = enif_make_new_binary(env_, size, &term);
    if (room == nullptr) throw std::bad_alloc{};
    fill(std::span{reinterpret_cast<std::byte*>(room), size});
    return term;
  }

  // Text as a binary that is made once a conversion for each identity: whoever calls it sees to it
  // that an identity stands for the same text until the sink is gone.
  [[nodiscard]] value_type cached_text(const void* identity, std::string_view utf8) {
    sink_context::cached& entry = context_.slot(identity);
    if (entry.identity != identity || entry.conversion != conversion_)
      entry = {identity, conversion_, text(utf8)};
    return entry.term;
  }

  // An Erlang binary goes back as itself; of other owners' bytes the term is a view.
  [[nodiscard]] value_type shared(const shared_bytes_ptr& owner) {
    if (const auto* ours = dynamic_cast<const binary_owner*>(owner.get())) return ours->copy_to(env_);
    const bytes_view view = owner->view();
    if (view.size() <= heap_binary) return bytes(view);
    return context_.lent.lend(env_, owner);
  }

  template <class Fill>
  [[nodiscard]] value_type ndarray(std::string_view dtype, std::span<const std::int64_t> shape,
                                   std::size_t size, Fill&& fill) {
    return make_ndarray(dtype, shape, bytes_from(size, std::forward<Fill>(fill)));
  }
  [[nodiscard]] value_type ndarray(std::string_view dtype, std::span<const std::int64_t> shape,
                                   const shared_bytes_ptr& owner) {
    return make_ndarray(dtype, shape, shared(owner));
  }

  template <opaque_handle Handle>
  [[nodiscard]] value_type opaque(const Handle& handle) {
    if constexpr (requires {
                    { handle.copy_to(env_) } -> std::same_as<ERL_NIF_TERM>;
                  }) {
      return handle.copy_to(env_);
    } else {
      const opaque_ptr owner = handle.share();
      if (const auto* boxed = dynamic_cast<const boxed_term*>(owner.get())) return boxed->copy_to(env_);
      byte_buffer& external = context_.external_;
      external.assign(1, external_version);
      handle.external(external);
      ERL_NIF_TERM term;
      if (detail::may_hold_map_past(context_.maps_at_once_, external))
        throw conversion_error(fault::value,
                               "a fun, or an improper list, that holds a map of more than 128 keys cannot be "
                               "decoded by Erlang VMs before OTP 27.3");
      if (!decode_external(env_, external, term))
        throw conversion_error(fault::value, "an opaque term that this Erlang VM cannot decode");
      return term;
    }
  }

  // Errors: conversion_error (type) where the context has no maker of objects, and what that throws.
  [[nodiscard]] value_type object(object_ref object) {
    if (context_.objects == nullptr)
      throw conversion_error(fault::type, "a Python object cannot be passed by reference here");
    return context_.objects->make_object(env_, object);
  }

  enum class kind : std::uint8_t { list, tuple, set };

  // Holds its elements on the scratch stack from `base_` up, and takes them away when it goes.
  template <kind Kind>
  class sequence {
   public:
    explicit sequence(sink& to) noexcept : sink_(to), base_(to.context_.terms_.size()) {}
    sequence(const sequence&) = delete;
    sequence& operator=(const sequence&) = delete;
    ~sequence() {
      if (!finished_) leave();
    }

    [[nodiscard]] sink& child() noexcept { return sink_; }
    void push(value_type element) { sink_.context_.terms_.push_back(element); }

    // Errors: conversion_error (value) for a tuple past 2^24 - 1 elements, and for equals in a set.
    [[nodiscard]] value_type finish() {
      const std::span elements = std::span(sink_.context_.terms_).subspan(base_);
      if (elements.size() > std::numeric_limits<unsigned>::max())
        throw conversion_error(fault::value, "too many elements for one Erlang term");
      const auto count = static_cast<unsigned>(elements.size());
      ERL_NIF_TERM made;
      if constexpr (Kind == kind::tuple) {
        if (count > detail::max_arity)
          throw conversion_error(fault::value, "an Erlang tuple has at most 16777215 elements");
        made = enif_make_tuple_from_array(sink_.env_, elements.data(), count);
      } else {
        if constexpr (Kind == kind::set) sort(elements);
        made = enif_make_list_from_array(sink_.env_, elements.data(), count);
      }
      leave();
      return made;
    }

   private:
    // The scratch goes back to what it was: at finish(), so that the builder may live on while its value
    // is pushed into the one around it.
    void leave() noexcept {
      sink_.context_.terms_.resize(base_);
      finished_ = true;
    }

    static void sort(std::span<ERL_NIF_TERM> elements) {
      const auto before = [](ERL_NIF_TERM a, ERL_NIF_TERM b) { return enif_compare(a, b) < 0; };
      std::sort(elements.begin(), elements.end(), before);
      const auto twin = std::adjacent_find(elements.begin(), elements.end(),
                                           [&](ERL_NIF_TERM a, ERL_NIF_TERM b) { return !before(a, b); });
      if (twin != elements.end()) detail::throw_merged("elements of a set", *twin);
    }

    sink& sink_;
    std::size_t base_;
    bool finished_ = false;
  };

  class mapping {
   public:
    explicit mapping(sink& to) noexcept
        : sink_(to), keys_base_(to.context_.terms_.size()), values_base_(to.context_.values_.size()) {}
    mapping(const mapping&) = delete;
    mapping& operator=(const mapping&) = delete;
    ~mapping() {
      if (!finished_) leave();
    }

    [[nodiscard]] sink& key() noexcept { return sink_; }
    [[nodiscard]] sink& value() noexcept { return sink_; }
    void push(value_type key, value_type value) {
      sink_.context_.terms_.push_back(key);
      sink_.context_.values_.push_back(value);
    }

    // Errors: conversion_error (value) if two keys are the same term.
    [[nodiscard]] value_type finish() {
      const std::span keys = std::span(sink_.context_.terms_).subspan(keys_base_);
      const std::span values = std::span(sink_.context_.values_).subspan(values_base_);
      sink_.make_slack();
      const ERL_NIF_TERM made = detail::make_map(sink_.env_, keys, values, sink_.context_.maps_at_once_);
      leave();
      return made;
    }

   private:
    void leave() noexcept {
      sink_.context_.terms_.resize(keys_base_);
      sink_.context_.values_.resize(values_base_);
      finished_ = true;
    }

    sink& sink_;
    std::size_t keys_base_;
    std::size_t values_base_;
    bool finished_ = false;
  };

  [[nodiscard]] sequence<kind::list> list(std::size_t) noexcept { return sequence<kind::list>(*this); }
  [[nodiscard]] sequence<kind::tuple> tuple(std::size_t) noexcept { return sequence<kind::tuple>(*this); }
  [[nodiscard]] sequence<kind::set> set(std::size_t) noexcept { return sequence<kind::set>(*this); }
  [[nodiscard]] mapping map(std::size_t) noexcept { return mapping(*this); }

 private:
  // From here on a failed allocation is an exception; for less, the VM's own faster road.
  static constexpr std::size_t checked_allocation = std::size_t{1} << 16U;
  // The VM keeps binaries up to this size inside the term.
  static constexpr std::size_t heap_binary = 64;

  // In an environment without a process the VM takes memory for each small binary and each map by
  // itself, unless the block that it used last has room; for list cells it takes a block of some
  // 200 words at once. A cell that nobody keeps therefore costs two words, and saves most of the
  // calls of malloc.
  void make_slack() noexcept {
    static_cast<void>(enif_make_list_cell(env_, context_.names.nil, context_.names.nil));
  }

  [[nodiscard, gnu::noinline]] value_type large_integer(bool negative, bytes_view magnitude) {
    constexpr std::byte small_big{110};
    constexpr std::byte large_big{111};
    const std::size_t size = magnitude.size();
    if (size > std::numeric_limits<std::uint32_t>::max()) throw_too_large();
    byte_buffer& external = context_.external_;
    external.assign(1, external_version);
    if (size <= 0xFFU) {
      external.insert(external.end(), {small_big, static_cast<std::byte>(size)});
    } else {
      external.push_back(large_big);
      for (unsigned shift = 32; shift != 0;) {
        shift -= 8;
        external.push_back(static_cast<std::byte>((size >> shift) & 0xFFU));
      }
    }
    external.push_back(negative ? std::byte{1} : std::byte{0});
    external.insert(external.end(), magnitude.begin(), magnitude.end());
    ERL_NIF_TERM term;
    if (!decode_external(env_, external, term)) throw_too_large();
    return term;
  }

  [[noreturn]] static void throw_too_large() {
    throw conversion_error(fault::overflow, "integer is larger than this Erlang VM can hold");
  }

  [[nodiscard]] value_type make_ndarray(std::string_view dtype, std::span<const std::int64_t> extents,
                                        value_type content) {
    auto dimensions = tuple(extents.size());
    for (const std::int64_t extent : extents) dimensions.push(integer(extent));
    return enif_make_tuple4(env_, context_.names.ndarray, text(dtype), dimensions.finish(), content);
  }

  ErlNifEnv* env_;
  sink_context& context_;
  std::uint64_t conversion_;
};

static_assert(::erlpy::sink<sink>);

}  // namespace erlpy::nif

#endif
