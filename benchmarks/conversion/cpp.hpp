// The world of C++: ours, and C++ as one writes it.
#ifndef ERLPY_BENCHMARKS_CONVERSION_CPP_HPP
#define ERLPY_BENCHMARKS_CONVERSION_CPP_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <erlpy/cpp.hpp>

#include "hand.hpp"

namespace conversion {

namespace hand {

template <shape S>
class cpp_reader {
 public:
  explicit cpp_reader(const values<S>& from) noexcept : from_(from) {}

  std::size_t begin() const { return from_.size(); }
  void end() {}
  std::int64_t integer() { return from_[at_++]; }
  double real() { return from_[at_++]; }
  std::string_view text() { return from_[at_++]; }
  fields record() {
    const auto& one = from_[at_++];
    fields out;
    if constexpr (S == shape::structs) {
      out = {one.id, one.name, one.score, tags_of(one.tags)};
    } else {
      expect(one.size() == 4, "a record of four is missing");
      out = {std::get<std::int64_t>(one.at("id")), std::get<std::string>(one.at("name")),
             std::get<double>(one.at("score")), tags_of(std::get<std::vector<std::string>>(one.at("tags")))};
    }
    return out;
  }

 private:
  static std::array<std::string_view, 2> tags_of(const std::vector<std::string>& tags) {
    expect(tags.size() == 2, "two tags are missing");
    return {tags[0], tags[1]};
  }

  const values<S>& from_;
  std::size_t at_ = 0;
};

template <shape S>
class cpp_writer {
 public:
  void begin(std::size_t size) { out_.reserve(size); }
  void integer(std::int64_t value) { out_.push_back(value); }
  void real(double value) { out_.push_back(value); }
  void text(std::string_view value) { out_.emplace_back(value); }
  void record(const fields& value) {
    if constexpr (S == shape::structs) {
      out_.push_back({value.id, std::string(value.name), value.score, tags_of(value)});
    } else {
      auto& one = out_.emplace_back();
      one.emplace("id", value.id);
      one.emplace("name", std::string(value.name));
      one.emplace("score", value.score);
      one.emplace("tags", tags_of(value));
    }
  }
  values<S> end() { return std::move(out_); }

 private:
  static std::vector<std::string> tags_of(const fields& value) {
    std::vector<std::string> tags;
    tags.reserve(2);
    for (const std::string_view tag : value.tags) tags.emplace_back(tag);
    return tags;
  }

  values<S> out_;
};

}  // namespace hand

class cpp_world {
 public:
  static constexpr std::string_view name = "cpp";
  template <shape S>
  using value = values<S>;

  template <shape S>
  [[nodiscard]] auto source(const value<S>& from) {
    return erlpy::cpp::source(from);
  }
  template <shape S, class Source>
  [[nodiscard]] value<S> build(Source&& from) {
    erlpy::cpp::sink<value<S>> to;
    return erlpy::transcode(std::forward<Source>(from), to);
  }

  template <shape S>
  [[nodiscard]] auto reader(const value<S>& from, hand::key_form) {
    return hand::cpp_reader<S>(from);
  }
  template <shape S>
  [[nodiscard]] auto writer(hand::key_form) {
    return hand::cpp_writer<S>();
  }
  // From C++ to C++ nobody writes a loop.
  template <shape S>
  [[nodiscard]] static value<S> copy(const value<S>& from) {
    return from;
  }

  template <class Value>
  [[nodiscard]] static bool same(const Value& a, const Value& b) {
    return a == b;
  }
};

}  // namespace conversion

#endif
