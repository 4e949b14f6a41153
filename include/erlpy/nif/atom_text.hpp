// Atoms to UTF-8 text and back, whatever the VM's interface offers: from NIF version 2.17 on
// erl_nif speaks UTF-8; before, it speaks Latin-1, and all other atoms take the External Term
// Format. Which of the two is a matter of the header that this is compiled with.
#ifndef ERLPY_NIF_ATOM_TEXT_HPP
#define ERLPY_NIF_ATOM_TEXT_HPP

#include <erl_nif.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

#include <erlpy/crossing.hpp>
#include <erlpy/data_model.hpp>
#include <erlpy/nif/env.hpp>

namespace erlpy::nif {

// Room for the longest atom in UTF-8, and the NUL that erl_nif writes behind it.
using atom_buffer = std::array<char, crossing::max_atom_characters * 4 + 1>;

namespace detail {

inline constexpr unsigned char tag_atom_utf8 = 118;
inline constexpr unsigned char tag_small_atom_utf8 = 119;

[[nodiscard]] constexpr bool is_continuation(char c) noexcept {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

[[nodiscard]] inline std::size_t count_characters(std::string_view utf8) noexcept {
  return utf8.size() - static_cast<std::size_t>(std::count_if(utf8.begin(), utf8.end(), is_continuation));
}

// Writes `utf8` as Latin-1 and returns its length; npos if it has other characters or is malformed.
// `out` has room for one byte a character.
[[nodiscard]] inline std::size_t to_latin1(std::string_view utf8, char* out) noexcept {
  std::size_t length = 0;
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const auto lead = static_cast<unsigned char>(utf8[i]);
    if (lead < 0x80U) {
      out[length++] = utf8[i];
    } else if ((lead == 0xC2U || lead == 0xC3U) && i + 1 < utf8.size() && is_continuation(utf8[i + 1])) {
      const auto next = static_cast<unsigned char>(utf8[++i]);
      out[length++] = static_cast<char>(((lead & 0x03U) << 6U) | (next & 0x3FU));
    } else {
      return std::string_view::npos;
    }
  }
  return length;
}

[[nodiscard]] inline std::string_view from_latin1(std::string_view latin1, atom_buffer& out) noexcept {
  std::size_t length = 0;
  for (const char c : latin1) {
    const auto code = static_cast<unsigned char>(c);
    if (code < 0x80U) {
      out[length++] = c;
    } else {
      out[length++] = static_cast<char>(0xC0U | (code >> 6U));
      out[length++] = static_cast<char>(0x80U | (code & 0x3FU));
    }
  }
  return {out.data(), length};
}

[[nodiscard]] inline std::string_view atom_text_external(ErlNifEnv* env, ERL_NIF_TERM term,
                                                         atom_buffer& buffer) {
  const owned_binary encoded(env, term);
  const std::string_view external = as_text(encoded.view());
  const auto tag = static_cast<unsigned char>(external[1]);
  const std::size_t header = tag == tag_small_atom_utf8 ? 3 : tag == tag_atom_utf8 ? 4 : 0;
  if (header == 0 || external.size() - header > buffer.size())
    throw conversion_error(fault::value, "the VM gave an atom in a form that is not known");
  const std::string_view text = external.substr(header);
  std::memcpy(buffer.data(), text.data(), text.size());
  return {buffer.data(), text.size()};
}

[[nodiscard]] inline bool make_atom_external(ErlNifEnv* env, std::string_view utf8, ERL_NIF_TERM& atom) {
  std::array<char, crossing::max_atom_characters * 4 + 4> external;
  const std::size_t size = utf8.size();
  external[0] = static_cast<char>(external_version);
  external[1] = static_cast<char>(tag_atom_utf8);
  external[2] = static_cast<char>(size >> 8U);
  external[3] = static_cast<char>(size & 0xFFU);
  std::memcpy(external.data() + 4, utf8.data(), size);
  return decode_external(env, as_bytes({external.data(), size + 4}), atom);
}

}  // namespace detail

// The text of an atom, in UTF-8, written into `buffer`. `term` must be an atom.
[[nodiscard]] inline std::string_view atom_text(ErlNifEnv* env, ERL_NIF_TERM term, atom_buffer& buffer) {
#if ERL_NIF_MAJOR_VERSION > 2 || (ERL_NIF_MAJOR_VERSION == 2 && ERL_NIF_MINOR_VERSION >= 17)
  const int written =
      enif_get_atom(env, term, buffer.data(), static_cast<unsigned>(buffer.size()), ERL_NIF_UTF8);
  if (written > 0) return {buffer.data(), static_cast<std::size_t>(written) - 1};
#else
  std::array<char, crossing::max_atom_characters + 1> latin1;
  const int written =
      enif_get_atom(env, term, latin1.data(), static_cast<unsigned>(latin1.size()), ERL_NIF_LATIN1);
  if (written > 0) return detail::from_latin1({latin1.data(), static_cast<std::size_t>(written) - 1}, buffer);
#endif
  return detail::atom_text_external(env, term, buffer);
}

// The atom with this UTF-8 text, made if it does not exist (atoms are never freed: bound what you
// make). Throws conversion_error (value) for more than 255 characters or malformed UTF-8.
[[nodiscard]] inline ERL_NIF_TERM make_atom(ErlNifEnv* env, std::string_view utf8) {
  if (detail::count_characters(utf8) > crossing::max_atom_characters || utf8.size() >= sizeof(atom_buffer))
    throw conversion_error(fault::value, "an Erlang atom has at most 255 characters");
  ERL_NIF_TERM atom{};
#if ERL_NIF_MAJOR_VERSION > 2 || (ERL_NIF_MAJOR_VERSION == 2 && ERL_NIF_MINOR_VERSION >= 17)
  if (enif_make_new_atom_len(env, utf8.data(), utf8.size(), &atom, ERL_NIF_UTF8)) return atom;
#else
  std::array<char, crossing::max_atom_characters> latin1;
  const std::size_t length = detail::to_latin1(utf8, latin1.data());
  if (length != std::string_view::npos) return enif_make_atom_len(env, latin1.data(), length);
  if (detail::make_atom_external(env, utf8, atom)) return atom;
#endif
  throw conversion_error(fault::value, "the text of an atom is not valid UTF-8");
}

}  // namespace erlpy::nif

#endif
