// Starts the worker processes of a pool (isolation `process`) where no Erlang port does it.
#ifndef ERLPY_HOST_LAUNCHER_HPP
#define ERLPY_HOST_LAUNCHER_HPP

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <erlpy/detail/open_pipe.hpp>
#include <erlpy/detail/thread.hpp>
#include <erlpy/error.hpp>
#include <erlpy/pool/channel.hpp>
#include <erlpy/pool/process_pool.hpp>
#include <erlpy/python/compat.hpp>

extern "C" char** environ;  // POSIX: unistd.h need not declare it

namespace erlpy::host {

// Runs `program`, and writes `told` to its descriptor 3. Returns its process id. Errors: erlpy::error.
[[nodiscard]] inline pid_t spawn_worker(const std::string& program, std::string_view told) {
  const std::array<int, 2> ends = erlpy::detail::open_pipe();
  const pool::descriptor reading(ends[0]);
  const pool::descriptor writing(ends[1]);
  // Onto itself it would stay closed for the program, but with the newest systems.
  if (reading.get() == 3) ::fcntl(3, F_SETFD, 0);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (reading.get() != 3) posix_spawn_file_actions_adddup2(&actions, reading.get(), 3);
  std::string name = program;
  std::array<char*, 2> arguments{name.data(), nullptr};
  pid_t child = 0;
  // What this thread blocks is nothing that the worker should.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  const int status =
      ::posix_spawnp(&child, program.c_str(), &actions, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (status != 0) throw error("cannot start the worker program " + program + ": " + std::strerror(status));
  // Two short lines: a pipe takes them whole, and who is gone does not read them.
  [[maybe_unused]] const auto written = ::write(writing.get(), told.data(), told.size());
  return child;
}

// How a process ended, in words; waits for it. One that nobody waits for any more before it has connected is
// killed: `state()` says where it stands.
template <class State>
[[nodiscard]] std::string await_end(pid_t child, State state) {
  using launched = pool::process_pool::launched;
  int status = 0;
  for (bool starting = true;;) {
    const pid_t ended = ::waitpid(child, &status, starting ? WNOHANG : 0);
    if (ended == child) break;
    if (ended < 0 && errno != EINTR) return "is gone";  // another part of the program has asked for it
    if (!starting) continue;
    const launched now = state();
    if (now == launched::given_up) (void)::kill(child, SIGKILL);
    starting = now == launched::expected;
    if (starting) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  if (WIFSIGNALED(status)) return "ended by signal " + std::to_string(WTERMSIG(status));
  return "ended with status " + std::to_string(WEXITSTATUS(status));
}

// Starts a worker for the slot, and tells the pool of its end. Any thread, without waiting.
inline void launch_worker(const std::weak_ptr<pool::process_pool>& pool, const std::string& program,
                          std::size_t slot, std::string told) {
  const auto body = [pool, program, slot, told = std::move(told)] {
    std::string how;
    try {
      how = await_end(spawn_worker(program, told), [&] {
        const auto alive = pool.lock();
        return alive ? alive->state_of(slot, told) : pool::process_pool::launched::given_up;
      });
    } catch (const std::exception& failed) {
      how = failed.what();
    }
    if (const auto alive = pool.lock()) alive->process_ended(slot, told, how);
  };
  erlpy::detail::start_thread("erlpy-wait", 256U << 10U, body);
}

// The worker program for the Python that this library was compiled against: what the environment variable
// ERLPY_WORKER names, or erlpy_worker-X.Y as PATH finds it.
[[nodiscard]] inline std::string default_worker_program() {
  const char* const named = std::getenv("ERLPY_WORKER");
  return named != nullptr && *named != '\0' ? named : "erlpy_worker-" + std::string(python::compat::abi());
}

}  // namespace erlpy::host

#endif
