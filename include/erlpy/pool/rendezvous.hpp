// How a worker process finds its pool.
#ifndef ERLPY_POOL_RENDEZVOUS_HPP
#define ERLPY_POOL_RENDEZVOUS_HPP

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <erlpy/detail/wake_pipe.hpp>
#include <erlpy/pool/channel.hpp>

namespace erlpy::pool {

// Where one worker process connects: a socket in a directory that only this user can enter, and a secret that
// it has to know. Both are gone with this object.
class rendezvous {
 public:
  // Errors: std::system_error, and then nothing is left of it.
  rendezvous() {
    const sockaddr_un address = sockets::address_of(path_);
    if (::bind(listening_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listening_.get(), 1) != 0)
      throw std::system_error(errno, std::generic_category(), path_);
    std::random_device random;
    for (int i = 0; i < 8; ++i) {
      const auto word = random();
      for (int shift = 0; shift < 32; shift += 4) secret_ += "0123456789abcdef"[(word >> shift) & 15U];
    }
  }
  rendezvous(const rendezvous&) = delete;
  rendezvous& operator=(const rendezvous&) = delete;
  ~rendezvous() = default;

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] const std::string& secret() const noexcept { return secret_; }

  // Waits until a process that knows the secret has connected: `line` is open then, and the result its id.
  // None: the time was over, or `given_up()` when `woken_by` woke this thread. Errors: std::system_error,
  // std::bad_alloc.
  template <class GivenUp>
  [[nodiscard]] std::optional<int> meet(channel& line, const erlpy::detail::wake_pipe& woken_by,
                                        std::chrono::milliseconds time, GivenUp given_up) {
    using clock = std::chrono::steady_clock;
    for (const auto limit = clock::now() + time; !given_up() && clock::now() < limit;) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(limit - clock::now());
      std::array<pollfd, 2> look{pollfd{listening_.get(), POLLIN, 0},
                                 pollfd{woken_by.reading_end(), POLLIN, 0}};
      (void)::poll(look.data(), look.size(), static_cast<int>(left.count()) + 1);
      if (look[1].revents != 0) woken_by.drain();
      if (look[0].revents == 0) continue;
      const int came = sockets::accept(listening_.get());
      if (came < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
      if (came < 0) sockets::fail("accept");
      if (const auto process = hear_hello(line, descriptor(came))) return process;
    }
    return std::nullopt;
  }

 private:
  // For this user alone; gone with this object, and what is in it.
  class directory {
   public:
    directory() {
      const char* const base = std::getenv("TMPDIR");
      name_ = std::string(base != nullptr && std::string_view(base).size() < 60 ? base : "/tmp") +
              "/erlpy-XXXXXX";
      if (::mkdtemp(name_.data()) == nullptr) sockets::fail("mkdtemp");
    }
    directory(const directory&) = delete;
    directory& operator=(const directory&) = delete;
    ~directory() {
      ::unlink(socket().c_str());
      ::rmdir(name_.c_str());
    }
    [[nodiscard]] std::string socket() const { return name_ + "/s"; }

   private:
    std::string name_;
  };

  // None: it is somebody else, or says nothing that makes sense.
  [[nodiscard]] std::optional<int> hear_hello(channel& line, descriptor came) const {
    line.open(std::move(came));
    try {
      std::optional<incoming_frame> hello;
      while (!(hello = line.next())) {
        // Whoever stops in the midst of it keeps nobody waiting.
        if (!sockets::wait_readable(line.number(), hello_limit) || !line.read_some()) return std::nullopt;
      }
      if (hello->kind == frame_kind::hello && as_text(hello->bytes) == secret_)
        return static_cast<int>(hello->id);
    } catch (const error&) {
      // No frame of ours.
    }
    return std::nullopt;
  }

  static constexpr std::chrono::seconds hello_limit{5};

  directory directory_;
  const std::string path_ = directory_.socket();
  descriptor listening_ = sockets::open_socket();
  std::string secret_;
};

}  // namespace erlpy::pool

#endif
