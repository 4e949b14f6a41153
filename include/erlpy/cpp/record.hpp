// The other forms of a plain struct, on its way out of C++: an Erlang record, a namedtuple, a dataclass.
//
//   erlpy::as_record(point{1, 2})        {point, 1, 2} in Erlang, ('point', 1, 2) in Python
//   erlpy::as_namedtuple(point{1, 2})    point(x=1, y=2) in Python, a map elsewhere
//   erlpy::as_dataclass(point{1, 2})     the same, an instance of a dataclass
//
// The Python classes are made once for each interpreter, with the name and the fields of the struct. Back
// in C++ all these are the struct again (aggregate.hpp), without any of this.
#ifndef ERLPY_CPP_RECORD_HPP
#define ERLPY_CPP_RECORD_HPP

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <erlpy/cpp/aggregate.hpp>
#include <erlpy/cpp/caster.hpp>
#include <erlpy/cpp/text.hpp>
#include <erlpy/cpp/type_name.hpp>

namespace erlpy {

namespace cpp {

// Each owns its value. They are made by the functions below.
template <class T>
struct record {
  T value;
  atom tag;
};
template <class T>
struct namedtuple {
  T value;
};
template <class T>
struct dataclass {
  T value;
};

namespace detail {

template <class To>
concept makes_namedtuples = requires(To& to, std::string_view name,
                                     std::span<const std::string_view> fields) {
  to.namedtuple(name, fields);
};
template <class To>
concept makes_dataclasses = requires(To& to, std::string_view name,
                                     std::span<const std::string_view> fields) {
  to.dataclass(name, fields);
};

// The fields of `value`, without their names, into a builder of one of these classes.
template <class T, class Builder>
[[gnu::noinline]] auto walk_instance(const T& value, Builder out, walking& on) {
  const walk_guard::level inside = on.enter();
  walk_fields(value, out, on);
  return out.finish();
}

}  // namespace detail

template <detail::plain_struct T>
struct caster<record<T>> {
  template <class To>
  [[gnu::noinline]] static typename To::value_type walk(const record<T>& record, To& to, walking& on) {
    const walk_guard::level inside = on.enter();
    auto out = to.tuple(detail::field_count<T> + 1);
    on.element(out, record.tag);
    detail::walk_fields(record.value, out, on);
    return out.finish();
  }
};

template <detail::plain_struct T>
struct caster<namedtuple<T>> {
  template <class To>
  static typename To::value_type walk(const namedtuple<T>& instance, To& to, walking& on) {
    if constexpr (detail::makes_namedtuples<To>) {
      if (tells_exactly(to))
        return detail::walk_instance(instance.value,
                                     to.namedtuple(detail::type_name<T>(), detail::names_of<T>()), on);
    }
    return on.value(instance.value, to);
  }
};

template <detail::plain_struct T>
struct caster<dataclass<T>> {
  template <class To>
  static typename To::value_type walk(const dataclass<T>& instance, To& to, walking& on) {
    if constexpr (detail::makes_dataclasses<To>) {
      if (tells_exactly(to))
        return detail::walk_instance(instance.value,
                                     to.dataclass(detail::type_name<T>(), detail::names_of<T>()), on);
    }
    return on.value(instance.value, to);
  }
};

}  // namespace cpp

// The tag is the struct's own name, or the one given (UTF-8).
template <cpp::detail::plain_struct T>
[[nodiscard]] cpp::record<T> as_record(T value, std::string_view tag = cpp::detail::type_name<T>()) {
  return {std::move(value), {std::string(tag)}};
}
template <cpp::detail::plain_struct T>
[[nodiscard]] cpp::namedtuple<T> as_namedtuple(T value) {
  return {std::move(value)};
}
template <cpp::detail::plain_struct T>
[[nodiscard]] cpp::dataclass<T> as_dataclass(T value) {
  return {std::move(value)};
}

}  // namespace erlpy

#endif
