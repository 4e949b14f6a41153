// Reading the External Term Format: every tag, and the crossing table into a world that is not Erlang's.
// The bytes are spelled out, because no one OTP version writes all of these tags.
#include "catch.hpp"
#include "etf_support.hpp"

using namespace etf_test;
using erlpy::byte_buffer;
using erlpy::bytes_view;

TEST_CASE("integers of every form", "[etf]") {
  CHECK(spelled("83 61 00") == "0");
  CHECK(spelled("83 61 ff") == "255");
  CHECK(spelled("62 00000100") == "256");
  CHECK(spelled("62 ffffffff") == "-1");
  CHECK(spelled("62 80000000") == "-2147483648");
  CHECK(spelled("6e 04 00 00000080") == "2147483648");
  CHECK(spelled("6e 08 00 ffffffffffffff7f") == "9223372036854775807");
  CHECK(spelled("6e 08 01 0000000000000080") == "-9223372036854775808");
  CHECK(spelled("6e 08 00 0000000000000080") == "big:0000000000000080");
  CHECK(spelled("6e 08 01 0100000000000080") == "-big:0100000000000080");
  CHECK(spelled("6e 09 00 000000000000000001") == "big:000000000000000001");
  CHECK(spelled("6e 0b 00 0000000000000000010000") == "big:000000000000000001");
  CHECK(spelled("6e 02 01 0000") == "0");
  CHECK(spelled("6e 00 00") == "0");
  CHECK(spelled("6f 00000002 01 0001") == "-256");
  std::string large = "6f 00000200 00";
  std::string digits;
  for (int i = 0; i < 512; ++i) digits += "ab";
  CHECK(spelled(large + digits) == "big:" + digits);
}

TEST_CASE("floats of both forms", "[etf]") {
  CHECK(spelled("46 3ff8000000000000") == "float:1.5");
  CHECK(spelled("46 8000000000000000") == "float:-0");
  CHECK(spelled("63 \"1.50000000000000000000e+00\" 0000000000") == "float:1.5");
  CHECK(spelled("63 \"-2.50000000000000000000e+00\" 00000000") == "float:-2.5");
}

TEST_CASE("atoms of every form, and those with a meaning of their own", "[etf]") {
  CHECK(spelled("64 0003 \"abc\"") == "atom:abc");
  CHECK(spelled("73 03 \"abc\"") == "atom:abc");
  CHECK(spelled("76 0003 \"abc\"") == "atom:abc");
  CHECK(spelled("77 03 \"abc\"") == "atom:abc");
  CHECK(spelled("77 00") == "atom:");
  CHECK(spelled("73 02 e9ff") == "atom:\xC3\xA9\xC3\xBF");
  CHECK(spelled("77 04 f09f9880") == "atom:\xF0\x9F\x98\x80");
  CHECK(spelled("77 04 \"true\"") == "yes");
  CHECK(spelled("64 0005 \"false\"") == "no");
  for (const char* name : {"77 04 \"none\"", "64 0003 \"nil\"", "73 09 \"undefined\""})
    CHECK(spelled(name) == "none");
  std::string longest = "76 03fc";
  std::string text;
  for (int i = 0; i < 255; ++i) {
    longest += "f09f9880";
    text += "\xF0\x9F\x98\x80";
  }
  CHECK(spelled(longest) == "atom:" + text);
}

TEST_CASE("binaries, strings, lists, tuples and maps", "[etf]") {
  CHECK(spelled("6d 00000002 \"ab\"") == "binary:\"ab\"");
  CHECK(spelled("6d 00000000") == "binary:\"\"");
  CHECK(spelled("6a") == "[]");
  CHECK(spelled("6b 0003 0161ff") == "[1 97 255]");
  CHECK(spelled("6b 0000") == "[]");
  CHECK(spelled("6c 00000002 6101 6a 6a") == "[1 []]");
  CHECK(spelled("6c 00000000 6a") == "[]");
  CHECK(spelled("68 00") == "{}");
  CHECK(spelled("68 02 6101 6102") == "{1 2}");
  CHECK(spelled("69 00000002 6101 6102") == "{1 2}");
  CHECK(spelled("74 00000000") == "#{}");
  CHECK(spelled("74 00000002 6101 6102 6103 6a") == "#{1=>2 3=>[]}");
  CHECK(spelled("83 68 02 77 05 \"bytes\" 6d 00000001 \"x\"") == "{atom:bytes binary:\"x\"}");
}

TEST_CASE("what only Erlang understands stays opaque and keeps its bytes", "[etf]") {
  const struct {
    const char* bytes;
    erlpy::opaque_kind kind;
    const char* text;
  } samples[] = {
      {"67 640003\"n@h\" 00000050 00000001 02", erlpy::opaque_kind::pid, "#Pid<n@h.80.1>"},
      {"58 7703\"n@h\" 00000050 00000001 00000002", erlpy::opaque_kind::pid, "#Pid<n@h.80.1>"},
      {"66 7703\"n@h\" 00000007 02", erlpy::opaque_kind::port, "#Port<n@h.7>"},
      {"59 7703\"n@h\" 00000007 00000002", erlpy::opaque_kind::port, "#Port<n@h.7>"},
      {"78 7703\"n@h\" 0000000100000000 00000002", erlpy::opaque_kind::port, "#Port<n@h.4294967296>"},
      {"65 7703\"n@h\" 00000007 02", erlpy::opaque_kind::reference, "#Ref<n@h.7>"},
      {"72 0002 7703\"n@h\" 02 00000007 00000008", erlpy::opaque_kind::reference, "#Ref<n@h.8.7>"},
      {"5a 0003 7703\"n@h\" 00000002 00000007 00000008 00000009", erlpy::opaque_kind::reference,
       "#Ref<n@h.9.8.7>"},
      {"71 7705\"lists\" 7703\"map\" 6102", erlpy::opaque_kind::fun, "fun lists:map/2"},
      {"70 0000003a 01 000102030405060708090a0b0c0d0e0f 00000001 00000001 7701\"m\" 6101 6203ffffff 58 "
       "7703\"n@h\" 00000050 00000001 00000002 6a",
       erlpy::opaque_kind::fun, "#Fun<m.1.67108863>"},
      {"4d 00000002 03 ffa0", erlpy::opaque_kind::bitstring, "<<255,5:3>>"},
      {"6c 00000002 6101 6102 6103", erlpy::opaque_kind::improper_list, "[1,2|3]"},
      {"6c 00000001 6101 4d 00000001 01 80", erlpy::opaque_kind::improper_list, "[1|<<1:1>>]"},
      {"70 00000046 01 000102030405060708090a0b0c0d0e0f 00000001 00000002 7701\"m\" 6101 6203ffffff 58 "
       "7703\"n@h\" 00000050 00000001 00000002 6c 00000001 6101 6102 6b 0001 05",
       erlpy::opaque_kind::fun, "#Fun<m.1.67108863>"},
      // #m:n{b = 1, a = [1|2]} of OTP 29; one without fields.
      {"43 00000002 00 7701\"m\" 7701\"n\" 7701\"b\" 7701\"a\" 6101 6c 00000001 6101 6102",
       erlpy::opaque_kind::record, "#m:n{b = 1,a = [1|2]}"},
      {"43 00000000 01 7701\"m\" 7701\"n\"", erlpy::opaque_kind::record, "#m:n{}"},
      // term_to_binary({self(), make_ref()}, [local]) of OTP 27, and of a fun, which nests what it is itself.
      {"79 22c44b04 6802 58 6a 0000000a 00000000 00000000 5a 0003 6a 00000000 00009b69 81800001 479069c3",
       erlpy::opaque_kind::local, "#Local<41 bytes>"},
      {"79 9b69e13d 70 00000068 00 0817835047f7cb3b4098946747634026 00000001 00000000 7702\"le\" 79 c620136e "
       "6101 79 e3852d88 620040bc1a 58 6a 00000000 00000000 00000000",
       erlpy::opaque_kind::local, "#Local<70 bytes>"},
      // Nothing is promised about what follows the tag.
      {"79 ff", erlpy::opaque_kind::local, "#Local<2 bytes>"},
  };
  for (const auto& sample : samples) {
    INFO(sample.bytes);
    const byte_buffer bytes = bytes_of(sample.bytes);
    spelling_sink to;
    CHECK(erlpy::transcode(erlpy::etf::source(bytes_view(bytes)), to) ==
          std::string("opaque:") + sample.text);
    REQUIRE(to.last_opaque);
    CHECK(to.last_opaque->kind() == sample.kind);
    byte_buffer back;
    to.last_opaque->append_external(back);
    CHECK(back == bytes);
    byte_buffer verbatim = reencoded(bytes);
    verbatim.erase(verbatim.begin());
    CHECK(verbatim == bytes);
  }
}

TEST_CASE("a term in a node's local format is one where it is a part of another, too", "[etf]") {
  const std::string local = "79 22c44b04 58 6a 0000000a 00000000 00000000 ";
  CHECK(spelled("83 68 02 " + local + "6101") == "{opaque:#Local<19 bytes> 1}");
  CHECK(spelled("83 6c 00000002" + local + local + "6a") ==
        "[opaque:#Local<19 bytes> opaque:#Local<19 bytes>]");
  CHECK(spelled("83 6c 00000001" + local + local) == "opaque:[#Local<19 bytes>|#Local<19 bytes>]");
  CHECK(spelled("83 74 00000001 6101" + local) == "#{1=>opaque:#Local<19 bytes>}");
  const byte_buffer nested = bytes_of("83 68 02 " + local + "6c 00000001" + local + local);
  CHECK(hex(reencoded(nested)) == hex(nested));
  std::vector<erlpy::etf::term> parts;
  REQUIRE(erlpy::etf::tuple_elements(erlpy::etf::read_term(nested), parts));
  CHECK(hex(parts.at(0).bytes()) == hex(bytes_of(local)));

  SECTION("an identifier without a node is nowhere else") {
    CHECK(fault_of([] { (void)spelled("83 58 6a 0000000a 00000000 00000000"); }) == value_fault);
    CHECK(fault_of([] { (void)spelled("83 68 01 5a 0001 6a 00000000 00000001"); }) == value_fault);
    CHECK(fault_of([&] { (void)spelled("83 68 02 " + local + "78 6a 0000000000000001 00000000"); }) ==
          value_fault);
  }
  SECTION("equal if its bytes are") {
    const auto view = [](const byte_buffer& bytes) { return erlpy::etf::read_term(bytes); };
    const byte_buffer one = bytes_of(local);
    const byte_buffer other = bytes_of("79 22c44b05 58 6a 0000000a 00000000 00000000");
    CHECK(erlpy::etf::identical(view(one), view(one)));
    CHECK_FALSE(erlpy::etf::identical(view(one), view(other)));
    CHECK_FALSE(erlpy::etf::identical(view(nested), view(one)));
    CHECK(erlpy::etf::detail::hash_term(view(one)) != erlpy::etf::detail::hash_term(view(other)));
  }
}

TEST_CASE("native records have the order that OTP 29 gives them", "[etf]") {
  // Module, name, exported, number of fields, their names, their values.
  std::vector<byte_buffer> ordered;
  for (const char* record : {
           "69 00000001 6101",
           "43 00000000 00 7701\"a\" 7701\"b\"",
           "43 00000001 00 7701\"a\" 7701\"b\" 7701\"a\" 6101",
           "43 00000001 00 7701\"a\" 7701\"b\" 7701\"a\" 6102",
           "43 00000001 00 7701\"a\" 7701\"b\" 7701\"b\" 6101",
           "43 00000002 00 7701\"a\" 7701\"b\" 7701\"a\" 7701\"b\" 6107 6100",
           "43 00000002 00 7701\"a\" 7701\"b\" 7701\"b\" 7701\"a\" 6100 6101",
           "43 00000000 01 7701\"a\" 7701\"b\"",
           "43 00000000 00 7701\"a\" 7701\"n\"",
           "43 00000000 00 7701\"m\" 7701\"a\"",
           "74 00000000",
       })
    ordered.push_back(bytes_of(record));
  for (std::size_t i = 0; i < ordered.size(); ++i)
    for (std::size_t k = 0; k < ordered.size(); ++k) {
      INFO(hex(ordered[i]) << " " << hex(ordered[k]));
      CHECK(erlpy::etf::compare(erlpy::etf::term(ordered[i]), erlpy::etf::term(ordered[k])) == (i <=> k));
    }
  const byte_buffer one = bytes_of("43 00000001 00 7701\"a\" 7701\"b\" 7701\"a\" 6101");
  const byte_buffer latin1 = bytes_of("43 00000001 00 640001\"a\" 7701\"b\" 7301\"a\" 6e 01 00 01");
  CHECK(erlpy::etf::identical(erlpy::etf::term(one), erlpy::etf::term(latin1)));
  CHECK(erlpy::etf::detail::hash_term(erlpy::etf::term(one)) ==
        erlpy::etf::detail::hash_term(erlpy::etf::term(latin1)));
  const byte_buffer as_float = bytes_of("43 00000001 00 7701\"a\" 7701\"b\" 7701\"a\" 46 3ff0000000000000");
  CHECK(erlpy::etf::compare(erlpy::etf::term(one), erlpy::etf::term(as_float)) ==
        std::strong_ordering::equal);
  CHECK_FALSE(erlpy::etf::identical(erlpy::etf::term(one), erlpy::etf::term(as_float)));
}

TEST_CASE("a bitstring of whole bytes is a binary", "[etf]") {
  CHECK(spelled("4d 00000002 08 \"ab\"") == "binary:\"ab\"");
  CHECK(spelled("68 02 4d 00000001 08 \"a\" 4d 00000001 07 fe") == "{binary:\"a\" opaque:<<127:7>>}");
  CHECK(fault_of([] { (void)spelled("4d 00000000 08"); }) == value_fault);
  CHECK(fault_of([] { (void)spelled("4d 00000002 08 61"); }) == value_fault);
}

TEST_CASE("opaque terms are equal if Erlang says so, however they were written", "[etf]") {
  const auto opaque = [](std::string_view bytes) {
    spelling_sink to;
    const byte_buffer payload = bytes_of(bytes);
    (void)erlpy::transcode(erlpy::etf::source(bytes_view(payload)), to);
    return to.last_opaque;
  };
  const auto a = opaque("58 7703\"n@h\" 00000050 00000001 00000002");
  const auto same = opaque("58 640003\"n@h\" 00000050 00000001 00000002");
  const auto other = opaque("58 7703\"n@h\" 00000051 00000001 00000002");
  CHECK(a->same_as(*same));
  CHECK(same->same_as(*a));
  CHECK(a->hash() == same->hash());
  CHECK_FALSE(a->same_as(*other));
  const auto list = opaque("6c 00000002 6101 6102 6103");
  const auto list_too = opaque("6c 00000001 6101 6c 00000001 6e 01 00 02 6103");
  CHECK(list->same_as(*list_too));
  CHECK(list->hash() == list_too->hash());
  CHECK_FALSE(list->same_as(*a));
  CHECK_FALSE(list->same_as(*opaque("6c 00000002 6101 46 4000000000000000 6103")));
}

TEST_CASE("tagged tuples mean what they stand for", "[etf]") {
  const std::string bytes_tuple = "68 02 7706\"$bytes\" 6d 00000002 \"ab\"";
  CHECK(spelled(bytes_tuple) == "bytes:\"ab\"");
  CHECK(spelled("69 00000002 640006\"$bytes\" 6d 00000002 \"ab\"") == "bytes:\"ab\"");
  CHECK(spelled("68 02 7707\"$buffer\" 6d 00000002 \"ab\"") == "shared:\"ab\"");
  CHECK(spelled("68 02 7709\"py_object\" 68 03 7707\"$object\" 6101 62000003e8") == "object:1/1000");
  CHECK(spelled("68 02 7709\"generator\" 68 03 7707\"$object\" 6e0800ffffffffffffffff 6102") ==
        "generator:18446744073709551615/2");
  const std::string array = "68 04 7708\"$ndarray\" 6d 00000003 \"<f8\" ";
  CHECK(spelled(array + "68 02 6101 6100 6d 00000000") == "ndarray:<f8(1,0,)\"\"");
  CHECK(spelled(array + "6b 0002 0103 6d 00000003 \"abc\"") == "ndarray:<f8(1,3,)\"abc\"");
  CHECK(spelled(array + "6c 00000001 62 00000100 6a 6d 00000003 \"abc\"") == "ndarray:<f8(256,)\"abc\"");
  CHECK(spelled(array + "6a 6d 00000003 \"abc\"") == "ndarray:<f8()\"abc\"");
  CHECK(spelled("68 04 7708\"$ndarray\" 7702\"f8\" 68 00 6d 00000001 \"a\"") == "ndarray:f8()\"a\"");

  SECTION("what only looks alike is an ordinary tuple") {
    CHECK(spelled("68 02 7706\"$bytes\" 6105") == "{atom:$bytes 5}");
    CHECK(spelled("68 02 7709\"py_object\" 6105") == "{atom:py_object 5}");
    CHECK(spelled("68 02 7709\"py_object\" 68 03 7707\"$object\" 6101 62ffffffff") ==
          "{atom:py_object {atom:$object 1 -1}}");
  }
  SECTION("an array whose parts are wrong is an error") {
    for (const char* rest :
         {"6105 6d 00000000", "68 01 62ffffffff 6d 00000000", "68 01 6e0800ffffffffffffffff 6d 00000000",
          "68 01 46 3ff0000000000000 6d 00000000", "6c 00000001 6101 6102 6d 00000000", "68 00 6105"}) {
      INFO(rest);
      CHECK(fault_of([&] { (void)spelled(array + rest); }) == value_fault);
    }
    std::string many = "69 00000041";
    for (int i = 0; i < 65; ++i) many += "6101";
    CHECK(fault_of([&] { (void)spelled(array + many + "6d 00000000"); }) == value_fault);
    CHECK(fault_of([] { (void)spelled("68 04 7708\"$ndarray\" 6101 68 00 6d 00000000"); }) == value_fault);
  }
  SECTION("into Erlang's world they stay what they are") {
    byte_buffer again = reencoded(bytes_of(bytes_tuple));
    CHECK(hex(again) == hex(bytes_of("83" + bytes_tuple)));
  }
}

TEST_CASE("a buffer shares its owner where there is one, and else is a copy", "[etf]") {
  struct counted final : erlpy::shared_bytes {
    explicit counted(byte_buffer b) : bytes(std::move(b)) {}
    [[nodiscard]] bytes_view view() const noexcept override { return bytes; }
    byte_buffer bytes;
  };
  const auto owner = std::make_shared<const counted>(bytes_of("83 68 02 7707\"$buffer\" 6d 00000002 \"ab\""));
  spelling_sink to;
  CHECK(erlpy::transcode(erlpy::etf::source(owner->view(), {}, owner), to) == "shared:\"ab\"");
  CHECK(to.last_shared->view().data() == owner->bytes.data() + owner->bytes.size() - 2);
  CHECK(owner.use_count() == 2);
  to.last_shared.reset();
  CHECK(owner.use_count() == 1);

  byte_buffer passing = owner->bytes;
  CHECK(erlpy::transcode(erlpy::etf::source(bytes_view(passing)), to) == "shared:\"ab\"");
  std::ranges::fill(passing, std::byte{0});
  CHECK(erlpy::as_text(to.last_shared->view()) == "ab");
}

TEST_CASE("a request is taken apart without converting it", "[etf]") {
  using namespace erlpy::etf;
  const byte_buffer request = bytes_of(
      "83 68 05 7704\"call\" 6e0400ffffffff 6d00000004\"math\" 6b0002 0102 74 00000001 7701\"k\" 6a");
  const term whole = read_term(request);
  std::vector<term> parts;
  REQUIRE(tuple_elements(whole, parts));
  REQUIRE(parts.size() == 5);
  CHECK(is_atom(parts[0], "call"));
  CHECK_FALSE(is_atom(parts[0], "cal"));
  CHECK(atom_text(parts[0]) == "call");
  CHECK(integer_value(parts[1]) == 4294967295);
  CHECK(erlpy::as_text(binary_bytes(parts[2]).value()) == "math");
  CHECK(string_bytes(parts[3]).value().size() == 2);
  CHECK_FALSE(integer_value(parts[0]));
  CHECK_FALSE(atom_text(parts[1]));
  CHECK_FALSE(binary_bytes(parts[1]));
  std::vector<std::pair<term, term>> entries;
  REQUIRE(map_entries(parts[4], entries));
  CHECK(is_atom(entries.at(0).first, "k"));
  CHECK_FALSE(map_entries(parts[0], entries));
  CHECK_FALSE(tuple_elements(parts[0], parts));
  CHECK(parts.empty());
  spelling_sink to;
  CHECK(erlpy::transcode(source(whole), to) == "{atom:call 4294967295 binary:\"math\" [1 2] #{atom:k=>[]}}");
  const byte_buffer list = bytes_of("6c00000002 6101 6102 6a");
  CHECK(list_elements(read_term(list), parts));
  CHECK(parts.size() == 2);
  CHECK_FALSE(list_elements(read_term(bytes_of("6c00000002 6101 6102 6103")), parts));
}

TEST_CASE("a cancelled walk ends", "[etf]") {
  const byte_buffer big = written([](auto& to) {
    auto list = to.list(100'000);
    for (int i = 0; i < 100'000; ++i) list.push(list.child().integer(i));
    (void)list.finish();
  });
  std::atomic<bool> stop{false};
  const erlpy::walk_limits limits{.max_depth = 10, .stop = &stop};
  CHECK(fault_of([&] { (void)reencoded(big, limits); }) == -1);
  stop = true;
  CHECK(fault_of([&] { (void)reencoded(big, limits); }) == cancelled_fault);
}
