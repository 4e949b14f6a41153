// Item types of arrays: numpy's typestr ("<f8") and the formats of Python's `struct` module ("d"), which
// buffers speak; each way for the types that both have.
#ifndef ERLPY_PYTHON_DETAIL_DTYPE_HPP
#define ERLPY_PYTHON_DETAIL_DTYPE_HPP

#include <bit>
#include <charconv>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace erlpy::python::detail {

inline constexpr char native_order = std::endian::native == std::endian::little ? '<' : '>';

// The typestr of a buffer's items; a type that numpy has no letter for comes out as raw bytes ("|V12").
[[nodiscard]] inline std::string typestr_of(std::string_view format, std::size_t item_size) {
  char order = native_order;
  if (!format.empty() && std::string_view("@=<>!").find(format.front()) != std::string_view::npos) {
    if (format.front() == '<' || format.front() == '>') order = format.front();
    if (format.front() == '!') order = '>';
    format.remove_prefix(1);
  }
  while (format.size() > 1 && format.front() >= '0' && format.front() <= '9') format.remove_prefix(1);

  char kind = 'V';
  if (format == "Zf" || format == "Zd" || format == "Zg") {
    kind = 'c';
  } else if (format.size() == 1) {
    const auto is_one_of = [&](std::string_view letters) {
      return letters.find(format.front()) != std::string_view::npos;
    };
    if (is_one_of("bhilqn")) kind = 'i';
    if (is_one_of("BHILQNP")) kind = 'u';
    if (is_one_of("efdg")) kind = 'f';
    if (is_one_of("?")) kind = 'b';
    if (is_one_of("cs")) kind = 'S';
    if (is_one_of("uw")) kind = 'U';
  }
  if (item_size == 1 || kind == 'V' || kind == 'S') order = '|';
  constexpr std::size_t bytes_per_character = 4;
  return std::string{order, kind} + std::to_string(kind == 'U' ? item_size / bytes_per_character : item_size);
}

struct struct_format {
  std::string format;
  std::size_t item_size = 0;
};

// The struct format of a typestr such as "<f8", "f8" or "|u1"; none if it is no such string, or names
// something that only numpy knows.
[[nodiscard]] inline std::optional<struct_format> struct_format_of(std::string_view typestr) {
  char order = native_order;
  if (!typestr.empty() && std::string_view("<>=|").find(typestr.front()) != std::string_view::npos) {
    if (typestr.front() == '<' || typestr.front() == '>') order = typestr.front();
    typestr.remove_prefix(1);
  }
  if (typestr.size() < 2) return std::nullopt;
  const char kind = typestr.front();
  std::size_t size = 0;
  const char* const end = typestr.data() + typestr.size();
  if (const auto [at, failed] = std::from_chars(typestr.data() + 1, end, size);
      failed != std::errc{} || at != end) {
    return std::nullopt;
  }
  const auto letter = [&]() -> std::string_view {
    switch (kind) {
      case 'i': return size == 1 ? "b" : size == 2 ? "h" : size == 4 ? "i" : size == 8 ? "q" : "";
      case 'u': return size == 1 ? "B" : size == 2 ? "H" : size == 4 ? "I" : size == 8 ? "Q" : "";
      case 'f': return size == 2 ? "e" : size == 4 ? "f" : size == 8 ? "d" : "";
      case 'c': return size == 8 ? "Zf" : size == 16 ? "Zd" : "";
      case 'b': return size == 1 ? "?" : "";
      default: return "";
    }
  }();
  if (letter.empty()) return std::nullopt;
  // Views can be indexed only if their format is native, which has no prefix.
  const std::string prefix = size > 1 && order != native_order ? std::string(1, order) : std::string();
  return struct_format{prefix + std::string(letter), size};
}

}  // namespace erlpy::python::detail

#endif
