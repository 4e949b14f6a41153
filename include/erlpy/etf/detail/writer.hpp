// Appending the pieces of the External Term Format to a byte buffer. Small pieces are gathered first, for
// a vector is slow to grow by a few bytes: until flush() the buffer may lack the last of what was written.
#ifndef ERLPY_ETF_DETAIL_WRITER_HPP
#define ERLPY_ETF_DETAIL_WRITER_HPP

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include <erlpy/crossing.hpp>
#include <erlpy/data_model.hpp>
#include <erlpy/detail/utf8.hpp>
#include <erlpy/etf/tags.hpp>

namespace erlpy::etf::detail {

[[noreturn, gnu::cold, gnu::noinline]] inline void too_big(std::string_view what, std::size_t n) {
  throw conversion_error(fault::overflow, "a " + std::string(what) + " of " + std::to_string(n) +
                                              " is more than the External Term Format can hold (4294967295)");
}

class writer {
 public:
  explicit writer(byte_buffer& out) noexcept : out_(out) {}

  // With all that was written; the reference is for use before the next call.
  [[nodiscard]] byte_buffer& buffer() {
    flush();
    return out_;
  }
  // Bytes in the buffer, once all is there.
  [[nodiscard]] std::size_t size() const noexcept { return out_.size() + gathered_; }
  void flush() {
    if (gathered_ != 0) hand_over();
  }
  // Forgets what the buffer lacks.
  void drop() noexcept { gathered_ = 0; }
  // `size` bytes stay, which the buffer has.
  void cut(std::size_t size) noexcept {
    drop();
    out_.erase(out_.begin() + static_cast<std::ptrdiff_t>(size), out_.end());
  }

  void u8(std::uint8_t value) {
    *room(1) = std::byte{value};
    ++gathered_;
  }

  void integer(std::int64_t value) {
    if (value >= 0 && value <= 255) {
      put(tag::small_integer, static_cast<std::uint8_t>(value));
    } else if (value >= std::numeric_limits<std::int32_t>::min() &&
               value <= std::numeric_limits<std::int32_t>::max()) {
      put(tag::integer, static_cast<std::uint32_t>(value));
    } else {
      const bool negative = value < 0;
      magnitude(negative,
                negative ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value));
    }
  }
  void unsigned_integer(std::uint64_t value) {
    if (value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
      integer(static_cast<std::int64_t>(value));
    else
      magnitude(false, value);
  }

  void big_integer(bool negative, bytes_view digits) {
    while (!digits.empty() && digits.back() == std::byte{0}) digits = digits.first(digits.size() - 1);
    if (digits.size() <= 8) {
      std::uint64_t value = 0;
      for (std::size_t i = digits.size(); i-- > 0;)
        value = (value << 8U) | std::to_integer<std::uint64_t>(digits[i]);
      constexpr std::uint64_t lowest = std::uint64_t{1} << 31U;
      if (!negative)
        unsigned_integer(value);
      else if (value <= lowest)
        integer(-static_cast<std::int64_t>(value));
      else
        magnitude(true, value);
      return;
    }
    long_integer(negative, digits);
  }

  void real(double value) { put(tag::new_float, std::bit_cast<std::uint64_t>(value)); }

  void atom(std::string_view text) {
    if (text.size() > crossing::max_atom_characters) {
      if (erlpy::detail::count_code_points(text) > crossing::max_atom_characters)
        throw conversion_error(fault::value, "an Erlang atom has at most 255 characters");
      put(tag::atom_utf8, static_cast<std::uint16_t>(text.size()));
    } else {
      put(tag::small_atom_utf8, static_cast<std::uint8_t>(text.size()));
    }
    append(as_bytes(text));
  }

  void binary(bytes_view bytes) {
    check("binary with bytes", bytes.size());
    put(tag::binary, static_cast<std::uint32_t>(bytes.size()));
    append(bytes);
  }
  // A binary whose n bytes are still to be written; the span is valid until the next change.
  [[nodiscard]] std::span<std::byte> binary_of(std::size_t n) {
    check("binary with bytes", n);
    put(tag::binary, static_cast<std::uint32_t>(n));
    flush();
    out_.resize(out_.size() + n);
    return std::span(out_).last(n);
  }

  void list_head(std::size_t n) {
    if (n == 0) {
      u8(static_cast<std::uint8_t>(tag::nil));
    } else {
      check("list with elements", n);
      put(tag::list, static_cast<std::uint32_t>(n));
    }
  }
  void tuple_head(std::size_t n) {
    if (n <= 255) {
      put(tag::small_tuple, static_cast<std::uint8_t>(n));
    } else {
      check("tuple with elements", n);
      put(tag::large_tuple, static_cast<std::uint32_t>(n));
    }
  }
  void map_head(std::size_t n) {
    check("map with entries", n);
    put(tag::map, static_cast<std::uint32_t>(n));
  }

  // {'$ndarray', Dtype, Shape, without the binary that must follow.
  void ndarray_head(std::string_view dtype, std::span<const std::int64_t> shape) {
    tuple_head(4);
    atom(crossing::ndarray_tag);
    binary(as_bytes(dtype));
    tuple_head(shape.size());
    for (const std::int64_t extent : shape) integer(extent);
  }

  // {Tag, Bin}, floats of 64 bits, whatever they are.
  void reals(std::string_view tag, std::initializer_list<double> values) {
    tuple_head(2);
    atom(tag);
    std::span<std::byte> room = binary_of(values.size() * sizeof(double));
    for (const double each : values) {
      const auto bits = std::bit_cast<std::uint64_t>(each);
      for (std::size_t i = 0; i < sizeof bits; ++i)
        room[i] = static_cast<std::byte>(bits >> (8 * (sizeof bits - 1 - i)));
      room = room.subspan(sizeof bits);
    }
  }

  void object(object_ref object) {
    tuple_head(2);
    atom(object.generator ? crossing::generator_tag : crossing::object_tag);
    tuple_head(3);
    atom(crossing::object_id_tag);
    unsigned_integer(object.owner);
    unsigned_integer(object.id);
  }

 private:
  static void check(std::string_view what, std::size_t n) {
    if (n > std::numeric_limits<std::uint32_t>::max()) too_big(what, n);
  }

  [[gnu::noinline]] void long_integer(bool negative, bytes_view digits) {
    if (digits.size() <= 255) {
      put(tag::small_big, static_cast<std::uint8_t>(digits.size()));
    } else {
      check("integer with bytes", digits.size());
      put(tag::large_big, static_cast<std::uint32_t>(digits.size()));
    }
    u8(negative ? 1 : 0);
    append(digits);
  }

  // Where the next n bytes, a few, are to be written; they count when `gathered_` does.
  [[nodiscard]] std::byte* room(std::size_t n) {
    if (n > pieces_.size() - gathered_) hand_over();
    return pieces_.data() + gathered_;
  }
  [[gnu::noinline]] void hand_over() {
    out_.insert(out_.end(), pieces_.data(), pieces_.data() + gathered_);
    gathered_ = 0;
  }

  void append(bytes_view bytes) {
    if (bytes.size() > pieces_.size() - gathered_) {
      flush();
      if (bytes.size() > pieces_.size() / 2) {
        out_.insert(out_.end(), bytes.begin(), bytes.end());
        return;
      }
    }
    copy(pieces_.data() + gathered_, bytes);
    gathered_ += bytes.size();
  }

  // Short texts are two words that may overlap: less than a call.
  static void copy(std::byte* to, bytes_view from) noexcept {
    const std::size_t size = from.size();
    if (size >= 8 && size <= 16) {
      std::uint64_t first = 0;
      std::uint64_t last = 0;
      std::memcpy(&first, from.data(), sizeof first);
      std::memcpy(&last, from.data() + size - sizeof last, sizeof last);
      std::memcpy(to, &first, sizeof first);
      std::memcpy(to + size - sizeof last, &last, sizeof last);
    } else if (size != 0) {
      std::memcpy(to, from.data(), size);
    }
  }

  template <class Unsigned>
  void put(tag t, Unsigned value) {
    std::byte* const to = room(1 + sizeof(Unsigned));
    to[0] = static_cast<std::byte>(t);
    std::uint64_t big_endian = std::uint64_t{value} << (64 - 8 * sizeof(Unsigned));
    if constexpr (std::endian::native == std::endian::little) big_endian = __builtin_bswap64(big_endian);
    std::memcpy(to + 1, &big_endian, sizeof(Unsigned));
    gathered_ += 1 + sizeof(Unsigned);
  }

  void magnitude(bool negative, std::uint64_t value) {
    std::array<std::byte, 11> bytes{static_cast<std::byte>(tag::small_big)};
    std::size_t size = 0;
    for (; value != 0; value >>= 8U) bytes[3 + size++] = static_cast<std::byte>(value & 0xFFU);
    bytes[1] = static_cast<std::byte>(size);
    bytes[2] = std::byte{negative};
    append(std::span(bytes).first(3 + size));
  }

  byte_buffer& out_;
  std::size_t gathered_ = 0;
  std::array<std::byte, 256> pieces_;
};

}  // namespace erlpy::etf::detail

#endif
