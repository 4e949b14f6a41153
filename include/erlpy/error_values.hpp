// An exception of Python as a value, in the shape that Erlang has of errors: {Class, Message}, or with its
// frames {Class, Message, [{File, Line, Function}]}. Class is an atom or text, Message an Erlang string.
//
// reply.hpp writes these, and a C++ host reads them from a worker process.
#ifndef ERLPY_ERROR_VALUES_HPP
#define ERLPY_ERROR_VALUES_HPP

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <erlpy/cpp/aggregate.hpp>
#include <erlpy/cpp/charlist.hpp>
#include <erlpy/cpp/scalar.hpp>
#include <erlpy/cpp/sequence.hpp>
#include <erlpy/cpp/text.hpp>
#include <erlpy/cpp/variant.hpp>
#include <erlpy/python/failure.hpp>

namespace erlpy {

using error_class = std::variant<cpp::atom, std::string>;

struct error_value {
  error_class kind;
  cpp::charlist message;
};

struct traced_error_value {
  error_class kind;
  cpp::charlist message;
  std::vector<python::frame> frames;
};

template <>
inline constexpr bool crosses_as_tuple<python::frame> = true;
template <>
inline constexpr bool crosses_as_tuple<error_value> = true;
template <>
inline constexpr bool crosses_as_tuple<traced_error_value> = true;

// What was told, as it was before it was written.
[[nodiscard]] inline python::failure failure_of(traced_error_value&& told) {
  std::string kind = std::holds_alternative<cpp::atom>(told.kind)
                         ? std::move(std::get<cpp::atom>(told.kind).name)
                         : std::move(std::get<std::string>(told.kind));
  return {std::move(kind), std::move(told.message.text), std::move(told.frames)};
}
[[nodiscard]] inline python::failure failure_of(error_value&& told) {
  return failure_of(traced_error_value{std::move(told.kind), std::move(told.message), {}});
}

}  // namespace erlpy

#endif
