// A pipe whose ends no program gets that another thread happens to start.
#ifndef ERLPY_DETAIL_OPEN_PIPE_HPP
#define ERLPY_DETAIL_OPEN_PIPE_HPP

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace erlpy::detail {

// The end to read and the end to write, which the caller closes. Errors: std::system_error.
[[nodiscard]] inline std::array<int, 2> open_pipe() {
  std::array<int, 2> ends{};
#ifdef __linux__
  const int status = ::pipe2(ends.data(), O_CLOEXEC);
#else
  const int status = ::pipe(ends.data());
#endif
  if (status != 0) throw std::system_error(errno, std::generic_category(), "pipe");
#ifndef __linux__
  for (const int end : ends) ::fcntl(end, F_SETFD, FD_CLOEXEC);
#endif
  return ends;
}

}  // namespace erlpy::detail

#endif
