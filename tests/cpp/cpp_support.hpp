// What the tests of C++ values share: ways of a value through each of the other worlds and back, and what
// goes wrong on them.
#ifndef ERLPY_TESTS_CPP_SUPPORT_HPP
#define ERLPY_TESTS_CPP_SUPPORT_HPP

#include <string>
#include <utility>

#include <erlpy/cpp.hpp>
#include <erlpy/etf.hpp>

#include "python_fixture.hpp"

namespace test {

namespace cpp = erlpy::cpp;
namespace etf = erlpy::etf;

// A C++ value as an encoded term, with the version byte.
template <class T>
[[nodiscard]] erlpy::byte_buffer encoded(const T& value, erlpy::walk_limits limits = {}) {
  etf::sink to;
  static_cast<void>(erlpy::transcode(cpp::source(value, limits), to));
  return to.take();
}

template <class T>
[[nodiscard]] cpp::result_t<T> decoded(erlpy::bytes_view term, erlpy::walk_limits limits = {}) {
  cpp::sink<T> to;
  return erlpy::transcode(etf::source(term, limits), to);
}

// A C++ value as a Python object.
template <class T>
[[nodiscard]] ref shown(const T& value) {
  python::sink to(world::get().context());
  return erlpy::transcode(cpp::source(value), to);
}

template <class T>
[[nodiscard]] cpp::result_t<T> read(const ref& object) {
  cpp::sink<T> to;
  return erlpy::transcode(python::source(world::get().context(), object.get()), to);
}

// The C++ value of a Python expression.
template <class T>
[[nodiscard]] cpp::result_t<T> from(const std::string& expression) {
  return read<T>(py(expression));
}

// Whether a value is the same after a way through Erlang's encoding, and after one through Python.
template <class T>
[[nodiscard]] bool survives(const T& value) {
  return decoded<T>(encoded(value)) == value && read<T>(shown(value)) == value;
}

// Why the value of an expression is no T: what() of the mismatch, "" if it is one.
template <class T>
[[nodiscard]] std::string wrong(const std::string& expression) {
  try {
    static_cast<void>(from<T>(expression));
    return "";
  } catch (const cpp::mismatch& error) {
    return error.what();
  }
}

// The same for the term of a C++ value.
template <class T, class Value>
[[nodiscard]] std::string wrong_term(const Value& value) {
  try {
    static_cast<void>(decoded<T>(encoded(value)));
    return "";
  } catch (const cpp::mismatch& error) {
    return error.what();
  }
}

// What Python's repr() says of a C++ value.
template <class T>
[[nodiscard]] std::string python_repr(const T& value) {
  return repr(shown(value));
}

// What Erlang's ~tp says of one.
template <class T>
[[nodiscard]] std::string erlang_text(const T& value) {
  return etf::detail::print(etf::read_term(encoded(value)));
}

}  // namespace test

#endif
