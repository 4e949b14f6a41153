// A pipe that wakes whoever waits for its reading end, as an event loop does.
#ifndef ERLPY_DETAIL_WAKE_PIPE_HPP
#define ERLPY_DETAIL_WAKE_PIPE_HPP

#include <fcntl.h>
#include <unistd.h>

#include <array>

#include <erlpy/detail/open_pipe.hpp>

namespace erlpy::detail {

class wake_pipe {
 public:
  // Neither end blocks, and no child process inherits them. Errors: std::system_error.
  wake_pipe() : ends_(open_pipe()) {
    for (const int end : ends_) fcntl(end, F_SETFL, O_NONBLOCK);
  }
  wake_pipe(const wake_pipe&) = delete;
  wake_pipe& operator=(const wake_pipe&) = delete;
  ~wake_pipe() {
    for (const int end : ends_) close(end);
  }

  [[nodiscard]] int reading_end() const noexcept { return ends_[0]; }
  // Whoever waits, before it looks for what it was woken for.
  void drain() const noexcept {
    std::array<char, 64> bytes{};
    while (read(ends_[0], bytes.data(), bytes.size()) > 0) {
    }
  }
  // Any thread. A full pipe is as good as one more byte.
  void wake() const noexcept {
    const char byte = 0;
    [[maybe_unused]] const ssize_t written = write(ends_[1], &byte, 1);
  }

 private:
  std::array<int, 2> ends_;
};

}  // namespace erlpy::detail

#endif
