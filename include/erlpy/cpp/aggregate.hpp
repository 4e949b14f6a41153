// Plain structs, without registration: Boost.PFR sees their fields.
//
// A struct is a map of its fields: a dict with str keys in Python, a map with atom keys in Erlang (see
// record.hpp for the other forms that it can have there). It is made from
//   - a map, or a dataclass, whose keys are the names of the fields. A missing one is an error unless it is
//     a std::optional or erlpy::default_missing_fields<T> is set; an unknown one is an error unless
//     erlpy::ignore_unknown_fields<T> is set
//   - a tuple of exactly its fields, in order: a namedtuple
//   - a tuple of an atom and these: an Erlang record
// With erlpy::crosses_as_tuple<T> it is a tuple of its fields everywhere, and nothing else.
//
// A struct has no base classes, constructors, C arrays or references, and each of its fields crosses.
#ifndef ERLPY_CPP_AGGREGATE_HPP
#define ERLPY_CPP_AGGREGATE_HPP

#include <array>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <erlpy/cpp/caster.hpp>
#include <erlpy/cpp/field_names.hpp>
#include <erlpy/cpp/ignoring.hpp>
#include <erlpy/cpp/optional.hpp>
#include <erlpy/cpp/refusing.hpp>
#include <erlpy/cpp/sequence.hpp>
#include <erlpy/cpp/tuple.hpp>
#include <erlpy/cpp/type_name.hpp>

namespace erlpy::cpp {

namespace detail {

template <class T>
concept plain_struct = std::is_class_v<T> && std::is_aggregate_v<T> && !crosses_as_other<T>;

template <std::size_t I, class T>
using field_type = boost::pfr::tuple_element_t<I, T>;

// The name of a field, as a key: an atom in Erlang.
struct field_key {
  std::string_view name;
};

// Takes a key, and is the number of the field of that name; field_count<T> if there is none and T ignores
// that. `likely` is tried first: fields mostly come in their own order.
template <class T>
class key_sink : public refusing<key_sink<T>, std::size_t> {
 public:
  explicit key_sink(std::size_t likely) noexcept : likely_(likely) {}
  [[nodiscard]] static std::string expected() { return "a field's name as the key"; }

  std::size_t text(std::string_view name) const { return find(name); }
  std::size_t atom(std::string_view name) const { return find(name); }
  std::size_t binary(bytes_view name) const { return find(as_text(name)); }

 private:
  [[nodiscard]] std::size_t find(std::string_view name) const {
    constexpr auto& names = names_of<T>();
    if (likely_ < names.size() && names[likely_] == name) return likely_;
    for (std::size_t i = 0; i < names.size(); ++i)
      if (names[i] == name) return i;
    if constexpr (!ignore_unknown_fields<T>) unknown(name);
    return names.size();
  }

  [[noreturn]] static void unknown(std::string_view name) {
    std::string text = "unknown field " + in_quotes(name);
    std::string_view before = "; known are ";
    for (const std::string_view known : names_of<T>()) {
      text.append(before).append(known);
      before = ", ";
    }
    throw mismatch(fault::value, text);
  }

  std::size_t likely_;
};

// The struct as it comes to be.
template <class T>
class struct_under_way {
 public:
  static constexpr std::size_t fields = field_count<T>;

  template <class Walk>
  void set(std::size_t field, Walk&& walk) {
    at_place(
        [&] {
          at_index<fields>(field, [&](auto index) {
            cpp::sink<field_type<index, T>> to;
            boost::pfr::get<index>(built_) = walk(to);
          });
        },
        [&] {
          if constexpr (crosses_as_tuple<T>)
            return index_step(field);
          else
            return "." + std::string(names_of<T>()[field]);
        });
  }
  T take() { return std::move(built_); }

 private:
  T built_{};
};

template <class T>
class struct_map_builder {
 public:
  template <class WalkKey, class WalkValue>
  void entry(WalkKey&& walk_key, WalkValue&& walk_value) {
    key_sink<T> to(next_);
    const std::size_t field = walk_key(to);
    if (field == fields) {
      ignoring_sink nowhere;
      static_cast<void>(walk_value(nowhere));
      return;
    }
    if (seen_[field]) throw mismatch(fault::value, "two entries for the field " + name(field));
    seen_[field] = true;
    struct_.set(field, std::forward<WalkValue>(walk_value));
    next_ = field + 1;
  }
  T finish() {
    if constexpr (!default_missing_fields<T>) check_missing();
    return struct_.take();
  }

 private:
  static constexpr std::size_t fields = field_count<T>;

  [[nodiscard]] static std::string name(std::size_t field) { return in_quotes(names_of<T>()[field]); }

  void check_missing() const {
    [&]<std::size_t... I>(std::index_sequence<I...>) { (check_missing<I>(), ...); }
    (std::make_index_sequence<fields>{});
  }
  template <std::size_t I>
  void check_missing() const {
    if constexpr (!is_optional<field_type<I, T>>)
      if (!seen_[I]) throw mismatch(fault::value, "missing field " + name(I));
  }

  struct_under_way<T> struct_;
  std::array<bool, fields> seen_{};
  std::size_t next_ = 0;
};

// The tag of a record.
struct tag_sink : refusing<tag_sink, bool> {
  [[nodiscard]] static std::string expected() { return "an atom, the record's tag"; }
  bool atom(std::string_view) const noexcept { return true; }
};

template <class T>
class struct_tuple_builder {
 public:
  explicit struct_tuple_builder(bool tagged) noexcept : tagged_(tagged) {}

  template <class Walk>
  void element(Walk&& walk) {
    if (tagged_) {
      at_place(
          [&] {
            tag_sink to;
            static_cast<void>(walk(to));
          },
          [] { return index_step(0); });
      tagged_ = false;
      return;
    }
    struct_.set(next_, std::forward<Walk>(walk));
    ++next_;
  }
  T finish() { return struct_.take(); }

 private:
  struct_under_way<T> struct_;
  bool tagged_;
  std::size_t next_ = 0;
};

template <plain_struct T>
struct struct_sink : refusing<struct_sink<T>, T> {
  static constexpr std::size_t fields = field_count<T>;
  static constexpr kinds exact = kind::map;
  static constexpr kinds also = kind::tuple;
  [[nodiscard]] static std::string expected() { return "map or tuple for " + std::string(type_name<T>()); }

  struct_map_builder<T> map(std::size_t) const { return {}; }
  struct_tuple_builder<T> tuple(std::size_t size) const {
    if (size != fields && size != fields + 1)
      wrong_length("tuple", std::to_string(fields) + ", or a record of " + std::to_string(fields + 1), size);
    return struct_tuple_builder<T>(size != fields);
  }
};

// Of a struct that crosses as a tuple.
template <plain_struct T>
struct positional_sink : refusing<positional_sink<T>, T> {
  static constexpr std::size_t fields = field_count<T>;
  static constexpr kinds exact = kind::tuple;
  static constexpr kinds also{};
  [[nodiscard]] static std::string expected() {
    return "tuple of " + std::to_string(fields) + " for " + std::string(type_name<T>());
  }

  struct_tuple_builder<T> tuple(std::size_t size) const {
    if (size != fields) wrong_length("tuple", std::to_string(fields), size);
    return struct_tuple_builder<T>(false);
  }
};

// Reports the fields in order, without their names.
template <class Builder, plain_struct T>
void walk_fields(const T& value, Builder& out, walking& on) {
  [&]<std::size_t... I>(std::index_sequence<I...>) { (on.element(out, boost::pfr::get<I>(value)), ...); }
  (std::make_index_sequence<field_count<T>>{});
}

}  // namespace detail

template <>
struct caster<detail::field_key> {
  template <class To>
  static typename To::value_type walk(detail::field_key key, To& to, walking&) {
    if constexpr (To::erlang_terms) return to.atom(key.name);
    return to.text(key.name);
  }
};

template <detail::plain_struct T>
struct caster<T> {
  template <class To>
  [[gnu::noinline]] static typename To::value_type walk(const T& value, To& to, walking& on) {
    const walk_guard::level inside = on.enter();
    if constexpr (crosses_as_tuple<T>) {
      auto out = to.tuple(detail::field_count<T>);
      detail::walk_fields(value, out, on);
      return out.finish();
    } else {
      auto out = to.map(detail::field_count<T>);
      constexpr auto& names = detail::names_of<T>();
      [&]<std::size_t... I>(std::index_sequence<I...>) {
        (on.entry(out, detail::field_key{names[I]}, boost::pfr::get<I>(value)), ...);
      }
      (std::make_index_sequence<detail::field_count<T>>{});
      return detail::finish_distinct(out);
    }
  }

  using sink = std::conditional_t<crosses_as_tuple<T>, detail::positional_sink<T>, detail::struct_sink<T>>;
};

}  // namespace erlpy::cpp

#endif
