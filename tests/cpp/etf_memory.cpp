// What hostile bytes can make the library allocate: nothing for what is only announced. Memory is counted in
// operator new, which this program replaces.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <vector>

#include "catch.hpp"
#include "etf_support.hpp"

#if defined(ERLPY_HAVE_ZLIB)
#include <zlib.h>
#endif

namespace {

std::atomic<std::size_t> taken{0};

void* counted(std::size_t size) {
  taken.fetch_add(size, std::memory_order_relaxed);
  if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return std::malloc(size == 0 ? 1 : size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return std::malloc(size == 0 ? 1 : size);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

using namespace etf_test;
using erlpy::byte_buffer;
using erlpy::bytes_view;

// A world whose containers are made at their announced size, as most are: it shows what it is promised.
class reserving_sink {
 public:
  struct value_type {
    std::vector<value_type> parts;
  };
  static constexpr bool erlang_terms = false;

  class sequence {
   public:
    sequence(reserving_sink& to, std::size_t n) : to_(to) { value_.parts.reserve(n); }
    reserving_sink& child() { return to_; }
    reserving_sink& key() { return to_; }
    reserving_sink& value() { return to_; }
    void push(value_type part) { value_.parts.push_back(std::move(part)); }
    void push(value_type key, value_type value) {
      push(std::move(key));
      push(std::move(value));
    }
    value_type finish() { return std::move(value_); }

   private:
    reserving_sink& to_;
    value_type value_;
  };

  value_type none() { return {}; }
  value_type boolean(bool) { return {}; }
  value_type integer(std::int64_t) { return {}; }
  value_type big_integer(bool, bytes_view) { return {}; }
  value_type real(double) { return {}; }
  value_type atom(std::string_view) { return {}; }
  value_type text(std::string_view) { return {}; }
  value_type bytes(bytes_view) { return {}; }
  value_type binary(bytes_view) { return {}; }
  template <class Fill>
  value_type bytes_from(std::size_t, Fill&&) {
    return {};
  }
  value_type shared(const erlpy::shared_bytes_ptr&) { return {}; }
  template <class Fill>
  value_type ndarray(std::string_view, std::span<const std::int64_t>, std::size_t, Fill&&) {
    return {};
  }
  value_type ndarray(std::string_view, std::span<const std::int64_t>, const erlpy::shared_bytes_ptr&) {
    return {};
  }
  value_type opaque(const erlpy::opaque_handle auto& handle) {
    (void)handle.share();
    return {};
  }
  value_type object(erlpy::object_ref) { return {}; }
  sequence list(std::size_t n) { return {*this, n}; }
  sequence tuple(std::size_t n) { return {*this, n}; }
  sequence set(std::size_t n) { return {*this, n}; }
  sequence map(std::size_t n) { return {*this, 2 * n}; }
};
static_assert(erlpy::sink<reserving_sink>);

template <class Act>
std::size_t taken_by(Act&& act) {
  const std::size_t before = taken.load();
  act();
  return taken.load() - before;
}

// What it takes to look at the bytes in every way, all together.
std::size_t taken_by_reading(bytes_view bytes) {
  return taken_by([&] {
    const auto attempt = [](auto&& act) {
      try {
        act();
      } catch (const erlpy::conversion_error&) {
      }
    };
    attempt([&] {
      reserving_sink to;
      (void)erlpy::transcode(erlpy::etf::source(bytes), to);
    });
    attempt([&] { (void)reencoded(bytes); });
    attempt([&] { (void)erlpy::etf::read_term(bytes); });
    const erlpy::etf::term term(bytes);
    attempt([&] { (void)erlpy::etf::compare(term, term); });
    attempt([&] { (void)erlpy::etf::detail::hash_term(term); });
    attempt([&] { (void)erlpy::etf::detail::print(term); });
    attempt([&] { (void)erlpy::etf::integer_value(term); });
    attempt([&] { (void)erlpy::etf::binary_bytes(term); });
    attempt([&] { (void)erlpy::etf::string_bytes(term); });
    attempt([&] { (void)erlpy::etf::atom_text(term); });
    std::vector<erlpy::etf::term> parts;
    attempt([&] { (void)erlpy::etf::tuple_elements(term, parts); });
    attempt([&] { (void)erlpy::etf::list_elements(term, parts); });
    std::vector<std::pair<erlpy::etf::term, erlpy::etf::term>> entries;
    attempt([&] { (void)erlpy::etf::map_entries(term, entries); });
  });
}

void append(byte_buffer& to, std::string_view bytes) {
  const byte_buffer more = bytes_of(bytes);
  to.insert(to.end(), more.begin(), more.end());
}

void append_u32(byte_buffer& to, std::size_t value) {
  for (const unsigned shift : {24U, 16U, 8U, 0U}) to.push_back(static_cast<std::byte>(value >> shift));
}

}  // namespace

TEST_CASE("an announced length takes no memory, whatever carries it", "[etf]") {
  for (const char* head : {
           "6c ffffffff",
           "69 ffffffff",
           "68 ff",
           "74 ffffffff",
           "6d ffffffff",
           "6f ffffffff 00",
           "6e ff 00",
           "4d ffffffff 07",
           "4d ffffffff 08",
           "6b ffff",
           "64 ffff",
           "76 ffff",
           "73 ff",
           "77 ff",
           "70 ffffffff 00 000102030405060708090a0b0c0d0e0f 00000000 ffffffff",
           "43 ffffffff 00 7701\"m\" 7701\"n\"",
           "5a ffff 7701\"n\" 00000000",
           "72 ffff 7701\"n\" 00",
           "50 ffffffff",
           "79 00000000 6d ffffffff",
       }) {
    for (const std::string around : {"", "68 01", "6c 00000001", "74 00000001 6a", "68 02 7707\"$buffer\"",
                                     "68 04 7708\"$ndarray\" 6d 00000001 \"B\""}) {
      for (const std::string version : {"", "83"}) {
        INFO(version << around << head);
        byte_buffer bytes = bytes_of(version + around + head);
        CHECK(taken_by_reading(bytes) < 20'000);
        // With so much behind it that it takes reading on to find that there is not enough.
        bytes.insert(bytes.end(), 1000, std::byte{0x6a});
        CHECK(taken_by_reading(bytes) < 500'000);
      }
    }
  }
}

TEST_CASE("headers in each other cannot claim the same bytes", "[etf]") {
  constexpr std::size_t size = 200'000;
  for (const std::string open : {"69", "6c", "74"}) {
    INFO(open);
    byte_buffer bytes;
    for (int depth = 0; depth < 1000; ++depth) {
      append(bytes, open);
      const std::size_t behind = size - bytes.size() - 4;
      append_u32(bytes, open == "74" ? behind / 2 : behind - 1);
    }
    bytes.resize(size, std::byte{0x6a});
    on_stack(worker_stack, [&] {
      const std::size_t one = size * sizeof(reserving_sink::value_type);
      CHECK(taken_by_reading(bytes) < 3 * one);
    });
  }
}

TEST_CASE("containers are read to the last byte that they can have", "[etf]") {
  // Each level needs every byte that is left to it.
  byte_buffer bytes = bytes_of("68 03");
  append(bytes,
         "69 00000002 74 00000001 6a 68 01 6a 6c 00000001 68 00 6a 68 02 7706\"$bytes\" 6d 00000000 6a");
  CHECK(fault_of([&] { (void)reencoded(bytes); }) == -1);
  reserving_sink to;
  CHECK(erlpy::transcode(erlpy::etf::source(bytes_view(bytes)), to).parts.size() == 3);
}

#if defined(ERLPY_HAVE_ZLIB)
TEST_CASE("what is compressed takes the memory of what comes out", "[etf]") {
  const auto compressed = [](std::size_t announced, const byte_buffer& plain) {
    byte_buffer out = bytes_of("83 50");
    append_u32(out, announced);
    auto room = compressBound(static_cast<uLong>(plain.size()));
    const std::size_t head = out.size();
    out.resize(head + room);
    REQUIRE(compress2(reinterpret_cast<Bytef*>(out.data() + head), &room,
                      reinterpret_cast<const Bytef*>(plain.data()), static_cast<uLong>(plain.size()),
                      9) == Z_OK);
    out.resize(head + room);
    return out;
  };
  byte_buffer binary = bytes_of("6d 01000000");
  binary.resize(5 + (std::size_t{1} << 24U));
  const byte_buffer honest = compressed(binary.size(), binary);
  REQUIRE(honest.size() < 20'000);
  std::size_t took = taken_by([&] { CHECK(reencoded(honest).size() == binary.size() + 1); });
  CHECK(took < 6 * binary.size());

  const byte_buffer bomb = compressed(0xFFFFFFFF, binary);
  took = taken_by([&] { CHECK(fault_of([&] { (void)reencoded(bomb); }) == value_fault); });
  CHECK(took < 6 * binary.size());
  const byte_buffer longer = compressed(100, binary);
  took = taken_by([&] { CHECK(fault_of([&] { (void)reencoded(longer); }) == value_fault); });
  CHECK(took < 10'000);
  const byte_buffer small = compressed(0xFFFFFFFF, bytes_of("6a"));
  took = taken_by([&] { CHECK(fault_of([&] { (void)reencoded(small); }) == value_fault); });
  CHECK(took < 10'000);
}
#endif
