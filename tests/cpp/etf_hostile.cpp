// Bytes that nobody honest wrote: cut off, announcing what is not there, nested without end, compressed
// to deceive. Each must be a conversion_error, and must not cost memory or time that it did not bring.
#include <algorithm>
#include <chrono>
#include <random>

#include "catch.hpp"
#include "etf_support.hpp"

using namespace etf_test;
using erlpy::byte_buffer;
using erlpy::bytes_view;

namespace {

// Every tag at least once, nested.
byte_buffer sample() {
  return bytes_of(
      "83 68 1b"
      "61 07  62 ffff0000  6e 0a 01 01020304050607080910  6f 00000003 00 010203"
      "46 3ff8000000000000  63 \"1.50000000000000000000e+00\" 0000000000"
      "64 0003 \"abc\"  73 02 e9ff  76 0003 \"abc\"  77 04 f09f9880"
      "6b 0003 010203  6c 00000002 6c 00000001 6101 6a 6c 00000001 6101 6102 6a"
      "69 00000001 6a  74 00000002 6101 6102 7701\"k\" 6c 00000001 6a 6a"
      "6d 00000003 616263  4d 00000002 03 ffa0"
      "68 02 58 7703\"n@h\" 00000050 00000001 00000002 67 7703\"n@h\" 00000050 00000001 02"
      "68 03 78 7703\"n@h\" 0000000100000000 00000002 59 7703\"n@h\" 00000007 00000002 66 7703\"n@h\" "
      "00000007 02"
      "68 03 5a 0002 7703\"n@h\" 00000002 00000007 00000008 72 0001 7703\"n@h\" 02 00000007 65 7703\"n@h\" "
      "00000007 02"
      "71 7705\"lists\" 7703\"map\" 6102"
      "70 0000003a 01 000102030405060708090a0b0c0d0e0f 00000001 00000001 7701\"m\" 6101 6203ffffff"
      " 58 7703\"n@h\" 00000050 00000001 00000002 6a"
      "43 00000002 01 7701\"m\" 7301\"n\" 7701\"b\" 640001\"a\" 6101 6c 00000001 6101 6102"
      "79 22c44b04 6802 58 6a 0000000a 00000000 00000000 5a 0003 6a 00000000 00009b69 81800001 479069c3"
      "79 22c44b04 6803 66 6a 0000000a 00 78 6a 0000000000000001 00000000 79 22c44b04 6101"
      "68 02 7706\"$bytes\" 6d 00000002 \"ab\""
      "68 02 7709\"generator\" 68 03 7707\"$object\" 6101 6102"
      "68 04 7708\"$ndarray\" 6d 00000003\"<f8\" 68 02 6101 6101 6d 00000008 0000000000000000");
}

byte_buffer nested_lists(std::size_t depth) {
  byte_buffer out;
  const byte_buffer open = bytes_of("6c 00000001");
  for (std::size_t i = 1; i < depth; ++i) out.insert(out.end(), open.begin(), open.end());
  out.insert(out.end(), depth, std::byte{0x6a});
  return out;
}

byte_buffer nested_with(std::string_view open, std::string_view core, std::size_t depth) {
  byte_buffer out;
  const byte_buffer one = bytes_of(open);
  for (std::size_t i = 1; i < depth; ++i) out.insert(out.end(), one.begin(), one.end());
  const byte_buffer last = bytes_of(core);
  out.insert(out.end(), last.begin(), last.end());
  return out;
}

// Reads into both kinds of world and looks at the bytes in every other way there is.
int read_every_way(bytes_view bytes) {
  const int described = fault_of([&] { (void)spelled(bytes); });
  const int verbatim = fault_of([&] { (void)reencoded(bytes); });
  const int whole = fault_of([&] {
    const auto term = erlpy::etf::read_term(bytes);
    (void)erlpy::etf::compare(term, term);
    (void)erlpy::etf::detail::hash_term(term);
    (void)erlpy::etf::detail::print(term);
  });
  return described == -1 && verbatim == -1 && whole == -1 ? -1 : std::max({described, verbatim, whole});
}

}  // namespace

TEST_CASE("a term cut off at any byte, or followed by one more, is an error with its place", "[etf]") {
  const byte_buffer whole = sample();
  REQUIRE(read_every_way(whole) == -1);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    // An allocation of its own: reading past the end is then seen by the sanitizer.
    const byte_buffer cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    std::string message;
    INFO(size);
    CHECK(fault_of([&] { (void)spelled(bytes_view(cut)); }, &message) == value_fault);
    CHECK(message.find("at byte ") != std::string::npos);
    CHECK(fault_of([&] { (void)reencoded(cut); }) == value_fault);
    CHECK(fault_of([&] { (void)erlpy::etf::read_term(cut); }) == value_fault);
  }
  byte_buffer more = whole;
  more.push_back(std::byte{0x6a});
  std::string message;
  CHECK(fault_of([&] { (void)spelled(bytes_view(more)); }, &message) == value_fault);
  CHECK(message.find("at byte " + std::to_string(whole.size())) != std::string::npos);
}

TEST_CASE("no change of single bytes does harm", "[etf]") {
  const byte_buffer whole = sample();
  std::mt19937 random(11);
  for (int round = 0; round < 20'000; ++round) {
    byte_buffer changed = whole;
    const std::size_t changes = 1 + random() % 3;
    for (std::size_t i = 0; i < changes; ++i)
      changed[random() % changed.size()] = static_cast<std::byte>(random());
    const int result = read_every_way(changed);
    CHECK((result == -1 || result == value_fault || result == overflow_fault));
  }
}

TEST_CASE("lengths that are not there are errors, at once", "[etf]") {
  for (const char* bytes : {
           "6c ffffffff 6a",
           "69 ffffffff",
           "74 ffffffff",
           "74 00000002 6a6a6a",
           "6d ffffffff 00",
           "6f ffffffff 00",
           "4d ffffffff 08",
           "76 ffff",
           "6b ffff",
           "6c 00000003 6a6a6a",
           "70 00000000 00",
           "43 ffffffff 00 7701\"m\" 7701\"n\"",
           "68 01 79 00000000 6d ffffffff 00",
           "72 ffff 7700 00",
           "6c 00000001 6c 7fffffff 6a",
           "68 02 7708\"$ndarray\"",
           "50 ffffffff",
       }) {
    INFO(bytes);
    CHECK(read_every_way(bytes_of(bytes)) == value_fault);
  }
}

TEST_CASE("malformed terms are errors that say what is wrong", "[etf]") {
  const struct {
    const char* bytes;
    const char* says;
  } samples[] = {
      {"", "cut off"},
      {"83", "cut off"},
      {"83 83 6a", "unknown tag 131 at byte 1"},
      {"00", "unknown tag 0 at byte 0"},
      {"68 01 60", "unknown tag 96 at byte 2"},
      {"68 01 75", "FUN_EXT"},
      {"68 01 52 00", "ATOM_CACHE_REF"},
      {"83 44 00 6101", "between nodes"},
      {"83 45 0000000000000001 0000000000000001 00 6101", "between nodes"},
      {"68 01 50 00000002 789c", "only a whole term"},
      {"83 79", "cut off"},
      {"83 68 01 79 00000000", "cut off"},
      {"83 68 01 79 00000000 6000", "unknown tag 96"},
      {"83 43 00000000 02 7701\"m\" 7701\"n\"", "neither exported nor not"},
      {"83 43 00000001 00 7701\"m\" 7701\"n\" 6101 6101", "an atom is missing"},
      {"46 7ff0000000000000", "not finite"},
      {"46 7ff8000000000001", "not finite"},
      {"63 \"1.5e+00 and some words, really\" 00", "no number"},
      {"63 \"inf\" 00000000000000000000000000000000000000000000000000000000", "no number"},
      {"77 02 c328", "not UTF-8"},
      {"77 03 eda080", "not UTF-8"},
      {"77 02 c080", "not UTF-8"},
      {"77 04 f4908080", "not UTF-8"},
      {"77 01 c3", "not UTF-8"},
      {"6e 01 02 01", "sign"},
      // Inside of what stays opaque.
      {"83 43 00000001 00 7701\"m\" 7701\"n\" 7701\"x\" 46 7ff0000000000000", "not finite"},
      {"43 00000001 00 7701\"m\" 7701\"n\" 7701\"x\" 63 \"1.5e+00 and some words, really\" 00", "no number"},
      {"6c 00000001 6101 6e 01 02 01", "sign"},
      {"4d 00000001 00 ff", "bitstring"},
      {"4d 00000001 09 ff", "bitstring"},
      {"4d 00000000 08", "bitstring"},
      {"6c 00000000 6101", "tail"},
      {"58 6101 00000050 00000001 00000002", "atom"},
      {"72 0000 7701\"n\" 00", "reference"},
      {"5a 0006 7701\"n\" 00000000 000000010000000100000001000000010000000100000001", "reference"},
      {"71 7701\"m\" 6101 6101", "atom"},
      {"71 7701\"m\" 7701\"f\" 6a", "arity"},
      {"70 00000039 01 000102030405060708090a0b0c0d0e0f 00000001 00000001 7701\"m\" 6101 6203ffffff 58 "
       "7703\"n@h\" 00000050 00000001 00000002 6a",
       "size"},
  };
  for (const auto& sample : samples) {
    INFO(sample.bytes);
    std::string message;
    CHECK(fault_of([&] { (void)spelled(sample.bytes); }, &message) == value_fault);
    INFO(message);
    CHECK(message.find(sample.says) != std::string::npos);
  }
  std::string latin1 = "64 0100";
  for (int i = 0; i < 256; ++i) latin1 += "61";
  CHECK(fault_of([&] { (void)spelled(latin1); }) == value_fault);
}

TEST_CASE("nesting is bounded, to the level", "[etf]") {
  const erlpy::walk_limits limits{};
  const struct {
    const char* open;
    const char* core;
  } shapes[] = {{"68 01", "68 00"}, {"74 00000001 6101", "74 00000000"}, {"6c 00000001", "6a"}};
  on_stack(worker_stack, [&] {
    for (const auto& shape : shapes) {
      INFO(shape.open);
      const bool list = shape.core[1] == 'a';
      const auto deep = [&](std::size_t depth) {
        return list ? nested_lists(depth) : nested_with(shape.open, shape.core, depth);
      };
      const byte_buffer most = deep(limits.max_depth);
      CHECK(fault_of([&] { (void)spelled(bytes_view(most)); }) == -1);
      CHECK(hex(reencoded(most)) == "83" + hex(most));
      CHECK(erlpy::etf::identical(erlpy::etf::term(most), erlpy::etf::term(most)));
      const byte_buffer more = deep(limits.max_depth + 1);
      std::string message;
      CHECK(fault_of([&] { (void)spelled(bytes_view(more)); }, &message) == recursion_fault);
      CHECK(message.find("10000") != std::string::npos);
      CHECK(fault_of([&] { (void)reencoded(more); }) == recursion_fault);
      CHECK(fault_of([&] { (void)spelled(bytes_view(deep(5)), {.max_depth = 5}); }) == -1);
      CHECK(fault_of([&] { (void)spelled(bytes_view(deep(6)), {.max_depth = 5}); }) == recursion_fault);

      const byte_buffer endless = deep(2'000'000);
      CHECK(fault_of([&] { (void)spelled(bytes_view(endless)); }) == recursion_fault);
      CHECK(fault_of([&] { (void)erlpy::etf::read_term(endless); }) == -1);
      CHECK(fault_of([&] {
              (void)erlpy::etf::identical(erlpy::etf::term(endless), erlpy::etf::term(endless));
            }) == recursion_fault);
      CHECK(fault_of([&] { (void)erlpy::etf::detail::hash_term(erlpy::etf::term(endless)); }) == -1);
      CHECK(fault_of([&] { (void)erlpy::etf::detail::print(erlpy::etf::term(endless)); }) == -1);
    }
  });
}

TEST_CASE("a deep list of long lists is read in linear time", "[etf]") {
  // Each level holds the next one and then 100 integers: looking for the end of each list on its own
  // would be quadratic.
  constexpr int depth = 5000;
  byte_buffer bytes;
  for (int i = 0; i < depth; ++i) {
    const byte_buffer open = bytes_of("6c 00000065");
    bytes.insert(bytes.end(), open.begin(), open.end());
  }
  bytes.push_back(std::byte{0x6a});
  for (int i = 0; i < depth; ++i) {
    for (int k = 0; k < 100; ++k) {
      bytes.push_back(std::byte{0x61});
      bytes.push_back(std::byte{5});
    }
    bytes.push_back(std::byte{0x6a});
  }
  on_stack(worker_stack, [&] {
    const auto start = std::chrono::steady_clock::now();
    CHECK(reencoded(bytes).size() == bytes.size() + 1);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(30));
  });
}

#if defined(ERLPY_HAVE_ZLIB)
TEST_CASE("compressed terms", "[etf]") {
  // term_to_binary(lists:duplicate(300, a), [compressed]) of OTP 25.
  const std::string data = "789ccb616060d44961604c1cc5a378148fe2a180b30028cbe90c";
  std::string all = "[atom:a";
  for (int i = 1; i < 300; ++i) all += " atom:a";
  CHECK(spelled("83 50 000004b6" + data) == all + "]");
  SECTION("damage is an error, and so is a size that is not the true one") {
    for (std::size_t size = 0; size < data.size(); size += 2) {
      INFO(size);
      CHECK(fault_of([&] { (void)spelled("83 50 000004b6" + data.substr(0, size)); }) == value_fault);
    }
    std::string message;
    CHECK(fault_of([&] { (void)spelled("83 50 000004b6 00" + data); }) == value_fault);
    CHECK(fault_of([&] { (void)spelled("83 50 000004b6" + data + "00"); }, &message) == value_fault);
    CHECK(message.find("after the compressed data") != std::string::npos);
    CHECK(fault_of([&] { (void)spelled("83 50 000004b5" + data); }, &message) == value_fault);
    CHECK(message.find("longer") != std::string::npos);
    CHECK(fault_of([&] { (void)spelled("83 50 ffffffff" + data); }, &message) == value_fault);
    CHECK(message.find("shorter") != std::string::npos);
  }
  SECTION("an announced size costs nothing") {
    std::string message;
    CHECK(fault_of([&] { (void)spelled("83 50 ffffffff 789c"); }, &message) == value_fault);
    CHECK(message.find("compressed") != std::string::npos);
  }
}
#else
TEST_CASE("a compressed term is refused in words where there is no zlib", "[etf]") {
  std::string message;
  CHECK(fault_of([&] { (void)spelled("83 50 00000001 789c"); }, &message) == value_fault);
  CHECK(message.find("zlib") != std::string::npos);
}
#endif
