// Stepping over terms without converting them: one header at a time, a whole term, and the search
// for improper lists, which must be known before their first element is reported. All of it is
// iterative, so that no nesting in the bytes can use up the stack.
#ifndef ERLPY_ETF_DETAIL_SKIP_HPP
#define ERLPY_ETF_DETAIL_SKIP_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <erlpy/crossing.hpp>
#include <erlpy/data_model.hpp>
#include <erlpy/detail/utf8.hpp>
#include <erlpy/etf/detail/number.hpp>
#include <erlpy/etf/detail/reader.hpp>

namespace erlpy::etf::detail {

inline constexpr std::size_t local_hash_size = 4;

// Room for the longest atom of a Latin-1 tag in UTF-8.
struct atom_scratch {
  char text[2 * crossing::max_atom_characters];
};

// Reads an atom of any of the four tags and gives its text in UTF-8: inside the bytes if it can be,
// else in `scratch`.
[[nodiscard, gnu::noinline]] inline std::string_view read_atom(reader& in, atom_scratch& scratch) {
  const std::size_t offset = in.offset();
  const auto t = static_cast<tag>(in.u8());
  if (!is_atom_tag(t)) fail_at(offset, "an atom is missing");
  const bool wide = t == tag::atom || t == tag::atom_utf8;
  const std::size_t size = wide ? in.u16() : in.u8();
  const std::string_view raw = as_text(in.take(size));
  const bool latin1 = t == tag::atom || t == tag::small_atom;
  if (size <= crossing::max_atom_characters && erlpy::detail::is_ascii(raw)) return raw;
  if (latin1) {
    if (size > crossing::max_atom_characters) fail_at(offset, "an atom of more than 255 characters");
    return {scratch.text, erlpy::detail::latin1_to_utf8(raw, scratch.text)};
  }
  if (!erlpy::detail::is_valid_utf8(raw)) fail_at(offset, "an atom that is not UTF-8");
  if (erlpy::detail::count_code_points(raw) > crossing::max_atom_characters)
    fail_at(offset, "an atom of more than 255 characters");
  return raw;
}

[[gnu::noinline]] inline void skip_atom(reader& in) {
  atom_scratch scratch;
  (void)read_atom(in, scratch);
}

// Whose identifiers have no node: inside LOCAL_EXT, those of the node that wrote it.
enum class dialect : bool { external, local };

[[gnu::noinline]] inline void skip_node(reader& in, dialect of) {
  if (of == dialect::local && in.peek() == tag::nil)
    in.skip(1);
  else
    skip_atom(in);
}

inline void skip_local(reader& in);

// Reads one tag with what belongs to it alone, and returns how many terms follow as its parts (a
// list's tail is one of them).
[[nodiscard]] inline std::uint64_t step(reader& in, dialect of = dialect::external) {
  const std::size_t begin = in.position();
  const std::size_t offset = in.offset();
  const auto t = static_cast<tag>(in.u8());
  switch (t) {
    case tag::small_integer: in.skip(1); return 0;
    case tag::integer: in.skip(4); return 0;
    case tag::new_float: static_cast<void>(read_float(in)); return 0;
    case tag::old_float: static_cast<void>(read_old_float(in)); return 0;
    case tag::nil: return 0;
    case tag::binary: in.skip(in.u32()); return 0;
    case tag::string: in.skip(in.u16()); return 0;
    case tag::small_big:
    case tag::large_big: static_cast<void>(read_big(in, t == tag::large_big)); return 0;
    case tag::bit_binary: {
      const std::size_t size = in.u32();
      const unsigned bits = in.u8();
      if (size == 0 || bits == 0 || bits > 8) fail_at(offset, "a bitstring of no bits");
      in.skip(size);
      return 0;
    }
    case tag::atom:
    case tag::small_atom:
    case tag::atom_utf8:
    case tag::small_atom_utf8:
      in.rewind(begin);
      skip_atom(in);
      return 0;
    case tag::small_tuple: {
      const std::uint64_t arity = in.u8();
      in.need_items(arity, 1);
      return arity;
    }
    case tag::large_tuple: {
      const std::uint64_t arity = in.u32();
      in.need_items(arity, 1);
      return arity;
    }
    case tag::map: {
      const std::uint64_t size = in.u32();
      in.need_items(size, 2);
      return 2 * size;
    }
    case tag::list: {
      const std::uint64_t length = in.u32();
      in.need_items(length + 1, 1);
      if (length == 0 && in.peek() != tag::nil) fail_at(offset, "a list of no elements with a tail");
      return length + 1;
    }
    case tag::pid:
      skip_node(in, of);
      in.skip(9);
      return 0;
    case tag::new_pid:
      skip_node(in, of);
      in.skip(12);
      return 0;
    case tag::port:
    case tag::reference:
      skip_node(in, of);
      in.skip(5);
      return 0;
    case tag::new_port:
      skip_node(in, of);
      in.skip(8);
      return 0;
    case tag::v4_port:
      skip_node(in, of);
      in.skip(12);
      return 0;
    case tag::new_reference:
    case tag::newer_reference: {
      const std::size_t words = in.u16();
      if (words == 0 || words > 5) fail_at(offset, "a reference of " + std::to_string(words) + " words");
      skip_node(in, of);
      in.skip((t == tag::newer_reference ? 4U : 1U) + 4 * words);
      return 0;
    }
    case tag::export_fun: {
      skip_atom(in);
      skip_atom(in);
      if (in.peek() != tag::small_integer) fail_at(offset, "a fun without arity");
      in.skip(2);
      return 0;
    }
    case tag::new_fun: {
      in.skip(4 + 1 + 16 + 4);
      const std::uint64_t free = in.u32();
      in.need_items(free, 1);
      return 4 + free;
    }
    case tag::native_record: {
      const std::uint64_t fields = in.u32();
      if (in.u8() > 1) fail_at(offset, "a record that is neither exported nor not");
      in.need_items(fields, 3);
      for (std::uint64_t names = 2 + fields; names > 0; --names) skip_atom(in);
      return fields;
    }
    case tag::local:
      if (of == dialect::local) {
        in.skip(local_hash_size);
        return 1;
      }
      skip_local(in);
      return 0;
    default: break;
  }
  unknown_tag(offset, t);
}

// Passes what follows a LOCAL_EXT tag. Nothing is promised about it, so that what all of the bytes are
// is taken as it is. Where one is part of another term, its end must be found: that is possible for those
// of erts, which are a hash and a term.
inline void skip_local(reader& in) {
  if (in.position() == 1) {
    in.need(1);
    in.skip(in.left());
    return;
  }
  in.skip(local_hash_size);
  std::uint64_t open = 1;
  while (open > 0) {
    in.need_items(open, 1);
    open += step(in, dialect::local) - 1;
  }
}

// Passes one whole term and returns its bytes.
inline bytes_view skip(reader& in) {
  const std::size_t begin = in.position();
  // Every term has at least one byte, so that a count past what is left can never be met.
  std::uint64_t open = 1;
  while (open > 0) {
    in.need_items(open, 1);
    open += step(in) - 1;
  }
  return in.since(begin);
}

[[noreturn, gnu::cold, gnu::noinline]] inline void nested_too_deep(std::size_t max_depth) {
  throw conversion_error(fault::recursion,
                         "term is nested deeper than max_depth (" + std::to_string(max_depth) + ")");
}

// Passes one whole term, nested as deep as it may be, and appends to `found` the positions, ascending, of the
// improper lists in it.
inline void find_improper_lists(reader in, std::vector<std::size_t>& found, std::size_t& end) {
  constexpr std::size_t no_list = std::numeric_limits<std::size_t>::max();
  struct frame {
    std::uint64_t left;
    std::size_t list;
  };
  // The terms that are still to come: of the innermost container, and of those around it.
  frame inner{1, no_list};
  std::vector<frame> around;
  const std::size_t before = found.size();
  for (;;) {
    inner.left -= in.skip_leaves(inner.list == no_list ? inner.left : inner.left - 1);
    if (inner.left == 1 && inner.list != no_list) {
      if (in.peek() != tag::nil) found.push_back(inner.list);
      inner.list = no_list;
      continue;
    }
    if (inner.left == 0) {
      if (around.empty()) break;
      inner = around.back();
      around.pop_back();
      continue;
    }
    const std::size_t begin = in.position();
    const bool list = in.peek() == tag::list;
    const std::uint64_t parts = step(in);
    --inner.left;
    if (parts == 0) continue;
    around.push_back(inner);
    inner = {parts, list ? begin : no_list};
  }
  std::sort(found.begin() + static_cast<std::ptrdiff_t>(before), found.end());
  end = in.position();
}

}  // namespace erlpy::etf::detail

#endif
