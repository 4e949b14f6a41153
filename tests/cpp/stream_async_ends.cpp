// How an iteration over an async iterable ends, and that its iterator is closed, in its own task, whoever
// ends it.
#include <string>
#include <utility>
#include <vector>

#include "stream_support.hpp"

using namespace stream_support;

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
