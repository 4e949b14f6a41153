// One encoded term as a value of its own: a view of its bytes, and the few looks inside that a protocol
// needs (which atom, which integer, the elements of a request tuple) without converting anything.
#ifndef ERLPY_ETF_TERM_HPP
#define ERLPY_ETF_TERM_HPP

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <erlpy/data_model.hpp>
#include <erlpy/etf/detail/number.hpp>
#include <erlpy/etf/detail/reader.hpp>
#include <erlpy/etf/detail/skip.hpp>

namespace erlpy::etf {

// The bytes of one term, without the version byte. Owns nothing: valid as long as the bytes are.
class term {
 public:
  term() = default;
  // `bytes` must be exactly one term; what reads it checks that and throws where it is not.
  explicit term(bytes_view bytes) noexcept : bytes_(bytes) {}

  [[nodiscard]] bytes_view bytes() const noexcept { return bytes_; }

 private:
  bytes_view bytes_;
};

namespace detail {
[[nodiscard]] inline tag first_tag(term t) { return reader(t.bytes()).peek(); }
}  // namespace detail

// The one term in `payload`, which may start with the version byte. Throws conversion_error (value) if
// the bytes are not exactly one well-formed term, or are compressed (etf::source reads those).
[[nodiscard]] inline term read_term(bytes_view payload) {
  const std::size_t base = !payload.empty() && payload.front() == version_byte ? 1 : 0;
  detail::reader in(payload.subspan(base), base);
  const bytes_view bytes = detail::skip(in);
  if (!in.done()) in.fail("bytes after the term");
  return term(bytes);
}

// Replaces `out` by the elements of a tuple; false, and `out` empty, if it is none. Throws
// conversion_error (value) if the bytes are malformed.
[[nodiscard]] inline bool tuple_elements(term t, std::vector<term>& out) {
  out.clear();
  const tag first = detail::first_tag(t);
  if (first != tag::small_tuple && first != tag::large_tuple) return false;
  detail::reader in(t.bytes());
  std::uint64_t left = detail::step(in);
  out.reserve(static_cast<std::size_t>(left));
  for (; left > 0; --left) out.emplace_back(detail::skip(in));
  return true;
}

// Replaces `out` by the elements of a proper list in LIST form or []; false, and `out` empty, if it is
// none. A list of small integers in STRING form has no terms inside and is false too: see string_bytes.
[[nodiscard]] inline bool list_elements(term t, std::vector<term>& out) {
  out.clear();
  const tag first = detail::first_tag(t);
  if (first == tag::nil) return true;
  if (first != tag::list) return false;
  detail::reader in(t.bytes());
  std::uint64_t left = detail::step(in) - 1;
  for (; left > 0; --left) out.emplace_back(detail::skip(in));
  if (in.peek() == tag::nil) return true;
  out.clear();
  return false;
}

// Replaces `out` by the keys and values of a map; false, and `out` empty, if it is none.
[[nodiscard]] inline bool map_entries(term t, std::vector<std::pair<term, term>>& out) {
  out.clear();
  if (detail::first_tag(t) != tag::map) return false;
  detail::reader in(t.bytes());
  for (std::uint64_t left = detail::step(in) / 2; left > 0; --left) {
    const term key(detail::skip(in));
    out.emplace_back(key, term(detail::skip(in)));
  }
  return true;
}

// The text of an atom in UTF-8.
[[nodiscard]] inline std::optional<std::string> atom_text(term t) {
  if (!is_atom_tag(detail::first_tag(t))) return std::nullopt;
  detail::atom_scratch scratch;
  detail::reader in(t.bytes());
  return std::string(detail::read_atom(in, scratch));
}

// Whether it is the atom with this UTF-8 text.
[[nodiscard]] inline bool is_atom(term t, std::string_view text) {
  if (!is_atom_tag(detail::first_tag(t))) return false;
  detail::atom_scratch scratch;
  detail::reader in(t.bytes());
  return detail::read_atom(in, scratch) == text;
}

// An integer that fits 64 bits.
[[nodiscard]] inline std::optional<std::int64_t> integer_value(term t) {
  if (!detail::is_number_tag(detail::first_tag(t))) return std::nullopt;
  detail::reader in(t.bytes());
  const detail::number n = detail::read_number(in);
  if (n.kind != detail::number_kind::small) return std::nullopt;
  return n.integer;
}

// The bytes of a binary, inside the term's own.
[[nodiscard]] inline std::optional<bytes_view> binary_bytes(term t) {
  if (detail::first_tag(t) != tag::binary) return std::nullopt;
  detail::reader in(t.bytes());
  in.skip(1);
  return in.take(in.u32());
}

// The elements of a list in STRING form, one byte each.
[[nodiscard]] inline std::optional<bytes_view> string_bytes(term t) {
  if (detail::first_tag(t) != tag::string) return std::nullopt;
  detail::reader in(t.bytes());
  in.skip(1);
  return in.take(in.u16());
}

}  // namespace erlpy::etf

#endif
