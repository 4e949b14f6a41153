// Plain structs: a dict, dataclass or namedtuple in Python, a map or record in Erlang, and back; and what is
// said where they do not match.
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "cpp_support.hpp"

using namespace test;

namespace structs {

struct point {
  double x = 0;
  double y = 0;
  friend bool operator==(const point&, const point&) = default;
};

struct row {
  std::string name;
  double score = 0;
  std::optional<int> rank;
  std::vector<point> path;
  friend bool operator==(const row&, const row&) = default;
};

struct table {
  std::vector<row> rows;
  std::map<std::string, point> marks;
  friend bool operator==(const table&, const table&) = default;
};

struct settings {
  int retries = 3;
  std::string host = "localhost";
  friend bool operator==(const settings&, const settings&) = default;
};

struct some_of_many {
  int id = 0;
  friend bool operator==(const some_of_many&, const some_of_many&) = default;
};

struct place {
  std::string file;
  int line = 0;
  friend bool operator==(const place&, const place&) = default;
};

struct nothing {
  friend bool operator==(nothing, nothing) = default;
};

struct tree {
  int value = 0;
  std::vector<tree> children;
  std::unique_ptr<tree> sibling;
};

// Moves only, and knows no default but its own.
struct handle {
  std::unique_ptr<int> number;
};

template <class T>
struct box {
  T content{};
};

// Not plain: the compiler would not know its fields.
struct constructed {
  explicit constructed(int start) : value(start) {}
  int value;
};

struct reserved_word {
  int lambda = 0;
};

}  // namespace structs

using namespace structs;

template <>
struct erlpy::field_names<point> {
  static constexpr std::array<std::string_view, 2> value = {"x", "y"};
};
template <>
struct erlpy::field_names<row> {
  static constexpr std::array<std::string_view, 4> value = {"name", "score", "rank", "path"};
};
template <>
struct erlpy::field_names<table> {
  static constexpr std::array<std::string_view, 2> value = {"rows", "marks"};
};
template <>
struct erlpy::field_names<settings> {
  static constexpr std::array<std::string_view, 2> value = {"retries", "host"};
};
template <>
inline constexpr bool erlpy::default_missing_fields<settings> = true;
template <>
struct erlpy::field_names<some_of_many> {
  static constexpr std::array<std::string_view, 1> value = {"id"};
};
template <>
inline constexpr bool erlpy::ignore_unknown_fields<some_of_many> = true;
// Without names: a tuple needs none.
template <>
inline constexpr bool erlpy::crosses_as_tuple<place> = true;
template <>
struct erlpy::field_names<tree> {
  static constexpr std::array<std::string_view, 3> value = {"value", "children", "sibling"};
};
template <>
struct erlpy::field_names<handle> {
  static constexpr std::array<std::string_view, 1> value = {"number"};
};
template <>
struct erlpy::field_names<box<int>> {
  static constexpr std::array<std::string_view, 1> value = {"content"};
};
template <>
struct erlpy::field_names<reserved_word> {
  static constexpr std::array<std::string_view, 1> value = {"lambda"};
};

static_assert(cpp::writable<row> && cpp::readable<row>);
static_assert(cpp::writable<tree> && cpp::readable<tree>);
static_assert(cpp::readable<handle> && cpp::writable<std::vector<handle>>);
static_assert(!cpp::writable<constructed> && !cpp::readable<constructed>);
static_assert(!cpp::readable<std::vector<constructed>> && !cpp::writable<std::optional<constructed>>);
static_assert(erlpy::sink<cpp::sink<row>> && erlpy::sink<cpp::sink<nothing>>);
static_assert(cpp::detail::type_name<point>() == "point");
static_assert(cpp::detail::type_name<box<std::vector<point>>>() == "box");
static_assert(cpp::detail::type_name<std::map<int, point>>() == "map");

namespace {

const row full = {"a", 1.5, 3, {{1, 2}, {3, 4}}};
const row bare = {"b", 2.5, std::nullopt, {}};

}  // namespace

TEST_CASE("structs survive, nested in all else") {
  CHECK(survives(point{1, 2}));
  CHECK(survives(full));
  CHECK(survives(bare));
  CHECK(survives(table{{full, bare}, {{"origin", {}}}}));
  CHECK(survives(std::map<std::string, std::optional<row>>{{"x", full}, {"y", std::nullopt}}));
  CHECK(survives(nothing()));
}

TEST_CASE("a struct is a dict in Python and a map of atoms in Erlang") {
  CHECK(python_repr(full) ==
        "{'name': 'a', 'score': 1.5, 'rank': 3, 'path': [{'x': 1.0, 'y': 2.0}, {'x': 3.0, 'y': 4.0}]}");
  CHECK(erlang_text(point{1, 2}) == "#{x => 1.0,y => 2.0}");
  CHECK(python_repr(nothing()) == "{}");
}

TEST_CASE("a struct is an Erlang record") {
  CHECK(erlang_text(erlpy::as_record(point{1, 2})) == "{point,1.0,2.0}");
  CHECK(erlang_text(erlpy::as_record(point{1, 2}, "vec")) == "{vec,1.0,2.0}");
  CHECK(erlang_text(erlpy::as_record(box<int>{5})) == "{box,5}");
  CHECK(python_repr(erlpy::as_record(point{1, 2})) == "('point', 1.0, 2.0)");
  CHECK(decoded<point>(encoded(erlpy::as_record(point{1, 2}))) == point{1, 2});
  CHECK(decoded<row>(encoded(erlpy::as_record(full))) == full);
  CHECK(wrong_term<point>(std::tuple(1.0, 2.0, 3.0)) == "[0]: expected an atom, the record's tag, got float");
  CHECK(wrong_term<point>(std::tuple(cpp::atom{"point"}, 1.0, "x")) == "y: expected float, got binary");
}

TEST_CASE("a struct may be a tuple of its fields and nothing else") {
  const place here{"a.py", 7};
  CHECK(survives(here));
  CHECK(survives(std::vector<place>{here, {}}));
  CHECK(python_repr(here) == "('a.py', 7)");
  CHECK(erlang_text(here) == "{<<\"a.py\">>,7}");
  CHECK(wrong<place>("('a.py', 7, 8)") == "expected a tuple of 2, got one of 3");
  CHECK(wrong<place>("('a.py', 'b')") == "[1]: expected int, got str");
  CHECK(wrong<place>("{'file': 'a.py', 'line': 7}") == "expected tuple of 2 for place, got map");
  CHECK(wrong<std::vector<place>>("[('a.py', 1), 5]") == "[1]: expected tuple of 2 for place, got int");
}

TEST_CASE("a struct is read from what Python has") {
  CHECK(from<point>("{'y': 2, 'x': 1}") == point{1, 2});
  CHECK(from<point>("{__import__('erlang').Atom('x'): 1.0, 'y': 2}").x == 1);
  CHECK(from<point>("(1, 2)") == point{1, 2});
  run(R"(
import collections, dataclasses
Point = collections.namedtuple('Point', 'x y')
@dataclasses.dataclass
class Row:
  name: str
  score: float
  path: list
  rank: int = None
def make(n):
  return {'rows': [Row('r%d' % i, i / 2, [Point(i, 1)]) for i in range(n)], 'marks': {'m': Point(0, 0)}}
)");
  CHECK(from<point>("Point(1, y=2)") == point{1, 2});
  CHECK(from<row>("Row('a', 1.5, [(1, 2), {'x': 3, 'y': 4}], 3)") == full);
  const table made = from<table>("make(3)");
  REQUIRE(made.rows.size() == 3);
  CHECK(made.rows[2] == row{"r2", 1.0, std::nullopt, {{2, 1}}});
}

TEST_CASE("where a struct does not match, the path says") {
  CHECK(wrong<table>("{'rows': [{'name': 'a', 'score': 1, 'path': []}] * 3 + "
                     "[{'name': 'a', 'score': 'x', 'path': []}], 'marks': {}}") ==
        "rows[3].score: expected float, got str");
  CHECK(wrong<table>("{'rows': [], 'marks': {'m': {'x': 1, 'y': None}}}") ==
        "marks['m'].y: expected float, got None");
  CHECK(wrong<table>("{'rows': [{'name': 'a', 'score': 1, 'path': [(1, 2), (1, 2, 3, 4)]}], 'marks': {}}") ==
        "rows[0].path[1]: expected a tuple of 2, or a record of 3, got one of 4");
  CHECK(wrong<point>("{'x': 'one', 'y': 2}") == "x: expected float, got str");
  CHECK(wrong<point>("(1, None)") == "y: expected float, got None");
  CHECK(wrong<point>("[1, 2]") == "expected map or tuple for point, got list");
  CHECK(wrong<point>("5") == "expected map or tuple for point, got int");
  CHECK(wrong<row>("{'name': 'a', 'score': 1, 'path': [], 'rank': 1.5}") == "rank: expected int, got float");
  try {
    static_cast<void>(from<std::vector<point>>("[(1, 2), (1, 'x')]"));
    FAIL("a str became a double");
  } catch (const cpp::mismatch& error) {
    CHECK(error.path() == "[1].y");
    CHECK(error.problem() == "expected float, got str");
    CHECK(error.kind() == erlpy::fault::type);
  }
}

TEST_CASE("fields that are missing, unknown or there twice") {
  CHECK(wrong<point>("{'x': 1}") == "missing field 'y'");
  CHECK(wrong<point>("{}") == "missing field 'x'");
  CHECK(wrong<std::vector<point>>("[{'x': 1}]") == "[0]: missing field 'y'");
  CHECK(wrong<point>("{'x': 1, 'y': 2, 'z': 3}") == "unknown field 'z'; known are x, y");
  CHECK(wrong<nothing>("{'z': 3}") == "unknown field 'z'");
  CHECK(wrong<point>("{'x': 1, 2: 3}") == "expected a field's name as the key, got int");
  CHECK(wrong<table>("{'rows': [{'name': 'a', 'nome': 'b'}]}") ==
        "rows[0]: unknown field 'nome'; known are name, score, rank, path");
  CHECK(wrong<point>("{b'x': 1, 'y': 3}") == "expected a field's name as the key, got bytes");
  // In Erlang an atom and a binary are two keys.
  using key = std::variant<cpp::atom, std::string>;
  CHECK(wrong_term<point>(std::map<key, int>{{cpp::atom{"x"}, 1}, {"x", 2}}) ==
        "two entries for the field 'x'");
  CHECK(decoded<point>(encoded(std::map<key, int>{{cpp::atom{"x"}, 1}, {"y", 2}})) == point{1, 2});
  CHECK(from<row>("{'name': 'a', 'score': 1, 'path': []}").rank == std::nullopt);
}

TEST_CASE("a struct may have defaults for missing fields, and ignore others") {
  CHECK(from<settings>("{}") == settings{});
  CHECK(from<settings>("{'host': 'h'}") == settings{3, "h"});
  CHECK(wrong<settings>("{'hosts': 'h'}") == "unknown field 'hosts'; known are retries, host");
  CHECK(from<some_of_many>("{'a': [1, {2: 3}], 'id': 5, 'b': {'x'}, 'c': None, 'd': 2**80, 'e': 1j}").id ==
        5);
  CHECK(wrong<some_of_many>("{'a': 1}") == "missing field 'id'");
  CHECK(decoded<some_of_many>(encoded(std::tuple(cpp::atom{"r"}, 7))).id == 7);
  // What is ignored is not held either.
  world::get().objects().drain();
  const std::size_t before = world::get().objects().held();
  CHECK(from<some_of_many>("{'id': 5, 'o': object(), 'g': (x for x in ())}").id == 5);
  CHECK(world::get().objects().held() == before);
}

TEST_CASE("structs that contain themselves through a container") {
  tree root{1, {}, std::make_unique<tree>()};
  root.children.push_back({2, {}, nullptr});
  root.children.push_back({3, {}, nullptr});
  root.children[1].children.push_back({4, {}, nullptr});
  CHECK(python_repr(root) ==
        "{'value': 1, 'children': [{'value': 2, 'children': [], 'sibling': None}, {'value': 3, 'children': "
        "[{'value': 4, 'children': [], 'sibling': None}], 'sibling': None}], 'sibling': {'value': 0, "
        "'children': [], 'sibling': None}}");
  const tree back = decoded<tree>(encoded(root));
  CHECK(back.children.at(1).children.at(0).value == 4);
  CHECK(back.sibling->value == 0);
  CHECK(wrong<tree>("{'value': 1, 'children': [{'value': 1, 'children': [{'value': 'x'}]}]}") ==
        "children[0].children[0].value: expected int, got str");
  CHECK(*from<handle>("{'number': 5}").number == 5);
}

TEST_CASE("nesting is bounded, and what is as deep as the bound is destroyed without trouble") {
  const auto chain = [](int depth) {
    tree root;
    for (int i = 1; i < depth; ++i) {
      tree outer;
      outer.sibling = std::make_unique<tree>(std::move(root));
      root = std::move(outer);
    }
    return root;
  };
  const erlpy::walk_limits ten{.max_depth = 10};
  CHECK(decoded<tree>(encoded(chain(9), ten), ten).value == 0);
  CHECK(failure([&] { static_cast<void>(encoded(chain(10), ten)); }) ==
        "RecursionError: value is nested deeper than max_depth (10); raise the option or flatten the value");
  const erlpy::byte_buffer term = encoded(chain(10));
  CHECK(contains(failure([&] { static_cast<void>(decoded<tree>(term, ten)); }), "RecursionError: "));
  static_cast<void>(world::get());
  // Converted on the stack of a worker, and destroyed on any other.
  tree deep;
  on_worker_stack([&] {
    deep = decoded<tree>(encoded(chain(9999)));
    CHECK(deep.sibling != nullptr);
    let("deep", shown(deep));
    CHECK(read<tree>(py("deep")).sibling != nullptr);
    run("del deep");
  });
}

TEST_CASE("a struct is a namedtuple or a dataclass of its own in Python") {
  CHECK(python_repr(erlpy::as_namedtuple(point{1, 2})) == "point(x=1.0, y=2.0)");
  CHECK(python_repr(erlpy::as_dataclass(point{1, 2})) == "point(x=1.0, y=2.0)");
  let("one", shown(erlpy::as_namedtuple(point{1, 2})));
  let("two", shown(erlpy::as_namedtuple(point{3, 4})));
  CHECK(truth("type(one) is type(two) and isinstance(one, tuple) and one._fields == ('x', 'y')"));
  CHECK(truth("one.x == 1 and two.y == 4 and one._replace(x=5) == (5, 2)"));
  let("data", shown(erlpy::as_dataclass(full)));
  CHECK(truth("__import__('dataclasses').is_dataclass(data) and data.path[0] == {'x': 1.0, 'y': 2.0}"));
  CHECK(truth("type(data).__name__ == 'row' and data.rank == 3"));
  CHECK(from<point>("one") == point{1, 2});
  CHECK(from<row>("data") == full);
  CHECK(survives(std::vector{full}));
  // Elements of containers too, keys among them.
  let("many", shown(std::vector{erlpy::as_namedtuple(point{1, 2}), erlpy::as_namedtuple(point{3, 4})}));
  CHECK(truth("[p.x for p in many] == [1, 3] and type(many[0]) is type(one)"));
  // Where there are no such classes it is a map.
  CHECK(erlang_text(erlpy::as_namedtuple(point{1, 2})) == "#{x => 1.0,y => 2.0}");
  CHECK(erlang_text(erlpy::as_dataclass(point{1, 2})) == "#{x => 1.0,y => 2.0}");
  CHECK(contains(failure([] { static_cast<void>(shown(erlpy::as_namedtuple(reserved_word{}))); }),
                 "ValueError: Type names and field names cannot be a keyword: 'lambda'"));
}
