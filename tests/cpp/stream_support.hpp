// What the tests of iterations share: commands, what a step comes to, and the Python code that is iterated
// over.
#ifndef ERLPY_TESTS_STREAM_SUPPORT_HPP
#define ERLPY_TESTS_STREAM_SUPPORT_HPP

#include <string>
#include <utility>

#include <erlpy/stream/iterate.hpp>
#include <erlpy/stream/iterate_async.hpp>

#include "python_fixture.hpp"

namespace stream_support {

using erlpy::generator;
using erlpy::stream::command;
using erlpy::stream::elements_of;
using erlpy::stream::iterate;
using erlpy::stream::iterate_sync;
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

inline command send(const char* expression) { return command{step::send, py(expression)}; }
inline command raise(const char* expression) { return command{step::raise, py(expression)}; }
inline command close() { return command{step::close, nullptr}; }

// The reprs of everything that an iteration still yields, one after the other.
inline std::string rest(iteration& from) {
  std::string all;
  for (const ref& value : from) all += (all.empty() ? "" : " ") + repr(value);
  return all;
}
inline std::string all(const std::string& expression) {
  iteration values = iterate(py(expression));
  return rest(values);
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

// What a step comes to: the repr of the value, "-> repr" for the end, else what was raised.
inline std::string outcome(iteration& of, command order = {}) {
  std::string told;
  const std::string failed = failure([&] {
    told = advance(of, std::move(order)) == progress::value ? repr(of.value()) : "-> " + repr(of.result());
  });
  return failed.empty() ? told : failed;
}

// A generator that writes down how it ends, and one that answers what it is sent.
inline void define_generators() {
  run(R"(
events = []
def logged(n, result=None):
    try:
        for i in range(n):
            yield i
        return result
    except BaseException as e:
        events.append(type(e).__name__)
        raise
    finally:
        events.append('finally')

def echo():
    got = yield 'ready'
    while got != 'stop':
        try:
            got = yield got
        except ValueError as e:
            got = f'caught {e}'
    return 'stopped'

def logs():
    seen = list(events)
    events.clear()
    return seen
)");
}

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

}  // namespace stream_support

#endif
