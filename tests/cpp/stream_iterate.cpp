// iterate(object): Python iterables as C++ coroutines, on a real Python.
#include <string>
#include <utility>
#include <vector>

#include "stream_support.hpp"

using namespace stream_support;

TEST_CASE("any iterable") {
  run(R"(
class Countdown:
    def __init__(self, n): self.n = n
    def __iter__(self): return self
    def __next__(self):
        if self.n == 0: raise StopIteration
        self.n -= 1
        return self.n
class Indexed:
    def __getitem__(self, i):
        if i > 2: raise IndexError(i)
        return i * i
)");
  CHECK(all("[1, 'two', None]") == "1 'two' None");
  CHECK(all("(1, (2, 3))") == "1 (2, 3)");
  CHECK(all("{'k': 1, 'l': 2}") == "'k' 'l'");
  CHECK(all("'abc'") == "'a' 'b' 'c'");
  CHECK(all("range(4)") == "0 1 2 3");
  CHECK(all("(x * x for x in range(4))") == "0 1 4 9");
  CHECK(all("map(str, range(2))") == "'0' '1'");
  CHECK(all("iter(lambda c=[0]: c.append(0) or len(c), 4)") == "2 3");
  CHECK(all("Countdown(3)") == "2 1 0");
  CHECK(all("Indexed()") == "0 1 4");
  CHECK(all("__import__('itertools').islice(__import__('itertools').count(), 3)") == "0 1 2");
  CHECK(all("__import__('io').StringIO('a\\nb\\n')") == "'a\\n' 'b\\n'");
  CHECK(all("[]").empty());
}

TEST_CASE("what is not iterable is told at once") {
  run("class Liar:\n    def __iter__(self): return 7");
  run("class Refuser:\n    def __iter__(self): raise OSError('not today')");
  run("class Unset:\n    __iter__ = None");
  CHECK(failure([] { (void)iterate(py("42")); }) == "TypeError: 'int' object is not iterable");
  CHECK(failure([] { (void)iterate(py("Unset()")); }) == "TypeError: 'Unset' object is not iterable");
  CHECK(failure([] { (void)iterate(py("Liar()")); }) ==
        "TypeError: iter() returned non-iterator of type 'int'");
  CHECK(failure([] { (void)iterate(py("Refuser()")); }) == "OSError: not today");
  CHECK(failure([] { (void)iterate_sync(py("[1]")); }) == "TypeError: 'list' object is not an iterator");
  CHECK(PyErr_Occurred() == nullptr);
}

TEST_CASE("nothing runs before it is asked for") {
  run("ran = []\ndef slow():\n    for i in range(9):\n        ran.append(i)\n        yield i");
  iteration values = iterate(py("slow()"));
  CHECK(truth("ran == []"));
  CHECK(outcome(values) == "0");
  CHECK(outcome(values) == "1");
  CHECK(truth("ran == [0, 1]"));
}

TEST_CASE("what a generator returns") {
  define_generators();
  run(R"(
class Stops:
    def __init__(self, *args): self.args = args
    def __iter__(self): return self
    def __next__(self): raise StopIteration(*self.args)
class SubStop(StopIteration): pass
class Raises:
    def __iter__(self): return self
    def __next__(self): raise SubStop('sub')
)");
  for (const auto& [source, result] : std::vector<std::pair<std::string, std::string>>{
           {"logged(0, {'total': 3})", "-> {'total': 3}"},
           {"logged(0, (1, 2))", "-> (1, 2)"},
           {"logged(0, ())", "-> ()"},
           {"logged(0, StopIteration(5))", "-> StopIteration(5)"},
           {"logged(0)", "-> None"},
           {"[]", "-> None"},
           {"Stops()", "-> None"},
           {"Stops('why')", "-> 'why'"},
           {"Stops((1, 2))", "-> (1, 2)"},
           {"Raises()", "-> 'sub'"}}) {
    CAPTURE(source);
    iteration values = iterate(py(source));
    CHECK(outcome(values) == result);
    CHECK(values.resume() == progress::done);
    CHECK(PyErr_Occurred() == nullptr);
  }
}

TEST_CASE("an exception of Python comes out once, after what came before it") {
  run(R"(
def fails():
    yield 1
    raise KeyError('gone')
class FailsAtOnce:
    def __iter__(self): return self
    def __next__(self): raise ValueError('at once')
def stops():
    yield 1
    raise StopIteration(2)
)");
  iteration values = iterate(py("fails()"));
  CHECK(outcome(values) == "1");
  CHECK(outcome(values) == "KeyError: 'gone'");
  CHECK(values.done());
  CHECK(values.resume() == progress::done);
  CHECK(PyErr_Occurred() == nullptr);

  iteration at_once = iterate(py("FailsAtOnce()"));
  CHECK(outcome(at_once) == "ValueError: at once");
  CHECK(at_once.done());

  iteration stopping = iterate(py("stops()"));
  CHECK(outcome(stopping) == "1");
  CHECK(outcome(stopping) == "RuntimeError: generator raised StopIteration");

  std::string seen;
  CHECK(failure([&] {
          for (const ref& value : iterate(py("fails()"))) seen += repr(value);
        }) == "KeyError: 'gone'");
  CHECK(seen == "1");
}

TEST_CASE("values are sent in") {
  define_generators();
  iteration talk = iterate(py("echo()"));
  CHECK(outcome(talk) == "'ready'");
  CHECK(outcome(talk, send("'hello'")) == "'hello'");
  CHECK(outcome(talk, send("(1, 2)")) == "(1, 2)");
  CHECK(outcome(talk, send("()")) == "()");
  CHECK(outcome(talk) == "None");
  CHECK(outcome(talk, command{step::send, nullptr}) == "None");
  CHECK(outcome(talk, send("'stop'")) == "-> 'stopped'");

  iteration early = iterate(py("echo()"));
  CHECK(outcome(early, send("None")) == "'ready'");
}

TEST_CASE("exceptions are raised inside the generator") {
  define_generators();
  iteration talk = iterate(py("echo()"));
  CHECK(outcome(talk) == "'ready'");
  CHECK(outcome(talk, send("'on'")) == "'on'");
  CHECK(outcome(talk, raise("ValueError('that')")) == "'caught that'");
  CHECK(outcome(talk, raise("KeyError('k')")) == "KeyError: 'k'");
  CHECK(talk.done());

  run("def gives_up():\n    try:\n        yield 1\n    except ValueError:\n        return 'gave up'");
  iteration giving = iterate(py("gives_up()"));
  CHECK(outcome(giving) == "1");
  CHECK(outcome(giving, raise("ValueError()")) == "-> 'gave up'");

  iteration unstarted = iterate(py("logged(3)"));
  CHECK(outcome(unstarted, raise("OSError('early')")) == "OSError: early");
  CHECK(truth("logs() == []"));
}

TEST_CASE("a command that an iterator cannot follow can be refused beforehand, and nothing is consumed") {
  define_generators();
  const ref generator = py("echo()");
  const ref plain = py("iter([1, 2])");
  const auto refused = [](const ref& iterator, const command& order) {
    return failure([&] { erlpy::stream::check(iterator.get(), order); });
  };
  const std::string just_started = "TypeError: can't send non-None value to a just-started generator";
  CHECK(refused(generator, send("1")) == just_started);
  CHECK(refused(generator, send("None")).empty());
  CHECK(refused(generator, {}).empty());
  CHECK(refused(generator, command{step::close, nullptr}).empty());
  CHECK(test::contains(refused(generator, raise("1")), "TypeError"));
  CHECK(test::contains(refused(generator, command{step::raise, nullptr}), "TypeError"));
  CHECK(test::contains(refused(plain, send("1")), "TypeError: 'list_iterator' object has no send()"));
  CHECK(test::contains(refused(plain, send("None")), "TypeError"));
  CHECK(test::contains(refused(plain, raise("ValueError()")),
                       "TypeError: 'list_iterator' object has no throw()"));

  iteration talk = iterate(generator);
  CHECK(outcome(talk) == "'ready'");
  CHECK(refused(generator, send("1")).empty());
  CHECK(outcome(talk, send("'stop'")) == "-> 'stopped'");
  CHECK(refused(generator, send("1")).empty());  // ended: send() raises StopIteration, no TypeError
  iteration values = iterate(plain);
  CHECK(rest(values) == "1 2");

  // Unasked, the iteration ends with the refusal.
  iteration unasked = iterate(py("echo()"));
  CHECK(outcome(unasked, send("1")) == just_started);
  CHECK(unasked.done());
}

TEST_CASE("ten thousand iterations at once, each suspended, each asked once") {
  define_generators();
  std::vector<iteration> many;
  many.reserve(10'000);
  for (int at = 0; at < 10'000; ++at) many.push_back(iterate(py("logged(2)")));
  for (iteration& each : many) REQUIRE(each.resume() == progress::value);
  CHECK(truth("logs() == []"));
  many.clear();
  CHECK(truth("events.count('finally') == 10000"));
}

namespace {

// The values of many iterables one after the other, then how many there were.
generator<ref, int, command> chain(std::vector<ref> objects) {
  int values = 0;
  for (const ref& object : objects) {
    const ref result = co_yield elements_of{iterate(object)};
    if (PyLong_Check(result.get()) != 0) values += static_cast<int>(PyLong_AsLong(result.get()));
  }
  co_return values;
}

// Yields what it can of a failing iterable, then the exception.
generator<ref, void, command> forgiving(ref object) {
  ref caught;
  try {
    co_yield elements_of{iterate(object)};
  } catch (const erlpy::python::exception& raised) {
    caught = ref::borrow(raised.value());
  }
  if (caught) co_yield caught;
}

}  // namespace

TEST_CASE("a coroutine in C++ yields the elements of Python iterables") {
  define_generators();
  auto chained = chain({py("logged(2, 2)"), py("'ab'"), py("logged(1, 1)")});
  std::string values;
  for (const ref& value : chained) values += repr(value);
  CHECK(values == "01'a''b'0");
  CHECK(chained.result() == 3);

  auto talk = chain({py("echo()"), py("logged(9)")});
  CHECK(talk.resume() == progress::value);
  CHECK(talk.resume(send("'through'")) == progress::value);
  CHECK(repr(talk.value()) == "'through'");
  CHECK(talk.resume(send("'stop'")) == progress::value);
  CHECK(repr(talk.value()) == "0");
  run("events.clear()");
  talk = {};
  CHECK(truth("logs() == ['GeneratorExit', 'finally']"));

  auto wrong = chain({py("[1]"), py("42")});
  CHECK(wrong.resume() == progress::value);
  CHECK(failure([&] { (void)wrong.resume(); }) == "TypeError: 'int' object is not iterable");

  values.clear();
  for (const ref& value : forgiving(py("(10 // (2 - x) for x in range(9))"))) values += repr(value) + " ";
  CHECK(test::contains(values, "5 10 ZeroDivisionError("));
}

TEST_CASE("a Python generator that is stepped while it runs says so") {
  static std::string seen;
  static PyMethodDef again{"again",
                           [](PyObject*, PyObject*) -> PyObject* {
                             iteration second = iterate(py("recursive"));
                             seen = outcome(second);
                             Py_RETURN_NONE;
                           },
                           METH_NOARGS, nullptr};
  let("again", ref::steal(PyCFunction_New(&again, nullptr)));
  run("def calls():\n    again()\n    yield 1\nrecursive = calls()\n"
      "import sys\nold_hook = sys.unraisablehook\nsys.unraisablehook = lambda u: None");
  iteration values = iterate(py("recursive"));
  CHECK(outcome(values) == "1");
  CHECK(seen == "ValueError: generator already executing");
  run("sys.unraisablehook = old_hook");
}
