// Containers, what may be absent, and variants: through each world and back, and where an error is.
#include <array>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "cpp_support.hpp"

using namespace test;

namespace {

using number_or_text = std::variant<double, std::int8_t, std::int64_t, std::string>;
using nested = std::map<std::string, std::vector<std::optional<std::tuple<int, std::set<std::string>>>>>;

template <class T>
concept both_ways = cpp::writable<T> && cpp::readable<T>;

}  // namespace

static_assert(both_ways<nested> && both_ways<number_or_text>);
static_assert(both_ways<std::array<std::unique_ptr<int>, 2>>);
static_assert(erlpy::sink<cpp::sink<nested>> && erlpy::sink<cpp::sink<number_or_text>>);
static_assert(erlpy::sink<cpp::sink<std::optional<std::vector<int>>>>);
static_assert(erlpy::sink<cpp::sink<cpp::any_value>> && erlpy::sink<cpp::sink<std::deque<bool>>>);
static_assert(cpp::writable<std::span<const int>> && !cpp::readable<std::span<const int>>);
static_assert(!cpp::writable<std::vector<void*>> && !cpp::readable<std::vector<void*>>);
static_assert(!cpp::writable<std::map<std::string, void*>> && !cpp::readable<std::tuple<int, void*>>);
static_assert(!cpp::writable<std::optional<void*>> && !cpp::writable<std::variant<int, void*>>);
// Views own nothing: they are no elements of what is built.
static_assert(cpp::writable<std::vector<erlpy::bytes_view>> &&
              !cpp::readable<std::vector<erlpy::bytes_view>>);
static_assert(!cpp::readable<std::optional<std::string_view>> && !cpp::readable<std::pair<int, const char*>>);

TEST_CASE("sequences survive, empty and nested") {
  CHECK(survives(std::vector<int>{}));
  CHECK(survives(std::vector<int>{1, -2, 3}));
  CHECK(survives(std::vector<bool>{true, false}));
  CHECK(survives(std::vector<std::string>{"a", ""}));
  CHECK(survives(std::vector<std::vector<double>>{{}, {1.5}, {2.5, 3.5}}));
  CHECK(survives(std::deque<int>{1, 2}));
  CHECK(survives(std::list<std::string>{"a", "b"}));
  CHECK(survives(std::array<int, 3>{1, 2, 3}));
  CHECK(survives(std::array<int, 0>{}));
  CHECK(survives(std::vector<std::int64_t>(100000, 7)));
  const std::vector<int> some = {1, 2};
  CHECK(python_repr(std::span(some)) == "[1, 2]");
  CHECK(python_repr(std::span<const int, 2>(some)) == "[1, 2]");
  CHECK(erlang_text(std::span(some)) == "[1,2]");
}

TEST_CASE("sequences take lists, tuples and sets") {
  CHECK(from<std::vector<int>>("(1, 2)") == std::vector{1, 2});
  CHECK(from<std::vector<int>>("{1}") == std::vector{1});
  CHECK(from<std::list<int>>("frozenset([1])") == std::list{1});
  CHECK(wrong<std::vector<int>>("{1: 2}") == "expected list, got map");
  CHECK(wrong<std::vector<int>>("'ab'") == "expected list, got str");
  CHECK(wrong<std::vector<int>>("None") == "expected list, got None");
  CHECK(wrong<std::vector<int>>("[1, 'x']") == "[1]: expected int, got str");
  CHECK(wrong<std::vector<std::vector<int>>>("[[], [1, 2, None]]") == "[1][2]: expected int, got None");
}

TEST_CASE("an array has its number of elements") {
  CHECK(from<std::array<int, 2>>("(1, 2)") == std::array{1, 2});
  CHECK(wrong<std::array<int, 2>>("[1]") == "expected a list of 2, got one of 1");
  CHECK(wrong<std::array<int, 2>>("(1, 2, 3)") == "expected a tuple of 2, got one of 3");
  CHECK(wrong<std::array<int, 2>>("[1, 'x']") == "[1]: expected int, got str");
  CHECK(wrong<std::array<int, 2>>("{1, 2}") == "expected list of 2, got set");
}

TEST_CASE("arrays of numbers become vectors of exactly their type") {
  run("import array");
  CHECK(from<std::vector<double>>("array.array('d', [1.5, 2.5])") == std::vector{1.5, 2.5});
  CHECK(from<std::vector<std::int32_t>>("array.array('i', [1, -2])") == std::vector<std::int32_t>{1, -2});
  CHECK(from<std::vector<double>>("array.array('d')").empty());
  CHECK(wrong<std::vector<double>>("array.array('f', [1])") ==
        "expected list, got ndarray of dtype <f4 and shape (1,)");
  CHECK(wrong<std::vector<float>>("array.array('d', [1, 2])") ==
        "expected list, got ndarray of dtype <f8 and shape (2,)");
  CHECK(wrong<std::vector<std::string>>("array.array('d', [1, 2])") ==
        "expected list, got ndarray of dtype <f8 and shape (2,)");
  if (!has_numpy()) return;
  CHECK(from<std::vector<double>>("numpy.arange(3.0)[::-1]") == std::vector{2.0, 1.0, 0.0});
  CHECK(wrong<std::vector<double>>("numpy.zeros((2, 3))") ==
        "expected list, got ndarray of dtype <f8 and shape (2, 3)");
  CHECK(from<std::vector<float>>("numpy.array([1, 2], 'f4').tolist()") == std::vector{1.0F, 2.0F});
}

TEST_CASE("sets") {
  CHECK(survives(std::set<int>{3, 1, 2}));
  CHECK(survives(std::set<int>{}));
  CHECK(survives(std::unordered_set<std::string>{"a", "b"}));
  CHECK(survives(std::set<std::vector<int>>{{1}, {1, 2}}));
  CHECK(python_repr(std::set<int>{1}) == "{1}");
  CHECK(erlang_text(std::unordered_set<int>{2, 3, 1}) == "[1,2,3]");
  CHECK(from<std::set<int>>("[2, 1]") == std::set{1, 2});
  CHECK(wrong<std::set<int>>("[1, 2, 1]") == "[2]: the element is there already");
  CHECK(wrong<std::set<int>>("{'x'}") == "[0]: expected int, got str");
  CHECK(wrong<std::set<int>>("{}") == "expected set, got map");
}

TEST_CASE("maps") {
  CHECK(survives(std::map<std::string, int>{{"a", 1}, {"b", 2}}));
  CHECK(survives(std::unordered_map<int, std::string>{{1, "a"}, {-2, "b"}}));
  CHECK(survives(std::map<std::tuple<int, int>, double>{{{1, 2}, 0.5}}));
  CHECK(survives(std::map<std::string, std::unique_ptr<int>>()));
  CHECK(python_repr(std::map<std::string, int>{{"a", 1}}) == "{'a': 1}");
  CHECK(wrong<std::map<std::string, int>>("{'a': 1, 'b': 'x'}") == "['b']: expected int, got str");
  CHECK(wrong<std::map<int, int>>("{7: None}") == "[7]: expected int, got None");
  CHECK(wrong<std::map<std::string, int>>("{'a': 1, 2: 3}") == "[key 1]: expected str, got int");
  CHECK(wrong<std::map<std::tuple<int, int>, int>>("{(1, 2): 'x'}") == "[...]: expected int, got str");
  CHECK(wrong<std::map<std::string, int>>("[]") == "expected map, got list");
  CHECK((wrong<std::map<std::string, std::vector<std::map<int, int>>>>("{'k': [{}, {1: 1.5}]}")) ==
        "['k'][1][1]: expected int, got float");
}

TEST_CASE("two entries that become one are an error") {
  run("import erlang");
  CHECK(wrong<std::map<double, int>>("{2**53: 1, float(2**53) + 2: 2}").empty());
  CHECK(wrong<std::map<float, int>>("{0.1: 1, 0.1 + 2**-50: 2}") == "two entries have the key ...");
  // In Erlang an atom and a binary are two keys.
  const std::map<std::variant<cpp::atom, std::string>, int> two = {{cpp::atom{"a"}, 1}, {"a", 2}};
  CHECK((wrong_term<std::map<std::string, int>>(two)) == "two entries have the key 'a'");
  CHECK((wrong_term<std::unordered_map<std::string, int>>(two)) == "two entries have the key 'a'");
}

TEST_CASE("tuples and pairs") {
  CHECK(survives(std::tuple<>()));
  CHECK(survives(std::tuple(1, std::string("a"), 2.5)));
  CHECK(survives(std::pair(std::string("a"), std::vector{1})));
  CHECK(python_repr(std::pair(1, true)) == "(1, True)");
  CHECK(erlang_text(std::tuple(1, cpp::atom{"a"})) == "{1,a}");
  CHECK((from<std::pair<int, int>>("[1, 2]")) == std::pair(1, 2));
  CHECK((wrong<std::tuple<int, int>>("(1,)")) == "expected a tuple of 2, got one of 1");
  CHECK((wrong<std::tuple<int, int>>("[1, 2, 3]")) == "expected a list of 2, got one of 3");
  CHECK((wrong<std::tuple<int, std::string>>("(1, 2)")) == "[1]: expected str, got int");
  CHECK((wrong<std::tuple<int, int>>("5")) == "expected tuple of 2, got int");
}

TEST_CASE("what may be absent") {
  CHECK(survives(std::optional<int>()));
  CHECK(survives(std::optional<int>(5)));
  CHECK(survives(std::vector<std::optional<std::string>>{"a", std::nullopt}));
  CHECK(survives(std::monostate()));
  CHECK(python_repr(std::optional<int>()) == "None");
  CHECK(decoded<std::optional<int>>(encoded(cpp::atom{"undefined"})) == std::nullopt);
  CHECK(wrong<std::optional<int>>("'x'") == "expected int, got str");
  CHECK(wrong<std::optional<std::vector<int>>>("[1, 'x']") == "[1]: expected int, got str");
  CHECK(*from<std::unique_ptr<int>>("5") == 5);
  CHECK(from<std::unique_ptr<int>>("None") == nullptr);
  CHECK(*from<std::shared_ptr<const std::vector<int>>>("[1]") == std::vector{1});
  CHECK(python_repr(std::make_unique<int>(3)) == "3");
  CHECK(python_repr(std::shared_ptr<int>()) == "None");
  CHECK(wrong<std::monostate>("1") == "expected None, got int");
}

TEST_CASE("deeply nested types survive") {
  CHECK(survives(nested{{"x", {std::nullopt, std::tuple(1, std::set<std::string>{"a", "b"})}}, {"y", {}}}));
  CHECK(wrong<nested>("{'x': [None, (1, {'a', 2})]}").starts_with("['x'][1][1]["));
}

TEST_CASE("a variant's alternative is chosen by the kind of the value") {
  CHECK(survives(number_or_text("text")));
  CHECK(survives(number_or_text(2.5)));
  CHECK(survives(number_or_text(std::int8_t{5})));
  CHECK(survives(number_or_text(std::int64_t{500})));
  // The first that an integer fits; a double only if no integer type takes it.
  CHECK(from<number_or_text>("5").index() == 1);
  CHECK(from<number_or_text>("500").index() == 2);
  CHECK(from<number_or_text>("2**64").index() == 0);
  CHECK(wrong<number_or_text>("2**64 + 1") ==
        "an integer of 65 bits does not fit any of the std::variant's alternatives");
  CHECK(from<number_or_text>("float('inf')").index() == 0);
  CHECK(decoded<number_or_text>(encoded(cpp::atom{"infinity"})).index() == 0);
  CHECK(decoded<number_or_text>(encoded(cpp::atom{"finite"})).index() == 3);
  CHECK(wrong<number_or_text>("None") == "expected float or int or str, got None");
  CHECK(wrong<number_or_text>("[]") == "expected float or int or str, got list");
  CHECK((wrong<std::variant<std::int8_t, std::uint8_t>>("300")) ==
        "300 does not fit any of the std::variant's alternatives");
  CHECK((wrong<std::variant<std::string, bool>>("300")) == "expected str or bool, got int");

  using shapes =
      std::variant<std::vector<int>, std::tuple<int, int>, std::map<std::string, int>, std::monostate>;
  CHECK(survives(shapes(std::vector{1})));
  CHECK(survives(shapes(std::tuple(1, 2))));
  CHECK(survives(shapes(std::map<std::string, int>{{"a", 1}})));
  CHECK(survives(shapes(std::monostate())));
  CHECK(from<shapes>("{1}").index() == 0);
  CHECK(wrong<shapes>("[1, 'x']") == "[1]: expected int, got str");
  CHECK(wrong<shapes>("{'a': 'x'}") == "['a']: expected int, got str");
  CHECK(wrong<shapes>("(1, 2, 3)") == "expected a tuple of 2, got one of 3");
  CHECK(wrong<shapes>("1.5") == "expected list or tuple of 2 or map or None, got float");

  using binaries = std::variant<std::string, erlpy::byte_buffer>;
  CHECK(from<binaries>("'a'").index() == 0);
  CHECK(from<binaries>("b'a'").index() == 1);
  CHECK(decoded<binaries>(encoded("text")).index() == 0);
  CHECK(decoded<binaries>(encoded(erlpy::byte_buffer{std::byte{0xFF}})).index() == 1);
  CHECK(survives(std::optional<binaries>()));
  CHECK(survives(std::vector<std::variant<std::optional<int>, bool>>{true, 5, std::nullopt}));
}

TEST_CASE("any value, kind by kind") {
  const char* const python_values[] = {
      "None",     "True",         "-5",      "2**70",    "-2**64",           "1.5",           "1j", "'text'",
      "b'\\xff'", "[1, [2, []]]", "(1, ())", "{1, 'a'}", "{'a': {1: None}}", "bytes(100000)",
  };
  for (const char* expression : python_values) {
    CAPTURE(expression);
    const cpp::any_value value = from<cpp::any_value>(expression);
    let("back", shown(value));
    CHECK(truth(std::string("type(back) is type(") + expression + ") and back == " + expression));
    CHECK(read<cpp::any_value>(shown(value)) == value);
  }
  const cpp::any_value map = from<cpp::any_value>("{'a': 1, 'b': [2.5]}");
  const auto& entries = std::get<cpp::any_map>(map.get());
  REQUIRE(entries.find("b") != nullptr);
  CHECK(*entries.find("b") == cpp::any_value(cpp::any_list{{cpp::any_value(2.5)}}));
  CHECK(entries.find("c") == nullptr);
  CHECK_FALSE(map == from<cpp::any_value>("{'a': 1, 'b': [2.25]}"));
  CHECK_FALSE(from<cpp::any_value>("[1]") == from<cpp::any_value>("(1,)"));
  // A term goes through as it is.
  const erlpy::byte_buffer term =
      encoded(std::tuple(cpp::atom{"ok"}, std::map<std::string, int>{{"a", 1}}, 2.5));
  CHECK(encoded(decoded<cpp::any_value>(term)) == term);
  CHECK(from<cpp::any_value>("__import__('array').array('d', [1])") ==
        from<cpp::any_value>("__import__('array').array('d', [1])"));
}

TEST_CASE("any value is destroyed however deep it nests") {
  const auto nested = [](auto wrap) {
    cpp::any_value value(std::int64_t{7});
    for (int i = 0; i < 1'000'000; ++i) value = wrap(std::move(value));
    return value;
  };
  const auto in_list = [](cpp::any_value inside) {
    cpp::any_list list;
    list.elements.push_back(std::move(inside));
    return cpp::any_value(std::move(list));
  };
  const auto in_map = [](cpp::any_value inside) {
    cpp::any_map map;
    map.entries.emplace_back(std::int64_t{1}, std::move(inside));
    return cpp::any_value(std::move(map));
  };
  CHECK(std::holds_alternative<cpp::any_list>(nested(in_list).get()));
  CHECK(std::holds_alternative<cpp::any_map>(nested(in_map).get()));
}

TEST_CASE("a length that is announced allocates nothing before its elements are there") {
  // A list that says it has as many elements as there are bytes: the first is the wrong kind.
  std::string hostile("\x83l\x00\xFF\xFF\xF0", 6);
  hostile.append(0xFFFFF4, 'j');
  CHECK(failure([&] {
          static_cast<void>(decoded<std::vector<std::array<double, 512>>>(erlpy::as_bytes(hostile)));
        }) == "ValueError: [0]: expected a list of 512, got one of 0");
}
