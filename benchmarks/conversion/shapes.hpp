// What is converted: five shapes, each a list of 10,000 elements, and what they are in C++.
//
// A `record` has four fields, one of them a list of two texts. As a map of texts it is a dict in Python and
// a map with binaries as keys in Erlang. A `struct_` has the same fields, as a plain struct in C++ and a map
// with atoms as keys in Erlang.
#ifndef ERLPY_BENCHMARKS_CONVERSION_SHAPES_HPP
#define ERLPY_BENCHMARKS_CONVERSION_SHAPES_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <erlpy/cpp/field_names.hpp>

namespace conversion {

inline constexpr std::size_t elements = 10'000;

enum class shape { integers, floats, texts, records, structs };
inline constexpr std::array<std::string_view, 5> shape_names = {"integers", "floats", "short_strings",
                                                                "records", "structs"};

inline constexpr std::array<std::string_view, 4> field_names = {"id", "name", "score", "tags"};

using field = std::variant<std::int64_t, double, std::string, std::vector<std::string>>;
using record = std::map<std::string, field, std::less<>>;

struct measurement {
  std::int64_t id = 0;
  std::string name;
  double score = 0;
  std::vector<std::string> tags;
  friend bool operator==(const measurement&, const measurement&) = default;
};

template <shape S>
struct element_of;
template <>
struct element_of<shape::integers> {
  using type = std::int64_t;
  static type make(std::int64_t i) { return i * 37; }
};
template <>
struct element_of<shape::floats> {
  using type = double;
  static type make(std::int64_t i) { return static_cast<double>(i) * 0.37; }
};
template <>
struct element_of<shape::texts> {
  using type = std::string;
  static type make(std::int64_t i) { return "text " + std::to_string(i); }
};
template <>
struct element_of<shape::structs> {
  using type = measurement;
  static type make(std::int64_t i) {
    return {i, "name " + std::to_string(i), static_cast<double>(i) * 0.5, {"a tag", "b tag"}};
  }
};
template <>
struct element_of<shape::records> {
  using type = record;
  static type make(std::int64_t i) {
    const measurement made = element_of<shape::structs>::make(i);
    return {{"id", made.id}, {"name", made.name}, {"score", made.score}, {"tags", made.tags}};
  }
};

template <shape S>
using values = std::vector<typename element_of<S>::type>;

template <shape S>
[[nodiscard]] values<S> make_values() {
  values<S> made;
  made.reserve(elements);
  for (std::size_t i = 0; i < elements; ++i)
    made.push_back(element_of<S>::make(static_cast<std::int64_t>(i)));
  return made;
}

}  // namespace conversion

template <>
struct erlpy::field_names<conversion::measurement> {
  static constexpr std::array<std::string_view, 4> value = conversion::field_names;
};

#endif
