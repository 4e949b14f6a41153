// The recursion behind compare.hpp: two terms side by side, with the order of every kind.
#ifndef ERLPY_ETF_DETAIL_COMPARER_HPP
#define ERLPY_ETF_DETAIL_COMPARER_HPP

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include <erlpy/data_model.hpp>
#include <erlpy/etf/detail/identifier.hpp>
#include <erlpy/etf/detail/list_cursor.hpp>
#include <erlpy/etf/detail/number_order.hpp>
#include <erlpy/etf/detail/reader.hpp>
#include <erlpy/etf/detail/skip.hpp>

namespace erlpy::etf::detail {

// In the order of the kinds.
enum class rank : std::uint8_t {
  number,
  atom,
  reference,
  fun,
  port,
  pid,
  tuple,
  record,
  map,
  nil,
  list,
  bitstring,
  // LOCAL_EXT: what it is, and so its place, only its node knows.
  local
};

[[nodiscard]] inline rank rank_of(const reader& in) {
  const tag t = in.peek();
  switch (t) {
    case tag::small_integer:
    case tag::integer:
    case tag::small_big:
    case tag::large_big:
    case tag::new_float:
    case tag::old_float: return rank::number;
    case tag::atom:
    case tag::small_atom:
    case tag::atom_utf8:
    case tag::small_atom_utf8: return rank::atom;
    case tag::reference:
    case tag::new_reference:
    case tag::newer_reference: return rank::reference;
    case tag::new_fun:
    case tag::export_fun: return rank::fun;
    case tag::port:
    case tag::new_port:
    case tag::v4_port: return rank::port;
    case tag::pid:
    case tag::new_pid: return rank::pid;
    case tag::small_tuple:
    case tag::large_tuple: return rank::tuple;
    case tag::native_record: return rank::record;
    case tag::map: return rank::map;
    case tag::nil: return rank::nil;
    case tag::string:
    case tag::list: return is_empty_list(in) ? rank::nil : rank::list;
    case tag::binary:
    case tag::bit_binary: return rank::bitstring;
    case tag::local: return rank::local;
    default: unknown_tag(in.offset(), t);
  }
}

[[nodiscard, gnu::noinline]] inline std::strong_ordering compare_atoms(reader& a, reader& b) {
  atom_scratch x;
  atom_scratch y;
  return read_atom(a, x).compare(read_atom(b, y)) <=> 0;
}

struct bits {
  bytes_view bytes;
  std::uint64_t count = 0;
};

[[nodiscard]] inline bits read_bits(reader& in) {
  const bool whole = static_cast<tag>(in.u8()) == tag::binary;
  const std::size_t size = in.u32();
  const unsigned last = whole ? 8U : in.u8();
  if (last == 0 || last > 8 || (!whole && size == 0)) in.fail("a bitstring of no bits");
  return {in.take(size), 8 * std::uint64_t{size} - (8U - last)};
}

[[nodiscard]] inline std::strong_ordering compare_bits(reader& a, reader& b) {
  const bits x = read_bits(a);
  const bits y = read_bits(b);
  const std::uint64_t shared = std::min(x.count, y.count);
  const auto whole = static_cast<std::size_t>(shared / 8);
  if (whole != 0)
    if (const int order = std::memcmp(x.bytes.data(), y.bytes.data(), whole); order != 0) return order <=> 0;
  if (const auto rest = static_cast<unsigned>(shared % 8); rest != 0) {
    const auto top = [&](const bits& from) {
      return std::to_integer<unsigned>(from.bytes[whole]) >> (8U - rest);
    };
    if (top(x) != top(y)) return top(x) <=> top(y);
  }
  return x.count <=> y.count;
}

[[nodiscard]] inline std::strong_ordering compare_bytes(bytes_view a, bytes_view b) noexcept {
  return as_text(a).compare(as_text(b)) <=> 0;
}

class comparer {
 public:
  explicit comparer(std::size_t max_depth) noexcept : max_depth_(max_depth) {}

  [[nodiscard]] std::strong_ordering terms(bytes_view a, bytes_view b, number_order order) {
    reader x(a);
    reader y(b);
    return terms(x, y, order);
  }

 private:
  // Both readers pass their term if the terms are equal; else where they stand is of no use.
  [[nodiscard]] std::strong_ordering terms(reader& a, reader& b, number_order order) {
    const rank kind = rank_of(a);
    if (const rank other = rank_of(b); kind != other) return kind <=> other;
    switch (kind) {
      case rank::number: return compare_numbers(read_number(a), read_number(b), order);
      case rank::atom: return compare_atoms(a, b);
      case rank::reference: return compare_references(a, b);
      case rank::port: return compare_ports(a, b);
      case rank::pid: return compare_pids(a, b);
      case rank::bitstring: return compare_bits(a, b);
      case rank::nil:
        (void)skip(a);
        (void)skip(b);
        return std::strong_ordering::equal;
      case rank::local: return compare_bytes(skip(a), skip(b));
      case rank::fun:
      case rank::tuple:
      case rank::record:
      case rank::map:
      case rank::list: break;
    }
    if (depth_ == max_depth_) nested_too_deep(max_depth_);
    ++depth_;
    const auto result = containers(kind, a, b, order);
    --depth_;
    return result;
  }

  [[nodiscard]] std::strong_ordering containers(rank kind, reader& a, reader& b, number_order order) {
    switch (kind) {
      case rank::tuple: return tuples(a, b, order);
      case rank::record: return records(a, b, order);
      case rank::map: return maps(a, b, order);
      case rank::fun: return funs(a, b, order);
      default: return lists(a, b, order);
    }
  }

  [[nodiscard]] std::strong_ordering sequences(reader& a, reader& b, std::uint64_t n, number_order order) {
    for (; n > 0; --n)
      if (const auto result = terms(a, b, order); result != 0) return result;
    return std::strong_ordering::equal;
  }

  [[nodiscard]] std::strong_ordering tuples(reader& a, reader& b, number_order order) {
    const std::uint64_t x = step(a);
    const std::uint64_t y = step(b);
    return x == y ? sequences(a, b, x, order) : x <=> y;
  }

  // Module and name, whether it is exported, the names of the fields, their values.
  [[nodiscard, gnu::noinline]] std::strong_ordering records(reader& a, reader& b, number_order order) {
    a.skip(1);
    b.skip(1);
    const std::uint32_t x = a.u32();
    const std::uint32_t y = b.u32();
    const unsigned x_exported = a.u8();
    const unsigned y_exported = b.u8();
    if (const auto result = sequences(a, b, 2, order); result != 0) return result;
    if (x_exported != y_exported) return x_exported <=> y_exported;
    if (x != y) return x <=> y;
    return sequences(a, b, 2 * std::uint64_t{x}, order);
  }

  [[nodiscard, gnu::noinline]] std::strong_ordering lists(reader& a, reader& b, number_order order) {
    list_cursor x(a);
    list_cursor y(b);
    for (;;) {
      const bool more = x.more();
      if (more != y.more()) return tail_rank(x, more) <=> tail_rank(y, !more);
      if (!more) break;
      small_term x_room;
      small_term y_room;
      reader first = x.element(x_room);
      reader second = y.element(y_room);
      if (const auto result = terms(first, second, order); result != 0) return result;
      x.pass(first);
      y.pass(second);
    }
    if (x.proper() && y.proper()) return std::strong_ordering::equal;
    if (x.proper() || y.proper()) return tail_rank(x, false) <=> tail_rank(y, false);
    return terms(a, b, order);
  }

  [[nodiscard]] static rank tail_rank(const list_cursor& list, bool more) {
    if (more) return rank::list;
    return list.proper() ? rank::nil : rank_of(list.position());
  }

  struct entry {
    bytes_view key;
    bytes_view value;
  };

  [[nodiscard]] std::vector<entry> sorted_entries(reader& in, std::uint64_t size) {
    std::vector<entry> entries;
    for (std::uint64_t left = size; left > 0; --left) {
      const bytes_view key = skip(in);
      entries.push_back({key, skip(in)});
    }
    std::sort(entries.begin(), entries.end(), [this](const entry& x, const entry& y) {
      return terms(x.key, y.key, number_order::integers_first) < 0;
    });
    return entries;
  }

  [[nodiscard, gnu::noinline]] std::strong_ordering maps(reader& a, reader& b, number_order order) {
    const std::uint64_t size = step(a) / 2;
    if (const std::uint64_t other = step(b) / 2; size != other) return size <=> other;
    if (size <= 1) {
      // Nothing to sort, so that the entry need not be passed before it is compared.
      const auto keys = sequences(a, b, size, number_order::integers_first);
      return keys != 0 ? keys : sequences(a, b, size, order);
    }
    const std::vector<entry> x = sorted_entries(a, size);
    const std::vector<entry> y = sorted_entries(b, size);
    for (std::size_t i = 0; i < x.size(); ++i)
      if (const auto result = terms(x[i].key, y[i].key, number_order::integers_first); result != 0)
        return result;
    for (std::size_t i = 0; i < x.size(); ++i)
      if (const auto result = terms(x[i].value, y[i].value, order); result != 0) return result;
    return std::strong_ordering::equal;
  }

  // A fun with an environment is less than one named by its module; the process that made it does not
  // count.
  [[nodiscard, gnu::noinline]] std::strong_ordering funs(reader& a, reader& b, number_order order) {
    const bool a_export = a.peek() == tag::export_fun;
    const bool b_export = b.peek() == tag::export_fun;
    if (a_export != b_export) return a_export <=> b_export;
    if (a_export) {
      a.skip(1);
      b.skip(1);
      return sequences(a, b, 3, order);
    }
    a.skip(1 + 4);
    b.skip(1 + 4);
    const bytes_view a_code = a.take(1 + 16 + 4);
    const bytes_view b_code = b.take(1 + 16 + 4);
    const std::uint64_t a_free = a.u32();
    const std::uint64_t b_free = b.u32();
    if (const auto result = sequences(a, b, 3, order); result != 0) return result;
    if (a_free != b_free) return a_free <=> b_free;
    if (const int result = std::memcmp(a_code.data(), b_code.data(), a_code.size()); result != 0)
      return result <=> 0;
    (void)skip(a);
    (void)skip(b);
    return sequences(a, b, a_free, order);
  }

  std::size_t max_depth_;
  std::size_t depth_ = 0;
};

}  // namespace erlpy::etf::detail

#endif
