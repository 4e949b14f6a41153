// The tuples that keep what Erlang has no terms for, between two ends that agreed on it (bytes_form::tagged).
#ifndef ERLPY_ETF_DETAIL_EXACT_HPP
#define ERLPY_ETF_DETAIL_EXACT_HPP

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <erlpy/crossing.hpp>
#include <erlpy/data_model.hpp>
#include <erlpy/detail/utf8.hpp>
#include <erlpy/etf/detail/reader.hpp>
#include <erlpy/etf/detail/tagged.hpp>

namespace erlpy::etf::detail {

enum class exact_kind : std::uint8_t { none, real, complex, set, namedtuple, dataclass };

// Which of them the tuple is whose first element is next. One that only looks alike is an ordinary tuple.
// Apart from the walk for its stack, as match_tagged().
[[nodiscard, gnu::noinline]] inline exact_kind match_exact(reader in, std::uint64_t arity) {
  if (!may_be_tagged(in, arity)) return exact_kind::none;
  atom_scratch scratch;
  const std::string_view name = read_atom(in, scratch);
  const tag next = in.peek();
  if (arity == 2 && name == crossing::set_tag &&
      (next == tag::list || next == tag::nil || next == tag::string))
    return exact_kind::set;
  if (next != tag::binary) return exact_kind::none;
  if (arity == 2) {
    in.skip(1);
    const std::uint32_t size = in.u32();
    if (name == crossing::real_tag && size == sizeof(double)) return exact_kind::real;
    return name == crossing::complex_tag && size == 2 * sizeof(double) ? exact_kind::complex
                                                                       : exact_kind::none;
  }
  if (name == crossing::namedtuple_tag) return exact_kind::namedtuple;
  return name == crossing::dataclass_tag ? exact_kind::dataclass : exact_kind::none;
}

// A binary that is UTF-8, inside the term's own bytes.
[[nodiscard]] inline std::string_view read_text(reader& in) {
  if (in.peek() != tag::binary) in.fail("an instance whose names are not binaries");
  in.skip(1);
  const std::string_view text = as_text(in.take(in.u32()));
  if (!erlpy::detail::is_valid_utf8(text)) in.fail("an instance whose names are not UTF-8");
  return text;
}

// The size of a tuple that begins here; its elements are next.
[[nodiscard]] inline std::size_t instance_size(reader& in) {
  const tag first = in.peek();
  if (first != tag::small_tuple && first != tag::large_tuple)
    in.fail("an instance whose parts are not tuples");
  in.skip(1);
  const std::uint64_t size = first == tag::small_tuple ? in.u8() : in.u32();
  in.need_items(size, 1);
  return static_cast<std::size_t>(size);
}

}  // namespace erlpy::etf::detail

#endif
