// Writing the External Term Format: the bytes of every kind of value, sets and maps with what must not
// be lost in them, and containers of any size.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "catch.hpp"
#include "etf_support.hpp"

using namespace etf_test;
using erlpy::byte_buffer;
using erlpy::bytes_view;

namespace {
template <class Write>
std::string hex_of(Write&& write) {
  return hex(written(std::forward<Write>(write)));
}
std::string same(std::string_view spelled_out) { return hex(bytes_of(spelled_out)); }
}  // namespace

TEST_CASE("integers take their smallest form", "[etf]") {
  const auto integer = [](std::int64_t value) { return hex_of([&](auto& to) { (void)to.integer(value); }); };
  CHECK(integer(0) == same("6100"));
  CHECK(integer(255) == same("61ff"));
  CHECK(integer(256) == same("6200000100"));
  CHECK(integer(-1) == same("62ffffffff"));
  CHECK(integer(2147483647) == same("627fffffff"));
  CHECK(integer(-2147483648LL) == same("6280000000"));
  CHECK(integer(2147483648LL) == same("6e0400 00000080"));
  CHECK(integer(-2147483649LL) == same("6e0401 01000080"));
  CHECK(integer(std::numeric_limits<std::int64_t>::max()) == same("6e0800 ffffffffffffff7f"));
  CHECK(integer(std::numeric_limits<std::int64_t>::min()) == same("6e0801 0000000000000080"));
  const auto big = [](bool negative, std::string_view digits) {
    return hex_of([&](auto& to) { (void)to.big_integer(negative, bytes_of(digits)); });
  };
  CHECK(big(false, "") == same("6100"));
  CHECK(big(true, "0500000000000000000000") == same("62fffffffb"));
  CHECK(big(true, "00000080") == same("6280000000"));
  CHECK(big(true, "01000080") == same("6e0401 01000080"));
  CHECK(big(false, "ffffffffffffffff") == same("6e0800 ffffffffffffffff"));
  CHECK(big(true, "ffffffffffffffff0100") == same("6e0901 ffffffffffffffff01"));
  std::string digits;
  for (int i = 0; i < 256; ++i) digits += "11";
  CHECK(big(true, digits) == same("6f00000100 01" + digits));
}

TEST_CASE("scalars", "[etf]") {
  CHECK(hex_of([](auto& to) { (void)to.none(); }) == same("7704\"none\""));
  CHECK(hex_of([](auto& to) { (void)to.boolean(true); }) == same("7704\"true\""));
  CHECK(hex_of([](auto& to) { (void)to.boolean(false); }) == same("7705\"false\""));
  CHECK(hex_of([](auto& to) { (void)to.real(1.5); }) == same("46 3ff8000000000000"));
  CHECK(hex_of([](auto& to) { (void)to.real(std::nan("")); }) == same("7703\"nan\""));
  CHECK(hex_of([](auto& to) { (void)to.real(HUGE_VAL); }) == same("7708\"infinity\""));
  CHECK(hex_of([](auto& to) { (void)to.real(-HUGE_VAL); }) == same("770c\"neg_infinity\""));
  CHECK(hex_of([](auto& to) { (void)to.text("ab"); }) == same("6d00000002\"ab\""));
  CHECK(hex_of([](auto& to) { (void)to.bytes(bytes_of("00ff")); }) == same("6d0000000200ff"));
  CHECK(hex_of([](auto& to) {
          (void)to.bytes_from(3, [](std::span<std::byte> room) { std::ranges::fill(room, std::byte{7}); });
        }) == same("6d00000003070707"));
  CHECK(hex_of([](auto& to) { (void)to.object({.owner = 1, .id = 300, .generator = false}); }) ==
        same("6802 7709\"py_object\" 6803 7707\"$object\" 6101 620000012c"));
  CHECK(hex_of([](auto& to) {
          (void)to.object({.owner = std::numeric_limits<std::uint64_t>::max(), .id = 0, .generator = true});
        }) == same("6802 7709\"generator\" 6803 7707\"$object\" 6e0800ffffffffffffffff 6100"));
  const std::int64_t shape[] = {2, 300};
  CHECK(hex_of([&](auto& to) {
          (void)to.ndarray("<u1", shape, 1, [](auto room) { room[0] = std::byte{9}; });
        }) == same("6804 7708\"$ndarray\" 6d00000003\"<u1\" 6802 6102 620000012c 6d0000000109"));
}

TEST_CASE("atoms of up to 255 characters, whatever their bytes", "[etf]") {
  std::string text;
  for (int i = 0; i < 255; ++i) text += "\xF0\x9F\x98\x80";
  const byte_buffer longest = written([&](auto& to) { (void)to.atom(text); });
  CHECK(hex(bytes_view(longest).first(3)) == same("76 03fc"));
  CHECK(spelled(bytes_view(longest)) == "atom:" + text);
  std::string message;
  CHECK(fault_of([&] { (void)written([&](auto& to) { (void)to.atom(text + "a"); }); }, &message) ==
        value_fault);
  CHECK(message.find("255") != std::string::npos);
  CHECK(spelled(bytes_view(written([](auto& to) { (void)to.atom(std::string(255, 'x')); }))).size() == 260);
  CHECK(fault_of([] { (void)written([](auto& to) { (void)to.atom(std::string(256, 'x')); }); }) ==
        value_fault);
}

TEST_CASE("the own buffer begins with the version byte, a given one is appended to", "[etf]") {
  erlpy::etf::sink own;
  (void)own.integer(1);
  CHECK(hex(own.take()) == same("836101"));

  byte_buffer given = bytes_of("aabb");
  erlpy::etf::sink to(given);
  to.write_version();
  (void)to.tuple(0).finish();
  CHECK(hex(given) == same("aabb 83 6800"));
  to.discard();
  CHECK(hex(given) == same("aabb"));
}

TEST_CASE("containers are framed, and hold as many elements as they say", "[etf]") {
  const auto numbers = [](auto builder, int n) {
    for (int i = 0; i < n; ++i) builder.push(builder.child().integer(i));
    (void)builder.finish();
  };
  CHECK(hex_of([&](auto& to) { numbers(to.list(0), 0); }) == same("6a"));
  CHECK(hex_of([&](auto& to) { numbers(to.list(2), 2); }) == same("6c00000002 6100 6101 6a"));
  CHECK(hex_of([&](auto& to) { numbers(to.tuple(2), 2); }) == same("6802 6100 6101"));
  CHECK(hex_of([&](auto& to) { numbers(to.tuple(256), 256); }).substr(0, 10) == same("6900000100"));
  CHECK(hex_of([&](auto& to) { numbers(to.set(0), 0); }) == same("6a"));
  CHECK(hex_of([&](auto& to) { (void)to.map(0).finish(); }) == same("7400000000"));
  CHECK(fault_of([&] { (void)written([&](auto& to) { numbers(to.list(3), 2); }); }) == value_fault);
  CHECK(fault_of([&] { (void)written([&](auto& to) { numbers(to.tuple(1), 2); }); }) == value_fault);
  CHECK(fault_of([&] { (void)written([&](auto& to) { numbers(to.set(3), 2); }); }) == value_fault);
  CHECK(fault_of([&] { (void)written([&](auto& to) { (void)to.map(1).finish(); }); }) == value_fault);
  const std::size_t too_many = std::size_t{1} << 32U;
  CHECK(fault_of([&] { (void)written([&](auto& to) { (void)to.list(too_many); }); }) == overflow_fault);
  CHECK(fault_of([&] { (void)written([&](auto& to) { (void)to.tuple(too_many); }); }) == overflow_fault);
  CHECK(fault_of([&] { (void)written([&](auto& to) { (void)to.map(too_many); }); }) == overflow_fault);
}

TEST_CASE("100,000 elements in every container, there and back", "[etf]") {
  constexpr int n = 100'000;
  std::vector<int> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937(7));

  const byte_buffer set = written([&](auto& to) {
    auto builder = to.set(n);
    for (const int i : order) builder.push(builder.child().integer(i));
    (void)builder.finish();
  });
  const byte_buffer list = written([](auto& to) {
    auto builder = to.list(n);
    for (int i = 0; i < n; ++i) builder.push(builder.child().integer(i));
    (void)builder.finish();
  });
  CHECK(set == list);

  const byte_buffer map = written([&](auto& to) {
    auto builder = to.map(n);
    for (const int i : order) {
      const auto key = builder.key().text("key " + std::to_string(i));
      builder.push(key, builder.value().integer(i));
    }
    (void)builder.finish();
  });
  const byte_buffer tuple = written([&](auto& to) {
    auto builder = to.tuple(n);
    for (const int i : order) builder.push(builder.child().real(i));
    (void)builder.finish();
  });
  for (const byte_buffer* bytes : {&set, &map, &tuple}) {
    byte_buffer again = reencoded(*bytes);
    again.erase(again.begin());
    CHECK(again == *bytes);
  }
}

TEST_CASE("two keys that are one to Erlang are an error that names the key", "[etf]") {
  std::string message;
  const auto map_of = [&](auto first, auto second) {
    return fault_of(
        [&] {
          (void)written([&](auto& to) {
            auto outer = to.map(1);
            const auto outer_key = outer.key().integer(1);
            auto inner = outer.value().map(3);
            const auto a = first(inner.key());
            inner.push(a, inner.value().none());
            const auto between = inner.key().integer(77);
            inner.push(between, inner.value().map(0).finish());
            const auto b = second(inner.key());
            inner.push(b, inner.value().none());
            outer.push(outer_key, inner.finish());
            (void)outer.finish();
          });
        },
        &message);
  };
  const auto text = [](auto& to) { return to.text("a"); };
  CHECK(map_of(text, [](auto& to) { return to.bytes(erlpy::as_bytes("a")); }) == value_fault);
  CHECK(message.find("<<\"a\">>") != std::string::npos);
  CHECK(map_of([](auto& to) { return to.none(); }, [](auto& to) { return to.atom("none"); }) == value_fault);
  CHECK(map_of([](auto& to) { return to.integer(77); }, text) == value_fault);
  CHECK(map_of(text, [](auto& to) { return to.atom("a"); }) == -1);
  CHECK(map_of([](auto& to) { return to.integer(1); }, [](auto& to) { return to.real(1); }) == -1);

  const auto pair_map = [](int a, int b) {
    return [=](auto& to) {
      auto map = to.map(2);
      for (const int i : {a, b}) {
        const auto key = map.key().integer(i);
        map.push(key, map.value().integer(i));
      }
      return map.finish();
    };
  };
  CHECK(map_of(pair_map(1, 2), pair_map(2, 1)) == value_fault);
  CHECK(map_of(pair_map(1, 2), pair_map(1, 3)) == -1);
}

TEST_CASE("a duplicate among 100,000 keys is found, also where all hashes collide", "[etf]") {
  // Keys that differ only past the depth that hashing looks to.
  constexpr int n = 20'000;
  const auto colliding = [](int different) {
    return written([&](auto& to) {
      auto map = to.map(n);
      for (int i = 0; i < n; ++i) {
        const auto nested = [&](auto&& self, auto& in, int depth) -> erlpy::etf::sink::value_type {
          if (depth == 0) return in.integer(i % different);
          auto tuple = in.tuple(1);
          tuple.push(self(self, tuple.child(), depth - 1));
          return tuple.finish();
        };
        const auto key = nested(nested, map.key(), 12);
        map.push(key, map.value().none());
      }
      (void)map.finish();
    });
  };
  CHECK(fault_of([&] { (void)colliding(n); }) == -1);
  CHECK(fault_of([&] { (void)colliding(n - 1); }) == value_fault);
}

TEST_CASE("sets are in term order, and two elements that are equal are an error", "[etf]") {
  const auto set_of = [](auto... element) {
    return written([&](auto& to) {
      auto set = to.set(sizeof...(element));
      (set.push(element(set.child())), ...);
      (void)set.finish();
    });
  };
  const auto integer = [](int i) { return [=](auto& to) { return to.integer(i); }; };
  const auto atom = [](const char* text) { return [=](auto& to) { return to.atom(text); }; };
  const auto text = [](const char* text) { return [=](auto& to) { return to.text(text); }; };
  const auto real = [](double value) { return [=](auto& to) { return to.real(value); }; };
  CHECK(spelled(bytes_view(set_of(text("b"), atom("z"), integer(3), text("a"), real(2.5), integer(-4)))) ==
        "[-4 float:2.5 3 atom:z binary:\"a\" binary:\"b\"]");
  std::string message;
  CHECK(fault_of([&] { (void)set_of(integer(1), atom("a"), real(1.0)); }, &message) == value_fault);
  CHECK(message.find("1 and 1.0") != std::string::npos);
  CHECK(fault_of([&] { (void)set_of(atom("none"), [](auto& to) { return to.none(); }); }) == value_fault);
  // A set in a set, beside elements that have to move around it.
  const byte_buffer nested = set_of(
      integer(9),
      [&](auto& to) {
        auto inner = to.set(2);
        inner.push(inner.child().integer(8));
        inner.push(inner.child().integer(7));
        return inner.finish();
      },
      integer(1));
  CHECK(spelled(bytes_view(nested)) == "[1 9 [7 8]]");
}
