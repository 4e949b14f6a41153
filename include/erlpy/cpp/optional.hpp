// What may be absent: std::optional, std::unique_ptr and std::shared_ptr are their value, or none;
// std::monostate is none.
#ifndef ERLPY_CPP_OPTIONAL_HPP
#define ERLPY_CPP_OPTIONAL_HPP

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include <erlpy/cpp/caster.hpp>
#include <erlpy/cpp/refusing.hpp>
#include <erlpy/cpp/through.hpp>

namespace erlpy::cpp {

namespace detail {

template <class T>
[[nodiscard]] std::optional<T> made_as(std::type_identity<std::optional<T>>, T&& value) {
  return std::optional<T>(std::move(value));
}
template <class T>
[[nodiscard]] std::unique_ptr<T> made_as(std::type_identity<std::unique_ptr<T>>,
                                         std::remove_const_t<T>&& value) {
  return std::make_unique<T>(std::move(value));
}
template <class T>
[[nodiscard]] std::shared_ptr<T> made_as(std::type_identity<std::shared_ptr<T>>,
                                         std::remove_const_t<T>&& value) {
  return std::make_shared<T>(std::move(value));
}

// Maybe<T> is one of these three.
template <class Maybe, class T>
struct maybe_sink : through<maybe_sink<Maybe, T>, cpp::sink<T>, Maybe> {
  static constexpr kinds exact = cpp::sink<T>::exact | kind::none;
  [[nodiscard]] static std::string expected() { return cpp::sink<T>::expected() + " or None"; }
  static Maybe made(T value) { return made_as(std::type_identity<Maybe>{}, std::move(value)); }
  Maybe none() const noexcept { return Maybe(); }
};

template <class Maybe, class T>
struct maybe_caster
    : with_sink<readable_element<std::remove_const_t<T>>, maybe_sink<Maybe, std::remove_const_t<T>>> {
  template <class To>
  requires writable<std::remove_const_t<T>>
  static typename To::value_type walk(const Maybe& maybe, To& to, walking& on) {
    return maybe ? on.value(*maybe, to) : to.none();
  }
};

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

}  // namespace detail

template <class T>
struct caster<std::optional<T>> : detail::maybe_caster<std::optional<T>, T> {};
template <class T>
struct caster<std::unique_ptr<T>> : detail::maybe_caster<std::unique_ptr<T>, T> {};
template <class T>
struct caster<std::shared_ptr<T>> : detail::maybe_caster<std::shared_ptr<T>, T> {};

template <>
struct caster<std::monostate> {
  template <class To>
  static typename To::value_type walk(std::monostate, To& to, walking&) {
    return to.none();
  }

  struct sink : refusing<sink, std::monostate> {
    static constexpr kinds exact = kind::none;
    static constexpr kinds also{};
    [[nodiscard]] static std::string expected() { return "None"; }
    std::monostate none() const noexcept { return {}; }
  };
};

}  // namespace erlpy::cpp

#endif
