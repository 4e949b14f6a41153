// What worker processes cost and save a C++ program.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "host_support.hpp"

using namespace host_support;

namespace {

// A program that starts, never connects, and never ends.
class deaf_program {
 public:
  deaf_program()
      : path_(std::filesystem::temp_directory_path() / ("erlpy-deaf-" + std::to_string(getpid()))) {
    std::ofstream(path_) << "#!/bin/sh\nexec sleep 1000\n";
    std::filesystem::permissions(path_, std::filesystem::perms::owner_all);
  }
  deaf_program(const deaf_program&) = delete;
  deaf_program& operator=(const deaf_program&) = delete;
  ~deaf_program() { std::filesystem::remove(path_); }
  [[nodiscard]] std::string path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace

TEST_CASE("a crash costs one worker, which is back soon") {
  auto options = options_of(isolation::process, 2);
  options.preload = "ready = 1";
  erlpy::interpreter_pool pool(options);
  const auto first = pool.with({.worker = 1});
  const auto second = pool.with({.worker = 2});
  const int before = first.call<int>("os", "getpid").get();
  auto other = second.call<int>("time", "sleep", 0.3);
  CHECK(failure([&] {
          first.call<void>("os", "_exit", 3).get();
          return 0;
        }) == "call_error: worker_crashed");
  CHECK(failure([&] {
          first.eval<int>("__import__('os').kill(__import__('os').getpid(), 11)").get();
          return 0;
        }) == "call_error: worker_crashed");
  CHECK(first.eval<int>("ready").get(20s) == 1);
  CHECK(first.call<int>("os", "getpid").get() != before);
  CHECK(failure([&] { return other.get(); }) == "mismatch: expected int, got None");
  CHECK(pool.stats().workers[0].restarts == 2);
  CHECK(pool.stats().workers[1].restarts == 0);
}

TEST_CASE("code that never gives the GIL up is ended at its deadline") {
  erlpy::interpreter_pool pool(options_of(isolation::process));
  CHECK(failure([&] { return pool.eval<std::int64_t>("sum(range(10**10))").get(100ms); }) ==
        "call_error: timeout");
  CHECK(pool.eval<int>("1").get(20s) == 1);
}

TEST_CASE("workers end with their pool") {
  int worker = 0;
  {
    erlpy::interpreter_pool pool(options_of(isolation::process));
    worker = pool.call<int>("os", "getpid").get();
    CHECK(::kill(worker, 0) == 0);
  }
  bool gone = false;
  for (int tries = 0; tries < 300 && !gone; ++tries) {
    gone = ::kill(worker, 0) != 0;
    std::this_thread::sleep_for(10ms);
  }
  CHECK(gone);
}

TEST_CASE("a worker program that never connects ends with who waits for it") {
  using launched = erlpy::pool::process_pool::launched;
  const deaf_program program;
  int asked = 0;
  const pid_t child = erlpy::host::spawn_worker(program.path(), "nowhere\nnothing\n");
  CHECK(erlpy::host::await_end(child, [&] {
          return ++asked < 5 ? launched::expected : launched::given_up;
        }) == "ended by signal 9");
  CHECK(asked == 5);
  CHECK(::kill(child, 0) != 0);

  // Of a pool that is gone. The program has the end to write: this reads its end.
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  ::fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  erlpy::host::launch_worker(std::weak_ptr<erlpy::pool::process_pool>(), program.path(), 1,
                             "nowhere\nnothing\n");
  std::this_thread::sleep_for(300ms);
  ::close(ends[1]);
  pollfd look{ends[0], POLLIN, 0};
  CHECK(::poll(&look, 1, 10'000) == 1);
  ::close(ends[0]);
}
