// A value whose type is not known beforehand: what crossed, as a tree.
#ifndef ERLPY_CPP_ANY_VALUE_HPP
#define ERLPY_CPP_ANY_VALUE_HPP

#include <algorithm>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <erlpy/cpp/bytes.hpp>
#include <erlpy/cpp/caster.hpp>
#include <erlpy/cpp/complex.hpp>
#include <erlpy/cpp/erlang.hpp>
#include <erlpy/cpp/optional.hpp>
#include <erlpy/cpp/refusing.hpp>
#include <erlpy/cpp/scalar.hpp>
#include <erlpy/cpp/sequence.hpp>
#include <erlpy/cpp/text.hpp>
#include <erlpy/detail/utf8.hpp>

namespace erlpy::cpp {

class any_value;

// An integer beyond 64 bits: its magnitude, least significant byte first, without leading zeros.
struct big_integer {
  bool negative = false;
  byte_buffer magnitude;
  friend bool operator==(const big_integer&, const big_integer&) = default;
};

// Elements in order; a type of its own for each kind.
template <kind What>
struct any_elements {
  std::vector<any_value> elements;
};
template <kind What>
[[nodiscard]] bool operator==(const any_elements<What>& a, const any_elements<What>& b);
using any_list = any_elements<kind::list>;
using any_tuple = any_elements<kind::tuple>;
using any_set = any_elements<kind::set>;

// Entries in the order in which they came. Equal in that order only.
struct any_map {
  std::vector<std::pair<any_value, any_value>> entries;
  // The value of this key, null if there is none. A string finds an atom too.
  [[nodiscard]] const any_value* find(std::string_view key) const;
  friend bool operator==(const any_map& a, const any_map& b);
};

// Row-major; `dtype` as numpy writes it ("<f8").
struct any_array {
  std::string dtype;
  std::vector<std::int64_t> shape;
  buffer data;
  friend bool operator==(const any_array&, const any_array&) = default;
};

// A binary of Erlang's is text if it is UTF-8, else bytes. It is destroyed without recursion, however deep it
// nests; copying and comparing nest as it does.
class any_value {
 public:
  using variant = std::variant<std::monostate, bool, std::int64_t, big_integer, double, std::complex<double>,
                               atom, std::string, buffer, any_list, any_tuple, any_set, any_map, any_array,
                               opaque_ptr, object_ref>;

  any_value() = default;
  any_value(variant value) noexcept : value_(std::move(value)) {}
  any_value(const any_value&) = default;
  any_value(any_value&&) noexcept = default;
  any_value& operator=(const any_value&) = default;
  any_value& operator=(any_value&&) noexcept = default;
  ~any_value() { unravel(); }

  // For std::visit and std::get_if.
  [[nodiscard]] const variant& get() const noexcept { return value_; }
  [[nodiscard]] variant& get() noexcept { return value_; }

  friend bool operator==(const any_value& a, const any_value& b) {
    if (const auto* term = std::get_if<opaque_ptr>(&a.value_)) {
      const auto* other = std::get_if<opaque_ptr>(&b.value_);
      if (other == nullptr) return false;
      return *term == *other || (*term && *other && (*term)->same_as(**other));
    }
    return a.value_ == b.value_;
  }

 private:
  // Calls `f` with each value that is directly in this one.
  template <class F>
  void each_inside(F f);
  [[nodiscard]] bool has_elements() const noexcept;
  void unravel() noexcept;

  variant value_;
};

template <class F>
void any_value::each_inside(F f) {
  const auto all = [&](auto* container) {
    if (container != nullptr) std::ranges::for_each(container->elements, f);
  };
  all(std::get_if<any_list>(&value_));
  all(std::get_if<any_tuple>(&value_));
  all(std::get_if<any_set>(&value_));
  if (auto* map = std::get_if<any_map>(&value_)) {
    for (auto& [key, value] : map->entries) {
      f(key);
      f(value);
    }
  }
}

inline bool any_value::has_elements() const noexcept {
  const auto some = [](const auto* container) {
    return container != nullptr && !container->elements.empty();
  };
  const auto* map = std::get_if<any_map>(&value_);
  return some(std::get_if<any_list>(&value_)) || some(std::get_if<any_tuple>(&value_)) ||
         some(std::get_if<any_set>(&value_)) || (map != nullptr && !map->entries.empty());
}

// Takes out what nests, level by level, so that nothing is left that would be destroyed inside another.
inline void any_value::unravel() noexcept {
  if (!has_elements()) return;
  try {
    std::vector<any_value> nested;
    const auto take = [&](any_value& inside) {
      if (inside.has_elements()) nested.push_back(std::move(inside));
    };
    each_inside(take);
    while (!nested.empty()) {
      any_value last = std::move(nested.back());
      nested.pop_back();
      last.each_inside(take);
    }
  } catch (const std::bad_alloc&) {
    // Then they are destroyed inside each other.
  }
}

template <kind What>
bool operator==(const any_elements<What>& a, const any_elements<What>& b) {
  return a.elements == b.elements;
}
inline bool operator==(const any_map& a, const any_map& b) { return a.entries == b.entries; }

inline const any_value* any_map::find(std::string_view key) const {
  for (const auto& [name, value] : entries) {
    if (const auto* text = std::get_if<std::string>(&name.get()); text != nullptr && *text == key)
      return &value;
    if (const auto* known = std::get_if<atom>(&name.get()); known != nullptr && known->name == key)
      return &value;
  }
  return nullptr;
}

namespace detail {

struct any_sink;

template <class Kind>
class any_elements_builder {
 public:
  explicit any_elements_builder(std::size_t announced) {
    built_.elements.reserve(reserved<any_value>(announced));
  }
  any_sink child() const noexcept;
  void push(any_value element) { built_.elements.push_back(std::move(element)); }
  any_value finish() { return any_value(std::move(built_)); }

 private:
  Kind built_;
};

class any_map_builder {
 public:
  explicit any_map_builder(std::size_t announced) {
    built_.entries.reserve(reserved<std::pair<any_value, any_value>>(announced));
  }
  any_sink key() const noexcept;
  any_sink value() const noexcept;
  void push(any_value key, any_value value) { built_.entries.emplace_back(std::move(key), std::move(value)); }
  any_value finish() { return any_value(std::move(built_)); }

 private:
  any_map built_;
};

struct any_sink {
  using value_type = any_value;
  static constexpr bool erlang_terms = false;
  static constexpr kinds exact{};
  static constexpr kinds also = kinds::all();
  [[nodiscard]] static std::string expected() { return "any value"; }

  any_value none() const { return {}; }
  any_value boolean(bool flag) const { return any_value(flag); }
  any_value integer(std::int64_t value) const { return any_value(value); }
  any_value big_integer(bool negative, bytes_view magnitude) const {
    const std::size_t size = (bit_length(magnitude) + 7) / 8;
    return any_value(cpp::big_integer{
        negative, byte_buffer(magnitude.begin(), magnitude.begin() + static_cast<std::ptrdiff_t>(size))});
  }
  any_value real(double value) const { return any_value(value); }
  any_value complex(double real, double imaginary) const {
    return any_value(std::complex<double>(real, imaginary));
  }
  any_value atom(std::string_view name) const { return any_value(cpp::atom{std::string(name)}); }
  any_value text(std::string_view text) const { return any_value(std::string(text)); }
  any_value bytes(bytes_view data) const { return any_value(buffer(data)); }
  any_value binary(bytes_view data) const {
    return erlpy::detail::is_valid_utf8(as_text(data)) ? text(as_text(data)) : bytes(data);
  }
  template <class Fill>
  any_value bytes_from(std::size_t size, Fill&& fill) const {
    return any_value(cpp::sink<buffer>().bytes_from(size, std::forward<Fill>(fill)));
  }
  any_value shared(const shared_bytes_ptr& data) const { return any_value(buffer(data)); }
  template <class Fill>
  any_value ndarray(std::string_view dtype, std::span<const std::int64_t> shape, std::size_t size,
                    Fill&& fill) const {
    return array(dtype, shape, cpp::sink<buffer>().bytes_from(size, std::forward<Fill>(fill)));
  }
  any_value ndarray(std::string_view dtype, std::span<const std::int64_t> shape,
                    const shared_bytes_ptr& data) const {
    return array(dtype, shape, buffer(data));
  }
  any_value opaque(const opaque_handle auto& handle) const { return any_value(opaque_ptr(handle.share())); }
  any_value object(object_ref where) const { return any_value(where); }
  auto list(std::size_t size) const { return any_elements_builder<any_list>(size); }
  auto tuple(std::size_t size) const { return any_elements_builder<any_tuple>(size); }
  auto set(std::size_t size) const { return any_elements_builder<any_set>(size); }
  any_map_builder map(std::size_t size) const { return any_map_builder(size); }

 private:
  static any_value array(std::string_view dtype, std::span<const std::int64_t> shape, buffer data) {
    return any_value(any_array{std::string(dtype), {shape.begin(), shape.end()}, std::move(data)});
  }
};

template <class Kind>
any_sink any_elements_builder<Kind>::child() const noexcept {
  return {};
}
inline any_sink any_map_builder::key() const noexcept { return {}; }
inline any_sink any_map_builder::value() const noexcept { return {}; }

// Reports what an any_value holds.
template <class To>
class any_report {
 public:
  using built = typename To::value_type;

  any_report(To& to, walking& on) noexcept : to_(to), on_(on) {}

  built operator()(const cpp::big_integer& value) const {
    return to_.big_integer(value.negative, value.magnitude);
  }
  built operator()(const buffer& bytes) const { return to_.bytes(bytes.view()); }
  built operator()(const any_list& list) const { return all(list, to_.list(list.elements.size())); }
  built operator()(const any_tuple& tuple) const { return all(tuple, to_.tuple(tuple.elements.size())); }
  built operator()(const any_set& set) const { return all(set, to_.set(set.elements.size())); }
  [[gnu::noinline]] built operator()(const any_map& map) const {
    const walk_guard::level inside = on_.enter();
    auto out = to_.map(map.entries.size());
    for (const auto& [key, value] : map.entries) on_.entry(out, key, value);
    return out.finish();
  }
  built operator()(const any_array& array) const {
    const shared_bytes_ptr data = array.data.owner() ? array.data.owner() : buffer(array.data.view()).owner();
    return to_.ndarray(array.dtype, std::span<const std::int64_t>(array.shape), data);
  }
  template <class T>
  built operator()(const T& plain) const {
    return on_.value(plain, to_);
  }

 private:
  template <class Elements, class Builder>
  built all(const Elements& from, Builder out) const {
    return walk_all(from.elements, std::move(out), on_);
  }

  To& to_;
  walking& on_;
};

}  // namespace detail

template <>
struct caster<any_value> {
  template <class To>
  static typename To::value_type walk(const any_value& value, To& to, walking& on) {
    return std::visit(detail::any_report<To>(to, on), value.get());
  }

  using sink = detail::any_sink;
};

}  // namespace erlpy::cpp

#endif
