// A sink made of another one: what that builds is turned into the value. The base of the sinks of
// std::optional, of pointers, and of types that cross as another type.
#ifndef ERLPY_CPP_THROUGH_HPP
#define ERLPY_CPP_THROUGH_HPP

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <erlpy/cpp/caster.hpp>
#include <erlpy/cpp/kinds.hpp>
#include <erlpy/cpp/refusing.hpp>

namespace erlpy::cpp {

namespace detail {

// A builder whose result goes through Make::made().
template <class Builder, class Make, class Value>
class through_builder {
 public:
  explicit through_builder(Builder inner) : inner_(std::move(inner)) {}

  template <class Walk>
  void element(Walk&& walk) {
    push_element(inner_, std::forward<Walk>(walk));
  }
  Value finish() { return Make::made(inner_.finish()); }

 private:
  Builder inner_;
};

template <class Builder, class Make, class Value>
class through_map_builder {
 public:
  explicit through_map_builder(Builder inner) : inner_(std::move(inner)) {}

  template <class WalkKey, class WalkValue>
  void entry(WalkKey&& walk_key, WalkValue&& walk_value) {
    push_entry(inner_, std::forward<WalkKey>(walk_key), std::forward<WalkValue>(walk_value));
  }
  Value finish() { return Make::made(inner_.finish()); }

 private:
  Builder inner_;
};

}  // namespace detail

// Self is the derived sink, with `static Value made(Inner::value_type)`; Inner is the sink underneath.
template <class Self, class Inner, class Value>
class through {
 public:
  using value_type = Value;
  static constexpr bool erlang_terms = false;
  static constexpr kinds exact = Inner::exact;
  static constexpr kinds also = Inner::also;

  [[nodiscard]] static std::string expected() { return Inner::expected(); }
  [[nodiscard]] static bool fits(std::int64_t value) noexcept requires requires { Inner::fits(value); }
  { return Inner::fits(value); }
  [[nodiscard]] static bool fits(bool negative, bytes_view magnitude) noexcept requires requires {
    Inner::fits(negative, magnitude);
  }
  { return Inner::fits(negative, magnitude); }

  Value none() const { return Self::made(Inner().none()); }
  Value boolean(bool flag) const { return Self::made(Inner().boolean(flag)); }
  Value integer(std::int64_t value) const { return Self::made(Inner().integer(value)); }
  Value big_integer(bool negative, bytes_view magnitude) const {
    return Self::made(Inner().big_integer(negative, magnitude));
  }
  Value real(double value) const { return Self::made(Inner().real(value)); }
  Value complex(double real, double imaginary) const requires requires(Inner inner) {
    inner.complex(0.0, 0.0);
  }
  { return Self::made(Inner().complex(real, imaginary)); }
  Value atom(std::string_view name) const { return Self::made(Inner().atom(name)); }
  Value text(std::string_view text) const { return Self::made(Inner().text(text)); }
  Value bytes(bytes_view data) const { return Self::made(Inner().bytes(data)); }
  Value binary(bytes_view data) const { return Self::made(Inner().binary(data)); }
  template <class Fill>
  Value bytes_from(std::size_t size, Fill&& fill) const {
    return Self::made(Inner().bytes_from(size, std::forward<Fill>(fill)));
  }
  Value shared(const shared_bytes_ptr& data) const { return Self::made(Inner().shared(data)); }
  template <class Fill>
  Value ndarray(std::string_view dtype, std::span<const std::int64_t> shape, std::size_t size,
                Fill&& fill) const {
    return Self::made(Inner().ndarray(dtype, shape, size, std::forward<Fill>(fill)));
  }
  Value ndarray(std::string_view dtype, std::span<const std::int64_t> shape,
                const shared_bytes_ptr& data) const {
    return Self::made(Inner().ndarray(dtype, shape, data));
  }
  Value opaque(const opaque_handle auto& handle) const { return Self::made(Inner().opaque(handle)); }
  Value object(object_ref where) const { return Self::made(Inner().object(where)); }
  auto list(std::size_t size) const { return sequence(Inner().list(size)); }
  auto tuple(std::size_t size) const { return sequence(Inner().tuple(size)); }
  auto set(std::size_t size) const { return sequence(Inner().set(size)); }
  auto map(std::size_t size) const {
    using builder = decltype(Inner().map(size));
    return detail::through_map_builder<builder, Self, Value>(Inner().map(size));
  }

 private:
  template <class Builder>
  static auto sequence(Builder inner) {
    return detail::through_builder<Builder, Self, Value>(std::move(inner));
  }
};

namespace detail {

template <class T>
concept made_from_other = requires(result_t<typename crosses_as<T>::type> other) {
  crosses_as<T>::from(std::move(other));
};

template <class T>
struct crossing_sink : through<crossing_sink<T>, cpp::sink<typename crosses_as<T>::type>, T> {
  static T made(result_t<typename crosses_as<T>::type> other) {
    try {
      return crosses_as<T>::from(std::move(other));
    } catch (const mismatch&) {
      throw;
    } catch (const conversion_error& wrong) {
      throw mismatch(wrong.kind(), wrong.what());
    }
  }
};

}  // namespace detail

// Types that cross as another one.
template <detail::crosses_as_other T>
struct caster<T> : detail::with_sink<detail::made_from_other<T>, detail::crossing_sink<T>> {
  using other = typename crosses_as<T>::type;

  template <class To>
  requires requires(const T& value) { crosses_as<T>::to(value); }
  static typename To::value_type walk(const T& value, To& to, walking& on) {
    return on.value(static_cast<const other&>(crosses_as<T>::to(value)), to);
  }
};

}  // namespace erlpy::cpp

#endif
