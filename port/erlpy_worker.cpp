// A worker of a pool of isolation `process`: Python in an OS process of its own.
//
// Started by the pool's owner, who writes two lines to descriptor 3, or to standard input where 3 is not
// open: the address of the pool's socket, and the secret to say there. All else goes over that socket.
#include <fcntl.h>
#ifdef __linux__
#include <signal.h>
#include <sys/prctl.h>
#endif
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <string>
#include <system_error>

#include <erlpy/process/program.hpp>

namespace {

// Up to and without the newline; empty at the end of the input.
[[nodiscard]] std::string read_line(int from) {
  std::string line;
  char next = 0;
  while (::read(from, &next, 1) == 1 && next != '\n') line += next;
  return line;
}

// Python code that reads from the terminal of the VM, or waits for its port, would hang.
void close_input(int told_by) {
  const int nothing = ::open("/dev/null", O_RDWR);
  if (nothing < 0) return;
  ::dup2(nothing, STDIN_FILENO);
  if (told_by != STDIN_FILENO) {
    ::dup2(nothing, told_by);
    ::dup2(nothing, told_by + 1);
  }
  if (nothing > told_by + 1) ::close(nothing);
}

// Where it connected, and whether or not it could: the pool that made the place may have gone without
// removing it.
class leave_no_trace {
 public:
  explicit leave_no_trace(const std::string& address) : address_(address) {}
  leave_no_trace(const leave_no_trace&) = delete;
  leave_no_trace& operator=(const leave_no_trace&) = delete;
  ~leave_no_trace() { clean(); }
  void clean() const noexcept {
    ::unlink(address_.c_str());
    ::rmdir(address_.substr(0, address_.rfind('/')).c_str());
  }

 private:
  const std::string& address_;
};

// Else the first sockets would take their numbers, and what Python prints would go there.
void open_standard_streams() {
  for (;;) {
    const int next = ::open("/dev/null", O_RDWR);
    if (next > STDERR_FILENO) ::close(next);
    if (next < 0 || next > STDERR_FILENO) return;
  }
}

}  // namespace

int main() {
  try {
    open_standard_streams();
    const int told_by = ::fcntl(3, F_GETFD) == -1 ? STDIN_FILENO : 3;
    const std::string address = read_line(told_by);
    const std::string secret = read_line(told_by);
    if (told_by == 3 && (address.empty() || secret.empty())) return 3;  // the pool has stopped meanwhile
    if (address.empty() || secret.empty()) {
      std::fputs("erlpy_worker is started by a pool of erlang_python (isolation process), not by hand\n",
                 stderr);
      return 2;
    }
    close_input(told_by);
    (void)::setsid();  // a group of its own, which ends as one
#ifdef __linux__
    // When the VM ends, one that was stopped goes on, and sees its connection end.
    if (told_by == 3) (void)::prctl(PR_SET_PDEATHSIG, SIGCONT);
#endif
    const leave_no_trace of(address);
    erlpy::process::program worker(address, secret);
    of.clean();
    worker.run();
  } catch (const std::system_error& gone) {
    // The pool has stopped meanwhile, or has another process by now: nothing that anybody needs to know.
    if (gone.code() == std::errc::no_such_file_or_directory || gone.code() == std::errc::connection_refused)
      return 3;
    std::fprintf(stderr, "erlpy_worker: %s\n", gone.what());
    return 1;
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "erlpy_worker: %s\n", failed.what());
    return 1;
  }
}
