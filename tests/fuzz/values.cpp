// Arbitrary bytes as External Term Format into C++ values: what is taken must come back as the equal value, and
// what is refused must be refused with a reason.
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include <erlpy/cpp.hpp>
#include <erlpy/etf.hpp>

#include "fuzz.hpp"

namespace {

struct leaf {
  std::string name;
  double weight = 0;
  std::optional<std::vector<std::int64_t>> numbers;
  friend bool operator==(const leaf&, const leaf&) = default;
};

struct node {
  leaf own;
  std::vector<node> below;
  friend bool operator==(const node&, const node&) = default;
};

}  // namespace

template <>
struct erlpy::field_names<leaf> {
  static constexpr std::array<std::string_view, 3> value = {"name", "weight", "numbers"};
};
template <>
struct erlpy::field_names<node> {
  static constexpr std::array<std::string_view, 2> value = {"own", "below"};
};

namespace {

using erlpy::byte_buffer;
using erlpy::bytes_view;

constexpr erlpy::walk_limits limits{.max_depth = 300};

// NaN is no float of Erlang's, so every value here equals itself.
template <class T>
void through(bytes_view bytes) {
  static_cast<void>(fuzz::attempt([&] {
    erlpy::cpp::sink<T> to;
    const T value = erlpy::transcode(erlpy::etf::source(bytes, limits), to);
    byte_buffer written;
    erlpy::etf::sink out(written, limits, erlpy::etf::bytes_form::tagged);
    static_cast<void>(erlpy::transcode(erlpy::cpp::source(value, limits), out));
    const T again = erlpy::transcode(
        erlpy::etf::source(bytes_view(written), limits, nullptr, erlpy::etf::bytes_form::tagged), to);
    fuzz::expect(again == value, "what was written is read as the same value");
    return true;
  }));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const bytes_view bytes = fuzz::as_view(data, size);
  through<std::vector<std::int64_t>>(bytes);
  through<std::vector<std::variant<std::int64_t, std::string, std::tuple<int, std::string>>>>(bytes);
  through<std::map<std::string, std::optional<std::uint8_t>>>(bytes);
  through<std::set<std::string>>(bytes);
  through<std::pair<std::chrono::milliseconds, bool>>(bytes);
  through<byte_buffer>(bytes);
  through<node>(bytes);
  static_cast<void>(fuzz::attempt([&] {
    erlpy::cpp::sink<erlpy::cpp::any_value> to;
    return erlpy::transcode(erlpy::etf::source(bytes, limits), to);
  }));
  return 0;
}
