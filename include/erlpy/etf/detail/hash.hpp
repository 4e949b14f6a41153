// A hash of encoded terms that agrees with `=:=`: terms that are identical have equal hashes, however
// each of them is encoded. It looks at no more than a few levels, so its own recursion is bounded.
#ifndef ERLPY_ETF_DETAIL_HASH_HPP
#define ERLPY_ETF_DETAIL_HASH_HPP

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <erlpy/data_model.hpp>
#include <erlpy/etf/detail/comparer.hpp>
#include <erlpy/etf/detail/identifier.hpp>
#include <erlpy/etf/detail/list_cursor.hpp>
#include <erlpy/etf/detail/number.hpp>
#include <erlpy/etf/term.hpp>

namespace erlpy::etf::detail {

[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t hash, std::uint64_t value) noexcept {
  hash = (hash ^ value) * 0x9E3779B97F4A7C15ULL;
  return hash ^ (hash >> 32U);
}

[[nodiscard]] inline std::uint64_t mix_bytes(std::uint64_t hash, bytes_view bytes) noexcept {
  hash = mix(hash, bytes.size());
  for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
    std::uint64_t block;
    std::memcpy(&block, bytes.data(), 8);
    hash = mix(hash, block);
  }
  std::uint64_t last = 0;
  if (!bytes.empty()) std::memcpy(&last, bytes.data(), bytes.size());
  return mix(hash, last);
}

[[nodiscard]] inline std::uint64_t hash_number(const number& n) noexcept {
  if (n.kind == number_kind::small) return mix(1, static_cast<std::uint64_t>(n.integer));
  if (n.kind == number_kind::real) return mix(2, std::bit_cast<std::uint64_t>(n.real));
  return mix_bytes(n.negative ? 3 : 4, n.magnitude);
}

[[nodiscard, gnu::noinline]] inline std::uint64_t hash_atom(reader& in) {
  atom_scratch scratch;
  return mix_bytes(5, as_bytes(read_atom(in, scratch)));
}

[[nodiscard, gnu::noinline]] inline std::uint64_t hash_identifier(reader& in) {
  identifier read;
  read_identifier(in, read);
  std::uint64_t hash = mix(mix_bytes(6, as_bytes(read.node)), read.number);
  hash = mix(hash, read.serial);
  for (std::size_t i = 0; i < read.word_count; ++i) hash = mix(hash, read.words[i]);
  return hash;
}

// `in` passes the term.
[[nodiscard]] inline std::uint64_t hash_next(reader& in, unsigned depth) {
  constexpr unsigned levels = 6;
  const rank kind = rank_of(in);
  const auto seed = 16 + static_cast<std::uint64_t>(kind);
  switch (kind) {
    case rank::number: return hash_number(read_number(in));
    case rank::atom: return hash_atom(in);
    case rank::reference:
    case rank::port:
    case rank::pid: return hash_identifier(in);
    case rank::bitstring: {
      const bits read = read_bits(in);
      if (read.count % 8 == 0) return mix_bytes(seed, read.bytes);
      return mix(mix_bytes(seed, read.bytes.first(read.bytes.size() - 1)), read.count);
    }
    case rank::nil:
    case rank::fun: break;
    case rank::tuple: {
      if (depth == levels) break;
      std::uint64_t hash = seed;
      for (std::uint64_t left = step(in); left > 0; --left) hash = mix(hash, hash_next(in, depth + 1));
      return hash;
    }
    case rank::record: {
      if (depth == levels) break;
      in.skip(1);
      const std::uint64_t fields = in.u32();
      std::uint64_t hash = mix(seed, in.u8());
      for (std::uint64_t left = 2 + 2 * fields; left > 0; --left) hash = mix(hash, hash_next(in, depth + 1));
      return hash;
    }
    case rank::local: return mix_bytes(seed, skip(in));
    case rank::map: {
      if (depth == levels) break;
      std::uint64_t hash = seed;
      // A sum: the order of the entries says nothing.
      for (std::uint64_t left = step(in) / 2; left > 0; --left) {
        const std::uint64_t key = hash_next(in, depth + 1);
        hash += mix(key, hash_next(in, depth + 1));
      }
      return hash;
    }
    case rank::list: {
      if (depth == levels) break;
      std::uint64_t hash = seed;
      list_cursor list(in);
      while (list.more()) {
        small_term room;
        reader element = list.element(room);
        hash = mix(hash, hash_next(element, depth + 1));
        list.pass(element);
      }
      return list.proper() ? hash : mix(hash, hash_next(in, depth + 1));
    }
  }
  (void)skip(in);
  return seed;
}

// Throws conversion_error (value) if the bytes are malformed.
[[nodiscard]] inline std::size_t hash_term(term t) {
  reader in(t.bytes());
  return static_cast<std::size_t>(hash_next(in, 0));
}

}  // namespace erlpy::etf::detail

#endif
