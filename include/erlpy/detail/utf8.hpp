// UTF-8 in the few forms that conversions need: is it ASCII, is it valid, how many code points, and
// from Latin-1. Nothing here allocates but the overload that appends to a string.
#ifndef ERLPY_DETAIL_UTF8_HPP
#define ERLPY_DETAIL_UTF8_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace erlpy::detail {

// The first byte that is not ASCII, or text.size().
[[nodiscard]] inline std::size_t ascii_prefix(std::string_view text) noexcept {
  constexpr std::uint64_t high_bits = 0x8080808080808080ULL;
  std::size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    std::uint64_t block;
    std::memcpy(&block, text.data() + at, 8);
    if ((block & high_bits) != 0) break;
  }
  while (at < text.size() && static_cast<unsigned char>(text[at]) < 0x80) ++at;
  return at;
}

[[nodiscard]] inline bool is_ascii(std::string_view text) noexcept {
  // Of words that may overlap: short texts are one or two.
  const auto word = [&](std::size_t at, auto load) noexcept {
    std::memcpy(&load, text.data() + at, sizeof load);
    return std::uint64_t{load};
  };
  constexpr std::uint64_t high_bits = 0x8080808080808080ULL;
  const std::size_t size = text.size();
  std::uint64_t seen = 0;
  if (size >= 8) {
    for (std::size_t at = 0; at + 8 < size; at += 8) {
      seen = word(at, std::uint64_t{});
      if ((seen & high_bits) != 0) return false;
    }
    seen = word(size - 8, std::uint64_t{});
  } else if (size >= 4) {
    seen = word(0, std::uint32_t{}) | word(size - 4, std::uint32_t{});
  } else {
    for (const char each : text) seen |= static_cast<unsigned char>(each);
  }
  return (seen & high_bits) == 0;
}

// The length of the well-formed sequence that starts with a byte of 0x80 or more at `text[at]`; 0 if
// it is not well-formed (overlong, a surrogate, past U+10FFFF, cut off).
[[nodiscard]] inline std::size_t utf8_sequence(std::string_view text, std::size_t at) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(at);
  std::size_t length = 0;
  unsigned low = 0x80;
  unsigned high = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return 0;
  }
  if (text.size() - at < length || byte(at + 1) < low || byte(at + 1) > high) return 0;
  for (std::size_t i = 2; i < length; ++i)
    if ((byte(at + i) & 0xC0U) != 0x80U) return 0;
  return length;
}

[[nodiscard]] inline bool is_valid_utf8(std::string_view text) noexcept {
  if (is_ascii(text)) return true;
  std::size_t at = ascii_prefix(text);
  while (at < text.size()) {
    if (static_cast<unsigned char>(text[at]) < 0x80) {
      at += ascii_prefix(text.substr(at));
      continue;
    }
    const std::size_t length = utf8_sequence(text, at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

// Replaces each byte that is part of no well-formed sequence by a question mark.
inline void make_valid_utf8(std::string& text) noexcept {
  for (std::size_t at = ascii_prefix(text); at < text.size();) {
    const std::size_t length = static_cast<unsigned char>(text[at]) < 0x80 ? 1 : utf8_sequence(text, at);
    if (length == 0) text[at] = '?';
    at += length == 0 ? 1 : length;
  }
}

// The code point at `at` of valid UTF-8; `at` moves behind it.
[[nodiscard]] inline std::uint32_t next_code_point(std::string_view text, std::size_t& at) noexcept {
  const auto lead = static_cast<unsigned char>(text[at++]);
  std::uint32_t point = lead < 0x80U   ? lead
                        : lead < 0xE0U ? lead & 0x1FU
                        : lead < 0xF0U ? lead & 0x0FU
                                       : lead & 0x07U;
  for (; at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U; ++at)
    point = (point << 6U) | (static_cast<unsigned char>(text[at]) & 0x3FU);
  return point;
}

// Code points in text that is valid UTF-8.
[[nodiscard]] inline std::size_t count_code_points(std::string_view text) noexcept {
  std::size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0U) != 0x80U ? 1U : 0U;
  return count;
}

// Writes Latin-1 text as UTF-8 to `out`, which has room for 2 * latin1.size(); the bytes written.
inline std::size_t latin1_to_utf8(std::string_view latin1, char* out) noexcept {
  char* to = out;
  for (const char c : latin1) {
    const auto code = static_cast<unsigned char>(c);
    if (code < 0x80) {
      *to++ = c;
    } else {
      *to++ = static_cast<char>(0xC0U | (code >> 6U));
      *to++ = static_cast<char>(0x80U | (code & 0x3FU));
    }
  }
  return static_cast<std::size_t>(to - out);
}

// Appends Latin-1 text to `out` as UTF-8.
inline void latin1_to_utf8(std::string_view latin1, std::string& out) {
  const std::size_t before = out.size();
  out.resize(before + 2 * latin1.size());
  out.resize(before + latin1_to_utf8(latin1, out.data() + before));
}

// Appends a code point, which must be one.
inline void append_code_point(std::uint32_t point, std::string& out) {
  const auto low = [&](unsigned shift) { out += static_cast<char>(0x80U | ((point >> shift) & 0x3FU)); };
  if (point < 0x80U) {
    out += static_cast<char>(point);
  } else if (point < 0x800U) {
    out += static_cast<char>(0xC0U | (point >> 6U));
    low(0);
  } else if (point < 0x10000U) {
    out += static_cast<char>(0xE0U | (point >> 12U));
    low(6);
    low(0);
  } else {
    out += static_cast<char>(0xF0U | (point >> 18U));
    low(12);
    low(6);
    low(0);
  }
}

}  // namespace erlpy::detail

#endif
