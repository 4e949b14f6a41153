// Recognising the tuples of the crossing table that mean something of their own outside Erlang:
// {'$bytes', B}, {'$buffer', B}, {'$ndarray', Dtype, Shape, B} and the two references to objects. A
// tuple that only looks alike is an ordinary tuple; an '$ndarray' whose parts are wrong is an error.
#ifndef ERLPY_ETF_DETAIL_TAGGED_HPP
#define ERLPY_ETF_DETAIL_TAGGED_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <erlpy/crossing.hpp>
#include <erlpy/data_model.hpp>
#include <erlpy/etf/detail/number.hpp>
#include <erlpy/etf/detail/reader.hpp>
#include <erlpy/etf/detail/skip.hpp>

namespace erlpy::etf::detail {

enum class tagged_kind : std::uint8_t { none, bytes, buffer, ndarray, object };

struct tagged {
  static constexpr std::size_t max_dimensions = 64;
  tagged_kind kind = tagged_kind::none;
  bytes_view data;
  std::string_view dtype;
  std::array<std::int64_t, max_dimensions> shape;
  std::size_t dimensions = 0;
  object_ref object;
};

[[nodiscard]] inline bool read_unsigned(reader& in, std::uint64_t& value) {
  if (!is_number_tag(in.peek())) return false;
  const number n = read_number(in);
  if (n.kind == number_kind::small) {
    value = static_cast<std::uint64_t>(n.integer);
    return n.integer >= 0;
  }
  if (n.kind == number_kind::real || n.negative || n.magnitude.size() > 8) return false;
  value = 0;
  for (std::size_t i = n.magnitude.size(); i-- > 0;)
    value = (value << 8U) | std::to_integer<std::uint64_t>(n.magnitude[i]);
  return true;
}

// {'$object', Owner, Id}
[[nodiscard]] inline bool read_object_id(reader& in, object_ref& object) {
  atom_scratch scratch;
  if (in.peek() != tag::small_tuple) return false;
  in.skip(1);
  if (in.u8() != 3 || !is_atom_tag(in.peek())) return false;
  if (read_atom(in, scratch) != crossing::object_id_tag) return false;
  return read_unsigned(in, object.owner) && read_unsigned(in, object.id);
}

inline void read_shape(reader& in, tagged& to) {
  const auto add = [&](std::uint64_t extent) {
    if (to.dimensions == tagged::max_dimensions) in.fail("an '$ndarray' of more than 64 dimensions");
    to.shape[to.dimensions++] = static_cast<std::int64_t>(extent);
  };
  const tag t = in.peek();
  if (t == tag::string) {
    in.skip(1);
    for (const std::byte extent : in.take(in.u16())) add(std::to_integer<std::uint64_t>(extent));
    return;
  }
  if (t != tag::list && t != tag::nil && t != tag::small_tuple && t != tag::large_tuple)
    in.fail("an '$ndarray' whose shape is neither a tuple nor a list");
  std::uint64_t parts = step(in);
  if (t == tag::list) --parts;
  for (; parts > 0; --parts) {
    std::uint64_t extent = 0;
    constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (!read_unsigned(in, extent) || extent > most)
      in.fail("an '$ndarray' whose shape holds something else than non-negative integers");
    add(extent);
  }
  if (t == tag::list) {
    if (in.peek() != tag::nil) in.fail("an '$ndarray' whose shape is an improper list");
    in.skip(1);
  }
}

inline void read_ndarray(reader& in, tagged& to) {
  atom_scratch scratch;
  if (in.peek() == tag::binary) {
    in.skip(1);
    to.dtype = as_text(in.take(in.u32()));
  } else if (is_atom_tag(in.peek())) {
    to.dtype = read_atom(in, scratch);
  } else {
    in.fail("an '$ndarray' whose dtype is neither a binary nor an atom");
  }
  if (to.dtype.empty() || !erlpy::detail::is_ascii(to.dtype))
    in.fail("an '$ndarray' whose dtype is not ASCII");
  read_shape(in, to);
  if (in.peek() != tag::binary) in.fail("an '$ndarray' without a binary");
  in.skip(1);
  to.data = in.take(in.u32());
}

// Whether the tuple of `arity` whose first element is next can be one of the five; cheap and inexact.
[[nodiscard]] inline bool may_be_tagged(const reader& in, std::uint64_t arity) {
  return (arity == 2 || arity == 4) && is_atom_tag(in.peek());
}

// Reads the elements of such a tuple if it is one of the five; else kind is none and `in` has not moved.
inline tagged_kind read_tagged(reader& in, std::uint64_t arity, tagged& to) {
  reader ahead = in;
  atom_scratch scratch;
  const std::string_view name = read_atom(ahead, scratch);
  tagged_kind kind = tagged_kind::none;
  if (arity == 4) {
    if (name == crossing::ndarray_tag) {
      read_ndarray(ahead, to);
      kind = tagged_kind::ndarray;
    }
  } else if (name == crossing::bytes_tag || name == crossing::buffer_tag) {
    if (ahead.peek() == tag::binary) {
      ahead.skip(1);
      to.data = ahead.take(ahead.u32());
      kind = name == crossing::bytes_tag ? tagged_kind::bytes : tagged_kind::buffer;
    }
  } else if (name == crossing::object_tag || name == crossing::generator_tag) {
    to.object.generator = name == crossing::generator_tag;
    if (read_object_id(ahead, to.object)) kind = tagged_kind::object;
  }
  if (kind != tagged_kind::none) in = ahead;
  to.kind = kind;
  return kind;
}

// What read_tagged would find; `in` does not move. Apart from it so that `tagged`, which is large, is on
// no stack that nesting can make deep.
[[nodiscard, gnu::noinline]] inline tagged_kind match_tagged(reader in, std::uint64_t arity) {
  tagged ignored;
  return read_tagged(in, arity, ignored);
}

}  // namespace erlpy::etf::detail

#endif
