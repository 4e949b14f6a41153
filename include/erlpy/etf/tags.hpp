// The tags of the External Term Format, as term_to_binary of OTP 24 and later writes them and as
// older writers did; and a few that are known only to be refused in words.
#ifndef ERLPY_ETF_TAGS_HPP
#define ERLPY_ETF_TAGS_HPP

#include <cstddef>
#include <cstdint>

namespace erlpy::etf {

inline constexpr std::byte version_byte{131};

enum class tag : std::uint8_t {
  native_record = 67,
  new_float = 70,
  bit_binary = 77,
  compressed = 80,
  new_pid = 88,
  new_port = 89,
  newer_reference = 90,
  small_integer = 97,
  integer = 98,
  old_float = 99,
  atom = 100,
  reference = 101,
  port = 102,
  pid = 103,
  small_tuple = 104,
  large_tuple = 105,
  nil = 106,
  string = 107,
  list = 108,
  binary = 109,
  small_big = 110,
  large_big = 111,
  new_fun = 112,
  export_fun = 113,
  new_reference = 114,
  small_atom = 115,
  map = 116,
  atom_utf8 = 118,
  small_atom_utf8 = 119,
  v4_port = 120,
  local = 121,
  // Of the distribution protocol: these refer to what a channel between two nodes has in memory.
  message_header = 68,
  fragment_header = 69,
  atom_cache_reference = 82,
  // Written up to R8, read up to OTP 22.
  old_fun = 117,
};

[[nodiscard]] constexpr bool is_atom_tag(tag t) noexcept {
  return t == tag::atom || t == tag::small_atom || t == tag::atom_utf8 || t == tag::small_atom_utf8;
}

// Erlang has one type for text and bytes, and no complex numbers. `tagged` is for two ends that both know of
// it and want to keep values as they are: a plain binary is text, bytes are {'$bytes', Bin}, what is shared
// {'$buffer', Bin}; complex numbers and instances have tuples of their own (crossing.hpp).
enum class bytes_form : std::uint8_t { plain, tagged };

}  // namespace erlpy::etf

#endif
