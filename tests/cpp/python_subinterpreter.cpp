// Sub-interpreters: made, used on threads of their own, ended, and leaked where they must not end.
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <erlpy/python/code.hpp>
#include <erlpy/python/runtime.hpp>
#include <erlpy/python/subinterpreter.hpp>

#include "python_fixture.hpp"

using namespace test;
using namespace std::chrono_literals;
using python::subinterpreter;

namespace {

// A sub-interpreter and what a worker's thread has in it.
class room {
 public:
  room() : interpreter_(subinterpreter::start(python::runtime::start({}))) {}
  room(const room&) = delete;
  room& operator=(const room&) = delete;
  ~room() { interpreter_->retire(); }

  [[nodiscard]] subinterpreter& interpreter() noexcept { return *interpreter_; }

  // Runs attached, with a context and a namespace; what fails is the result, "" is good.
  template <class Action>
  [[nodiscard]] std::string visit(Action action) {
    const python::thread_state state(interpreter_->home()->state());
    const auto objects = std::make_shared<python::object_table>([] {});
    interpreter_->home()->add(objects);
    python::context context(interpreter_->home(), objects);
    std::string failed = failure([&] {
      const ref space = python::make_namespace("__room__");
      action(context, space.get());
      python::forget_namespace(space.get());
    });
    objects->close();
    return failed;
  }
  [[nodiscard]] std::string exec(const std::string& code) {
    return visit([&](python::context&, PyObject* space) { python::exec_code(space, code); });
  }

 private:
  std::shared_ptr<subinterpreter> interpreter_;
};

// The main thread is attached between tests, and must not be while threads of others come and go.
template <class Body>
void without_gil(Body body) {
  (void)world::get();
  const python::detached no_gil;
  body();
}

// Whether within some seconds so many interpreters are alive beside those that were leaked for good.
[[nodiscard]] bool alive_soon(std::uint64_t expected) {
  const auto as_expected = [&] { return subinterpreter::alive() == subinterpreter::leaked() + expected; };
  const auto end = std::chrono::steady_clock::now() + 10s;
  while (!as_expected() && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(2ms);
  return as_expected();
}

void at_once(std::size_t count, const std::function<void(std::size_t)>& body) {
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < count; ++i) threads.emplace_back(body, i);
  for (std::thread& each : threads) each.join();
}

// One of each kind of value, some of it by way of the `erlang` module.
constexpr const char* everything = R"(
import dataclasses, enum, erlang
class Colour(enum.Enum):
  RED = 'red'
@dataclasses.dataclass
class Point:
  x: int
  y: object
values = [None, True, False, 0, -1, 2**62, -2**63, 10**40, -10**40, 1.5, 'text', 'caf\xe9', '\u20ac', '',
          b'bytes', b'\xff' * 70000, bytearray(b'array'), memoryview(b'view'), [1, [2, []]], (1, (2,)),
          {'key': 1, (1, 2): [3], 4: {}}, {1, 2, 3}, frozenset('ab'), Colour.RED, Point(1, [Point(2, None)]),
          erlang.Atom('atom'), [str(i) for i in range(500)], {str(i): i for i in range(500)}]
plain = [None, True, False, 0, -1, 2**62, -2**63, 10**40, -10**40, 1.5, 'text', 'caf\xe9', '\u20ac', '',
         b'bytes', b'\xff' * 70000, b'array', b'view', [1, [2, []]], (1, (2,)),
         {'key': 1, (1, 2): [3], 4: {}}, {1, 2, 3}, {'a', 'b'}, 'red', {'x': 1, 'y': [{'x': 2, 'y': None}]},
         'atom', [str(i) for i in range(500)], {str(i): i for i in range(500)}]
)";

}  // namespace

TEST_CASE("a sub-interpreter has modules of its own") {
  without_gil([] {
    room one;
    room two;
    CHECK(one.exec("import json; json.mark = 1; import sys; sys.mark = 1").empty());
    CHECK(one.exec("import json, sys; assert json.mark == sys.mark == 1").empty());
    CHECK(
        two.exec("import json, sys; assert not hasattr(json, 'mark') and not hasattr(sys, 'mark')").empty());
    CHECK(two.exec("1 / 0") == "ZeroDivisionError: division by zero");
    CHECK(two.exec("import erlang; assert erlang.Timeout.__mro__[1] is BaseException").empty());
  });
  CHECK(truth("not hasattr(__import__('json'), 'mark')"));
}

TEST_CASE("interpreters come and go, several at once") {
  without_gil([] {
    const auto leaked = subinterpreter::leaked();
    at_once(3, [&](std::size_t) {
      for (int i = 0; i < 12; ++i) {
        room here;
        if (!here.exec("import collections, re, json\nre.sub('a', 'b', 'aaa')").empty()) std::abort();
      }
    });
    CHECK(alive_soon(0));
    CHECK(subinterpreter::leaked() == leaked);
  });
}

TEST_CASE("values cross in several interpreters at once") {
  without_gil([] {
    std::vector<std::string> failed(3);
    at_once(failed.size(), [&](std::size_t index) {
      room here;
      failed[index] = here.visit([](python::context& context, PyObject* space) {
        python::exec_code(space, everything);
        PyObject* const names = PyModule_GetDict(space);
        for (int i = 0; i < 200; ++i) {
          python::sink to(context);
          const ref copy = erlpy::transcode(
              python::source(context, PyDict_GetItemString(names, "values"), erlpy::walk_limits{}), to);
          PyDict_SetItemString(names, "copy", copy.get());
          python::exec_code(
              space, "assert copy == plain, [pair for pair in zip(copy, plain) if pair[0] != pair[1]]");
          python::exec_code(space, "copy = None");
        }
      });
    });
    for (const std::string& each : failed) CHECK(each == "");
  });
}

TEST_CASE("an object is found in its own interpreter only") {
  without_gil([] {
    room one;
    room two;
    erlpy::object_ref where{};
    std::string elsewhere;
    CHECK(one.visit([&](python::context& context, PyObject*) {
               where = context.objects().hold(python::make_str("held"), false);
               const python::detached no_gil;
               std::thread([&] {
                 elsewhere = two.visit([&](python::context& other, PyObject*) { (void)other.find(where); });
               }).join();
             }).empty());
    CHECK(contains(elsewhere, "another interpreter"));
  });
}

TEST_CASE("asyncio runs in several interpreters at once") {
  without_gil([] {
    std::vector<std::string> failed(4);
    at_once(failed.size(), [&](std::size_t index) {
      room here;
      failed[index] = here.exec(R"(
import asyncio
async def part(n):
  loop = asyncio.get_running_loop()
  for _ in range(20):
    await asyncio.sleep(0.001)
    assert asyncio.get_running_loop() is loop
    assert asyncio.current_task() in asyncio.all_tasks()
  return n
async def whole():
  got = await asyncio.gather(*(part(n) for n in range(5)))
  task = asyncio.ensure_future(asyncio.sleep(60))
  await asyncio.sleep(0)
  task.cancel()
  try:
    await task
  except asyncio.CancelledError:
    got.append('cancelled')
  try:
    await asyncio.wait_for(asyncio.sleep(60), 0.01)
  except asyncio.TimeoutError:
    got.append('late')
  got.append(len(asyncio.all_tasks()))
  return got
for _ in range(5):
  assert asyncio.run(whole()) == [0, 1, 2, 3, 4, 'cancelled', 'late', 1]
)");
    });
    for (const std::string& each : failed) CHECK(each == "");
  });
}

TEST_CASE("decimal contexts of interpreters do not meet") {
  without_gil([] {
    std::vector<std::string> failed(3);
    std::atomic<int> there{0};
    at_once(failed.size(), [&](std::size_t index) {
      room here;
      failed[index] = here.visit([&](python::context&, PyObject* space) {
        const std::string digits = std::to_string(10 + index);
        python::exec_code(space, R"(
try:
  import decimal
except ImportError:
  decimal = None
def check(digits):
  if decimal is not None:
    assert decimal.getcontext().prec == digits, decimal.getcontext()
    assert len(str(decimal.Decimal(1) / 3)) == digits + 2)");
        // The module has one variable for the contexts of all interpreters, and a new one with each import.
        ++there;
        while (there < 3) {
          const python::detached no_gil;
          std::this_thread::yield();
        }
        python::exec_code(space, "if decimal is not None: decimal.getcontext().prec = " + digits);
        for (int i = 0; i < 200; ++i) {
          python::exec_code(space, "check(" + digits + ")");
          const python::detached no_gil;
        }
      });
    });
    for (const std::string& each : failed) CHECK(each == "");
  });
}

TEST_CASE("an interpreter with a live thread of its own is leaked, not ended") {
  without_gil([] {
    const auto leaked = subinterpreter::leaked();
    for (const char* daemon : {"True", "False"}) {
      room here;
      CHECK(here.exec(std::string("import threading, time\n"
                                  "threading.Thread(target=time.sleep, args=(3600,), daemon=") +
                      daemon + ").start()")
                .empty());
    }
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (subinterpreter::leaked() != leaked + 2 && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(5ms);
    CHECK(subinterpreter::leaked() == leaked + 2);
    CHECK(alive_soon(0));
  });
}

TEST_CASE("threads that end in time, or only wait for work, do not keep an interpreter") {
  without_gil([] {
    const auto leaked = subinterpreter::leaked();
    {
      room here;
      CHECK(here.exec(R"(
import concurrent.futures, sys, threading, time
sys.kept = concurrent.futures.ThreadPoolExecutor(2)
assert list(sys.kept.map(len, ['a', 'bb'])) == [1, 2]
threading.Thread(target=time.sleep, args=(0.2,)).start()
)")
                .empty());
    }
    CHECK(alive_soon(0));
    CHECK(subinterpreter::leaked() == leaked);
  });
}

TEST_CASE("what runs at exit may start a thread") {
  without_gil([] {
    {
      room here;
      CHECK(here.exec("import atexit, threading\n"
                      "atexit.register(lambda: threading.Thread(target=print, daemon=True).start())")
                .empty());
    }
    CHECK(alive_soon(0));
  });
}

TEST_CASE("an interpreter stays as long as bytes of it are lent") {
  without_gil([] {
    erlpy::shared_bytes_ptr lent;
    {
      room here;
      CHECK(here.visit([&](python::context& context, PyObject*) {
                 const std::string text(100'000, 'x');
                 const ref bytes = python::checked(PyBytes_FromStringAndSize(text.data(), 100'000));
                 lent = std::make_shared<python::lent_bytes>(bytes.get(), context.home().drops());
               }).empty());
    }
    std::this_thread::sleep_for(300ms);
    CHECK(alive_soon(1));
    CHECK(lent->view()[99'999] == std::byte{'x'});
    lent = nullptr;
    CHECK(alive_soon(0));
  });
}

TEST_CASE("an extension that refuses sub-interpreters is an ImportError, in several at once") {
  without_gil([] {
    std::vector<std::string> failed(4);
    at_once(failed.size(), [&](std::size_t index) {
      room here;
      failed[index] = here.exec(R"(
import sys
for name in ('_decimal', '_datetime', '_ctypes', '_testsinglephase', '_sqlite3', '_ssl', '_json', '_struct'):
  for _ in range(2):
    try:
      __import__(name)
    except ModuleNotFoundError:
      pass
    except ImportError as error:
      assert sys.version_info >= (3, 12), error
      assert 'does not support loading in subinterpreters' in str(error), error
import datetime, decimal
assert str(datetime.datetime(2024, 2, 28) + datetime.timedelta(days=1)) == '2024-02-29 00:00:00'
assert str(decimal.Decimal(1) / 8) == '0.125'
)");
    });
    for (const std::string& each : failed) CHECK(each == "");
  });
}

TEST_CASE("one that C code keeps does not hold up the others, where each has its GIL") {
  if (!python::compat::own_gil) return;
  without_gil([] {
    room busy;
    std::optional<room> free;
    // There, making one waits until every thread of the process has come to rest.
    if constexpr (python::compat::free_threaded) CHECK(free.emplace().exec("import json").empty());
    std::atomic<bool> done{false};
    std::thread blocked([&] {
      CHECK(busy.exec("sum(range(3 * 10**8))").empty());
      done = true;
    });
    if (!free) free.emplace();
    for (int i = 0; i < 20; ++i) CHECK(free->exec("import json; json.dumps([1, 2])").empty());
    CHECK_FALSE(done);
    blocked.join();
  });
}
