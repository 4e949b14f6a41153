// The one error convention of the library: failures are exceptions.
//
// A function that can fail throws; one that cannot is noexcept. Nothing is thrown through C (a
// CPython callback, a NIF, a thread's entry): each such border catches everything and turns it into
// that world's own error. What a caller in Erlang sees is built from these at one place, reply.hpp.
#ifndef ERLPY_ERROR_HPP
#define ERLPY_ERROR_HPP

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace erlpy {

// Base of everything the library throws on purpose.
class error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Why a value could not cross. The first five have a Python exception class as their name in
// Erlang; `object_gone` and `cancelled` are reasons of our own.
enum class fault : std::uint8_t { value, type, overflow, recursion, unicode_encode, object_gone, cancelled };

[[nodiscard]] constexpr std::string_view exception_name(fault f) noexcept {
  switch (f) {
    case fault::value: return "ValueError";
    case fault::type: return "TypeError";
    case fault::overflow: return "OverflowError";
    case fault::recursion: return "RecursionError";
    case fault::unicode_encode: return "UnicodeEncodeError";
    case fault::object_gone: return "object_gone";
    case fault::cancelled: return "cancelled";
  }
  return "SystemError";
}

// A value that cannot cross, with a message that says what was wrong and what to do.
class conversion_error : public error {
 public:
  conversion_error(fault kind, const std::string& message) : error(message), kind_(kind) {}
  [[nodiscard]] fault kind() const noexcept { return kind_; }

 private:
  fault kind_;
};

}  // namespace erlpy

#endif
