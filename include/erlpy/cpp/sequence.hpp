// Sequences and sets: std::vector, std::deque, std::list, std::array, std::span<const T> (out of C++ only),
// std::set and std::unordered_set.
//
// The sequences take lists, tuples and sets, and those of numbers also a one-dimensional array (numpy's, or
// array.array) whose items are exactly theirs, which is one copy. The sets take sets, and lists and tuples
// without equal elements.
#ifndef ERLPY_CPP_SEQUENCE_HPP
#define ERLPY_CPP_SEQUENCE_HPP

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <list>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include <erlpy/cpp/caster.hpp>
#include <erlpy/cpp/refusing.hpp>
#include <erlpy/cpp/text.hpp>

namespace erlpy::cpp {

namespace detail {

// What is reserved at most for a number of elements that is only announced: lists that nest may each
// announce as many as there are bytes left. Numbers do not nest.
template <class T>
[[nodiscard]] constexpr std::size_t reserved(std::size_t announced) noexcept {
  if constexpr (std::is_arithmetic_v<T>) return announced;
  return std::min(announced, 1 + (std::size_t{1} << 20U) / sizeof(T));
}

// What numpy calls an item of this type on this machine.
template <class T>
requires(std::is_arithmetic_v<T>) [[nodiscard]] constexpr std::array<char, 3> typestr() noexcept {
  constexpr char order = sizeof(T) == 1 ? '|' : std::endian::native == std::endian::little ? '<' : '>';
  constexpr char letter = std::same_as<T, bool>         ? 'b'
                          : std::is_floating_point_v<T> ? 'f'
                          : std::is_signed_v<T>         ? 'i'
                                                        : 'u';
  return {order, letter, static_cast<char>('0' + sizeof(T))};
}

[[nodiscard]] inline std::string described_array(std::string_view dtype,
                                                 std::span<const std::int64_t> shape) {
  std::string out = "ndarray of dtype ";
  out.append(dtype).append(" and shape (");
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) out += ", ";
    out += std::to_string(shape[i]);
  }
  return out += shape.size() == 1 ? ",)" : ")";
}

// A string that is put at the end of a container where it will stay.
template <class Strings>
class string_adding_sink : public refusing<string_adding_sink<Strings>, std::monostate> {
 public:
  explicit string_adding_sink(Strings& to) noexcept : to_(to) {}
  [[nodiscard]] static std::string expected() { return cpp::sink<std::string>::expected(); }

  std::monostate text(std::string_view text) const {
    to_.emplace_back(text);
    return {};
  }
  std::monostate atom(std::string_view name) const { return text(name); }
  std::monostate binary(bytes_view data) const {
    cpp::sink<std::string>::check(data);
    return text(as_text(data));
  }

 private:
  Strings& to_;
};

// Elements pushed to the end of a container.
template <class Container>
class appending_builder {
 public:
  using element_type = typename Container::value_type;

  explicit appending_builder(std::size_t announced) {
    if constexpr (in_place)
      built_.resize(announced);
    else if constexpr (requires { built_.reserve(announced); })
      built_.reserve(reserved<element_type>(announced));
  }

  template <class Walk>
  [[gnu::always_inline]] void element(Walk&& walk) {
    at_place(
        [&] {
          if constexpr (std::same_as<element_type, std::string>) {
            string_adding_sink<Container> to(built_);
            walk(to);
          } else {
            cpp::sink<element_type> to;
            if constexpr (in_place)
              put(walk(to));
            else
              built_.push_back(walk(to));
          }
        },
        [&] { return index_step(next_); });
    ++next_;
  }
  Container finish() {
    if constexpr (in_place) built_.resize(next_);
    return std::move(built_);
  }

 private:
  static constexpr bool in_place = std::same_as<Container, std::vector<element_type>> &&
                                   std::is_arithmetic_v<element_type> && !std::same_as<element_type, bool>;

  void put(element_type number) {
    if (next_ < built_.size()) [[likely]]
      built_[next_] = number;
    else
      built_.push_back(number);
  }

  Container built_;
  std::size_t next_ = 0;
};

// Elements of a set; equal ones are an error.
template <class Container>
class inserting_builder {
 public:
  template <class Walk>
  void element(Walk&& walk) {
    const std::size_t index = index_++;
    at_place(
        [&] {
          cpp::sink<typename Container::value_type> to;
          if (!built_.insert(walk(to)).second) throw mismatch(fault::value, "the element is there already");
        },
        [&] { return index_step(index); });
  }
  Container finish() { return std::move(built_); }

 private:
  Container built_;
  std::size_t index_ = 0;
};

// Exactly N elements, in place.
template <class T, std::size_t N>
class array_builder {
 public:
  template <class Walk>
  void element(Walk&& walk) {
    at_place(
        [&] {
          cpp::sink<T> to;
          built_.at(next_) = walk(to);
        },
        [&] { return index_step(next_); });
    ++next_;
  }
  std::array<T, N> finish() { return std::move(built_); }

 private:
  std::array<T, N> built_{};
  std::size_t next_ = 0;
};

[[noreturn]] inline void wrong_length(std::string_view what, const std::string& expected, std::size_t got) {
  std::string text = "expected a ";
  text.append(what).append(" of ").append(expected).append(", got one of ").append(std::to_string(got));
  throw mismatch(fault::value, text);
}

template <class Container>
struct sequence_sink : refusing<sequence_sink<Container>, Container> {
  using base = refusing<sequence_sink<Container>, Container>;
  using item = typename Container::value_type;
  static constexpr bool takes_arrays =
      std::same_as<Container, std::vector<item>> && std::is_arithmetic_v<item> && !std::same_as<item, bool>;
  static constexpr kinds exact = kind::list;
  static constexpr kinds also = kind::tuple | kind::set | (takes_arrays ? kinds(kind::ndarray) : kinds());
  static constexpr bool refuses_improper_lists = true;
  [[nodiscard]] static std::string expected() { return "list"; }

  appending_builder<Container> list(std::size_t size) const { return appending_builder<Container>(size); }
  appending_builder<Container> tuple(std::size_t size) const { return list(size); }
  appending_builder<Container> set(std::size_t size) const { return list(size); }

  template <class Fill>
  Container ndarray(std::string_view dtype, std::span<const std::int64_t> shape, std::size_t size,
                    Fill&& fill) const {
    if constexpr (takes_arrays) {
      if (is_mine(dtype, shape, size)) {
        Container made(size / sizeof(item));
        std::forward<Fill>(fill)(std::as_writable_bytes(std::span(made)));
        return made;
      }
    }
    refuse(expected(), described_array(dtype, shape));
  }
  Container ndarray(std::string_view dtype, std::span<const std::int64_t> shape,
                    const shared_bytes_ptr& data) const {
    const bytes_view bytes = data->view();
    return ndarray(dtype, shape, bytes.size(), [&](std::span<std::byte> room) {
      if (!bytes.empty()) std::memcpy(room.data(), bytes.data(), bytes.size());
    });
  }

 private:
  [[nodiscard]] static bool is_mine(std::string_view dtype, std::span<const std::int64_t> shape,
                                    std::size_t size) noexcept {
    if constexpr (takes_arrays) {
      constexpr auto mine = typestr<item>();
      return dtype == std::string_view(mine.data(), mine.size()) && shape.size() == 1 && shape[0] >= 0 &&
             size % sizeof(item) == 0 && static_cast<std::size_t>(shape[0]) == size / sizeof(item);
    } else {
      return false;
    }
  }
};

template <class Container>
struct set_sink : refusing<set_sink<Container>, Container> {
  static constexpr kinds exact = kind::set;
  static constexpr kinds also = kind::list | kind::tuple;
  static constexpr bool refuses_improper_lists = true;
  [[nodiscard]] static std::string expected() { return "set"; }

  inserting_builder<Container> list(std::size_t) const { return {}; }
  inserting_builder<Container> tuple(std::size_t) const { return {}; }
  inserting_builder<Container> set(std::size_t) const { return {}; }
};

template <class T, std::size_t N>
struct array_sink : refusing<array_sink<T, N>, std::array<T, N>> {
  static constexpr kinds exact = kind::list;
  static constexpr kinds also = kind::tuple;
  static constexpr bool refuses_improper_lists = true;
  [[nodiscard]] static std::string expected() { return "list of " + std::to_string(N); }

  array_builder<T, N> list(std::size_t size) const { return of("list", size); }
  array_builder<T, N> tuple(std::size_t size) const { return of("tuple", size); }

 private:
  static array_builder<T, N> of(std::string_view what, std::size_t size) {
    if (size != N) wrong_length(what, std::to_string(N), size);
    return {};
  }
};

// How a range is reported, as a list.
template <class Range>
struct list_walk {
  template <class To>
  requires writable<typename Range::value_type>
  static typename To::value_type walk(const Range& range, To& to, walking& on) {
    return walk_all(range, to.list(range.size()), on);
  }
};

template <class Range>
struct set_walk {
  template <class To>
  requires writable<typename Range::value_type>
  static typename To::value_type walk(const Range& range, To& to, walking& on) {
    return walk_all(range, to.set(range.size()), on);
  }
};

template <class Container>
inline constexpr bool elements_readable = readable_element<typename Container::value_type>;

template <class Container>
struct sequence_caster : list_walk<Container>,
                         with_sink<elements_readable<Container>, sequence_sink<Container>> {};
template <class Container>
struct set_caster : set_walk<Container>, with_sink<elements_readable<Container>, set_sink<Container>> {};

}  // namespace detail

template <class T>
struct caster<std::vector<T>> : detail::sequence_caster<std::vector<T>> {};
template <class T>
struct caster<std::deque<T>> : detail::sequence_caster<std::deque<T>> {};
template <class T>
struct caster<std::list<T>> : detail::sequence_caster<std::list<T>> {};
template <class T, class Less>
struct caster<std::set<T, Less>> : detail::set_caster<std::set<T, Less>> {};
template <class T, class Hash, class Equal>
struct caster<std::unordered_set<T, Hash, Equal>> : detail::set_caster<std::unordered_set<T, Hash, Equal>> {};

template <class T, std::size_t N>
struct caster<std::array<T, N>>
    : detail::list_walk<std::array<T, N>>,
      detail::with_sink<readable_element<T> && std::default_initializable<T>, detail::array_sink<T, N>> {};

template <class T, std::size_t Extent>
struct caster<std::span<T, Extent>> : detail::list_walk<std::span<T, Extent>> {};

}  // namespace erlpy::cpp

#endif
