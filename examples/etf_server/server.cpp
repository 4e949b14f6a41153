// Python for Erlang programs over TCP: a host of the library, without a BEAM. docs/hosts.md walks through it.
// Frames are those of {packet, 4}, terms are in the External Term Format:
//
//   {call, Ref, Module | Object, Function, Args} | {eval, Ref, Code}
//   -> {Ref, {ok, Value} | {error, {Class, Message}} | {error, timeout | overload | badarg | ...}}
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdio>
#include <semaphore>
#include <thread>

#include <erlpy/erlpy.hpp>

namespace etf = erlpy::etf;
namespace pool = erlpy::pool;
using erlpy::byte_buffer;
using erlpy::process::format;

constexpr std::size_t max_frame = 64U << 20U;
constexpr std::chrono::seconds time_limit{2};
constexpr std::byte empty_map[] = {std::byte{116}, {}, {}, {}, {}}, empty_list[] = {std::byte{106}};

// One request on its way through the pool, and the answer to it.
class request final : public pool::counted<pool::job> {
 public:
  explicit request(byte_buffer frame) : frame_(std::move(frame)) {}

  // Whether it is one. The bridge relies on its host that the arguments are a list.
  bool read() try {
    std::vector<etf::term> parts, list;
    if (!etf::tuple_elements(etf::read_term(frame_), parts) || parts.size() < 3) return false;
    ref_ = parts[1];
    asked_.keywords = etf::term(empty_map);
    if (etf::is_atom(parts[0], "eval") && parts.size() == 3) {
      asked_.what = erlpy::operation::eval, asked_.code = parts[2];
      return true;
    }
    if (!etf::is_atom(parts[0], "call") || parts.size() != 5) return false;
    asked_.target = parts[2], asked_.function = parts[3], asked_.arguments = parts[4];
    return etf::list_elements(parts[4], list) || etf::string_bytes(parts[4]);
  } catch (const erlpy::conversion_error&) {
    return false;  // not even a term
  }

  void run(pool::worker& on) noexcept override {
    bool good = false;
    pool::outgoing_frame made;
    try {
      format terms(nullptr, made, 0);
      good = erlpy::bridge<format>(pool::thread_worker::of(on), terms, asked_, &stop_flag()).run().good;
    } catch (const std::exception&) {
      made = {};
    }
    on.count(good);
    if (!claim()) return;  // the client has been told of a time-out
    if (made.empty() || made.bytes().size() > max_frame) return fail("no_memory");
    good_ = good, made_ = std::move(made);
    arrived_.announce();
  }
  void refuse(pool::refusal) noexcept override {
    if (claim()) fail("worker_gone");
  }
  void discard() noexcept override {}
  // By who has claimed it, or while it is not in the pool.
  void fail(const char* reason) noexcept { reason_ = reason, arrived_.announce(); }

  // Waits for the end, and gives the frame that tells of it.
  byte_buffer answer(pool::worker_pool& from) {
    if (!arrived_.wait(std::chrono::steady_clock::now() + time_limit) &&
        from.abandon(*this, pool::outcome::timeout))
      fail("timeout");
    (void)arrived_.wait(std::nullopt);
    byte_buffer frame(4);
    etf::sink to(frame);
    to.write_version();
    (void)to.tuple(2);
    frame.insert(frame.end(), ref_.bytes().begin(), ref_.bytes().end());
    (void)to.tuple(2);
    (void)to.atom(good_ ? "ok" : "error");
    if (reason_ != nullptr) (void)to.atom(reason_);
    frame.insert(frame.end(), made_.bytes().begin() + sizeof(pool::frame_header), made_.bytes().end());
    for (std::size_t i = 0; i < 4; ++i) frame[i] = static_cast<std::byte>((frame.size() - 4) >> (24 - 8 * i));
    return frame;
  }

 private:
  const byte_buffer frame_;
  etf::term ref_{empty_list};
  erlpy::request<etf::term> asked_;
  bool good_ = false;
  const char* reason_ = nullptr;
  pool::outgoing_frame made_;
  erlpy::host::arrival arrived_;
};

// Takes memory for what has come, not for what was announced.
bool receive(int socket, byte_buffer& frame) {
  std::array<std::byte, 4> head{};
  if (::recv(socket, head.data(), 4, MSG_WAITALL) != 4) return false;
  std::size_t size = 0;
  for (const std::byte each : head) size = size << 8U | std::to_integer<std::size_t>(each);
  for (std::size_t have = 0, next = 0; have < size && size <= max_frame; have += next) {
    next = std::min<std::size_t>(size - have, 1U << 16U);
    frame.resize(have + next);
    if (::recv(socket, &frame[have], next, MSG_WAITALL) != static_cast<ssize_t>(next)) return false;
  }
  return size <= max_frame;
}

// A client, to its end: one request after the other, all on one worker.
void serve(pool::descriptor socket, pool::worker_pool& workers) try {
  const std::size_t slot = workers.next_slot();
  for (byte_buffer frame; receive(socket.get(), frame);) {
    auto* const asked = new request(std::exchange(frame, {}));
    const pool::job_ptr share(asked);
    if (!asked->read())
      asked->fail("badarg");
    else if (workers.submit(*asked, slot) != pool::mailbox::push_result::queued)
      asked->fail("overload");
    const byte_buffer answer = asked->answer(workers);
    if (::send(socket.get(), answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return;
  }
} catch (const std::bad_alloc&) {  // its connection ends
}

int main() {
  erlpy::host::running_pool python({}, "");  // default options; no program for worker processes
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in here{AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
  socklen_t size = sizeof here;
  auto* const at = reinterpret_cast<sockaddr*>(&here);
  if (::bind(listener, at, size) + ::listen(listener, 16) + ::getsockname(listener, at, &size) != 0) return 1;
  std::printf("port %d\n", ntohs(here.sin_port));
  std::fflush(stdout);
  static std::counting_semaphore<> places(100);  // so many clients at a time
  std::thread([&] {
    for (places.acquire();; places.acquire()) {
      std::thread([&, client = pool::descriptor(::accept(listener, nullptr, nullptr))]() mutable {
        serve(std::move(client), *python.pool());
        places.release();
      }).detach();
    }
  }).detach();
  while (std::getchar() != EOF) continue;  // until who has started it lets go of its input
  python.stop();
  std::_Exit(0);  // threads of clients may wait to receive
}
