// How a C++ type crosses: the trait `caster`, one specialisation for each group of types in this folder,
// and on top of it `source` and `sink`, which join C++ values to every other world.
//
// A type of your own crosses by itself if it is a plain struct (aggregate.hpp). If it is something else,
// say what it crosses as:
//
//   template <>
//   struct erlpy::crosses_as<my::uuid> {
//     using type = std::string;
//     static std::string to(const my::uuid& id) { return id.text(); }
//     static my::uuid from(std::string text) { return my::uuid::parse(text); }
//   };
//
// Either function may be missing, then the type crosses in the other direction only. What `from` throws as
// conversion_error becomes a mismatch that names the place.
#ifndef ERLPY_CPP_CASTER_HPP
#define ERLPY_CPP_CASTER_HPP

#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

#include <erlpy/cpp/mismatch.hpp>
#include <erlpy/data_model.hpp>

namespace erlpy {

// Specialise it for a type that crosses as another one; see above.
template <class T>
struct crosses_as;

}  // namespace erlpy

namespace erlpy::cpp {

// How T crosses. A specialisation has one or both of
//
//   template <class To> static typename To::value_type walk(const T& value, To& to, walking& on);
//       reports `value` to the sink `to`; elements go through `on`
//   struct sink
//       an erlpy::sink, empty, whose value_type is T; best derived from refusing<sink, T> (refusing.hpp)
template <class T>
struct caster;

class walking;

// T can be built from what a source reports.
template <class T>
concept readable = requires {
  typename caster<T>::sink;
};

// T can be reported to a sink.
template <class T>
concept writable = requires(const T& value, erlpy::detail::archetype_sink& to, walking& on) {
  caster<T>::walk(value, to, on);
};

// Builds a T. Stateless: `cpp::sink<T> to;` may be used any number of times.
template <readable T>
using sink = typename caster<T>::sink;

// What the sink of T builds: T, but for views, which own nothing.
template <readable T>
using result_t = typename sink<T>::value_type;

// T can be an element of what is built.
template <class T>
concept readable_element = readable<T> && std::same_as<result_t<T>, T>;

// The running state of one walk over a C++ value.
class walking {
 public:
  explicit walking(const walk_limits& limits) noexcept : guard_(limits) {}

  template <class T, class To>
  typename To::value_type value(const T& value, To& to) {
    return caster<T>::walk(value, to, *this);
  }

  // Hold it while inside one container.
  [[nodiscard]] walk_guard::level enter() { return walk_guard::level(guard_); }

  // Reports `value` as the next element.
  template <class Builder, class T>
  void element(Builder& to, const T& value) {
    guard_.tick();
    push_element(to, [&](auto& child) { return this->value(value, child); });
  }
  template <class Builder, class Key, class Value>
  void entry(Builder& to, const Key& key, const Value& value) {
    guard_.tick();
    push_entry(
        to, [&](auto& child) { return this->value(key, child); },
        [&](auto& child) { return this->value(value, child); });
  }

 private:
  walk_guard guard_;
};

// A C++ value reported to any sink. The value is referred to: it outlives the source, and does not change
// while it is walked.
template <class T>
class source {
 public:
  explicit source(const T& value, walk_limits limits = {}) noexcept : value_(value), limits_(limits) {}

  // Errors: conversion_error (`recursion` and `cancelled` as walk_limits say, `unicode_encode` for text
  // that is not UTF-8), and what `to` throws. May be called any number of times.
  template <erlpy::sink To>
  typename To::value_type walk(To& to) const {
    static_assert(writable<T>, "this type does not cross: see erlpy::crosses_as (erlpy/cpp/caster.hpp)");
    walking on(limits_);
    return on.value(value_, to);
  }

 private:
  const T& value_;
  walk_limits limits_;
};

namespace detail {

template <class T>
concept crosses_as_other = requires {
  typename crosses_as<T>::type;
};

// A base that gives a caster its sink, if it can have one.
template <bool Readable, class Sink>
struct with_sink {};
template <class Sink>
struct with_sink<true, Sink> {
  using sink = Sink;
};

// Ends a map whose keys are known to be different in every world: all texts, say, or all integers.
// Builders that would look for equal ones may have `finish_distinct()`, which does not.
template <class Builder>
auto finish_distinct(Builder& to) {
  if constexpr (requires { to.finish_distinct(); }) {
    return to.finish_distinct();
  } else {
    return to.finish();
  }
}

// Reports the elements of a range. Out of line: nesting can be deep, and only what nests shall cost stack.
template <class Range, class Builder>
[[gnu::noinline]] auto walk_all(const Range& range, Builder to, walking& on) {
  const walk_guard::level inside = on.enter();
  for (const auto& element : range) on.element(to, element);
  return to.finish();
}

}  // namespace detail

}  // namespace erlpy::cpp

#endif
