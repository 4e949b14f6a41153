// Walking Python objects and building them anew: source and sink of one interpreter, joined directly.
// What comes out shows both what the source reported and what the sink made of it.
#include <atomic>
#include <cstdint>
#include <set>
#include <string>

#include "python_fixture.hpp"

using namespace test;

namespace {

// Checks that the copy of `expression` equals `expected` in value, type and (through repr) in depth.
void copies(const std::string& expression, const std::string& expected) {
  CAPTURE(expression);
  const ref copy = copy_of(py(expression));
  let("copy", copy);
  let("expected", py(expected));
  INFO("got " << repr(copy));
  CHECK(truth("type(copy) is type(expected) and repr(copy) == repr(expected) and copy == expected"));
}

void copies(const std::string& expression) { copies(expression, expression); }

}  // namespace

TEST_CASE("values of the exact built-in types") {
  for (const char* same : {"0",
                           "1",
                           "-1",
                           "2**15",
                           "2**30 - 1",
                           "2**30",
                           "-2**30",
                           "2**62",
                           "2**63 - 1",
                           "-2**63",
                           "2**63",
                           "-2**63 - 1",
                           "2**64 - 1",
                           "2**64",
                           "10**10000",
                           "-10**10000",
                           "256**1000",
                           "-256**1000 + 1",
                           "0.0",
                           "1.5",
                           "-1e308",
                           "5e-324",
                           "True",
                           "False",
                           "None",
                           "''",
                           "'a'",
                           "'ascii'",
                           "'a\\0b'",
                           "'\\xe9'",
                           "'\\u20ac'",
                           "'\\U0001f600'",
                           "'a' * 100000",
                           "'\\u20ac' * 100000",
                           "b''",
                           "b'a\\0b\\xff'",
                           "b'x' * 65535",
                           "[]",
                           "[1]",
                           "[[], [[]]]",
                           "()",
                           "(1,)",
                           "(1, (2, [3]))",
                           "{}",
                           "{'a': 1}",
                           "{1: {2: {3: ()}}}",
                           "{(1, 2): [3]}",
                           "{None: 1, True: 2, 1.5: 3, b'b': 4}",
                           "list(range(100000))",
                           "tuple(range(100000))",
                           "dict((i, str(i)) for i in range(100000))",
                           "set()",
                           "{1}",
                           "[1.5, 'x', None, True, b'y', (1,), {'k': [2]}]"}) {
    copies(same);
  }
  CHECK(truth("float('nan') != float('nan')"));
  let("copy", copy_of(py("[float('inf'), float('-inf'), float('nan')]")));
  CHECK(truth("repr(copy) == '[inf, -inf, nan]'"));
  copies("set(range(100000))");
  copies("frozenset([1])", "{1}");
  copies("{frozenset([(1, 2)]): 1}");
}

TEST_CASE("subclasses follow their base") {
  run(R"(
import collections, enum, erlang, dataclasses, typing
class Int(int):
  def __abs__(self): raise RuntimeError('not asked')
  def __index__(self): raise RuntimeError('not asked')
class Str(str):
  def encode(self, *a): raise RuntimeError('not asked')
class Float(float): pass
class Bytes(bytes): pass
class List(list):
  def __iter__(self): raise RuntimeError('not asked')
class Dict(dict):
  def items(self): raise RuntimeError('not asked')
class Set(set):
  def __iter__(self): raise RuntimeError('not asked')
Point = collections.namedtuple('Point', 'x y')
class Color(enum.Enum):
  RED = 'red'
  PAIR = (1, 2)
class Level(enum.IntEnum):
  LOW = 1
class Name(str, enum.Enum):
  A = 'a'
class Nested(enum.Enum):
  INNER = Color.RED
@dataclasses.dataclass
class Item:
  name: str
  parts: list
  kind: typing.ClassVar[int] = 5
  seed: dataclasses.InitVar[int] = 0
@dataclasses.dataclass
class More(Item):
  extra: object = None
)");
  copies("Int(5)", "5");
  copies("Int(-10**30)", "-10**30");
  copies("Str('abc')", "'abc'");
  copies("Str('\\u20ac')", "'\\u20ac'");
  copies("Float(1.5)", "1.5");
  copies("Bytes(b'abc')", "b'abc'");
  copies("List([1, List()])", "[1, []]");
  copies("Point(1, 2)", "(1, 2)");
  copies("Dict(a=1)", "{'a': 1}");
  copies("collections.OrderedDict(a=1, b=2)", "{'a': 1, 'b': 2}");
  copies("collections.defaultdict(list, {'a': [1]})", "{'a': [1]}");
  copies("collections.Counter('aab')", "{'a': 2, 'b': 1}");
  copies("Set([1])", "{1}");
  copies("[Color.RED, Color.PAIR, Level.LOW, Name.A, Nested.INNER]", "['red', (1, 2), 1, 'a', 'red']");
  copies("Item('n', [1])", "{'name': 'n', 'parts': [1]}");
  copies("[Item('n', []), More('m', [Item('k', [])], extra=Color.RED), Item('o', [])]",
         "[{'name': 'n', 'parts': []}, {'name': 'm', 'parts': [{'name': 'k', 'parts': []}], 'extra': 'red'},"
         " {'name': 'o', 'parts': []}]");
  copies("[erlang.Atom('ok')]", "['ok']");
}

TEST_CASE("atoms stay atoms if the sink is told so") {
  run("import erlang");
  python::sink keeping(world::get().context(), {.keep_atoms = true});
  let("copy",
      erlpy::transcode(
          python::source(world::get().context(), py("{erlang.Atom('k'): erlang.Atom('v')}").get()), keeping));
  CHECK(truth("[type(x) for kv in copy.items() for x in kv] == [erlang.Atom, erlang.Atom]"));

  int made = 0;
  const auto cached = [&](python::sink& sink) {
    return sink.cached_atom(0xABCB, [&] { return ++made, std::string("caf\xC3\xA9"); });
  };
  python::sink plain(world::get().context());
  const ref first = cached(plain);
  const ref kept = cached(keeping);
  const ref again = cached(plain);
  let("first", first);
  let("kept", kept);
  let("again", again);
  CHECK(truth("type(first) is str and type(kept) is erlang.Atom and first == kept == again == 'caf\\xe9'"));
  const int before = made;
  const ref third = cached(plain);
  CHECK(made == before);
  CHECK(third.get() == again.get());
}

TEST_CASE("other objects stay where they are, and come back as themselves") {
  run(R"(
import array, io
def gen(): yield 1
async def agen(): yield 1
class Thing:
  pass
class Indexable:
  def __index__(self): return 5
  def __len__(self): return 1
  def __getitem__(self, i): return i
things = [Thing(), Thing, gen, Indexable(), object, NotImplemented, iter([]), range(3), {}.keys(), io.StringIO(), Ellipsis, len]
)");
  const std::size_t before = world::get().objects().held();
  let("copy", copy_of(py("things")));
  CHECK(truth("len(copy) == len(things) and all(a is b for a, b in zip(copy, things))"));
  CHECK(world::get().objects().held() == before + 12);
  run("g = gen()\na = agen()");
  let("copy", copy_of(py("{'g': g, 'a': a, g: 1}")));
  CHECK(truth("copy['g'] is g and copy['a'] is a and copy[g] == 1"));
}

TEST_CASE("objects held for a value that fails to cross are let go of") {
  run("class Thing: pass");
  world::get().objects().drain();
  const std::size_t before = world::get().objects().held();
  CHECK(contains(failure_of("[Thing(), [Thing(), {Thing(): '\\ud800'}]]"), "UnicodeEncodeError: "));
  world::get().objects().drain();
  CHECK(world::get().objects().held() == before);
}

TEST_CASE("keys of dicts are made hashable, or refused") {
  run(R"(
class Loud:
  def __hash__(self): raise KeyError('no hash today')
class Same:
  def __init__(self, v): self.v = v
  def __hash__(self): return 1
  def __eq__(self, o): return True
loud = Loud.__new__(Loud)
)");
  python::sink to(world::get().context());
  // What Erlang has and Python has not: a list as key, at any depth.
  auto map = to.map(1);
  auto list = map.key().list(2);
  list.push(list.child().integer(1));
  auto inner = list.child().list(1);
  inner.push(inner.child().text("two"));
  list.push(inner.finish());
  map.push(list.finish(), map.value().none());
  let("copy", map.finish());
  CHECK(truth("copy == {(1, ('two',)): None}"));

  auto with_map_key = to.map(1);
  CHECK(contains(failure([&] {
                   auto key = with_map_key.key().map(0).finish();
                   with_map_key.push(std::move(key), to.none());
                 }),
                 "unhashable type: 'dict'"));

  auto with_loud_key = to.map(1);
  CHECK(failure([&] { with_loud_key.push(py("loud"), to.none()); }) == "KeyError: 'no hash today'");

  const auto twice = [&](ref first, ref second) {
    auto out = to.map(2);
    out.push(std::move(first), to.none());
    return failure([&] { out.push(std::move(second), to.none()); });
  };
  CHECK(twice(to.text("a"), to.atom("a")) ==
        "ValueError: two keys of the map are the same key in Python: 'a'");
  CHECK(twice(to.integer(1), to.real(1.0)) ==
        "ValueError: two keys of the map are the same key in Python: 1.0");
  CHECK(twice(to.integer(1), to.boolean(true)) ==
        "ValueError: two keys of the map are the same key in Python: True");
  CHECK(contains(twice(to.text("\xE2\x82\xAC"), to.text("\xE2\x82\xAC")), "'\\u20ac'"));
  CHECK(twice(to.integer(1), to.text("1")) == "");
}

TEST_CASE("a lone surrogate is a UnicodeEncodeError that names its place") {
  CHECK(contains(failure_of("'ab\\ud800'"), "UnicodeEncodeError: "));
  CHECK(contains(failure_of("'ab\\ud800'"), "position 2"));
  CHECK(contains(failure_of("'x' * 5000 + '\\udfff'"), "position 5000"));
  CHECK(contains(failure_of("{'\\ud800': 1}"), "UnicodeEncodeError: "));
}

TEST_CASE("an identity of a key is never that of another key") {
  python::text_cache cache;
  std::set<std::uint64_t> seen;
  // Each string is gone when the next is made, mostly at the same address.
  for (int i = 0; i < 20'000; ++i) {
    const ref key = python::checked(PyUnicode_FromFormat("key %d", i));
    const std::uint64_t identity = cache.identity(key.get());
    CHECK(cache.identity(key.get()) == identity);
    seen.insert(identity);
  }
  CHECK(seen.size() == 20'000);
}

TEST_CASE("short strings that are keys are made once") {
  python::sink to(world::get().context());
  const auto key_of = [&](const char* text) {
    auto map = to.map(1);
    return map.key().text(text);
  };
  const ref first = key_of("a short key");
  CHECK(key_of("a short key").get() == first.get());
  CHECK(key_of("another key").get() != first.get());
  // Far more keys than there is room for: each is what it says.
  for (int i = 0; i < 10'000; ++i) {
    const std::string text = std::to_string(i * 7919) + (i % 2 == 0 ? " even" : " an odd key, rather long");
    const ref made = key_of(text.c_str());
    if (PyUnicode_CompareWithASCIIString(made.get(), text.c_str()) != 0) FAIL(text);
  }
}

TEST_CASE("big strings do not keep a second form of themselves") {
  run("import sys\nbig = '\\u20ac' * 100000\nsize = sys.getsizeof(big)");
  const ref copy = copy_of(py("big"));
  CHECK(truth("sys.getsizeof(big) == size"));
}

TEST_CASE("nesting up to the limit and past it") {
  run(R"(
def nest(depth, wrap):
  value = None
  for _ in range(depth): value = wrap(value)
  return value
def depth(value, step):
  n = 0
  while value is not None: value = step(value); n += 1
  return n
)");
  erlpy::walk_limits limits{.max_depth = 100};
  CHECK(failure_of("nest(100, lambda v: [v])", limits).empty());
  for (const char* wrap : {"lambda v: [v]", "lambda v: (v,)", "lambda v: {'k': v}"}) {
    CAPTURE(wrap);
    const std::string expression = std::string("nest(101, ") + wrap + ")";
    const std::string failed = failure_of(expression, limits);
    CHECK(contains(failed, "RecursionError: "));
    CHECK(contains(failed, "100"));
  }
  on_worker_stack([] {
    let("copy", copy_of(py("nest(10000, lambda v: [v])")));
    CHECK(truth("depth(copy, lambda v: v[0]) == 10000"));
    let("copy", copy_of(py("nest(10000, lambda v: {'k': v})")));
    CHECK(truth("depth(copy, lambda v: v['k']) == 10000"));
    let("copy", copy_of(py("nest(10000, lambda v: (v,))")));
    CHECK(truth("depth(copy, lambda v: v[0]) == 10000"));
    CHECK(contains(failure_of("nest(10001, lambda v: [v])"), "RecursionError: "));
    run("copy = None");
  });
}

TEST_CASE("a structure that contains itself is a ValueError") {
  run(R"(
import dataclasses, enum
own = []; own.append(own)
pair = [1, 2]; pair[1] = (pair,)
d = {}; d['self'] = [d]
two = ([], [])
two[0].append(two[1]); two[1].append(two[0])
@dataclasses.dataclass
class Node:
  next: object = None
node = Node(); node.next = Node(node)
wide = []; wide.extend([wide] * 1000)
loop = first = []
for _ in range(500):
  loop.append([]); loop = loop[0]
loop.append(first)
class Odd(enum.Enum):
  A = 1
  @property
  def value(self): return self
)");
  for (const char* name : {"own", "pair", "d", "two", "node", "wide", "first", "Odd.A", "[[[own]]]"}) {
    CAPTURE(name);
    CHECK(failure_of(name) == "ValueError: structure contains itself");
  }
  CHECK(failure_of("own", {.max_depth = 5}) == "ValueError: structure contains itself");
  // The same object twice, but not inside itself, is no such structure.
  copies("[[]] * 1000");
  run("own.clear(); pair.clear(); d.clear(); wide.clear(); loop.clear(); two[0].clear(); node.next = None");
}
