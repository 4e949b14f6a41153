// Threads of one interpreter that walk, hold and let go of what other threads change meanwhile. With a GIL
// they take turns; on a free-threaded build they run at the same time.
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <erlpy/python/call.hpp>
#include <erlpy/python/code.hpp>

#include "python_fixture.hpp"

using namespace test;

namespace {

using action = std::function<void(python::context&)>;

// A thread for each action, attached and with a context of its own. The readers run `rounds` times, the
// writers for as long. What goes wrong in a reader comes out.
void together(int rounds, const std::vector<action>& writers, const std::vector<action>& readers) {
  std::atomic<std::size_t> reading{readers.size()};
  std::mutex mutex;
  std::string wrong;
  const auto attend = [&](const action& act, bool reads) {
    const PyGILState_STATE state = PyGILState_Ensure();
    {
      const auto objects = std::make_shared<python::object_table>([] {});
      python::context own({std::shared_ptr<void>(), &world::get().home()}, objects);
      const std::string failed = failure([&] {
        for (int i = 0; reads ? i < rounds : reading != 0; ++i) {
          act(own);
          const python::detached others;
        }
      });
      objects->close();
      const std::lock_guard lock(mutex);
      if (!failed.empty()) wrong = failed;
    }
    if (reads) --reading;
    PyGILState_Release(state);
  };
  {
    const python::detached others;
    std::vector<std::thread> threads;
    for (const action& each : writers) threads.emplace_back(attend, std::cref(each), false);
    for (const action& each : readers) threads.emplace_back(attend, std::cref(each), true);
    for (std::thread& each : threads) each.join();
  }
  CHECK(wrong.empty());
  if (!wrong.empty()) WARN(wrong);
}

[[nodiscard]] ref copy_in(python::context& where, PyObject* value) {
  python::sink to(where);
  return erlpy::transcode(python::source(where, value), to);
}

[[nodiscard]] action runs(const char* function) {
  return [called = py(function)](python::context&) { const ref done = python::call(called.get()); };
}

// Walks `value` and has `is_good`, a function, look at the copy. With a GIL a container may be found changed.
[[nodiscard]] action walks(const char* value, const char* is_good) {
  return [walked = py(value), good = py(is_good)](python::context& where) {
    ref copy;
    const std::string failed = failure([&] { copy = copy_in(where, walked.get()); });
    if (contains(failed, "changed size")) return;
    if (!failed.empty()) throw erlpy::conversion_error(erlpy::fault::value, failed);
    if (python::call(good.get(), copy.get()).get() != Py_True)
      throw erlpy::conversion_error(erlpy::fault::value, "a copy of no moment: " + repr(copy));
  };
}

}  // namespace

TEST_CASE("threads walk containers that others change") {
  run(R"(
same = [0] * 200
def change_list():
  for i in range(20): same[:] = [i] * 200
queue = []
def grow():
  for i in range(20): queue.append('text %d' % i)
def shrink():
  del queue[10:]
table = dict.fromkeys(range(100), 0)
news = [dict.fromkeys(range(100), i) for i in range(4)]
def change_dict():
  for new in news: table.update(new)
keys = {}
def change_keys():
  for i in range(20): keys['key %d' % i] = [i]
  keys.clear()
members = set()
def change_set():
  for i in range(20): members.add(i)
  members.clear()
def equal(list): return len(list) == 200 and len(set(list)) == 1
def values_equal(dict): return len(dict) == 100 and len(set(dict.values())) == 1
def texts(list): return all(type(x) is str for x in list)
def entries(dict): return all(key == 'key %d' % value[0] for key, value in dict.items())
def numbers(set): return all(type(x) is int for x in set)
)");
  const std::vector<action> writers{runs("change_list"), runs("grow"),        runs("shrink"),
                                    runs("change_dict"), runs("change_keys"), runs("change_set")};
  const std::vector<action> readers{walks("same", "equal"), walks("queue", "texts"),
                                    walks("table", "values_equal"), walks("keys", "entries"),
                                    walks("members", "numbers")};
  together(300, writers, readers);
}

TEST_CASE("threads share texts, types and objects") {
  run(R"(
import dataclasses, enum
class Colour(enum.Enum):
  RED = 'red'
@dataclasses.dataclass
class Part:
  name: str
  colour: Colour
things = []
def renew():
  things[:] = ['caf\u00e9 %d' % i for i in range(20)] + [Part('\u00e9', Colour.RED), b'x' * 70000, object(), 10**40]
renew()
def good(copy): return copy[0] == 'caf\u00e9 0' and copy[20]['colour'] == 'red' and len(copy) == 24
)");
  together(300, {runs("renew")}, {walks("things", "good"), walks("things", "good"), walks("things", "good")});
  world::get().home().drops()->drain();
}

TEST_CASE("threads hold objects in one table") {
  run("class Thing: pass\nmade = [Thing() for _ in range(8)]");
  python::object_table& table = world::get().objects();
  const auto before = table.held();
  const action holds = [&table, made = py("made")](python::context&) {
    std::vector<std::uint64_t> numbers;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(made.get()); ++i)
      numbers.push_back(table.hold(ref::borrow(PyList_GET_ITEM(made.get(), i)), false).id);
    for (const std::uint64_t number : numbers) {
      if (!table.find(number)) throw erlpy::conversion_error(erlpy::fault::object_gone, "not found");
      table.release(number);
    }
  };
  together(500, {[&table](python::context&) { table.drain(); }}, {holds, holds, holds});
  table.drain();
  CHECK(table.held() == before);
}

TEST_CASE("threads that want one namespace get two") {
  std::mutex mutex;
  std::vector<ref> made;
  const action make = [&](python::context&) {
    ref space = python::make_namespace("shared_space");
    const std::lock_guard lock(mutex);
    made.push_back(std::move(space));
  };
  together(20, {}, {make, make, make});
  let("made", python::checked(PyList_New(0)));
  for (const ref& each : made) PyList_Append(py("made").get(), each.get());
  CHECK(truth("len({m.__name__ for m in made}) == 60"));
  CHECK(truth("all(__import__('sys').modules[m.__name__] is m for m in made)"));
  for (const ref& each : made) python::forget_namespace(each.get());
  CHECK(truth("not any(m.__name__ in __import__('sys').modules for m in made)"));
}

TEST_CASE("the GIL is in force unless the build has none") {
  CHECK(python::compat::gil_in_force() == !python::compat::free_threaded);
}
