// Compressed terms (131, 80, size, zlib data). zlib is used where the build defines ERLPY_HAVE_ZLIB and
// links it; without it a compressed term is an error that says so.
#ifndef ERLPY_ETF_DETAIL_INFLATE_HPP
#define ERLPY_ETF_DETAIL_INFLATE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <erlpy/data_model.hpp>
#include <erlpy/etf/detail/owners.hpp>
#include <erlpy/etf/detail/reader.hpp>

#if defined(ERLPY_HAVE_ZLIB) && __has_include(<zlib.h>)
#include <zlib.h>
#endif

namespace erlpy::etf::detail {

#if defined(ERLPY_HAVE_ZLIB) && __has_include(<zlib.h>)

class inflater {
 public:
  inflater() {
    if (::inflateInit(&stream_) != Z_OK) throw error("zlib cannot be initialised");
  }
  inflater(const inflater&) = delete;
  inflater& operator=(const inflater&) = delete;
  ~inflater() { ::inflateEnd(&stream_); }

  // Moves on both views by what was used; false at the end of the stream.
  [[nodiscard]] bool run(bytes_view& from, std::span<std::byte>& to, std::size_t offset) {
    constexpr std::size_t most = std::size_t{1} << 30U;
    const auto in = static_cast<uInt>(std::min(from.size(), most));
    const auto out = static_cast<uInt>(std::min(to.size(), most));
    stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(from.data()));
    stream_.avail_in = in;
    stream_.next_out = reinterpret_cast<Bytef*>(to.data());
    stream_.avail_out = out;
    const int status = ::inflate(&stream_, Z_NO_FLUSH);
    const bool moved = stream_.avail_in != in || stream_.avail_out != out;
    from = from.subspan(in - stream_.avail_in);
    to = to.subspan(out - stream_.avail_out);
    if (status == Z_STREAM_END) return false;
    if (status != Z_OK || !moved) fail_at(offset, "compressed data that is damaged or cut off");
    return true;
  }

 private:
  z_stream stream_{};
};

// Decompresses what follows the tag 80. The memory taken follows what comes out, not what is announced.
[[nodiscard]] inline shared_bytes_ptr inflate_term(reader& in) {
  const std::size_t offset = in.offset();
  const std::size_t announced = in.u32();
  bytes_view from = in.take(in.left());
  byte_buffer out(std::min(announced, 4 * from.size() + 64));
  std::size_t size = 0;
  inflater zlib;
  for (;;) {
    // One byte of room past the announced size shows data that is longer than it says.
    std::byte extra[1];
    const bool full = size == announced;
    if (!full && size == out.size()) out.resize(std::min(announced, 2 * size));
    std::span<std::byte> room = full ? std::span<std::byte>(extra) : std::span(out).subspan(size);
    const std::size_t before = room.size();
    const bool more = zlib.run(from, room, offset);
    const std::size_t written = before - room.size();
    if (full && written != 0) fail_at(offset, "a compressed term that is longer than it says");
    size += written;
    if (!more) break;
  }
  if (size != announced) fail_at(offset, "a compressed term that is shorter than it says");
  if (!from.empty()) fail_at(offset, "bytes after the compressed data");
  return std::make_shared<const owned_bytes>(std::move(out));
}

#else

[[nodiscard]] inline shared_bytes_ptr inflate_term(reader& in) {
  throw conversion_error(fault::value, "the term at byte " + std::to_string(in.offset()) +
                                           " is compressed and this program was built without zlib; write it "
                                           "without the option 'compressed'");
}

#endif

}  // namespace erlpy::etf::detail

#endif
