// iterate(object, loop): async iterables as C++ coroutines, in a program that has the loop to itself.
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "stream_support.hpp"

using namespace stream_support;

TEST_CASE("async iterables are ranges that run the loop", "[async]") {
  own_loop loop;
  const auto all = [&](const std::string& expression) {
    iteration values = loop.over(expression);
    return rest(values);
  };
  CHECK(all("logged(3)") == "0 1 2");
  CHECK(truth("seen() == ([0, 1, 2, 'finally'], 1)"));
  CHECK(all("logged(3, None)") == "0 1 2");
  CHECK(all("logged(2, 0.01)") == "0 1");
  CHECK(all("Plain(3)") == "2 1 0");
  CHECK(all("Plain(0)").empty());
  CHECK(all("(2 * x async for x in logged(2))") == "0 2");
}

TEST_CASE("sync iterables through the same function", "[async]") {
  own_loop loop;
  iteration numbers = loop.over("range(3)");
  CHECK(rest(numbers) == "0 1 2");
  CHECK(numbers.result().get() == Py_None);
  CHECK(failure([&] { (void)loop.over("42"); }) == "TypeError: 'int' object is not iterable");
  run("class Liar:\n    def __aiter__(self): return 7");
  run("class Refuser:\n    def __aiter__(self): raise OSError('not today')");
  CHECK(failure([&] { (void)loop.over("Liar()"); }) == "TypeError: 'int' object is not an async iterator");
  CHECK(failure([&] { (void)loop.over("Refuser()"); }) == "OSError: not today");
}

TEST_CASE("a step that waits is pending, and nothing runs before it is asked for", "[async]") {
  own_loop loop;
  iteration values = loop.over("logged(3)");
  loop.get().run_once();
  CHECK(truth("steps == []"));
  CHECK(values.waiting_for() == nullptr);
  CHECK(values.resume() == progress::pending);
  REQUIRE(values.waiting_for() != nullptr);
  CHECK(values.resume() == progress::pending);  // too early: it goes on waiting
  values.waiting_for()->wait();
  CHECK(values.resume() == progress::value);
  CHECK(repr(values.value()) == "0");
  loop.get().run_once();
  loop.get().run_once();
  CHECK(truth("[what for what, _ in steps] == [0]"));
  CHECK(outcome(values, close()) == "-> None");
}

TEST_CASE("what an async generator raises comes out, after what came before it", "[async]") {
  own_loop loop;
  iteration values = loop.over("logged(1, 0, KeyError('gone'))");
  CHECK(outcome(values) == "0");
  CHECK(outcome(values) == "KeyError: 'gone'");
  CHECK(values.done());
  CHECK(values.resume() == progress::done);
  CHECK(truth("seen() == ([0, 'KeyError', 'finally'], 1)"));
  CHECK(PyErr_Occurred() == nullptr);

  std::string seen;
  CHECK(failure([&] {
          for (const ref& value : loop.over("({0: 1}[x] async for x in logged(5))")) seen += repr(value);
        }) == "KeyError: 1");
  CHECK(seen == "1");
  run("steps.clear()");

  iteration exits = loop.over("logged(1, 0, SystemExit(3))");
  CHECK(outcome(exits) == "0");
  CHECK(outcome(exits) == "SystemExit: 3");
}

TEST_CASE("an exception of C++ passes, and the generator is closed", "[async]") {
  own_loop loop;
  const auto stops = [&] {
    for (const ref& value : loop.over("logged(9)"))
      if (repr(value) == "2") throw std::runtime_error("enough");
  };
  CHECK_THROWS_AS(stops(), std::runtime_error);
  CHECK(truth("seen() == ([0, 1, 2, 'GeneratorExit', 'finally'], 1)"));
}

TEST_CASE("values are sent in, exceptions raised, and a close ends it", "[async]") {
  own_loop loop;
  iteration talk = loop.over("echo()");
  CHECK(outcome(talk) == "'ready'");
  CHECK(outcome(talk, send("'hello'")) == "'hello'");
  CHECK(outcome(talk) == "None");
  CHECK(outcome(talk, command{step::send, nullptr}) == "None");
  CHECK(outcome(talk, raise("ValueError('that')")) == "'caught that'");
  CHECK(outcome(talk, send("'stop'")) == "-> None");

  iteration raising = loop.over("echo()");
  CHECK(outcome(raising, send("None")) == "'ready'");
  CHECK(outcome(raising, raise("KeyError('k')")) == "KeyError: 'k'");
  CHECK(raising.done());

  iteration closing = loop.over("logged(9)");
  CHECK(outcome(closing) == "0");
  CHECK(outcome(closing, close()) == "-> None");
  CHECK(closing.done());
  CHECK(truth("seen() == ([0, 'GeneratorExit', 'finally'], 1)"));

  iteration unstarted = loop.over("logged(9)");
  CHECK(outcome(unstarted, close()) == "-> None");
  CHECK(truth("seen() == ([], 0)"));

  run("async def stubborn():\n    try:\n        yield 1\n    except GeneratorExit:\n        yield 2");
  iteration ignoring = loop.over("stubborn()");
  CHECK(outcome(ignoring) == "1");
  CHECK(test::contains(outcome(ignoring, close()), "RuntimeError: async generator ignored GeneratorExit"));
}

TEST_CASE("a command that an async iterator cannot follow is a TypeError and its end", "[async]") {
  own_loop loop;
  iteration early = loop.over("echo()");
  CHECK(outcome(early, send("1")) ==
        "TypeError: can't send non-None value to a just-started async generator");
  CHECK(early.done());
  iteration plain = loop.over("Plain(2)");
  CHECK(outcome(plain) == "1");
  CHECK(outcome(plain, send("1")) == "TypeError: 'Plain' object has no asend(): it is no async generator");
  CHECK(plain.done());
  iteration other = loop.over("Plain(2)");
  CHECK(outcome(other, raise("ValueError()")) ==
        "TypeError: 'Plain' object has no athrow(): it is no async generator");
  iteration nothing = loop.over("echo()");
  CHECK(outcome(nothing) == "'ready'");
  CHECK(test::contains(outcome(nothing, command{step::raise, nullptr}), "TypeError: exceptions must be"));
}

TEST_CASE("many wait on one loop at the same time", "[async]") {
  own_loop loop;
  run(R"(
asleep = most = 0
async def sleeper():
    global asleep, most
    asleep += 1
    most = max(most, asleep)
    await asyncio.sleep(0.05)
    asleep -= 1
    yield asleep
)");
  std::vector<iteration> many;
  for (int at = 0; at < 1'000; ++at) many.push_back(loop.over("sleeper()"));
  for (iteration& each : many) CHECK(each.resume() == progress::pending);
  for (iteration& each : many) {
    progress now = each.resume();
    for (; now == progress::pending; now = each.resume()) each.waiting_for()->wait();
    REQUIRE(now == progress::value);
  }
  CHECK(truth("most == 1000"));
  many.clear();
}

namespace {

// The values of many iterables, sync and async, one after the other.
generator<ref, int, command> chain(std::vector<ref> objects, erlpy::python::event_loop& loop) {
  int ended = 0;
  for (const ref& object : objects) {
    co_yield elements_of{iterate(object, loop)};
    ++ended;
  }
  co_return ended;
}

generator<ref, void, command> deeper(int depth, ref object, erlpy::python::event_loop& loop) {
  if (depth == 0) {
    co_yield elements_of{iterate(object, loop)};
  } else {
    co_yield elements_of{deeper(depth - 1, object, loop)};
  }
}

generator<ref, void, command> forgiving(ref object, erlpy::python::event_loop& loop) {
  ref caught;
  try {
    co_yield elements_of{iterate(object, loop)};
  } catch (const erlpy::python::exception& raised) {
    caught = ref::borrow(raised.value());
  }
  if (caught) co_yield caught;
}

}  // namespace

TEST_CASE("a coroutine in C++ yields the elements of async iterables, pendings go through", "[async]") {
  own_loop loop;
  auto chained = chain({py("logged(2)"), py("'ab'"), py("Plain(2)")}, loop.get());
  std::string values;
  for (const ref& value : chained) values += repr(value);
  CHECK(values == "01'a''b'10");
  CHECK(chained.result() == 3);
  run("steps.clear()");

  auto talk = chain({py("echo()"), py("logged(9)")}, loop.get());
  CHECK(talk.resume() == progress::pending);
  talk.waiting_for()->wait();
  CHECK(talk.resume() == progress::value);
  CHECK(advance(talk, send("'through'")) == progress::value);
  CHECK(repr(talk.value()) == "'through'");
  CHECK(advance(talk, send("'stop'")) == progress::value);
  CHECK(repr(talk.value()) == "0");
  talk = {};
  CHECK(truth("seen() == ([0, 'GeneratorExit', 'finally'], 1)"));

  values.clear();
  for (const ref& value : deeper(1'000, py("logged(3)"), loop.get())) values += repr(value);
  CHECK(values == "012");
  run("steps.clear()");
  {
    auto deep = deeper(1'000, py("logged(9)"), loop.get());
    CHECK(advance(deep) == progress::value);
  }
  CHECK(truth("seen() == ([0, 'GeneratorExit', 'finally'], 1)"));

  values.clear();
  for (const ref& value : forgiving(py("logged(2, 0, KeyError('gone'))"), loop.get())) values += repr(value);
  CHECK(values == "01KeyError('gone')");
}

TEST_CASE("an async iteration that is waited for inside its own loop says so", "[async]") {
  own_loop loop;
  static own_loop* current = nullptr;
  static std::string seen;
  current = &loop;
  static PyMethodDef nested{"nested",
                            [](PyObject*, PyObject*) -> PyObject* {
                              {
                                iteration inner = current->over("logged(2)");
                                seen = outcome(inner);
                              }
                              Py_RETURN_NONE;
                            },
                            METH_NOARGS, nullptr};
  let("nested", ref::steal(PyCFunction_New(&nested, nullptr)));
  run("async def outer():\n    nested()\n    yield 1\n    await asyncio.sleep(0.05)");
  iteration values = loop.over("outer()");
  CHECK(rest(values) == "1");
  CHECK(seen == "RuntimeError: This event loop is already running");
  CHECK(truth("steps == [] or steps[-1][0] == 'finally'"));
}
