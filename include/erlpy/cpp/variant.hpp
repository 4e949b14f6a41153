// std::variant: its alternative, out of C++; into C++ the alternative is chosen by the kind of the value.
//
// First choice is the first alternative of which the kind is its own (a double for a float, std::string for
// a str, std::vector for a list, std::tuple for a tuple, a struct or a map for a map), then the first that
// takes the kind besides (a double an integer, a vector a tuple, a struct a tuple). Of several integers it
// is the first that the value fits. What is inside does not decide: it is not known yet when a list begins.
// So std::variant<std::vector<int>, std::vector<std::string>> takes no list of strings.
#ifndef ERLPY_CPP_VARIANT_HPP
#define ERLPY_CPP_VARIANT_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include <erlpy/cpp/caster.hpp>
#include <erlpy/cpp/kinds.hpp>
#include <erlpy/cpp/refusing.hpp>
#include <erlpy/cpp/scalar.hpp>
#include <erlpy/cpp/through.hpp>
#include <erlpy/cpp/tuple.hpp>
#include <erlpy/crossing.hpp>
#include <erlpy/detail/utf8.hpp>

namespace erlpy::cpp {

namespace detail {

template <class Sink, class... Number>
[[nodiscard]] bool fits_in(const Number&... number) noexcept {
  if constexpr (requires { Sink::fits(number...); }) {
    return Sink::fits(number...);
  } else {
    return true;
  }
}

template <class... Ts>
class variant_sink : public refusing<variant_sink<Ts...>, std::variant<Ts...>> {
 public:
  using value_type = std::variant<Ts...>;
  static constexpr kinds exact = (kinds() | ... | cpp::sink<Ts>::exact);
  static constexpr kinds also = (kinds() | ... | cpp::sink<Ts>::also);

  [[nodiscard]] static std::string expected() {
    const std::array<std::string, nowhere> each = {cpp::sink<Ts>::expected()...};
    std::string all;
    for (auto one = each.begin(); one != each.end(); ++one)
      if (std::find(each.begin(), one, *one) == one) all.append(all.empty() ? "" : " or ").append(*one);
    return all;
  }
  [[nodiscard]] static bool fits(std::int64_t value) noexcept { return fitting(value) != nowhere; }
  [[nodiscard]] static bool fits(bool negative, bytes_view magnitude) noexcept {
    return fitting(negative, magnitude) != nowhere;
  }

  value_type none() const {
    return give<kind::none>("None", [](auto to) { return to.none(); });
  }
  value_type boolean(bool flag) const {
    return give<kind::boolean>("bool", [&](auto to) { return to.boolean(flag); });
  }
  value_type integer(std::int64_t value) const {
    return number(
        fitting(value), [&](auto to) { return to.integer(value); }, [&] { return std::to_string(value); });
  }
  value_type big_integer(bool negative, bytes_view magnitude) const {
    return number(
        fitting(negative, magnitude), [&](auto to) { return to.big_integer(negative, magnitude); },
        [&] { return described_integer(negative, magnitude); });
  }
  value_type real(double value) const {
    return give<kind::real>("float", [&](auto to) { return to.real(value); });
  }
  value_type complex(double real, double imaginary) const {
    return give<kind::complex>("complex", [&](auto to) { return to.complex(real, imaginary); });
  }
  value_type atom(std::string_view name) const {
    const auto as_atom = [&](auto to) { return to.atom(name); };
    if constexpr (!exact.has(kind::atom) && exact.has(kind::real)) {
      if (name == crossing::nan_atom || name == crossing::infinity_atom ||
          name == crossing::neg_infinity_atom)
        return give<kind::real>("atom", as_atom);
    }
    return give<kind::atom>("atom " + in_quotes(name), as_atom);
  }
  value_type text(std::string_view text) const {
    return give<kind::text>("str", [&](auto to) { return to.text(text); });
  }
  value_type bytes(bytes_view data) const {
    return give<kind::bytes>("bytes", [&](auto to) { return to.bytes(data); });
  }
  value_type binary(bytes_view data) const {
    const auto as_binary = [&](auto to) { return to.binary(data); };
    constexpr bool has_bytes = chosen<kind::bytes> != nowhere;
    if constexpr (chosen<kind::text> == nowhere) {
      return give<kind::bytes>("binary", as_binary);
    } else {
      if (!has_bytes || erlpy::detail::is_valid_utf8(as_text(data)))
        return give<kind::text>("binary", as_binary);
      return give<kind::bytes>("binary", as_binary);
    }
  }
  template <class Fill>
  value_type bytes_from(std::size_t size, Fill&& fill) const {
    return give<kind::bytes>("bytes", [&](auto to) { return to.bytes_from(size, fill); });
  }
  value_type shared(const shared_bytes_ptr& data) const {
    return give<kind::bytes>("bytes", [&](auto to) { return to.shared(data); });
  }
  template <class Fill>
  value_type ndarray(std::string_view dtype, std::span<const std::int64_t> shape, std::size_t size,
                     Fill&& fill) const {
    return give<kind::ndarray>("ndarray", [&](auto to) { return to.ndarray(dtype, shape, size, fill); });
  }
  value_type ndarray(std::string_view dtype, std::span<const std::int64_t> shape,
                     const shared_bytes_ptr& data) const {
    return give<kind::ndarray>("ndarray", [&](auto to) { return to.ndarray(dtype, shape, data); });
  }
  value_type opaque(const opaque_handle auto& handle) const {
    return give<kind::opaque>(opaque_name(handle.kind()), [&](auto to) { return to.opaque(handle); });
  }
  value_type object(object_ref where) const {
    return give<kind::object>(where.generator ? "generator" : "object",
                              [&](auto to) { return to.object(where); });
  }
  auto list(std::size_t size) const {
    return open<kind::list>("list", [&](auto to) { return to.list(size); });
  }
  auto tuple(std::size_t size) const {
    return open<kind::tuple>("tuple", [&](auto to) { return to.tuple(size); });
  }
  auto set(std::size_t size) const {
    return open<kind::set>("set", [&](auto to) { return to.set(size); });
  }
  auto map(std::size_t size) const {
    constexpr std::size_t which = chosen<kind::map>;
    if constexpr (which == nowhere) {
      detail::refuse(expected(), "map");
      return refused_builder<value_type>();
    } else {
      using builder = decltype(sink_at<which>().map(size));
      return through_map_builder<builder, alternative<which>, value_type>(sink_at<which>().map(size));
    }
  }

 private:
  static constexpr std::size_t nowhere = sizeof...(Ts);

  template <std::size_t I>
  using sink_at = cpp::sink<std::tuple_element_t<I, std::tuple<Ts...>>>;

  template <std::size_t I>
  struct alternative {
    static value_type made(std::tuple_element_t<I, std::tuple<Ts...>> value) {
      return value_type(std::in_place_index<I>, std::move(value));
    }
  };

  [[nodiscard]] static constexpr std::size_t choose(kind what) noexcept {
    constexpr std::array<kinds, nowhere> own = {cpp::sink<Ts>::exact...};
    constexpr std::array<kinds, nowhere> besides = {cpp::sink<Ts>::also...};
    for (std::size_t i = 0; i < nowhere; ++i)
      if (own[i].has(what)) return i;
    for (std::size_t i = 0; i < nowhere; ++i)
      if (besides[i].has(what)) return i;
    return nowhere;
  }
  template <kind What>
  static constexpr std::size_t chosen = choose(What);

  // The alternative for an integer (one number, or sign and magnitude).
  template <class... Number>
  [[nodiscard]] static std::size_t fitting(const Number&... number) noexcept {
    std::size_t found = nowhere;
    std::size_t i = 0;
    const auto look = [&]<class Sink>(kinds where, std::type_identity<Sink>) {
      if (found == nowhere && where.has(kind::integer) && fits_in<Sink>(number...)) found = i;
      ++i;
    };
    (look(cpp::sink<Ts>::exact, std::type_identity<cpp::sink<Ts>>()), ...);
    i = 0;
    (look(cpp::sink<Ts>::also, std::type_identity<cpp::sink<Ts>>()), ...);
    return found;
  }

  template <class Call, class Describe>
  static value_type number(std::size_t which, Call&& call, Describe&& describe) {
    if (which == nowhere) {
      if constexpr (chosen<kind::integer> == nowhere) detail::refuse(expected(), "int");
      detail::does_not_fit(describe(), "any of the std::variant's alternatives");
    }
    std::optional<value_type> made;
    at_index<nowhere>(which, [&](auto index) {
      if constexpr (sink_at<index>::exact.has(kind::integer) || sink_at<index>::also.has(kind::integer))
        made.emplace(alternative<index>::made(call(sink_at<index>())));
    });
    return std::move(*made);
  }

  template <kind What, class Call>
  static value_type give(std::string_view got, Call&& call) {
    constexpr std::size_t which = chosen<What>;
    if constexpr (which == nowhere) {
      detail::refuse(expected(), got);
    } else {
      return alternative<which>::made(call(sink_at<which>()));
    }
  }

  template <kind What, class Call>
  static auto open(std::string_view got, Call&& call) {
    constexpr std::size_t which = chosen<What>;
    if constexpr (which == nowhere) {
      detail::refuse(expected(), got);
      return refused_builder<value_type>();
    } else {
      using builder = decltype(call(sink_at<which>()));
      return through_builder<builder, alternative<which>, value_type>(call(sink_at<which>()));
    }
  }
};

}  // namespace detail

template <class... Ts>
struct caster<std::variant<Ts...>>
    : detail::with_sink<(... && readable_element<Ts>), detail::variant_sink<Ts...>> {
  template <class To>
  requires(...&& writable<Ts>) static typename To::value_type
      walk(const std::variant<Ts...>& value, To& to, walking& on) {
    return std::visit([&](const auto& alternative) { return on.value(alternative, to); }, value);
  }
};

}  // namespace erlpy::cpp

#endif
