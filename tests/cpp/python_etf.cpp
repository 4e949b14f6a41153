// Both crossing tables, row by row, between the External Term Format and Python. The encoded terms are
// spelled out here, byte by byte, so that the tests do not rest on the encoder they test.
#include <bit>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <erlpy/etf/sink.hpp>
#include <erlpy/etf/source.hpp>

#include "python_fixture.hpp"

using namespace test;

namespace {

// ---- encoded terms, without the version byte

[[nodiscard]] std::string big_endian(std::uint64_t value, int bytes) {
  std::string out;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
  return out;
}
[[nodiscard]] std::string atom(const std::string& utf8) {
  return utf8.size() < 256 ? "w" + big_endian(utf8.size(), 1) + utf8
                           : "v" + big_endian(utf8.size(), 2) + utf8;
}
[[nodiscard]] std::string bin(const std::string& data) { return "m" + big_endian(data.size(), 4) + data; }
[[nodiscard]] std::string integer(std::int32_t value) {
  return value >= 0 && value < 256 ? "a" + big_endian(static_cast<std::uint64_t>(value), 1)
                                   : "b" + big_endian(static_cast<std::uint32_t>(value), 4);
}
[[nodiscard]] std::string big(bool negative, const std::string& little_endian) {
  return (little_endian.size() < 256 ? "n" + big_endian(little_endian.size(), 1)
                                     : "o" + big_endian(little_endian.size(), 4)) +
         (negative ? '\1' : '\0') + little_endian;
}
[[nodiscard]] std::string real(double value) {
  return "F" + big_endian(std::bit_cast<std::uint64_t>(value), 8);
}
[[nodiscard]] std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += part;
  return out;
}
[[nodiscard]] std::string tuple(const std::vector<std::string>& elements) {
  return "h" + big_endian(elements.size(), 1) + joined(elements);
}
const std::string nil = "j";
[[nodiscard]] std::string list(const std::vector<std::string>& elements, const std::string& tail = nil) {
  return elements.empty() ? nil : "l" + big_endian(elements.size(), 4) + joined(elements) + tail;
}
[[nodiscard]] std::string map(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string out = "t" + big_endian(entries.size(), 4);
  for (const auto& [key, value] : entries) out += key + value;
  return out;
}
const std::string node = atom("nonode@nohost");
const std::string pid = "X" + node + big_endian(71, 4) + big_endian(0, 4) + big_endian(0, 4);
const std::string other_pid = "X" + node + big_endian(72, 4) + big_endian(0, 4) + big_endian(0, 4);
const std::string port = "Y" + node + big_endian(5, 4) + big_endian(0, 4);
const std::string reference =
    "Z" + big_endian(2, 2) + node + big_endian(0, 4) + big_endian(1, 4) + big_endian(2, 4);
const std::string fun = "q" + atom("lists") + atom("map") + integer(2);
const std::string bits = "M" + big_endian(2, 4) + '\3' + "\xAB\xE0";

// ---- crossing

[[nodiscard]] ref decode(const std::string& term, python::sink_options options = {},
                         erlpy::walk_limits limits = {}) {
  python::sink to(world::get().context(), options);
  return erlpy::transcode(erlpy::etf::source(erlpy::as_bytes(term), limits), to);
}

[[nodiscard]] std::string encode(const ref& value, erlpy::walk_limits limits = {}) {
  erlpy::byte_buffer out;
  erlpy::etf::sink to(out, limits);
  static_cast<void>(erlpy::transcode(python::source(world::get().context(), value.get(), limits), to));
  return std::string(erlpy::as_text(out));
}

[[nodiscard]] std::string encode(const std::string& expression) { return encode(py(expression)); }

void decodes(const std::string& term, const std::string& expected) {
  CAPTURE(expected);
  let("got", decode(term));
  let("expected", py(expected));
  INFO("got " << repr(py("got")));
  CHECK(truth("type(got) is type(expected) and got == expected and repr(got) == repr(expected)"));
}

// In hexadecimal, so that a failure can be read.
[[nodiscard]] std::string hex(const std::string& bytes) {
  std::string out;
  for (const char c : bytes) {
    constexpr char digits[] = "0123456789abcdef";
    out += digits[static_cast<unsigned char>(c) >> 4U];
    out += digits[static_cast<unsigned char>(c) & 15U];
  }
  return out;
}

void encodes(const std::string& expression, const std::string& term) {
  CAPTURE(expression);
  CHECK(hex(encode(expression)) == hex(term));
}

void both_ways(const std::string& expression, const std::string& term) {
  decodes(term, expression);
  encodes(expression, term);
}

[[nodiscard]] std::string decode_failure(const std::string& term, erlpy::walk_limits limits = {}) {
  return failure([&] { const ref value = decode(term, {}, limits); });
}
[[nodiscard]] std::string encode_failure(const std::string& expression) {
  const ref value = py(expression);
  return failure([&] { static_cast<void>(encode(value)); });
}

}  // namespace

TEST_CASE("crossing: integers and floats") {
  both_ways("0", integer(0));
  both_ways("255", integer(255));
  both_ways("256", integer(256));
  both_ways("-1", integer(-1));
  both_ways("2**31 - 1", integer(2147483647));
  both_ways("-2**31", integer(-2147483647 - 1));
  both_ways("2**31", big(false, std::string("\0\0\0\x80", 4)));
  both_ways("2**63", big(false, std::string("\0\0\0\0\0\0\0\x80", 8)));
  both_ways("-2**63", big(true, std::string("\0\0\0\0\0\0\0\x80", 8)));
  both_ways("2**64", big(false, std::string(8, '\0') + '\1'));
  both_ways("-2**64", big(true, std::string(8, '\0') + '\1'));
  both_ways("256**255 - 1", big(false, std::string(255, '\xFF')));
  both_ways("256**4000 - 1", big(false, std::string(4000, '\xFF')));
  both_ways("1 - 256**5000", big(true, std::string(5000, '\xFF')));
  both_ways("0.0", real(0.0));
  both_ways("-0.0", real(-0.0));
  both_ways("1.5", real(1.5));
  both_ways("1.7976931348623157e308", real(1.7976931348623157e308));
  encodes("float('nan')", atom("nan"));
  encodes("float('inf')", atom("infinity"));
  encodes("float('-inf')", atom("neg_infinity"));
}

TEST_CASE("crossing: atoms") {
  both_ways("True", atom("true"));
  both_ways("False", atom("false"));
  both_ways("None", atom("none"));
  decodes(atom("nil"), "None");
  decodes(atom("undefined"), "None");
  decodes(atom("hello world"), "'hello world'");
  decodes(atom(""), "''");
  decodes(atom("caf\xC3\xA9"), "'caf\\xe9'");
  decodes(list({atom("a"), atom("a")}), "['a', 'a']");
  std::string euros;
  for (int i = 0; i < 255; ++i) euros += "\xE2\x82\xAC";
  decodes(atom(euros), "'\\u20ac' * 255");

  run("import erlang");
  let("got", decode(list({atom("ok"), atom("true"), atom("nil"), bin("text")}), {.keep_atoms = true}));
  CHECK(truth("got == ['ok', True, None, 'text'] and type(got[0]) is erlang.Atom and type(got[3]) is str"));
  let("got", decode(map({{atom("k"), atom(euros)}}), {.keep_atoms = true}));
  CHECK(truth("[type(x) for x in list(got) + list(got.values())] == [erlang.Atom] * 2"));
  encodes("erlang.Atom('ok')", atom("ok"));
  encodes("erlang.Atom('\\u20ac' * 255)", atom(euros));
  encodes("{erlang.Atom('k'): 1}", map({{atom("k"), integer(1)}}));
}

TEST_CASE("crossing: text and bytes") {
  both_ways("'text'", bin("text"));
  both_ways("''", bin(""));
  both_ways("'a\\0b'", bin(std::string("a\0b", 3)));
  both_ways("'\\u20ac\\U0001f600'", bin("\xE2\x82\xAC\xF0\x9F\x98\x80"));
  both_ways("b'\\xff\\0'", bin(std::string("\xFF\0", 2)));
  decodes(bin("ab\xED\xA0\x80"), "b'ab\\xed\\xa0\\x80'");
  decodes(bin("\xC0\x80"), "b'\\xc0\\x80'");
  decodes(bin(std::string(100'000, 'x') + "\xE2\x82"), "b'x' * 100000 + b'\\xe2\\x82'");
  decodes(tuple({atom("$bytes"), bin("text")}), "b'text'");
  decodes(tuple({atom("bytes"), bin("text")}), "('bytes', 'text')");
  encodes("bytearray(b'ab')", bin("ab"));
  encodes("memoryview(b'abc')[1:]", bin("bc"));
  encodes("memoryview(b'abcdef')[::2]", bin("ace"));
  encodes("b'x' * 70000", bin(std::string(70'000, 'x')));
  CHECK(contains(encode_failure("'ab\\ud800'"), "UnicodeEncodeError: "));
}

TEST_CASE("crossing: buffers and arrays") {
  let("got", decode(tuple({atom("$buffer"), bin("text")})));
  CHECK(truth("type(got) is memoryview and got.readonly and got == b'text'"));
  encodes("got", bin("text"));

  const std::string shorts("\1\0\2\0\3\0\4\0", 8);
  const std::string ndarray =
      tuple({atom("$ndarray"), bin("<i2"), tuple({integer(2), integer(2)}), bin(shorts)});
  let("got", decode(ndarray));
  CHECK(truth("got.tolist() == [[1, 2], [3, 4]]"));
  encodes("got", ndarray);
  run("import array");
  encodes("array.array('h', [1, 2, 3, 4])",
          tuple({atom("$ndarray"), bin("<i2"), tuple({integer(4)}), bin(shorts)}));
  CHECK(contains(decode_failure(tuple({atom("$ndarray"), bin("<i2"), tuple({integer(3)}), bin(shorts)})),
                 "ValueError: ndarray of dtype <i2 and shape {3} needs 6 bytes, the binary has 8"));
  if (has_numpy()) {
    CHECK(truth("isinstance(got, numpy.ndarray) and not got.flags.writeable"));
    encodes("numpy.array([[1, 3], [2, 4]], dtype='<i2').T", ndarray);
    encodes("numpy.array([1], dtype='M8[D]')", tuple({atom("$ndarray"), bin("<M8[D]"), tuple({integer(1)}),
                                                      bin(std::string("\1\0\0\0\0\0\0\0", 8))}));
    encodes("[numpy.int16(7), numpy.float32(0.5), numpy.bool_(False)]",
            list({integer(7), real(0.5), atom("false")}));
  }
}

TEST_CASE("crossing: containers") {
  both_ways("[]", nil);
  both_ways("[1, [2]]", list({integer(1), list({integer(2)})}));
  decodes("k" + big_endian(3, 2) + "abc", "[97, 98, 99]");
  both_ways("()", tuple({}));
  both_ways("(1, (2,))", tuple({integer(1), tuple({integer(2)})}));
  both_ways("{}", map({}));
  both_ways("{'a': {1: 2}}", map({{bin("a"), map({{integer(1), integer(2)}})}}));
  decodes(map({{list({integer(1), list({})}), atom("x")}}), "{(1, ()): 'x'}");
  decodes(map({{tuple({list({})}), integer(1)}}), "{((),): 1}");
  encodes("{3, 1, 2}", list({integer(1), integer(2), integer(3)}));
  encodes("frozenset(['b', 1, 'a', 0.5])", list({real(0.5), integer(1), bin("a"), bin("b")}));
  encodes("set()", nil);
  run(R"(
import collections, dataclasses, enum
P = collections.namedtuple('P', 'x y')
@dataclasses.dataclass
class D:
  x: int
class E(enum.Enum):
  A = 'a'
)");
  encodes("P(1, 2)", tuple({integer(1), integer(2)}));
  encodes("D(1)", map({{bin("x"), integer(1)}}));
  encodes("E.A", bin("a"));

  for (const char* many :
       {"list(range(100000))", "tuple(range(100000))", "{i: str(i) for i in range(100000)}"}) {
    CAPTURE(many);
    let("many", py(many));
    let("got", decode(encode(py("many"))));
    CHECK(truth("got == many"));
  }
  CHECK(decode_failure(map({{atom("a"), integer(1)}, {bin("a"), integer(2)}})) ==
        "ValueError: two keys of the map are the same key in Python: 'a'");
  CHECK(contains(decode_failure(map({{integer(1), integer(1)}, {real(1.0), integer(2)}})),
                 "same key in Python: 1.0"));
  CHECK(contains(decode_failure(map({{map({}), integer(1)}})), "unhashable type: 'dict'"));
  CHECK(contains(encode_failure("{'a': 1, b'a': 2}"), "ValueError: "));
}

TEST_CASE("crossing: opaque terms come back as they were") {
  for (const std::string& term : {pid, port, reference, fun, bits, list({integer(1)}, integer(2))}) {
    CAPTURE(hex(term));
    CHECK(hex(encode(decode(term))) == hex(term));
  }
  run("import erlang");
  let("got", decode(list({pid, pid, other_pid, reference, bits})));
  CHECK(truth("[type(x) for x in got] == [erlang.Pid] * 3 + [erlang.Term] * 2"));
  CHECK(
      truth("got[0] == got[1] and hash(got[0]) == hash(got[1]) and got[0] != got[2] and len(set(got)) == 4"));
  CHECK(truth("repr(got[0]).startswith('<erlang.Pid ') and '71.0' in repr(got[0])"));
  let("got", decode(map({{pid, integer(1)}})));
  encodes("got", map({{pid, integer(1)}}));
}

TEST_CASE("crossing: objects") {
  run("def gen(): yield 1\nclass Thing: pass\nthing = Thing()\ng = gen()");
  const auto object = [](const char* tag, std::uint64_t id) {
    const auto word = [](std::uint64_t value) {
      std::string bytes;
      for (int i = 0; i < 8; ++i) bytes += static_cast<char>(value >> (8 * i));
      while (bytes.size() > 1 && bytes.back() == '\0') bytes.pop_back();
      return value < 256 ? integer(static_cast<std::int32_t>(value)) : big(false, bytes);
    };
    return tuple({atom(tag), tuple({atom("$object"), word(world::get().objects().owner()), word(id)})});
  };
  const std::string thing = encode("thing");
  let("got", decode(thing));
  CHECK(truth("got is thing"));
  CHECK(contains(thing, "py_object"));
  const std::string generator = encode("g");
  CHECK(contains(generator, "generator"));
  let("got", decode(list({generator})));
  CHECK(truth("got[0] is g"));
  CHECK(contains(decode_failure(object("py_object", 0xFFFF00000001)), "object_gone: "));
}

TEST_CASE("crossing: nesting up to the limit and past it") {
  const auto nested = [](std::size_t depth) {
    std::string term;
    for (std::size_t i = 0; i < depth; ++i) term += "l" + big_endian(1, 4);
    return term + integer(7) + std::string(depth, 'j');
  };
  on_worker_stack([&] {
    const std::string deep = nested(10'000);
    const ref value = decode(deep);
    CHECK(encode(value) == deep);
    CHECK(contains(decode_failure(nested(10'001)), "RecursionError: "));
    let("deep", value);
    CHECK(contains(encode_failure("[deep]"), "RecursionError: "));
    run("del deep");
  });
}

TEST_CASE("crossing: a failing conversion leaves no references behind") {
  const std::string good =
      list({map({{bin("a key of some length"), list({bin("text"), real(1.5), atom("an atom")})}}),
            tuple({atom("$buffer"), bin("shared")}), pid, tuple({atom("$bytes"), bin("b")})});
  const std::string bad = list({good, map({{map({}), integer(1)}})});
  const auto round = [&] {
    const ref value = decode(good);
    CHECK(!decode_failure(bad).empty());
    CHECK(!decode_failure(good.substr(0, good.size() - 1)).empty());
  };
  for (int i = 0; i < 10; ++i) round();
  const std::size_t tracked = tracked_objects();
  run("import sys\nblocks = sys.getallocatedblocks()");
  for (int i = 0; i < 1000; ++i) round();
  CHECK(truth("sys.getallocatedblocks() - blocks < 200"));
  CHECK(tracked_objects() <= tracked + 5);
}
