// How a worker process finds its pool: who is let in, what is left behind.
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include <erlpy/pool/rendezvous.hpp>

#include "catch.hpp"

namespace {

using namespace erlpy;
using namespace std::chrono_literals;

[[nodiscard]] std::optional<int> meet(pool::rendezvous& place, pool::channel& line,
                                      std::chrono::milliseconds time) {
  const erlpy::detail::wake_pipe pipe;
  return place.meet(line, pipe, time, [] { return false; });
}

void introduce(const std::string& path, std::string_view secret, std::uint64_t process) {
  pool::channel line(pool::channel::connect(path));
  pool::outgoing_frame hello;
  hello.begin(pool::frame_kind::hello, process);
  hello.put_bytes(as_bytes(secret));
  (void)line.send(hello);
  (void)line.read_some();  // until the other side has gone, or says something
}

TEST_CASE("only who knows the secret is let in") {
  pool::rendezvous place;
  pool::channel line;
  std::thread stranger([&] { introduce(place.path(), std::string(place.secret().size(), '0'), 1); });
  std::thread friendly([&] {
    std::this_thread::sleep_for(50ms);
    introduce(place.path(), place.secret(), 42);
  });
  CHECK(meet(place, line, 20s) == 42);
  line.shut();
  stranger.join();
  friendly.join();
}

TEST_CASE("who says what makes no sense is not let in, and does not end the wait") {
  pool::rendezvous place;
  pool::channel line;
  std::thread stranger([&] {
    const pool::descriptor socket = pool::channel::connect(place.path());
    const std::string junk(100, 'x');
    (void)::send(socket.get(), junk.data(), junk.size(), MSG_NOSIGNAL);
    (void)pool::sockets::wait_readable(socket.get(), 20s);  // until it is shown the door
  });
  std::thread friendly([&] {
    std::this_thread::sleep_for(50ms);
    introduce(place.path(), place.secret(), 42);
  });
  CHECK(meet(place, line, 20s) == 42);
  line.shut();
  stranger.join();
  friendly.join();
}

TEST_CASE("the meeting place is nobody else's, and is gone afterwards") {
  std::string path;
  std::string secret;
  {
    const pool::rendezvous place;
    path = place.path();
    struct stat found {};
    REQUIRE(::stat(path.substr(0, path.rfind('/')).c_str(), &found) == 0);
    CHECK((found.st_mode & 077U) == 0);
    secret = place.secret();
    CHECK(secret.size() == 64);
    CHECK(secret != pool::rendezvous().secret());
  }
  CHECK(::access(path.c_str(), F_OK) != 0);
  CHECK(::access(path.substr(0, path.rfind('/')).c_str(), F_OK) != 0);
}

#ifndef __SANITIZE_ADDRESS__  // the sanitizers look at memory through descriptors

// No descriptor is to be had while it lives.
class no_descriptors {
 public:
  no_descriptors() {
    for (int number = ::dup(0); number >= 0; number = ::dup(0)) taken_.emplace_back(number);
  }

 private:
  struct few {
    few() {
      REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
      const rlimit now{64, before.rlim_max};
      REQUIRE(::setrlimit(RLIMIT_NOFILE, &now) == 0);
    }
    few(const few&) = delete;
    few& operator=(const few&) = delete;
    ~few() { (void)::setrlimit(RLIMIT_NOFILE, &before); }
    rlimit before{};
  };
  few few_;
  std::vector<pool::descriptor> taken_;
};

TEST_CASE("without descriptors there is no meeting, and nothing is left behind") {
  std::string base = (std::filesystem::temp_directory_path() / "erlpy-test-XXXXXX").string();
  REQUIRE(::mkdtemp(base.data()) != nullptr);
  REQUIRE(::setenv("TMPDIR", base.c_str(), 1) == 0);
  {
    const no_descriptors none;
    CHECK_THROWS_AS(pool::rendezvous(), std::system_error);
  }
  (void)::unsetenv("TMPDIR");
  CHECK(std::filesystem::is_empty(base));
  std::filesystem::remove_all(base);
}

TEST_CASE("without a descriptor for who comes the wait is over at once") {
  pool::rendezvous place;
  pool::channel line;
  const pool::descriptor guest = pool::sockets::open_socket();
  const sockaddr_un address = pool::sockets::address_of(place.path());
  REQUIRE(::connect(guest.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  const erlpy::detail::wake_pipe pipe;
  const no_descriptors none;
  CHECK_THROWS_AS((void)place.meet(line, pipe, 20s, [] { return false; }), std::system_error);
}

#endif

TEST_CASE("nobody comes: the wait ends") {
  pool::rendezvous place;
  pool::channel line;
  CHECK_FALSE(meet(place, line, 30ms));
}

}  // namespace
