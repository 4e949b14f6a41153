// Text: std::string both ways, std::string_view and const char* out of C++; and `cpp::atom`, text that is
// an atom in Erlang.
//
// All of it is UTF-8. A std::string takes a str, an atom, and a binary of Erlang's that is UTF-8; bytes are
// bytes, and go into byte_buffer or cpp::buffer.
#ifndef ERLPY_CPP_TEXT_HPP
#define ERLPY_CPP_TEXT_HPP

#include <string>
#include <string_view>
#include <utility>

#include <erlpy/cpp/caster.hpp>
#include <erlpy/cpp/refusing.hpp>
#include <erlpy/detail/utf8.hpp>

namespace erlpy::cpp {

// An atom by its name; a str in Python. Takes what is text as well: what was an atom before Python had it.
struct atom {
  std::string name;
  friend bool operator==(const atom&, const atom&) = default;
  friend auto operator<=>(const atom&, const atom&) = default;
};

namespace detail {

[[noreturn]] inline void not_utf8(std::string_view text) {
  std::size_t at = erlpy::detail::ascii_prefix(text);
  while (at < text.size()) {
    const std::size_t length =
        static_cast<unsigned char>(text[at]) < 0x80 ? 1 : erlpy::detail::utf8_sequence(text, at);
    if (length == 0) break;
    at += length;
  }
  throw conversion_error(fault::unicode_encode, "a string is not UTF-8 at byte " + std::to_string(at) +
                                                    "; what is no text crosses as " +
                                                    "erlpy::byte_buffer or erlpy::cpp::buffer");
}

template <class To>
typename To::value_type walk_text(std::string_view text, To& to) {
  if (!erlpy::detail::is_valid_utf8(text)) not_utf8(text);
  return to.text(text);
}

}  // namespace detail

template <>
struct caster<std::string_view> {
  template <class To>
  static typename To::value_type walk(std::string_view text, To& to, walking&) {
    return detail::walk_text(text, to);
  }
};

// A null pointer is none.
template <>
struct caster<const char*> {
  template <class To>
  static typename To::value_type walk(const char* text, To& to, walking&) {
    return text == nullptr ? to.none() : detail::walk_text(text, to);
  }
};

template <>
struct caster<char*> : caster<const char*> {};

// String literals.
template <std::size_t N>
struct caster<char[N]> : caster<const char*> {};

template <>
struct caster<std::string> {
  template <class To>
  static typename To::value_type walk(const std::string& text, To& to, walking&) {
    return detail::walk_text(text, to);
  }

  struct sink : refusing<sink, std::string> {
    static constexpr kinds exact = kind::text;
    static constexpr kinds also = kind::atom;
    [[nodiscard]] static std::string expected() { return "str"; }

    std::string text(std::string_view text) const { return std::string(text); }
    std::string atom(std::string_view name) const { return std::string(name); }
    std::string binary(bytes_view data) const {
      check(data);
      return std::string(as_text(data));
    }
    // Throws for a binary that is no text.
    static void check(bytes_view data) {
      if (!erlpy::detail::is_valid_utf8(as_text(data))) refuse("binary that is not UTF-8");
    }
  };
};

template <>
struct caster<atom> {
  template <class To>
  static typename To::value_type walk(const cpp::atom& atom, To& to, walking&) {
    if (!erlpy::detail::is_valid_utf8(atom.name)) detail::not_utf8(atom.name);
    return to.atom(atom.name);
  }

  struct sink : refusing<sink, cpp::atom> {
    using as_string = cpp::sink<std::string>;
    static constexpr kinds exact = kind::atom;
    static constexpr kinds also = kind::text;
    [[nodiscard]] static std::string expected() { return "atom"; }

    cpp::atom text(std::string_view text) const { return {std::string(text)}; }
    cpp::atom atom(std::string_view name) const { return {std::string(name)}; }
    cpp::atom binary(bytes_view data) const {
      if (!erlpy::detail::is_valid_utf8(as_text(data))) refuse("binary that is not UTF-8");
      return {std::string(as_text(data))};
    }
  };
};

}  // namespace erlpy::cpp

#endif
