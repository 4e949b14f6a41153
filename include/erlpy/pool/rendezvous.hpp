// How a worker process finds its pool.
#ifndef ERLPY_POOL_RENDEZVOUS_HPP
#define ERLPY_POOL_RENDEZVOUS_HPP

#include <fcntl.h>
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
  rendezvous() {
    const char* const base = std::getenv("TMPDIR");
    directory_ = std::string(base != nullptr && std::string_view(base).size() < 60 ? base : "/tmp") + "/erlpy-XXXXXX";
    if (::mkdtemp(directory_.data()) == nullptr) sockets::fail("mkdtemp");
    path_ = directory_ + "/s";
    const sockaddr_un address = sockets::address_of(path_);
    listening_ = sockets::open_socket();
    if (::bind(listening_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listening_.get(), 1) != 0) {
      const int why = errno;
      remove();
      throw std::system_error(why, std::generic_category(), path_);
    }
    std::random_device random;
    for (int i = 0; i < 8; ++i) {
      const auto word = random();
      for (int shift = 0; shift < 32; shift += 4) secret_ += "0123456789abcdef"[(word >> shift) & 15U];
    }
  }
  rendezvous(const rendezvous&) = delete;
  rendezvous& operator=(const rendezvous&) = delete;
  ~rendezvous() { remove(); }

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] const std::string& secret() const noexcept { return secret_; }

  // Waits until a process that knows the secret has connected: `line` is open then, and the result its id. None: the
  // time was over, or `given_up()` when `woken_by` woke this thread. Errors: std::exception.
  template <class GivenUp>
  [[nodiscard]] std::optional<int> meet(channel& line, const erlpy::detail::wake_pipe& woken_by,
                                        std::chrono::milliseconds time, GivenUp given_up) {
    using clock = std::chrono::steady_clock;
    for (const auto limit = clock::now() + time; !given_up() && clock::now() < limit;) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(limit - clock::now());
      std::array<pollfd, 2> look{pollfd{listening_.get(), POLLIN, 0}, pollfd{woken_by.reading_end(), POLLIN, 0}};
      (void)::poll(look.data(), look.size(), static_cast<int>(left.count()) + 1);
      if (look[1].revents != 0) woken_by.drain();
      if (look[0].revents == 0) continue;
      const int came = ::accept(listening_.get(), nullptr, nullptr);
      if (came < 0) continue;
      fcntl(came, F_SETFD, FD_CLOEXEC);
      if (const auto process = hear_hello(line, descriptor(came))) return process;
    }
    return std::nullopt;
  }

 private:
  [[nodiscard]] std::optional<int> hear_hello(channel& line, descriptor came) const {
    if (!sockets::wait_readable(came.get(), std::chrono::seconds(5))) return std::nullopt;
    line.open(std::move(came));
    std::optional<incoming_frame> hello;
    while (!(hello = line.next())) {
      if (!line.read_some()) return std::nullopt;
    }
    if (hello->kind != frame_kind::hello || as_text(hello->bytes) != secret_) return std::nullopt;
    return static_cast<int>(hello->id);
  }


  void remove() noexcept {
    ::unlink(path_.c_str());
    ::rmdir(directory_.c_str());
  }

  std::string directory_;
  std::string path_;
  std::string secret_;
  descriptor listening_;
};

}  // namespace erlpy::pool

#endif
