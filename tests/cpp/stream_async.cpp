// iterate(object, loop): async iterables as C++ coroutines, in a program that has the loop to itself.
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <erlpy/stream/iterate_async.hpp>

#include "python_fixture.hpp"

namespace {

using erlpy::generator;
using erlpy::stream::command;
using erlpy::stream::elements_of;
using erlpy::stream::iterate;
using erlpy::stream::iteration;
using erlpy::stream::progress;
using erlpy::stream::step;
using test::failure;
using test::let;
using test::py;
using test::repr;
using test::run;
using test::truth;
using test::python::ref;

command send(const char* expression) { return command{step::send, py(expression)}; }
command raise(const char* expression) { return command{step::raise, py(expression)}; }
command close() { return command{step::close, nullptr}; }

// A loop of the test's own, known to Python as `loop`; at the end nothing is left on it.
class own_loop {
 public:
  own_loop() : loop_(test::world::get().home()) {
    let("loop", ref::borrow(loop_.get()));
    run(R"(
import asyncio
steps = []   # of what runs: (what, the task)
complaints = []
loop.set_exception_handler(lambda loop, context: complaints.append(context['message']))

async def logged(n, pause=0, result_error=None):
    try:
        for i in range(n):
            steps.append((i, asyncio.current_task()))
            if pause is not None:
                await asyncio.sleep(pause)
            yield i
        if result_error is not None:
            raise result_error
    except BaseException as e:
        steps.append((type(e).__name__, asyncio.current_task()))
        raise
    finally:
        await asyncio.sleep(0.001)
        steps.append(('finally', asyncio.current_task()))

async def echo():
    got = yield 'ready'
    while got != 'stop':
        try:
            await asyncio.sleep(0)
            got = yield got
        except ValueError as e:
            got = f'caught {e}'

class Plain:
    def __init__(self, n): self.n = n
    def __aiter__(self): return self
    async def __anext__(self):
        await asyncio.sleep(0)
        if self.n == 0: raise StopAsyncIteration
        self.n -= 1
        return self.n

def seen():
    names = [what for what, _ in steps]
    tasks = {task for _, task in steps}
    steps.clear()
    return names, len(tasks) if None not in tasks else 'no task'
)");
  }
  own_loop(const own_loop&) = delete;
  own_loop& operator=(const own_loop&) = delete;
  ~own_loop() {
    CHECK(truth("loop.is_closed() or not asyncio.all_tasks(loop)"));
    run("import gc\ngc.collect()");
    CHECK(truth("complaints == []"));
    loop_.close();
    run("del loop, steps, complaints");
  }

  [[nodiscard]] erlpy::python::event_loop& get() noexcept { return loop_; }
  [[nodiscard]] iteration over(const std::string& expression) { return iterate(py(expression), loop_); }

 private:
  erlpy::python::event_loop loop_;
};

std::string rest(iteration& from) {
  std::string all;
  for (const ref& value : from) all += (all.empty() ? "" : " ") + repr(value);
  return all;
}

// As a plain program steps: where the coroutine is pending it waits.
template <class G>
progress advance(G& of, command order = {}) {
  progress now = of.resume(std::move(order));
  while (now == progress::pending) {
    of.waiting_for()->wait();
    now = of.resume();
  }
  return now;
}

std::string outcome(iteration& of, command order = {}) {
  std::string told;
  const std::string failed = failure([&] {
    told = advance(of, std::move(order)) == progress::value ? repr(of.value()) : "-> " + repr(of.result());
  });
  return failed.empty() ? told : failed;
}

}  // namespace

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

TEST_CASE("one task does every step and the close, however the end comes", "[async]") {
  own_loop loop;
  for (const char* const end : {"to the end", "closed", "destroyed", "destroyed while pending"}) {
    CAPTURE(end);
    {
      iteration values = loop.over("logged(3, 0.002)");
      CHECK(outcome(values) == "0");
      CHECK(outcome(values) == "1");
      if (end == std::string("to the end")) CHECK(rest(values) == "2");
      if (end == std::string("closed")) CHECK(outcome(values, close()) == "-> None");
      if (end == std::string("destroyed while pending")) CHECK(values.resume() == progress::pending);
      if (end == std::string("destroyed while pending")) loop.get().run_once();
    }
    CHECK(truth("steps[-1][0] == 'finally'"));
    CHECK(truth("seen()[1] == 1"));
  }
}

TEST_CASE("destroyed half way: finally has run when the destructor returns", "[async]") {
  own_loop loop;
  run("held = logged(9)");
  {
    iteration values = loop.over("held");
    CHECK(outcome(values) == "0");
  }
  CHECK(truth("seen() == ([0, 'GeneratorExit', 'finally'], 1)"));
  {
    iteration pending = loop.over("logged(9, 60)");
    CHECK(pending.resume() == progress::pending);
    loop.get().run_once();
  }
  CHECK(truth("seen() == ([0, 'CancelledError', 'finally'], 1)"));

  // Others go on meanwhile, and stop the loop.
  iteration other = loop.over("(x async for x in Plain(1000))");
  CHECK(outcome(other) == "999");
  CHECK(other.resume() == progress::pending);
  {
    iteration values = loop.over("logged(9)");
    CHECK(outcome(values) == "0");
  }
  CHECK(truth("seen() == ([0, 'GeneratorExit', 'finally'], 1)"));
  CHECK(outcome(other, {}) == "998");
  CHECK(outcome(other, close()) == "-> None");
}

TEST_CASE("destroyed before its first step, the iterator is closed too", "[async]") {
  own_loop loop;
  run("held = logged(9)\nasync def left(): return [value async for value in held]");
  { const iteration never_run = loop.over("held"); }
  CHECK(truth("seen() == ([], 0)"));
  CHECK(truth("loop.run_until_complete(left()) == []"));

  run("held = logged(9)\nloop.run_until_complete(held.__anext__())\nsteps.clear()");
  { const iteration never_run = loop.over("held"); }
  CHECK(truth("seen() == (['GeneratorExit', 'finally'], 1)"));
}

TEST_CASE("what finally raises when nobody listens goes to the unraisable hook, or is told", "[async]") {
  own_loop loop;
  run(R"(
async def bad():
    try:
        yield 1
    finally:
        raise ValueError('in finally')
)");
  iteration closed = loop.over("bad()");
  CHECK(outcome(closed) == "1");
  CHECK(outcome(closed, close()) == "ValueError: in finally");
  {
    iteration half = loop.over("bad()");
    CHECK(outcome(half) == "1");
    PyErr_SetString(PyExc_OSError, "pending all along");
  }
  CHECK(PyErr_ExceptionMatches(PyExc_OSError) != 0);
  PyErr_Clear();
}

TEST_CASE("a task that user code cancels ends the iteration, and closes the iterator", "[async]") {
  own_loop loop;
  run("async def cancels():\n    try:\n        yield 1\n        asyncio.current_task().cancel()\n"
      "        await asyncio.sleep(9)\n        yield 2\n    finally:\n        steps.append(('closed', "
      "None))");
  iteration inside = loop.over("cancels()");
  CHECK(outcome(inside) == "1");
  CHECK(test::contains(outcome(inside), "CancelledError"));
  CHECK(inside.done());
  CHECK(truth("[what for what, _ in steps] == ['closed']"));
  run("steps.clear()");

  // Between two steps, and twice.
  iteration between = loop.over("logged(9)");
  CHECK(outcome(between) == "0");
  run("for task in asyncio.all_tasks(loop): task.cancel()");
  CHECK(test::contains(outcome(between), "CancelledError"));
  CHECK(truth("seen() == ([0, 'GeneratorExit', 'finally'], 1)"));

  // Between two steps, and seen only when it is destroyed.
  {
    iteration unseen = loop.over("logged(9)");
    CHECK(outcome(unseen) == "0");
    run("for task in asyncio.all_tasks(loop): task.cancel()\nloop.call_later(0.05, "
        "loop.stop)\nloop.run_forever()");
    CHECK(truth("steps[-1][0] == 'finally'"));
  }
  CHECK(truth("seen()[1] == 1"));

  // One that goes on after it.
  run("async def defies():\n    asyncio.current_task().cancel()\n    try:\n        await asyncio.sleep(9)\n"
      "    except asyncio.CancelledError:\n        yield 'defied'\n    yield 'more'");
  iteration defying = loop.over("defies()");
  CHECK(rest(defying) == "'defied' 'more'");
}

TEST_CASE("a loop that user code closed is an error, and the iterator is closed as far as can be",
          "[async]") {
  own_loop loop;
  run("async def simple():\n    try:\n        yield 1\n        yield 2\n    finally:\n"
      "        steps.append(('closed', None))");
  {
    iteration values = loop.over("simple()");
    CHECK(outcome(values) == "1");
    run("loop.close()");
    CHECK(outcome(values) == "RuntimeError: Event loop is closed");
    CHECK(values.done());
  }
  CHECK(truth("[what for what, _ in steps] == ['closed']"));
  run("steps.clear()");

  iteration anew = loop.over("simple()");
  CHECK(rest(anew) == "1 2");
  let("loop", ref::borrow(loop.get().get()));
  run("loop.set_exception_handler(lambda loop, context: complaints.append(context['message']))");
  {
    iteration half = loop.over("simple()");
    CHECK(outcome(half) == "1");
    run("steps.clear()\nloop.close()");
  }
  CHECK(truth("[what for what, _ in steps] == ['closed']"));
  run("import gc\ngc.collect()");  // asyncio complains of tasks that it will never run
  CHECK(truth("set(complaints) == {'Task was destroyed but it is pending!'}"));
  run("complaints.clear()");
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

TEST_CASE("objects of async iterations are let go of", "[async]") {
  own_loop loop;
  run(R"(
import gc, weakref
class Thing: pass
last = None
async def things(fails=False):
    global last
    for _ in range(3):
        thing = Thing()
        last = weakref.ref(thing)
        yield thing
        del thing
    if fails:
        thing = Thing()
        last = weakref.ref(thing)
        raise KeyError(thing)
gc.disable()
)");
  {
    iteration values = loop.over("things()");
    CHECK(advance(values) == progress::value);
    {
      const ref taken = std::move(values.value());
      CHECK(truth("last() is not None"));
    }
    CHECK(rest(values).size() > 0);
    CHECK(truth("last() is None"));
  }
  {
    iteration failing = loop.over("things(True)");
    CHECK(test::contains(failure([&] { (void)rest(failing); }), "KeyError"));
  }
  CHECK(truth("last() is None"));
  run("gc.enable()");
}
