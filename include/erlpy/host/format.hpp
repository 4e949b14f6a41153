// The arguments of a C++ caller as a format of the bridge. Results are not built here: the call takes the
// object that the operation gives, and makes a value of its own type of it.
#ifndef ERLPY_HOST_FORMAT_HPP
#define ERLPY_HOST_FORMAT_HPP

#include <cstdint>
#include <string>
#include <string_view>

#include <erlpy/bridge.hpp>
#include <erlpy/cpp.hpp>
#include <erlpy/host/arguments.hpp>
#include <erlpy/pool/frame.hpp>

namespace erlpy::host {

// What is asked, in the caller's own terms.
struct asked {
  operation what = operation::call;
  std::string module;  // UTF-8
  std::string function;
  std::string code;
  bool traceback = false;
  bool as_stream = false;
};

enum class part : std::uint8_t { none, module, function, code, positional, named };

class format {
 public:
  using term = part;

  // Both outlive the format.
  format(const asked& wanted, const arguments& given) noexcept : wanted_(wanted), given_(given) {}

  [[nodiscard]] static request<part> request_of(const asked& wanted) noexcept {
    request<part> made;
    made.what = wanted.what;
    made.target = part::module;
    made.function = part::function;
    made.code = part::code;
    made.arguments = part::positional;
    made.keywords = part::named;
    made.traceback = wanted.traceback;
    made.as_stream = wanted.as_stream;
    made.exact_bytes = true;
    return made;
  }

  [[nodiscard]] static bool is_object(part) noexcept { return false; }
  [[nodiscard]] python::ref name(part which, python::context&) const { return python::make_str(text(which)); }
  [[nodiscard]] std::string_view text(part which) const noexcept {
    if (which == part::module) return wanted_.module;
    return which == part::function ? wanted_.function : wanted_.code;
  }

  class argument_source {
   public:
    argument_source(const arguments& given, part which, walk_limits limits) noexcept
        : given_(given), which_(which), limits_(limits) {}
    [[nodiscard]] python::ref walk(python::sink& to) const {
      return which_ == part::positional ? given_.positional(to, limits_) : given_.named(to, limits_);
    }
    // So that it is a source.
    [[nodiscard]] static erlpy::detail::archetype_sink::value_type walk(erlpy::detail::archetype_sink& to) {
      return to.none();
    }

   private:
    const arguments& given_;
    part which_;
    walk_limits limits_;
  };
  [[nodiscard]] argument_source source(part which, walk_limits limits) const noexcept {
    return {given_, which, limits};
  }

  void begin_answer() noexcept {}
  [[nodiscard]] cpp::sink<std::monostate>& sink() noexcept { return nothing_; }
  [[nodiscard]] std::monostate stream(const python::ref&) const noexcept { return {}; }
  [[nodiscard]] static bool may_be_atom(std::string_view) noexcept { return false; }

 private:
  const asked& wanted_;
  const arguments& given_;
  cpp::sink<std::monostate> nothing_;
};

static_assert(term_format<format>);

// The same for a worker process, as process::read_request reads it. Errors: conversion_error.
inline void write_request(pool::outgoing_frame& to, const asked& wanted, const arguments& given,
                          walk_limits limits) {
  to.put(static_cast<std::uint8_t>(wanted.what));
  to.put(static_cast<std::uint8_t>(request_flags::exact_bytes |
                                   (wanted.traceback ? request_flags::traceback : 0) |
                                   (wanted.as_stream ? request_flags::as_stream : 0)));
  to.put(std::int64_t{0});
  etf::sink into(to.bytes(), limits, etf::bytes_form::tagged);
  (void)into.text(wanted.module);
  (void)into.text(wanted.function);
  (void)into.text(wanted.code);
  given.positional(into, limits);
  given.named(into, limits);
}

}  // namespace erlpy::host

#endif
