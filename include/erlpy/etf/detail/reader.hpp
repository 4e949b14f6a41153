// Bounds-checked reading of big-endian fields from bytes in the External Term Format, and the one
// place where "this is malformed" becomes an exception.
#ifndef ERLPY_ETF_DETAIL_READER_HPP
#define ERLPY_ETF_DETAIL_READER_HPP

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include <erlpy/data_model.hpp>
#include <erlpy/etf/tags.hpp>

namespace erlpy::etf::detail {

[[noreturn, gnu::cold, gnu::noinline]] inline void fail_at(std::size_t offset, std::string_view what) {
  throw conversion_error(fault::value, "malformed External Term Format: " + std::string(what) + " at byte " +
                                           std::to_string(offset));
}

[[noreturn, gnu::cold, gnu::noinline]] inline void unknown_tag(std::size_t offset, tag t) {
  switch (t) {
    case tag::message_header:
    case tag::fragment_header:
      fail_at(offset, "the header of a message between nodes, which term_to_binary does not write,");
    case tag::atom_cache_reference:
      fail_at(offset, "an atom in the cache of a connection between nodes (ATOM_CACHE_REF)");
    case tag::old_fun: fail_at(offset, "a fun of the form (FUN_EXT) that OTP 23 and later cannot read");
    case tag::compressed: fail_at(offset, "compressed data, which only a whole term can be,");
    default: fail_at(offset, "unknown tag " + std::to_string(static_cast<unsigned>(t)));
  }
}

// A position in bytes that outlive it. Every read throws conversion_error(fault::value) instead of
// passing the end.
class reader {
 public:
  // `base` is added to the offsets that errors name.
  explicit reader(bytes_view bytes, std::size_t base = 0) noexcept
      : begin_(bytes.data()), at_(bytes.data()), end_(bytes.data() + bytes.size()), base_(base) {}

  [[nodiscard]] std::size_t position() const noexcept { return static_cast<std::size_t>(at_ - begin_); }
  [[nodiscard]] std::size_t offset() const noexcept { return base_ + position(); }
  [[nodiscard]] std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - at_); }
  [[nodiscard]] bool done() const noexcept { return at_ == end_; }

  // Bytes [from, position()).
  [[nodiscard]] bytes_view since(std::size_t from) const noexcept { return {begin_ + from, at_}; }
  void rewind(std::size_t to) noexcept { at_ = begin_ + to; }

  void need(std::size_t n) const {
    if (left() < n) truncated();
  }
  // For lengths that come from the bytes: `count` items of at least `each` bytes must still be there.
  void need_items(std::uint64_t count, std::uint64_t each) const {
    if (left() / each < count) truncated();
  }

  [[nodiscard]] tag peek() const {
    need(1);
    return static_cast<tag>(*at_);
  }
  [[nodiscard]] std::uint8_t u8() {
    need(1);
    return std::to_integer<std::uint8_t>(*at_++);
  }
  [[nodiscard]] std::uint16_t u16() { return static_cast<std::uint16_t>(big_endian<2>()); }
  [[nodiscard]] std::uint32_t u32() { return static_cast<std::uint32_t>(big_endian<4>()); }
  [[nodiscard]] std::uint64_t u64() { return big_endian<8>(); }
  [[nodiscard]] bytes_view take(std::size_t n) {
    need(n);
    const bytes_view taken{at_, n};
    at_ += n;
    return taken;
  }
  void skip(std::size_t n) {
    need(n);
    at_ += n;
  }
  // Passes a tag and the number of N bytes behind it, which it returns.
  template <std::size_t N>
  [[nodiscard]] std::uint64_t tagged() {
    need(1 + N);
    const std::uint64_t value = load<N>(at_ + 1);
    at_ += 1 + N;
    return value;
  }

  // Passes terms of the common kinds without parts, `most` of them, up to the first that is of another kind
  // or cut off. How many it was; of atoms nothing but the size is looked at.
  [[nodiscard]] std::uint64_t skip_leaves(std::uint64_t most) noexcept {
    const std::byte* at = at_;
    std::uint64_t passed = 0;
    for (; passed < most && at != end_; ++passed) {
      const auto there = static_cast<std::size_t>(end_ - at);
      std::size_t size = 0;
      switch (static_cast<tag>(*at)) {
        case tag::small_integer: size = 2; break;
        case tag::integer: size = 5; break;
        case tag::new_float: size = 9; break;
        case tag::nil: size = 1; break;
        case tag::binary:
          if (there >= 5) size = 5 + static_cast<std::size_t>(load<4>(at + 1));
          break;
        case tag::small_atom_utf8:
          if (there >= 2) size = 2 + std::to_integer<std::size_t>(at[1]);
          break;
        default: break;
      }
      if (size == 0 || size > there) break;
      at += size;
    }
    at_ = at;
    return passed;
  }

  [[noreturn]] void fail(std::string_view what) const { fail_at(offset(), what); }

 private:
  template <std::size_t N>
  [[nodiscard]] static std::uint64_t load(const std::byte* from) noexcept {
    std::uint64_t value = 0;
    std::memcpy(reinterpret_cast<std::byte*>(&value) + (sizeof value - N), from, N);
    if constexpr (std::endian::native == std::endian::little) value = __builtin_bswap64(value);
    return value;
  }
  template <std::size_t N>
  std::uint64_t big_endian() {
    need(N);
    const std::uint64_t value = load<N>(at_);
    at_ += N;
    return value;
  }
  [[noreturn, gnu::cold, gnu::noinline]] void truncated() const {
    fail_at(base_ + static_cast<std::size_t>(end_ - begin_), "the term is cut off");
  }

  const std::byte* begin_;
  const std::byte* at_;
  const std::byte* end_;
  std::size_t base_;
};

}  // namespace erlpy::etf::detail

#endif
