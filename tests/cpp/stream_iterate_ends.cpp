// How an iteration over a Python iterable ends: what is closed, what is told, what is let go of.
#include <string>
#include <utility>
#include <vector>

#include "stream_support.hpp"

using namespace stream_support;

TEST_CASE("closing runs finally, and ends with None") {
  define_generators();
  iteration values = iterate(py("logged(9, 'result')"));
  CHECK(outcome(values) == "0");
  CHECK(outcome(values, command{step::close, nullptr}) == "-> None");
  CHECK(truth("logs() == ['GeneratorExit', 'finally']"));
  CHECK(values.done());

  iteration plain = iterate(py("[1, 2]"));
  CHECK(outcome(plain) == "1");
  CHECK(outcome(plain, command{step::close, nullptr}) == "-> None");

  run("def stubborn():\n    try:\n        yield 1\n    except GeneratorExit:\n        yield 2");
  iteration ignoring = iterate(py("stubborn()"));
  CHECK(outcome(ignoring) == "1");
  CHECK(outcome(ignoring, command{step::close, nullptr}) == "RuntimeError: generator ignored GeneratorExit");
}

TEST_CASE("destroying an iteration half way closes the generator, though others hold it") {
  define_generators();
  let("held", py("logged(9)"));
  {
    iteration values = iterate(py("held"));
    CHECK(outcome(values) == "0");
    CHECK(truth("logs() == []"));
  }
  CHECK(truth("logs() == ['GeneratorExit', 'finally']"));
  CHECK(truth("list(held) == []"));

  let("held", py("logged(9)"));
  { const iteration never_run = iterate(py("held")); }
  CHECK(truth("list(held) == []"));
  CHECK(truth("logs() == []"));

  for (const ref& value : iterate(py("logged(9)")))
    if (repr(value) == "4") break;
  CHECK(truth("logs() == ['GeneratorExit', 'finally']"));

  CHECK(all("logged(2)") == "0 1");
  CHECK(truth("logs() == ['finally']"));
}

TEST_CASE("iterators that end are not closed, those that cannot be closed are released") {
  run(R"(
import weakref
class Closable:
    closed = 0
    def __init__(self): self.left = 2
    def __iter__(self): return self
    def __next__(self):
        if self.left == 0: raise StopIteration
        self.left -= 1
        return self.left
    def close(self): Closable.closed += 1
class Plain(Closable):
    close = property()
)");
  CHECK(all("Closable()") == "1 0");
  CHECK(truth("Closable.closed == 0"));
  {
    iteration half = iterate(py("Closable()"));
    CHECK(outcome(half) == "1");
  }
  CHECK(truth("Closable.closed == 1"));

  run("plain = Plain()\nalive = weakref.ref(plain)");
  {
    iteration half = iterate(py("plain"));
    run("del plain");
    CHECK(outcome(half) == "1");
    CHECK(truth("alive() is not None"));
  }
  CHECK(truth("alive() is None"));
}

TEST_CASE("what finally raises when nobody listens goes to the unraisable hook") {
  run(R"(
import sys
told = []
old_hook = sys.unraisablehook
sys.unraisablehook = lambda u: told.append((type(u.exc_value).__name__, u.object is held))
def bad():
    try:
        yield 1
    finally:
        raise ValueError('in finally')
held = bad()
)");
  {
    iteration half = iterate(py("held"));
    CHECK(outcome(half) == "1");
    PyErr_SetString(PyExc_OSError, "pending all along");
  }
  CHECK(PyErr_ExceptionMatches(PyExc_OSError) != 0);
  PyErr_Clear();
  CHECK(truth("told == [('ValueError', True)]"));
  run("sys.unraisablehook = old_hook");
}

TEST_CASE("objects are let go of") {
  define_generators();
  run("import sys\nclass Thing: pass\nthing = Thing()\ndef things():\n    while True:\n        yield thing");
  const auto references = [] { return PyLong_AsLong(py("sys.getrefcount(thing)").get()); };
  const long before = references();
  {
    iteration values = iterate(py("things()"));
    for (int at = 0; at < 100; ++at) CHECK(values.resume() == progress::value);
    CHECK(references() <= before + 2);
    const ref taken = std::move(values.value());
    CHECK(values.resume() == progress::value);
    CHECK(taken.get() == py("thing").get());
  }
  {
    iteration talk = iterate(py("echo()"));
    CHECK(outcome(talk) == "'ready'");
    for (int at = 0; at < 100; ++at) CHECK(talk.resume(send("thing")) == progress::value);
  }
  CHECK(references() == before);
}
