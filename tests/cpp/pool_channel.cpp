// Frames between a pool and its worker processes, over real sockets: whole, in pieces, big, and wrong.
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <erlpy/pool/channel.hpp>
#include <erlpy/pool/setup.hpp>

#include "catch.hpp"

namespace {

using namespace erlpy;
using namespace std::chrono_literals;

struct connection {
  connection() {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0);
    ours.open(pool::descriptor(ends[0]));
    theirs.open(pool::descriptor(ends[1]));
  }
  pool::channel ours;
  pool::channel theirs;
};

[[nodiscard]] std::optional<pool::incoming_frame> receive(pool::channel& from) {
  for (;;) {
    if (auto came = from.next()) return came;
    if (!from.read_some()) return std::nullopt;
  }
}

void write_raw(const pool::channel& to, const void* bytes, std::size_t count) {
  REQUIRE(::send(to.number(), bytes, count, MSG_NOSIGNAL) == static_cast<ssize_t>(count));
}

TEST_CASE("frames arrive in order and as they were, one by one and many at a time") {
  connection both;
  pool::outgoing_frame frame;
  for (std::uint64_t i = 0; i < 100; ++i) {
    frame.begin(pool::frame_kind::values, i);
    frame.put<std::uint64_t>(i * i);
    frame.put_text(std::string(static_cast<std::size_t>(i), 'x'));
    REQUIRE(both.ours.send(frame));
  }
  for (std::uint64_t i = 0; i < 100; ++i) {
    const auto came = receive(both.theirs);
    REQUIRE(came);
    CHECK(came->kind == pool::frame_kind::values);
    CHECK(came->id == i);
    pool::frame_reader reader(came->bytes);
    CHECK(reader.get<std::uint64_t>() == i * i);
    CHECK(reader.get_text().size() == i);
    CHECK(reader.rest().empty());
  }
}

TEST_CASE("a frame that comes byte by byte is one frame") {
  connection both;
  pool::outgoing_frame frame;
  frame.begin(pool::frame_kind::answer, 7);
  frame.put_text("in pieces");
  const bytes_view bytes = frame.seal();
  std::thread sender([&] {
    for (const std::byte each : bytes) write_raw(both.ours, &each, 1);
  });
  const auto came = receive(both.theirs);
  sender.join();
  REQUIRE(came);
  CHECK(pool::frame_reader(came->bytes).get_text() == "in pieces");
}

TEST_CASE("a big frame crosses whole, and can be kept without a copy") {
  connection both;
  const std::string big(32U << 20U, 'b');
  std::thread sender([&] {
    pool::outgoing_frame frame;
    frame.begin(pool::frame_kind::call, 1);
    frame.put_bytes(as_bytes(big));
    CHECK(both.ours.send(frame));
    frame.begin(pool::frame_kind::cancel, 2);
    CHECK(both.ours.send(frame));
  });
  const auto came = receive(both.theirs);
  REQUIRE(came);
  REQUIRE(came->bytes.size() == big.size());
  const std::byte* const where = came->bytes.data();
  const shared_bytes_ptr kept = both.theirs.keep(*came);
  const auto next = receive(both.theirs);
  sender.join();
  REQUIRE(next);
  CHECK(next->kind == pool::frame_kind::cancel);
  CHECK(as_text(kept->view()) == big);
  // The next frame may have come with the last bytes of this one: then it had to be copied.
  CHECK((kept->view().data() == where || next->id == 2));
}

TEST_CASE("what is no frame is an error, and promises nothing that is believed") {
  connection both;
  SECTION("a kind that there is not") {
    const pool::frame_header wrong{0, 0, 99};
    write_raw(both.ours, &wrong, sizeof wrong);
    CHECK_THROWS_AS((void)receive(both.theirs), error);
  }
  SECTION("a length that nobody can mean") {
    const pool::frame_header wrong{~std::uint64_t{0}, 0, 0};
    write_raw(both.ours, &wrong, sizeof wrong);
    CHECK_THROWS_AS((void)receive(both.theirs), error);
  }
  SECTION("a length whose bytes do not come takes no memory for them") {
    const pool::frame_header promised{std::uint64_t{1} << 39U, 0, 0};
    write_raw(both.ours, &promised, sizeof promised);
    CHECK_FALSE(both.theirs.next());
    REQUIRE(both.theirs.read_some());
    CHECK_FALSE(both.theirs.next());
    both.ours.shut();
    CHECK_FALSE(both.theirs.read_some());
  }
  SECTION("a payload that is too short") {
    pool::outgoing_frame frame;
    frame.begin(pool::frame_kind::failed);
    frame.put<std::uint64_t>(100);
    REQUIRE(both.ours.send(frame));
    const auto came = receive(both.theirs);
    REQUIRE(came);
    CHECK_THROWS_AS((void)pool::frame_reader(came->bytes).get_text(), error);
  }
}

TEST_CASE("who is gone is noticed by both halves") {
  connection both;
  both.theirs.shut();
  pool::outgoing_frame frame;
  frame.begin(pool::frame_kind::stop);
  CHECK_FALSE(both.ours.send(frame));
  CHECK_FALSE(both.ours.read_some());
}

TEST_CASE("sending does not wait with its caller's lock in hand") {
  connection both;
  pool::outgoing_frame big;
  big.begin(pool::frame_kind::values, 1);
  big.put_bytes(as_bytes(std::string(8U << 20U, 'v')));
  bool waited = false;
  std::thread receiver([&] {
    std::this_thread::sleep_for(50ms);
    CHECK(receive(both.theirs));
  });
  CHECK(both.ours.send(big, [&](auto work) {
    waited = true;
    return work();
  }));
  receiver.join();
  CHECK(waited);
}

TEST_CASE("a worker process is told the options that concern it") {
  pool::options settings;
  settings.name = "main";
  settings.grace = 321ms;
  settings.python = "/usr/bin/python3";
  settings.python_path = {"/a", "/b"};
  settings.preload = "x = 1";
  settings.max_depth = 77;
  pool::outgoing_frame frame;
  frame.begin(pool::frame_kind::configure, 99);
  pool::write_setup(frame, settings, 3);
  const bytes_view payload = frame.seal().subspan(sizeof(pool::frame_header));
  const pool::options read = pool::read_setup({pool::frame_kind::configure, 99, payload});
  CHECK(read.name == "main_3");
  CHECK(read.num_workers == 1);
  CHECK(read.object_owner == 99);
  CHECK(read.grace == 321ms);
  CHECK(read.python == "/usr/bin/python3");
  CHECK(read.python_path == settings.python_path);
  CHECK(read.preload == "x = 1");
  CHECK(read.max_depth == 77);
  CHECK_THROWS_AS((void)pool::read_setup({pool::frame_kind::configure, 0, payload.first(10)}), error);
}

}  // namespace
