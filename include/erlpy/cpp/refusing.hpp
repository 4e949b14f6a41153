// A sink that takes nothing: the base of the sinks of C++ types, which then take what they are for.
#ifndef ERLPY_CPP_REFUSING_HPP
#define ERLPY_CPP_REFUSING_HPP

#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <string>
#include <string_view>

#include <erlpy/cpp/kinds.hpp>
#include <erlpy/cpp/mismatch.hpp>
#include <erlpy/data_model.hpp>

namespace erlpy::cpp {

namespace detail {

// What a refused container would have been built with: never made. Its walks are never called, and so no
// code is made of them.
template <class Value>
struct refused_builder {
  template <class Walk>
  void element(Walk&&) noexcept {}
  template <class WalkKey, class WalkValue>
  void entry(WalkKey&&, WalkValue&&) noexcept {}
  [[noreturn]] Value finish() noexcept { std::terminate(); }
};

[[nodiscard]] constexpr std::string_view opaque_name(opaque_kind what) noexcept {
  switch (what) {
    case opaque_kind::pid: return "opaque term (pid)";
    case opaque_kind::port: return "opaque term (port)";
    case opaque_kind::reference: return "opaque term (reference)";
    case opaque_kind::fun: return "opaque term (fun)";
    case opaque_kind::bitstring: return "opaque term (bitstring)";
    case opaque_kind::improper_list: return "opaque term (improper list)";
    case opaque_kind::record: return "opaque term (native record)";
    case opaque_kind::local: return "opaque term (of one node only)";
  }
  return "opaque term";
}

// Out of line, like all that throws here: sinks are inlined into the loops of sources.
[[noreturn, gnu::cold, gnu::noinline]] inline void refuse(const std::string& expected, std::string_view got) {
  throw mismatch(fault::type, "expected " + expected + ", got " + std::string(got));
}

}  // namespace detail

// Self is the derived sink. It has `static std::string expected()`, what it takes ("int"), defines anew
// what it takes, and says which kinds these are: `exact` are its own, `also` those that it takes besides
// (a double an integer). All members throw `mismatch`.
template <class Self, class Value>
class refusing {
 public:
  using value_type = Value;
  using refused = detail::refused_builder<Value>;
  static constexpr bool erlang_terms = false;
  static constexpr kinds exact{};
  static constexpr kinds also = kinds::all();

  Value none() const { refuse("None"); }
  Value boolean(bool) const { refuse("bool"); }
  Value integer(std::int64_t) const { refuse("int"); }
  Value big_integer(bool, bytes_view) const { refuse("int"); }
  Value real(double) const { refuse("float"); }
  // Not of the data model: for what Python, in the same process, has besides.
  Value complex(double, double) const { refuse("complex"); }
  Value atom(std::string_view name) const { refuse_atom(name); }
  Value text(std::string_view) const { refuse("str"); }
  Value bytes(bytes_view) const { refuse("bytes"); }
  Value binary(bytes_view) const { refuse("binary"); }
  template <class Fill>
  Value bytes_from(std::size_t, Fill&&) const {
    refuse("bytes");
  }
  Value shared(const shared_bytes_ptr&) const { refuse("bytes"); }
  template <class Fill>
  Value ndarray(std::string_view, std::span<const std::int64_t>, std::size_t, Fill&&) const {
    refuse("ndarray");
  }
  Value ndarray(std::string_view, std::span<const std::int64_t>, const shared_bytes_ptr&) const {
    refuse("ndarray");
  }
  Value opaque(const opaque_handle auto& handle) const { refuse(detail::opaque_name(handle.kind())); }
  Value object(object_ref where) const { refuse(where.generator ? "generator" : "object"); }
  refused list(std::size_t) const { refuse("list"); }
  refused tuple(std::size_t) const { refuse("tuple"); }
  refused set(std::size_t) const { refuse("set"); }
  refused map(std::size_t) const { refuse("map"); }

 protected:
  [[noreturn, gnu::cold, gnu::noinline]] static void refuse(std::string_view got) {
    detail::refuse(Self::expected(), got);
  }

 private:
  [[noreturn, gnu::cold, gnu::noinline]] static void refuse_atom(std::string_view name) {
    refuse("atom " + detail::in_quotes(name));
  }
};

}  // namespace erlpy::cpp

#endif
