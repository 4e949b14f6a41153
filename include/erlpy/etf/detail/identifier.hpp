// Pids, ports and references, decoded from any of the forms that OTP has given them.
#ifndef ERLPY_ETF_DETAIL_IDENTIFIER_HPP
#define ERLPY_ETF_DETAIL_IDENTIFIER_HPP

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <erlpy/etf/detail/reader.hpp>
#include <erlpy/etf/detail/skip.hpp>

namespace erlpy::etf::detail {

struct identifier {
  atom_scratch scratch;
  std::string_view node;
  std::uint32_t creation = 0;
  // A pid's serial and number, a port's number, a reference's words (the most significant one last).
  std::uint32_t serial = 0;
  std::uint64_t number = 0;
  std::array<std::uint32_t, 5> words{};
  std::size_t word_count = 0;
};

// Reads one pid, port or reference; the next tag must be one of theirs. `to` is not to be copied: its
// node may lie inside it.
inline void read_identifier(reader& in, identifier& to) {
  const std::size_t offset = in.offset();
  const auto t = static_cast<tag>(in.u8());
  if (t == tag::new_reference || t == tag::newer_reference) {
    to.word_count = in.u16();
    if (to.word_count == 0 || to.word_count > to.words.size())
      fail_at(offset, "a reference of no known size");
  }
  to.node = read_atom(in, to.scratch);
  switch (t) {
    case tag::pid:
    case tag::new_pid:
      to.number = in.u32();
      to.serial = in.u32();
      break;
    case tag::port:
    case tag::new_port: to.number = in.u32(); break;
    case tag::v4_port: to.number = in.u64(); break;
    case tag::reference:
      to.word_count = 1;
      to.words[0] = in.u32();
      break;
    default: break;
  }
  to.creation =
      t == tag::pid || t == tag::port || t == tag::reference || t == tag::new_reference ? in.u8() : in.u32();
  if (t == tag::new_reference || t == tag::newer_reference)
    for (std::size_t i = 0; i < to.word_count; ++i) to.words[i] = in.u32();
  while (to.word_count > 1 && to.words[to.word_count - 1] == 0) --to.word_count;
}

[[nodiscard]] inline std::strong_ordering compare_nodes(const identifier& a, const identifier& b) noexcept {
  if (const auto order = a.node.compare(b.node) <=> 0; order != 0) return order;
  return a.creation <=> b.creation;
}

[[nodiscard, gnu::noinline]] inline std::strong_ordering compare_pids(reader& a, reader& b) {
  identifier x;
  identifier y;
  read_identifier(a, x);
  read_identifier(b, y);
  if (x.serial != y.serial) return x.serial <=> y.serial;
  if (x.number != y.number) return x.number <=> y.number;
  return compare_nodes(x, y);
}

[[nodiscard, gnu::noinline]] inline std::strong_ordering compare_ports(reader& a, reader& b) {
  identifier x;
  identifier y;
  read_identifier(a, x);
  read_identifier(b, y);
  if (const auto order = compare_nodes(x, y); order != 0) return order;
  return x.number <=> y.number;
}

[[nodiscard, gnu::noinline]] inline std::strong_ordering compare_references(reader& a, reader& b) {
  identifier x;
  identifier y;
  read_identifier(a, x);
  read_identifier(b, y);
  if (const auto order = compare_nodes(x, y); order != 0) return order;
  if (x.word_count != y.word_count) return x.word_count <=> y.word_count;
  for (std::size_t i = x.word_count; i-- > 0;)
    if (x.words[i] != y.words[i]) return x.words[i] <=> y.words[i];
  return std::strong_ordering::equal;
}

}  // namespace erlpy::etf::detail

#endif
