// A sink that takes everything and keeps nothing: where the values of fields go that a struct ignores.
#ifndef ERLPY_CPP_IGNORING_HPP
#define ERLPY_CPP_IGNORING_HPP

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <erlpy/data_model.hpp>

namespace erlpy::cpp::detail {

struct ignoring_sink {
  struct value_type {};
  struct sequence {
    ignoring_sink child() const noexcept { return {}; }
    void push(value_type) const noexcept {}
    value_type finish() const noexcept { return {}; }
  };
  struct mapping {
    ignoring_sink key() const noexcept { return {}; }
    ignoring_sink value() const noexcept { return {}; }
    void push(value_type, value_type) const noexcept {}
    value_type finish() const noexcept { return {}; }
  };

  static constexpr bool erlang_terms = false;
  // Nobody will have the value: a source need not hold an object for it.
  static constexpr bool ignores = true;

  value_type none() const noexcept { return {}; }
  value_type boolean(bool) const noexcept { return {}; }
  value_type integer(std::int64_t) const noexcept { return {}; }
  value_type big_integer(bool, bytes_view) const noexcept { return {}; }
  value_type real(double) const noexcept { return {}; }
  value_type complex(double, double) const noexcept { return {}; }
  value_type atom(std::string_view) const noexcept { return {}; }
  value_type text(std::string_view) const noexcept { return {}; }
  value_type bytes(bytes_view) const noexcept { return {}; }
  value_type binary(bytes_view) const noexcept { return {}; }
  template <class Fill>
  value_type bytes_from(std::size_t, Fill&&) const noexcept {
    return {};
  }
  value_type shared(const shared_bytes_ptr&) const noexcept { return {}; }
  template <class Fill>
  value_type ndarray(std::string_view, std::span<const std::int64_t>, std::size_t, Fill&&) const noexcept {
    return {};
  }
  value_type ndarray(std::string_view, std::span<const std::int64_t>,
                     const shared_bytes_ptr&) const noexcept {
    return {};
  }
  value_type opaque(const opaque_handle auto&) const noexcept { return {}; }
  value_type object(object_ref) const noexcept { return {}; }
  sequence list(std::size_t) const noexcept { return {}; }
  sequence tuple(std::size_t) const noexcept { return {}; }
  sequence set(std::size_t) const noexcept { return {}; }
  mapping map(std::size_t) const noexcept { return {}; }
};
static_assert(erlpy::sink<ignoring_sink>);

}  // namespace erlpy::cpp::detail

#endif
