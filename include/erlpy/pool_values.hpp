// The options and statistics of a pool as values: maps in Erlang, dicts in Python. A C++ program of any Boost
// can report them, write them as External Term Format, or read them from a configuration.
#ifndef ERLPY_POOL_VALUES_HPP
#define ERLPY_POOL_VALUES_HPP

#include <array>
#include <string>
#include <string_view>

#include <erlpy/cpp.hpp>
#include <erlpy/pool/options.hpp>

namespace erlpy {

template <>
struct field_names<pool::options> {
  static constexpr std::array<std::string_view, 14> value = {
      "name",      "isolation", "num_workers",    "max_queue",   "grace",   "max_abandoned", "stack_size",
      "max_depth", "python",    "default_python", "python_path", "preload", "object_owner",  "memory_limit"};
};
template <>
inline constexpr bool default_missing_fields<pool::options> = true;

template <>
struct field_names<pool::worker_stats> {
  static constexpr std::array<std::string_view, 9> value = {
      "index", "state", "queued", "calls", "errors", "restarts", "objects", "streams", "busy_us"};
};
template <>
struct field_names<pool::pool_stats> {
  static constexpr std::array<std::string_view, 14> value = {
      "workers",   "queued",  "calls",   "errors",  "timeouts",    "overloads", "restarts",
      "abandoned", "objects", "streams", "busy_us", "gil_stalled", "parallel",  "leaked_interpreters"};
};

// The names of enumerators as atoms.
template <>
struct crosses_as<pool::isolation> {
  using type = cpp::atom;
  static constexpr std::array<std::string_view, 3> names = {"shared", "subinterpreter", "process"};
  static cpp::atom to(pool::isolation kind) { return {std::string(names[static_cast<std::size_t>(kind)])}; }
  static pool::isolation from(const cpp::atom& name) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i] == name.name) return static_cast<pool::isolation>(i);
    }
    throw conversion_error(fault::value, "expected shared, subinterpreter or process, got " + name.name);
  }
};
template <>
struct crosses_as<pool::worker_state> {
  using type = cpp::atom;
  static constexpr std::array<std::string_view, 5> names = {"down", "starting", "idle", "busy", "stuck"};
  static cpp::atom to(pool::worker_state state) {
    return {std::string(names[static_cast<std::size_t>(state)])};
  }
};

}  // namespace erlpy

#endif
