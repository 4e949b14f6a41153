// What a pool and its worker processes say to each other: frames, a header and bytes. The bytes of values
// mean nothing here; both ends are of one machine and one build, so numbers go as they lie in memory.
//
//   to the worker         id               bytes
//   configure             of its objects   the options, see setup.hpp (the id: object_holder::owner())
//   call                  of the call      the request
//   cancel                of the call      -
//   demand                of the stream    count, step, and the value of a send or throw
//   close                 of the stream    -
//   release               -                numbers of objects
//   stop                  -                -
//   from the worker
//   hello                 its process id   the secret
//   ready                 -                -
//   failed                -                class and message of what kept it from starting
//   answer, refusal       of the call      the result; the reason
//   cancelling            of the call      - (it was told to its worker); 0 after a `close`
//   values                of the stream    so many values
//   step_refused          of the stream    the reason; the stream goes on
//   done, raised, closed  of the stream    how it ended: what it returned; the reason; -
//   stuck                 of the call      - (its worker did not end in time: kill it); 0 if it has begun
//   none
#ifndef ERLPY_POOL_FRAME_HPP
#define ERLPY_POOL_FRAME_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <utility>

#include <erlpy/data_model.hpp>

namespace erlpy::pool {

enum class frame_kind : std::uint8_t {
  configure, call, cancel, demand, close, release, stop,
  hello, ready, failed, answer, refusal, cancelling, values, step_refused, done, raised, closed, stuck
};

struct frame_header {
  std::uint64_t length = 0;  // of the bytes that follow
  std::uint64_t id = 0;
  std::uint64_t kind = 0;
};

// A frame under construction: the header's room, then bytes. Used again and again: its memory stays.
class outgoing_frame {
 public:
  outgoing_frame() : bytes_(sizeof(frame_header)) {}

  void begin(frame_kind kind, std::uint64_t id = 0) {
    if (bytes_.capacity() > kept) bytes_ = byte_buffer();
    bytes_.resize(sizeof(frame_header));
    header_ = {0, id, static_cast<std::uint64_t>(kind)};
  }
  // It is of another kind after all.
  void retitle(frame_kind kind) noexcept { header_.kind = static_cast<std::uint64_t>(kind); }
  // Writes over a number that was put; `offset` counts from the first byte after the header.
  template <class Number>
  void put_at(std::size_t offset, Number number) noexcept {
    std::memcpy(bytes_.data() + sizeof(frame_header) + offset, &number, sizeof number);
  }
  // Where values are written, after what is there.
  [[nodiscard]] byte_buffer& bytes() noexcept { return bytes_; }
  template <class Number>
    requires std::is_trivially_copyable_v<Number>
  void put(Number number) {
    const auto* const raw = reinterpret_cast<const std::byte*>(&number);
    bytes_.insert(bytes_.end(), raw, raw + sizeof number);
  }
  void put_bytes(bytes_view bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  // With its length before it.
  void put_text(std::string_view text) {
    put<std::uint64_t>(text.size());
    put_bytes(as_bytes(text));
  }
  [[nodiscard]] bool empty() const noexcept { return bytes_.size() == sizeof(frame_header); }
  // All of it, header first.
  [[nodiscard]] bytes_view seal() noexcept {
    header_.length = bytes_.size() - sizeof(frame_header);
    std::memcpy(bytes_.data(), &header_, sizeof header_);
    return bytes_;
  }

 private:
  static constexpr std::size_t kept = std::size_t{1} << 20U;

  byte_buffer bytes_;
  frame_header header_;
};

// A frame that came: valid until the next is asked for.
struct incoming_frame {
  frame_kind kind = frame_kind::stop;
  std::uint64_t id = 0;
  bytes_view bytes;
};

// Reads what outgoing_frame::put wrote. Errors: erlpy::error where there is less than was asked for.
class frame_reader {
 public:
  explicit frame_reader(bytes_view bytes) noexcept : left_(bytes) {}

  template <class Number>
    requires std::is_trivially_copyable_v<Number>
  [[nodiscard]] Number get() {
    Number number{};
    std::memcpy(&number, take(sizeof number).data(), sizeof number);
    return number;
  }
  [[nodiscard]] std::string_view get_text() {
    const bytes_view text = take(static_cast<std::size_t>(get<std::uint64_t>()));
    return {reinterpret_cast<const char*>(text.data()), text.size()};
  }
  [[nodiscard]] bytes_view rest() const noexcept { return left_; }

 private:
  [[nodiscard]] bytes_view take(std::size_t count) {
    if (count > left_.size()) throw error("a frame of the worker protocol is cut off");
    const bytes_view taken = left_.first(count);
    left_ = left_.subspan(count);
    return taken;
  }

  bytes_view left_;
};

}  // namespace erlpy::pool

#endif
