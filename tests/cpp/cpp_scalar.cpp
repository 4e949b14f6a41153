// Numbers, text, bytes and time: through each world and back, and what is refused.
#include <array>
#include <chrono>
#include <cmath>
#include <complex>
#include <cstdint>
#include <limits>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cpp_support.hpp"

using namespace test;
using namespace std::chrono_literals;

namespace {

enum class colour : std::uint8_t { red = 1, green = 200 };
enum plain { one = 1 };

// A type that is no struct, and crosses as a string.
class version {
 public:
  version(int major, int minor) : major_(major), minor_(minor) {}
  [[nodiscard]] int major() const { return major_; }
  [[nodiscard]] int minor() const { return minor_; }
  friend bool operator==(const version&, const version&) = default;

 private:
  int major_;
  int minor_;
};

// Crosses in one direction only.
struct secret {
  std::string text;
};

template <class T>
void whole_range() {
  CHECK(survives(std::numeric_limits<T>::min()));
  CHECK(survives(std::numeric_limits<T>::max()));
  CHECK(survives(T{0}));
}

}  // namespace

template <>
struct erlpy::crosses_as<version> {
  using type = std::string;
  static std::string to(const version& v) {
    return std::to_string(v.major()) + "." + std::to_string(v.minor());
  }
  static version from(const std::string& text) {
    const std::size_t dot = text.find('.');
    if (dot == std::string::npos) throw conversion_error(fault::value, "no version: " + text);
    return {std::stoi(text), std::stoi(text.substr(dot + 1))};
  }
};

template <>
struct erlpy::crosses_as<secret> {
  using type = std::size_t;
  static std::size_t to(const secret& s) { return s.text.size(); }
};

static_assert(cpp::writable<int> && cpp::readable<int>);
static_assert(cpp::writable<version> && cpp::readable<version>);
static_assert(cpp::writable<secret> && !cpp::readable<secret>);
static_assert(cpp::writable<std::string_view> && !cpp::readable<std::string_view>);
static_assert(cpp::writable<const char*> && !cpp::readable<const char*>);
static_assert(!cpp::writable<char> && !cpp::writable<char32_t> && !cpp::readable<wchar_t>);
static_assert(!cpp::writable<void*> && !cpp::writable<int*> && !cpp::writable<long double>);
static_assert(!cpp::writable<std::mutex> && !cpp::readable<std::mutex>);
static_assert(std::same_as<cpp::result_t<erlpy::bytes_view>, cpp::buffer>);
static_assert(std::same_as<cpp::result_t<std::string>, std::string>);
static_assert(erlpy::source<cpp::source<int>> && erlpy::sink<cpp::sink<int>>);
static_assert(erlpy::sink<cpp::sink<version>> && erlpy::sink<cpp::sink<std::complex<float>>>);
static_assert(erlpy::sink<cpp::sink<cpp::buffer>> && erlpy::sink<cpp::sink<std::chrono::nanoseconds>>);

TEST_CASE("integers of every width survive at both ends of their range") {
  whole_range<std::int8_t>();
  whole_range<std::uint8_t>();
  whole_range<std::int16_t>();
  whole_range<std::uint16_t>();
  whole_range<std::int32_t>();
  whole_range<std::uint32_t>();
  whole_range<std::int64_t>();
  whole_range<std::uint64_t>();
  whole_range<long>();
  whole_range<unsigned long long>();
  CHECK(python_repr(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
  CHECK(python_repr(std::uint8_t{65}) == "65");
}

TEST_CASE("an integer that does not fit says the type") {
  CHECK(wrong<std::uint8_t>("300") == "300 does not fit std::uint8_t");
  CHECK(wrong<std::uint8_t>("-1") == "-1 does not fit std::uint8_t");
  CHECK(wrong<std::int8_t>("128") == "128 does not fit std::int8_t");
  CHECK(wrong<std::int32_t>("2**31") == "2147483648 does not fit std::int32_t");
  CHECK(wrong<std::uint64_t>("-1") == "-1 does not fit std::uint64_t");
  CHECK(wrong<std::int64_t>("2**63") == "an integer of 64 bits does not fit std::int64_t");
  CHECK(wrong<std::int64_t>("-2**63 - 1") == "a negative integer of 64 bits does not fit std::int64_t");
  CHECK(from<std::int64_t>("-2**63") == std::numeric_limits<std::int64_t>::min());
  CHECK(wrong<std::uint64_t>("2**64") == "an integer of 65 bits does not fit std::uint64_t");
  CHECK(wrong_term<std::uint16_t>(70000) == "70000 does not fit std::uint16_t");
  try {
    static_cast<void>(from<std::uint8_t>("300"));
    FAIL("300 became a byte");
  } catch (const cpp::mismatch& error) {
    CHECK(error.kind() == erlpy::fault::overflow);
    CHECK(error.path().empty());
    CHECK(error.problem() == "300 does not fit std::uint8_t");
  }
}

TEST_CASE("what is no integer is named") {
  CHECK(wrong<int>("'x'") == "expected int, got str");
  CHECK(wrong<int>("True") == "expected int, got bool");
  CHECK(wrong<int>("1.0") == "expected int, got float");
  CHECK(wrong<int>("None") == "expected int, got None");
  CHECK(wrong<int>("b'x'") == "expected int, got bytes");
  CHECK(wrong<int>("bytes(70000)") == "expected int, got bytes");
  CHECK(wrong<int>("bytearray(3)") == "expected int, got bytes");
  CHECK(wrong<int>("[]") == "expected int, got list");
  CHECK(wrong<int>("()") == "expected int, got tuple");
  CHECK(wrong<int>("{1}") == "expected int, got set");
  CHECK(wrong<int>("{}") == "expected int, got map");
  CHECK(wrong<int>("1j") == "expected int, got complex");
  CHECK(wrong<int>("object()") == "expected int, got object");
  CHECK(wrong<int>("(x for x in [])") == "expected int, got generator");
  CHECK(wrong<int>("__import__('array').array('d', [1])") == "expected int, got ndarray");
  CHECK(wrong_term<int>(cpp::atom{"ok"}) == "expected int, got atom 'ok'");
  CHECK(wrong_term<int>("text") == "expected int, got binary");
  const erlpy::byte_buffer pid = {std::byte{'X'}, std::byte{'w'}, std::byte{1}, std::byte{'n'},
                                  std::byte{0},   std::byte{0},   std::byte{0}, std::byte{1},
                                  std::byte{0},   std::byte{0},   std::byte{0}, std::byte{0},
                                  std::byte{0},   std::byte{0},   std::byte{0}, std::byte{1}};
  CHECK(failure([&] { static_cast<void>(decoded<int>(pid)); }) ==
        "TypeError: expected int, got opaque term (pid)");
}

TEST_CASE("objects that were refused are not held") {
  run("class Thing: pass");
  world::get().objects().drain();
  const std::size_t before = world::get().objects().held();
  CHECK(wrong<std::vector<int>>("[1, Thing()]") == "[1]: expected int, got object");
  world::get().objects().drain();
  CHECK(world::get().objects().held() == before);
}

TEST_CASE("bool is bool and nothing else") {
  CHECK(survives(true));
  CHECK(survives(false));
  CHECK(erlang_text(true) == "true");
  CHECK(wrong<bool>("1") == "expected bool, got int");
  CHECK(wrong<bool>("None") == "expected bool, got None");
  CHECK(wrong_term<bool>(cpp::atom{"yes"}) == "expected bool, got atom 'yes'");
}

TEST_CASE("floating point numbers") {
  for (const double value : {0.0, -1.5, 1e300, 5e-324, std::numeric_limits<double>::infinity(),
                             -std::numeric_limits<double>::infinity()})
    CHECK(survives(value));
  CHECK(survives(2.5F));
  CHECK(std::signbit(decoded<double>(encoded(-0.0))));
  CHECK(std::isnan(decoded<double>(encoded(std::nan("")))));
  CHECK(std::isnan(read<float>(shown(std::nanf("")))));
  CHECK(from<double>("3") == 3.0);
  CHECK(from<double>("2**53") == 9007199254740992.0);
  CHECK(wrong<double>("2**53 + 1") == "9007199254740993 has no exact double");
  CHECK(wrong<double>("2**63 - 1") == "9223372036854775807 has no exact double");
  CHECK(from<double>("-2**63") == -9223372036854775808.0);
  CHECK(from<double>("2**200") == std::ldexp(1, 200));
  CHECK(from<double>("-3 * 2**100") == -3 * std::ldexp(1, 100));
  CHECK(wrong<double>("2**200 + 1") == "an integer of 201 bits has no exact double");
  CHECK(wrong<double>("2**1024") == "an integer of 1025 bits has no exact double");
  CHECK(from<float>("16777216") == 16777216.0F);
  CHECK(wrong<float>("16777217") == "16777217 has no exact float");
  CHECK(from<float>("0.1") == 0.1F);
  CHECK(wrong<float>("1e39") == "9.9999999999999994e+38 does not fit float");
  CHECK(wrong<double>("'x'") == "expected float, got str");
  CHECK(wrong<double>("True") == "expected float, got bool");
  CHECK(wrong_term<double>(cpp::atom{"nano"}) == "expected float, got atom 'nano'");
}

TEST_CASE("an enum is its integer") {
  CHECK(survives(colour::green));
  CHECK(survives(one));
  CHECK(python_repr(colour::green) == "200");
  CHECK(from<colour>("1") == colour::red);
  CHECK(wrong<colour>("256") == "256 does not fit std::uint8_t");
  CHECK(wrong<colour>("'red'") == "expected int, got str");
  CHECK(from<std::byte>("255") == std::byte{255});
  run("import enum\nclass Colour(enum.IntEnum):\n  RED = 1");
  CHECK(from<colour>("Colour.RED") == colour::red);
}

TEST_CASE("text is UTF-8") {
  CHECK(survives(std::string()));
  CHECK(
      survives(std::string("Gr\xC3\xBC\xC3\x9F"
                           "e")));
  CHECK(survives(std::string("a\0b", 3)));
  CHECK(python_repr("literal") == "'literal'");
  CHECK(python_repr(std::string_view("view")) == "'view'");
  const char* pointer = "pointer";
  CHECK(python_repr(pointer) == "'pointer'");
  pointer = nullptr;
  CHECK(python_repr(pointer) == "None");
  CHECK(erlang_text(std::string("abc")) == "<<\"abc\">>");
  CHECK(decoded<std::string>(encoded(cpp::atom{"ok"})) == "ok");
  CHECK(decoded<std::string>(encoded(erlpy::byte_buffer{std::byte{'x'}})) == "x");
  CHECK(wrong_term<std::string>(erlpy::byte_buffer{std::byte{0xFF}}) ==
        "expected str, got binary that is not UTF-8");
  CHECK(wrong<std::string>("b'abc'") == "expected str, got bytes");
  CHECK(wrong<std::string>("1") == "expected str, got int");
  const std::string latin1 =
      "Gr\xFC\xDF"
      "e";
  CHECK(
      failure([&] { static_cast<void>(encoded(latin1)); }) ==
      "UnicodeEncodeError: a string is not UTF-8 at byte 2; what is no text crosses as erlpy::byte_buffer or "
      "erlpy::cpp::buffer");
  CHECK(contains(failure([&] { static_cast<void>(shown(latin1)); }), "UnicodeEncodeError: "));
}

TEST_CASE("atoms") {
  CHECK(erlang_text(cpp::atom{"ok"}) == "ok");
  CHECK(decoded<cpp::atom>(encoded(cpp::atom{"ok"})).name == "ok");
  CHECK(python_repr(cpp::atom{"ok"}) == "'ok'");
  CHECK(from<cpp::atom>("'ok'").name == "ok");
  CHECK(from<cpp::atom>("__import__('erlang').Atom('ok')").name == "ok");
  CHECK(wrong<cpp::atom>("1") == "expected atom, got int");
}

TEST_CASE("Erlang's strings are lists of code points") {
  const cpp::charlist text{"h\u00e9\u20ac\U0001f600"};
  CHECK(survives(text));
  CHECK(survives(cpp::charlist{}));
  CHECK(python_repr(text) == "[104, 233, 8364, 128512]");
  CHECK(read<cpp::charlist>(py("'h\u00e9'")).text == "h\u00e9");
  CHECK(from<cpp::charlist>("[97, 98]").text == "ab");
  // STRING_EXT, as Erlang writes "ab".
  constexpr std::array<unsigned char, 6> external{131, 107, 0, 2, 'a', 'b'};
  CHECK(decoded<cpp::charlist>(std::as_bytes(std::span(external))).text == "ab");
  CHECK(wrong<cpp::charlist>("[97, 0xd800]") == "[1]: 55296 is no Unicode character");
  CHECK(wrong<cpp::charlist>("[0x110000]") == "[0]: 1114112 is no Unicode character");
  CHECK(wrong<cpp::charlist>("[97, 'b']") == "[1]: expected int, got str");
  CHECK(wrong<cpp::charlist>("5") == "expected list of characters, got int");
  CHECK(contains(failure([] { static_cast<void>(encoded(cpp::charlist{"a\xff"})); }), "not UTF-8 at byte 1"));
}

TEST_CASE("bytes") {
  const erlpy::byte_buffer some = {std::byte{0}, std::byte{0xFF}, std::byte{'a'}};
  CHECK(survives(some));
  CHECK(survives(erlpy::byte_buffer()));
  CHECK(python_repr(some) == "b'\\x00\\xffa'");
  const std::array<std::byte, 3> fixed = {std::byte{0}, std::byte{0xFF}, std::byte{'a'}};
  CHECK(survives(fixed));
  CHECK(python_repr(fixed) == "b'\\x00\\xffa'");
  CHECK(wrong<std::array<std::byte, 3>>("b'ab'") == "expected 3 bytes, got 2");
  CHECK(wrong<std::array<std::byte, 3>>("bytearray(4)") == "expected 3 bytes, got 4");
  CHECK(survives(cpp::buffer(some)));
  CHECK(survives(cpp::buffer()));
  CHECK(from<erlpy::byte_buffer>("bytearray(b'abc')").size() == 3);
  CHECK(from<cpp::buffer>("memoryview(b'abcdef')[::2]") == cpp::buffer(erlpy::as_bytes("ace")));
  CHECK(wrong<erlpy::byte_buffer>("'abc'") == "expected bytes, got str");
  CHECK(wrong<cpp::buffer>("[1]") == "expected bytes, got list");
  CHECK(from<erlpy::shared_bytes_ptr>("None") == nullptr);
  CHECK(erlpy::as_text(from<erlpy::shared_bytes_ptr>("b'abc'")->view()) == "abc");
  CHECK(wrong<erlpy::shared_bytes_ptr>("1") == "expected bytes or None, got int");
}

TEST_CASE("bytes with an owner are lent to Python, others are copied") {
  const erlpy::byte_buffer some(1000, std::byte{7});
  let("copy", shown(erlpy::bytes_view(some)));
  CHECK(truth("copy == b'\\x07' * 1000 and type(copy) is bytes"));
  run("del copy");

  Py_buffer seen;
  cpp::buffer owning(some);
  let("view", shown(owning));
  const std::byte* place = owning.data();
  owning = cpp::buffer();
  REQUIRE(PyObject_GetBuffer(py("view").get(), &seen, PyBUF_SIMPLE) == 0);
  CHECK(seen.buf == place);
  PyBuffer_Release(&seen);
  CHECK(truth("type(view) is memoryview and view.readonly and bytes(view) == b'\\x07' * 1000"));
  // And what was lent comes back as what it was.
  CHECK(from<cpp::buffer>("view").data() == place);
  run("del view");
}

TEST_CASE("a large bytes object is lent to C++, and outlives its name in Python") {
  run("large = b'xyz' * 40000");
  const cpp::buffer lent = from<erlpy::bytes_view>("large");
  CHECK(static_cast<const void*>(lent.data()) == PyBytes_AS_STRING(py("large").get()));
  run("del large");
  CHECK(lent.size() == 120000);
  CHECK(erlpy::as_text(lent.view().last(3)) == "xyz");
}

TEST_CASE("durations and points in time are seconds") {
  CHECK(survives(1500ms));
  CHECK(survives(std::chrono::nanoseconds(-1)));
  CHECK(survives(std::chrono::duration<double>(0.1)));
  CHECK(survives(std::chrono::hours(5)));
  CHECK(survives(std::chrono::sys_time<std::chrono::microseconds>(1'700'000'000'123'456us)));
  CHECK(python_repr(1500ms) == "1.5");
  CHECK(from<std::chrono::milliseconds>("2") == 2s);
  CHECK(from<std::chrono::milliseconds>("0.0014") == 1ms);
  CHECK(from<std::chrono::minutes>("120") == 2min);
  CHECK(from<std::chrono::sys_time<std::chrono::seconds>>("86400") ==
        std::chrono::sys_days(std::chrono::days(1)));
  CHECK(wrong<std::chrono::nanoseconds>("1e10") ==
        "10000000000 seconds does not fit the std::chrono::duration");
  CHECK(wrong<std::chrono::nanoseconds>("10**10") ==
        "10000000000 seconds does not fit the std::chrono::duration");
  CHECK(wrong<std::chrono::milliseconds>("float('nan')") ==
        "nan seconds does not fit the std::chrono::duration");
  CHECK(wrong<std::chrono::milliseconds>("'1s'") == "expected seconds as float, got str");
  CHECK(std::isinf(from<std::chrono::duration<double>>("float('inf')").count()));
}

TEST_CASE("complex numbers") {
  CHECK(survives(std::complex<double>(1, -2.5)));
  CHECK(survives(std::complex<float>(1, -2.5F)));
  CHECK(python_repr(std::complex<double>(1, -2.5)) == "(1-2.5j)");
  CHECK(erlang_text(std::complex<double>(1, -2.5)) == "{1.0,-2.5}");
  CHECK(from<std::complex<double>>("__import__('cmath').sqrt(-4)") == std::complex<double>(0, 2));
  CHECK(from<std::complex<double>>("2") == std::complex<double>(2, 0));
  CHECK(from<std::complex<double>>("2.5") == std::complex<double>(2.5, 0));
  CHECK(wrong<std::complex<double>>("'x'") == "expected complex, got str");
  CHECK(wrong<std::complex<double>>("(1, 2, 3)") == "expected a tuple of 2, got one of 3");
}

TEST_CASE("a type crosses as what its author says") {
  CHECK(survives(version(3, 12)));
  CHECK(survives(std::vector<version>{{1, 2}, {3, 4}}));
  CHECK(python_repr(std::vector<version>{{1, 2}}) == "['1.2']");
  CHECK(python_repr(secret{"hidden"}) == "6");
  CHECK(wrong<std::vector<version>>("['1.2', 'x']") == "[1]: no version: x");
  CHECK(wrong<version>("3") == "expected str, got int");
}
