// Round trips of generated terms through Python, without a BEAM. Each term is written twice: as it is
// sent, and as the crossing tables say that it must come back (an atom, say, as a binary).
#include <cstddef>
#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <erlpy/etf.hpp>

#include "python_fixture.hpp"

using namespace test;

namespace {

namespace etf = erlpy::etf;

class generator {
 public:
  generator(std::uint32_t seed, etf::sink& sent, etf::sink& expected)
      : random_(seed), sent_(sent), expected_(expected) {}

  // `room` bounds the size of what is nested below.
  void term(int room) {
    switch (pick(room > 0 ? 13 : 9)) {
      case 0: return both([&, n = small()](etf::sink& to) { (void)to.integer(n); });
      case 1: return both([&, n = static_cast<std::int64_t>(word())](etf::sink& to) { (void)to.integer(n); });
      case 2: return big();
      case 3: return both([&, d = real()](etf::sink& to) { (void)to.real(d); });
      case 4: return both([&, t = text()](etf::sink& to) { (void)to.text(t); });
      case 5: return both([&, b = blob()](etf::sink& to) { (void)to.bytes(erlpy::as_bytes(b)); });
      case 6: return special();
      case 7: return plain_atom();
      case 8: return reference();
      case 9:
      case 10: return sequence(room, [](etf::sink& to, std::size_t n) { return to.list(n); });
      case 11: return sequence(room, [](etf::sink& to, std::size_t n) { return to.tuple(n); });
      default: return map(room);
    }
  }

 private:
  [[nodiscard]] std::uint64_t word() { return random_(); }
  [[nodiscard]] std::uint64_t pick(std::uint64_t below) { return random_() % below; }
  [[nodiscard]] std::int64_t small() { return static_cast<std::int64_t>(pick(512)) - 256; }

  template <class Write>
  void both(Write write) {
    write(sent_);
    write(expected_);
  }

  [[nodiscard]] double real() {
    const auto value = static_cast<double>(static_cast<std::int64_t>(word()));
    return value / static_cast<double>(pick(1000) + 1);
  }
  [[nodiscard]] std::string text() {
    static const std::vector<std::string> letters = {"a", "Z", "0", " ", "\n", std::string(1, '\0'), "\"",
                                                     "\u00e9", "\u20ac", "\U0001F40D"};
    std::string result;
    for (std::uint64_t n = pick(40); n > 0; --n) result += letters[pick(letters.size())];
    return result;
  }
  [[nodiscard]] std::string blob() {
    std::string result;
    for (std::uint64_t n = pick(40); n > 0; --n) result += static_cast<char>(pick(256));
    return result;
  }

  void big() {
    std::string magnitude;
    for (std::uint64_t n = pick(300) + 9; n > 0; --n) magnitude += static_cast<char>(pick(256));
    magnitude.back() = static_cast<char>(pick(255) + 1);
    const bool negative = pick(2) == 0;
    both([&](etf::sink& to) { (void)to.big_integer(negative, erlpy::as_bytes(magnitude)); });
  }
  void special() {
    if (pick(2) == 0) return both([&, flag = pick(2) == 0](etf::sink& to) { (void)to.boolean(flag); });
    static const std::vector<std::string> names = {"none", "nil", "undefined"};
    (void)sent_.atom(names[pick(names.size())]);
    (void)expected_.none();
  }
  void plain_atom() {
    const std::string name = "x" + text();  // never one with a meaning of its own
    (void)sent_.atom(name);
    (void)expected_.text(name);
  }
  // A reference of this node: opaque, and back as it was.
  void reference() {
    const std::string words = "\x5a" + std::string("\0\3", 2) + std::string("w\x0dnonode@nohost") +
                              std::string("\0\0\0\0", 4) + std::string(11, static_cast<char>(pick(256))) +
                              '\1';
    both([&](etf::sink& to) { (void)to.opaque(bytes_handle{erlpy::as_bytes(words)}); });
  }

  struct bytes_handle {
    erlpy::bytes_view bytes;
    [[nodiscard]] erlpy::opaque_kind kind() const { return erlpy::opaque_kind::reference; }
    void external(erlpy::byte_buffer& out) const { out.insert(out.end(), bytes.begin(), bytes.end()); }
    [[nodiscard]] erlpy::opaque_ptr share() const { return nullptr; }
  };

  template <class Open>
  void sequence(int room, Open open) {
    const auto n = static_cast<std::size_t>(pick(static_cast<std::uint64_t>(room) + 1));
    auto out = open(sent_, n);
    auto back = open(expected_, n);
    for (std::size_t i = 0; i < n; ++i) {
      term(room / 2);
      out.push({});
      back.push({});
    }
    (void)out.finish();
    (void)back.finish();
  }

  // Keys that stay apart in Python too: integers and texts.
  void map(int room) {
    std::set<std::int64_t> numbers;
    std::set<std::string> texts;
    for (std::uint64_t n = pick(static_cast<std::uint64_t>(room) + 1); n > 0; --n)
      numbers.insert(small() * 1000);
    for (std::uint64_t n = pick(static_cast<std::uint64_t>(room) + 1); n > 0; --n) texts.insert(text());
    auto out = sent_.map(numbers.size() + texts.size());
    auto back = expected_.map(numbers.size() + texts.size());
    const auto entry = [&](auto write) {
      const auto key = write(sent_);
      const auto expected_key = write(expected_);
      term(room / 2);
      out.push(key, {});
      back.push(expected_key, {});
    };
    for (const std::int64_t n : numbers) entry([&](etf::sink& to) { return to.integer(n); });
    for (const std::string& t : texts) entry([&](etf::sink& to) { return to.text(t); });
    (void)out.finish();
    (void)back.finish();
  }
  std::mt19937_64 random_;
  etf::sink& sent_;
  etf::sink& expected_;
};

[[nodiscard]] erlpy::byte_buffer through_python(erlpy::bytes_view sent) {
  python::sink into(world::get().context());
  const ref value = erlpy::transcode(etf::source(sent), into);
  etf::sink out;
  python::source from(world::get().context(), value.get());
  (void)erlpy::transcode(from, out);
  return out.take();
}

}  // namespace

TEST_CASE("generated terms come back as the crossing tables say", "[property]") {
  std::vector<std::uint32_t> different;
  std::vector<std::uint32_t> unstable;
  for (std::uint32_t seed = 1; seed <= 3'000; ++seed) {
    etf::sink sent;
    etf::sink expected;
    generator(seed, sent, expected).term(static_cast<int>(seed % 24));
    const erlpy::byte_buffer bytes = sent.take();
    const erlpy::byte_buffer wanted = expected.take();
    const erlpy::byte_buffer back = through_python(bytes);
    if (!etf::identical(etf::read_term(back), etf::read_term(wanted))) different.push_back(seed);
    // A second trip changes nothing any more.
    if (!etf::identical(etf::read_term(through_python(back)), etf::read_term(back))) unstable.push_back(seed);
  }
  REQUIRE(different == std::vector<std::uint32_t>{});
  REQUIRE(unstable == std::vector<std::uint32_t>{});
}
