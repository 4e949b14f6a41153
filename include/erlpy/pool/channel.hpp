// The connection of a pool and a worker process: a Unix-domain stream socket, on which frames go both ways.
//
// One thread receives; any thread may send, one at a time. Nothing here is held while Python's lock is.
#ifndef ERLPY_POOL_CHANNEL_HPP
#define ERLPY_POOL_CHANNEL_HPP

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include <erlpy/detail/raw_buffer.hpp>
#include <erlpy/detail/wake_pipe.hpp>
#include <erlpy/pool/frame.hpp>

namespace erlpy::pool {

// Owns an open file descriptor.
class descriptor {
 public:
  descriptor() = default;
  explicit descriptor(int number) noexcept : number_(number) {}
  descriptor(descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  [[nodiscard]] int get() const noexcept { return number_; }
  [[nodiscard]] explicit operator bool() const noexcept { return number_ >= 0; }

 private:
  int number_ = -1;
};

namespace sockets {

[[noreturn]] inline void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// Errors: erlpy::error for a path that is too long.
[[nodiscard]] inline sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    throw error("the path of a worker's socket is too long: " + path);
  std::copy(path.begin(), path.end(), static_cast<char*>(address.sun_path));
  return address;
}

// Programs that this process starts do not get the descriptor.
inline void keep_from_programs(int number) noexcept { (void)::fcntl(number, F_SETFD, FD_CLOEXEC); }

// Errors: std::system_error.
[[nodiscard]] inline descriptor open_socket() {
#ifdef SOCK_CLOEXEC
  descriptor made(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
#else
  descriptor made(::socket(AF_UNIX, SOCK_STREAM, 0));
#endif
  if (!made) fail("socket");
  keep_from_programs(made.get());
  return made;
}

// The next connection, or -1 with errno.
[[nodiscard]] inline int accept(int listening) noexcept {
#ifdef __linux__
  return ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
#else
  const int came = ::accept(listening, nullptr, nullptr);
  if (came >= 0) keep_from_programs(came);
  return came;
#endif
}

// Until the descriptor has something to read, or the time is over: then false.
[[nodiscard]] inline bool wait_readable(int number, std::chrono::milliseconds limit) {
  pollfd look{number, POLLIN, 0};
  int came = 0;
  do {
    came = ::poll(&look, 1, static_cast<int>(limit.count()));
  } while (came < 0 && errno == EINTR);
  return came > 0;
}

}  // namespace sockets

// One end of the connection. next(), spin_read(), read_some(), wait() and keep() are for the thread that
// receives.
class channel {
 public:
  channel() = default;
  explicit channel(descriptor socket) noexcept : socket_(std::move(socket)) {}

  // A connection to who listens at the path. Errors: std::system_error; erlpy::error for a path that is too
  // long.
  [[nodiscard]] static descriptor connect(const std::string& path) {
    descriptor made = sockets::open_socket();
    const sockaddr_un address = sockets::address_of(path);
    if (::connect(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      sockets::fail("connect");
    return made;
  }
  // Another connection instead of this, and nothing received yet. Before other threads know of it.
  void open(descriptor socket) noexcept {
    socket_ = std::move(socket);
    begin_ = end_ = wanted_ = 0;
  }
  [[nodiscard]] int number() const noexcept { return socket_.get(); }

  // Sends all of it; waits for the other side where it is behind. False: the other side is gone.
  [[nodiscard]] bool send(outgoing_frame& frame) {
    const std::lock_guard lock(sending_);
    return send_all(frame.seal(), 0);
  }
  // The same; what would have to wait runs inside `with_room(work)`, which returns what work() does.
  template <class Wait>
  [[nodiscard]] bool send(outgoing_frame& frame, Wait with_room) {
    const bytes_view bytes = frame.seal();
    if (const std::unique_lock lock(sending_, std::try_to_lock); lock.owns_lock()) {
      const ssize_t count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) return false;
      const auto gone = static_cast<std::size_t>(std::max<ssize_t>(count, 0));
      if (gone == bytes.size()) return true;
      return with_room([&] { return send_all(bytes, gone); });
    }
    return with_room([&] {
      const std::lock_guard lock(sending_);
      return send_all(bytes, 0);
    });
  }

  // The next frame that is here whole. None: more has to come (read_some()). Error: erlpy::error where the
  // other side does not keep to the protocol.
  [[nodiscard]] std::optional<incoming_frame> next() {
    if (have() < sizeof(frame_header)) return std::nullopt;
    frame_header header;
    std::memcpy(&header, buffer_.data() + begin_, sizeof header);
    if (header.length > longest || header.kind > static_cast<std::uint64_t>(frame_kind::stuck))
      throw error("not a frame of the worker protocol");
    if (have() - sizeof header < header.length) {
      wanted_ = sizeof header + static_cast<std::size_t>(header.length);
      return std::nullopt;
    }
    wanted_ = 0;
    const bytes_view bytes(buffer_.data() + begin_ + sizeof header, static_cast<std::size_t>(header.length));
    begin_ += sizeof header + bytes.size();
    return incoming_frame{static_cast<frame_kind>(header.kind), header.id, bytes};
  }

  // After next() gave none: looks for bytes for a while, without sleeping, unless `other_work()`. False:
  // there were none.
  template <class OtherWork>
  [[nodiscard]] bool spin_read(OtherWork other_work) {
    make_room();
    for (int spin = 0; spin < spins; ++spin) {
      if (other_work()) return false;
      const ssize_t count = ::recv(socket_.get(), buffer_.data() + end_, buffer_.size() - end_, MSG_DONTWAIT);
      if (count > 0) {
        end_ += static_cast<std::size_t>(count);
        return true;
      }
      if (count == 0) return false;
      sched_yield();
    }
    return false;
  }

  // After next() gave none: waits for bytes and takes them. False: the other side is gone.
  [[nodiscard]] bool read_some() {
    make_room();
    for (;;) {
      const ssize_t count = ::recv(socket_.get(), buffer_.data() + end_, buffer_.size() - end_, 0);
      if (count > 0) {
        end_ += static_cast<std::size_t>(count);
        return true;
      }
      if (count == 0 || errno != EINTR) return false;
    }
  }

  // Waits until there is something to read, or until somebody has woken this thread through the pipe, which
  // is drained then. True: there is something to read.
  [[nodiscard]] bool wait(const erlpy::detail::wake_pipe& woken_by) const {
    std::array<pollfd, 2> look{pollfd{socket_.get(), POLLIN, 0}, pollfd{woken_by.reading_end(), POLLIN, 0}};
    if (::poll(look.data(), look.size(), -1) <= 0) return false;
    if (look[1].revents != 0) woken_by.drain();
    return look[0].revents != 0;
  }

  // The bytes of the frame that next() gave last, to keep: without a copy where they are many.
  [[nodiscard]] shared_bytes_ptr keep(const incoming_frame& last) {
    if (last.bytes.size() < worth_keeping || begin_ != end_)
      return std::make_shared<const copied_bytes>(last.bytes);
    begin_ = end_ = 0;
    return std::make_shared<const taken_bytes>(std::exchange(buffer_, {}), last.bytes);
  }

  // Any thread: both sides find that the other is gone.
  void shut() noexcept { ::shutdown(socket_.get(), SHUT_RDWR); }

 private:
  // Of 0, 4, 10, 20, 50 and 200 the best for a call there and back, on two cores.
  static constexpr int spins = 10;
  static constexpr std::uint64_t longest = std::uint64_t{1} << 40U;
  static constexpr std::size_t kept = std::size_t{256} << 10U;
  static constexpr std::size_t worth_keeping = std::size_t{64} << 10U;

  class copied_bytes final : public shared_bytes {
   public:
    explicit copied_bytes(bytes_view bytes) : bytes_(bytes.begin(), bytes.end()) {}
    [[nodiscard]] bytes_view view() const noexcept override { return bytes_; }

   private:
    byte_buffer bytes_;
  };
  class taken_bytes final : public shared_bytes {
   public:
    taken_bytes(erlpy::detail::raw_buffer buffer, bytes_view part) noexcept
        : buffer_(std::move(buffer)), part_(part) {}
    [[nodiscard]] bytes_view view() const noexcept override { return part_; }

   private:
    erlpy::detail::raw_buffer buffer_;
    bytes_view part_;  // of it
  };

  [[nodiscard]] std::size_t have() const noexcept { return end_ - begin_; }

  [[nodiscard]] bool send_all(bytes_view bytes, std::size_t gone) {
    while (gone < bytes.size()) {
      const ssize_t count = ::send(socket_.get(), bytes.data() + gone, bytes.size() - gone, MSG_NOSIGNAL);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return false;
      gone += static_cast<std::size_t>(count);
    }
    return true;
  }

  // Grows as bytes come, not by what a header promises.
  void make_room() {
    if (begin_ == end_) {
      begin_ = end_ = 0;
      if (buffer_.size() > kept && wanted_ <= kept) buffer_ = {};
    } else if (begin_ > 0 && (begin_ > buffer_.size() / 2 || end_ == buffer_.size())) {
      std::memmove(buffer_.data(), buffer_.data() + begin_, have());
      end_ -= begin_;
      begin_ = 0;
    }
    if (buffer_.size() == 0) buffer_.grow(kept);
    if (end_ == buffer_.size())
      buffer_.grow(std::min(buffer_.size() * 2, std::max(wanted_, buffer_.size() + kept)));
  }

  descriptor socket_;
  std::mutex sending_;
  erlpy::detail::raw_buffer buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t wanted_ = 0;
};

}  // namespace erlpy::pool

#endif
