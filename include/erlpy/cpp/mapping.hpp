// std::map and std::unordered_map: maps both ways. Two entries with one key are an error.
#ifndef ERLPY_CPP_MAPPING_HPP
#define ERLPY_CPP_MAPPING_HPP

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include <erlpy/cpp/caster.hpp>
#include <erlpy/cpp/refusing.hpp>

namespace erlpy::cpp {

namespace detail {

// How an error names a key.
template <class Key>
[[nodiscard]] std::string key_text(const Key& key) {
  if constexpr (std::convertible_to<const Key&, std::string_view>) {
    return in_quotes(key);
  } else if constexpr (std::integral<Key> && !std::same_as<Key, bool>) {
    return std::to_string(key);
  } else {
    return "...";
  }
}

template <class Map>
class map_builder_of {
 public:
  using key_type = typename Map::key_type;
  using mapped_type = typename Map::mapped_type;

  explicit map_builder_of(std::size_t announced) {
    if constexpr (requires { built_.reserve(announced); })
      built_.reserve(std::min(announced, std::size_t{64}));
  }

  template <class WalkKey, class WalkValue>
  void entry(WalkKey&& walk_key, WalkValue&& walk_value) {
    key_type key = at_place(
        [&] {
          cpp::sink<key_type> to;
          return walk_key(to);
        },
        [&] { return "[key " + std::to_string(index_) + "]"; });
    ++index_;
    mapped_type value = at_place(
        [&] {
          cpp::sink<mapped_type> to;
          return walk_value(to);
        },
        [&] { return "[" + key_text(key) + "]"; });
    // A key that is there already is not moved from.
    if (!built_.try_emplace(std::move(key), std::move(value)).second)
      throw mismatch(fault::value, "two entries have the key " + key_text(key));
  }
  Map finish() { return std::move(built_); }

 private:
  Map built_;
  std::size_t index_ = 0;
};

template <class Map>
struct map_sink : refusing<map_sink<Map>, Map> {
  static constexpr kinds exact = kind::map;
  static constexpr kinds also{};
  [[nodiscard]] static std::string expected() { return "map"; }

  map_builder_of<Map> map(std::size_t size) const { return map_builder_of<Map>(size); }
};

template <class Map>
struct map_caster
    : with_sink<readable_element<typename Map::key_type> && readable_element<typename Map::mapped_type>,
                map_sink<Map>> {
  template <class To>
  requires(writable<typename Map::key_type>&& writable<typename Map::mapped_type>) [[gnu::noinline]] static
      typename To::value_type walk(const Map& map, To& to, walking& on) {
    const walk_guard::level inside = on.enter();
    auto out = to.map(map.size());
    for (const auto& [key, value] : map) on.entry(out, key, value);
    if constexpr (std::same_as<typename Map::key_type, std::string>) {
      return finish_distinct(out);
    } else {
      return out.finish();
    }
  }
};

}  // namespace detail

template <class Key, class Value, class Less>
struct caster<std::map<Key, Value, Less>> : detail::map_caster<std::map<Key, Value, Less>> {};
template <class Key, class Value, class Hash, class Equal>
struct caster<std::unordered_map<Key, Value, Hash, Equal>>
    : detail::map_caster<std::unordered_map<Key, Value, Hash, Equal>> {};

}  // namespace erlpy::cpp

#endif
