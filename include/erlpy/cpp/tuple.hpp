// std::tuple and std::pair: tuples both ways; a list of exactly as many elements is taken too.
#ifndef ERLPY_CPP_TUPLE_HPP
#define ERLPY_CPP_TUPLE_HPP

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <erlpy/cpp/caster.hpp>
#include <erlpy/cpp/refusing.hpp>
#include <erlpy/cpp/sequence.hpp>

namespace erlpy::cpp {

namespace detail {

// Calls `f(std::integral_constant<std::size_t, index>)`; `index` is less than N.
template <std::size_t N, class F>
void at_index(std::size_t index, F&& f) {
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    static_cast<void>(
        ((index == I && (static_cast<void>(f(std::integral_constant<std::size_t, I>{})), true)) || ...));
  }
  (std::make_index_sequence<N>{});
}

template <class Tuple>
class tuple_builder_of {
 public:
  template <class Walk>
  void element(Walk&& walk) {
    at_place(
        [&] {
          at_index<std::tuple_size_v<Tuple>>(next_, [&](auto index) {
            cpp::sink<std::tuple_element_t<index, Tuple>> to;
            std::get<index>(built_) = walk(to);
          });
        },
        [&] { return index_step(next_); });
    ++next_;
  }
  Tuple finish() { return std::move(built_); }

 private:
  Tuple built_{};
  std::size_t next_ = 0;
};

template <class Tuple>
struct tuple_sink : refusing<tuple_sink<Tuple>, Tuple> {
  static constexpr std::size_t arity = std::tuple_size_v<Tuple>;
  static constexpr kinds exact = kind::tuple;
  static constexpr kinds also = kind::list;
  [[nodiscard]] static std::string expected() { return "tuple of " + std::to_string(arity); }

  tuple_builder_of<Tuple> tuple(std::size_t size) const { return of("tuple", size); }
  tuple_builder_of<Tuple> list(std::size_t size) const { return of("list", size); }

 private:
  static tuple_builder_of<Tuple> of(std::string_view what, std::size_t size) {
    if (size != arity) wrong_length(what, std::to_string(arity), size);
    return {};
  }
};

template <class Tuple, class... Ts>
struct tuple_caster
    : with_sink<(... && (readable_element<Ts> && std::default_initializable<Ts>)), tuple_sink<Tuple>> {
  template <class To>
  requires(...&& writable<Ts>) [[gnu::noinline]] static typename To::value_type
      walk(const Tuple& tuple, To& to, walking& on) {
    const walk_guard::level inside = on.enter();
    auto out = to.tuple(sizeof...(Ts));
    std::apply([&](const auto&... elements) { (on.element(out, elements), ...); }, tuple);
    return out.finish();
  }
};

}  // namespace detail

template <class... Ts>
struct caster<std::tuple<Ts...>> : detail::tuple_caster<std::tuple<Ts...>, Ts...> {};
template <class First, class Second>
struct caster<std::pair<First, Second>> : detail::tuple_caster<std::pair<First, Second>, First, Second> {};

}  // namespace erlpy::cpp

#endif
