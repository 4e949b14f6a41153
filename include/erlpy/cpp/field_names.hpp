// The names of a plain struct's fields. Boost.PFR knows them from Boost 1.84 on; before, say them once:
//
//   template <>
//   struct erlpy::field_names<point> {
//     static constexpr std::array<std::string_view, 2> value = {"x", "y"};
//   };
#ifndef ERLPY_CPP_FIELD_NAMES_HPP
#define ERLPY_CPP_FIELD_NAMES_HPP

#include <array>
#include <concepts>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

#include <boost/pfr/core.hpp>
#include <boost/pfr/tuple_size.hpp>
#if __has_include(<boost/pfr/core_name.hpp>)
#include <boost/pfr/core_name.hpp>
#endif

namespace erlpy {

namespace cpp::detail {

#if defined(BOOST_PFR_CORE_NAME_ENABLED) && BOOST_PFR_CORE_NAME_ENABLED
inline constexpr bool boost_has_names = true;
#else
inline constexpr bool boost_has_names = false;
#endif

template <class T>
[[nodiscard]] constexpr std::size_t count_fields() noexcept {
  if constexpr (std::is_empty_v<T>) {
    return 0;
  } else {
    return boost::pfr::tuple_size_v<T>;
  }
}
template <class T>
inline constexpr std::size_t field_count = count_fields<T>();

template <class T>
[[nodiscard]] constexpr std::array<std::string_view, field_count<T>> names_from_boost() noexcept {
  static_assert(boost_has_names || field_count<T> == 0,
                "Boost before 1.84 does not know the names of fields: specialise erlpy::field_names for this "
                "struct (see erlpy/cpp/field_names.hpp)");
#if defined(BOOST_PFR_CORE_NAME_ENABLED) && BOOST_PFR_CORE_NAME_ENABLED
  return []<std::size_t... I>(std::index_sequence<I...>) {
    return std::array<std::string_view, field_count<T>>{std::string_view(boost::pfr::get_name<I, T>())...};
  }
  (std::make_index_sequence<field_count<T>>{});
#else
  return {};
#endif
}

}  // namespace cpp::detail

template <class T>
struct field_names {
  static constexpr std::array<std::string_view, cpp::detail::field_count<T>> value =
      cpp::detail::names_from_boost<T>();
};

// True lets a map through that has other keys besides those of T's fields.
template <class T>
inline constexpr bool ignore_unknown_fields = false;

// True gives a field that is missing in a map the value that T's own initialisers give it.
template <class T>
inline constexpr bool default_missing_fields = false;

// True makes T a tuple of its fields, without their names, in every world.
template <class T>
inline constexpr bool crosses_as_tuple = false;

namespace cpp::detail {

template <std::size_t N>
[[nodiscard]] constexpr bool all_different(const std::array<std::string_view, N>& names) noexcept {
  for (std::size_t i = 0; i < N; ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (names[i] == names[j]) return false;
  return true;
}

template <class T>
[[nodiscard]] constexpr const std::array<std::string_view, field_count<T>>& names_of() noexcept {
  static_assert(std::size(field_names<T>::value) == field_count<T>,
                "erlpy::field_names of this struct has not as many names as the struct has fields");
  static_assert(all_different(field_names<T>::value), "two fields of this struct have one name");
  return field_names<T>::value;
}

}  // namespace cpp::detail

}  // namespace erlpy

#endif
