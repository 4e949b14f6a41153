// The kinds of values as a set, by which std::variant chooses the alternative that takes a value.
#ifndef ERLPY_CPP_KINDS_HPP
#define ERLPY_CPP_KINDS_HPP

#include <cstdint>

namespace erlpy::cpp {

// `binary`, what only Erlang has, is text or bytes.
enum class kind : std::uint32_t {
  none = 1U << 0U,
  boolean = 1U << 1U,
  integer = 1U << 2U,
  real = 1U << 3U,
  atom = 1U << 4U,
  text = 1U << 5U,
  bytes = 1U << 6U,
  list = 1U << 7U,
  tuple = 1U << 8U,
  set = 1U << 9U,
  map = 1U << 10U,
  ndarray = 1U << 11U,
  opaque = 1U << 12U,
  object = 1U << 13U,
  complex = 1U << 14U,
};

class kinds {
 public:
  constexpr kinds() = default;
  constexpr kinds(kind one) noexcept : bits_(static_cast<std::uint32_t>(one)) {}
  [[nodiscard]] static constexpr kinds all() noexcept {
    kinds every;
    every.bits_ = (1U << 15U) - 1;
    return every;
  }

  [[nodiscard]] constexpr bool has(kind one) const noexcept {
    return (bits_ & static_cast<std::uint32_t>(one)) != 0;
  }
  [[nodiscard]] friend constexpr kinds operator|(kinds a, kinds b) noexcept {
    a.bits_ |= b.bits_;
    return a;
  }

 private:
  std::uint32_t bits_ = 0;
};

[[nodiscard]] constexpr kinds operator|(kind a, kind b) noexcept { return kinds(a) | kinds(b); }

}  // namespace erlpy::cpp

#endif
