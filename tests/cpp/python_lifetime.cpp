// Walks of values that change, raise or never end, and what a walk leaves behind: nothing.
#include <atomic>
#include <string>

#include "python_fixture.hpp"

using namespace test;

TEST_CASE("user code that raises while it is walked") {
  run(R"(
import enum, dataclasses
class Bad(enum.Enum):
  A = 1
  @property
  def value(self): raise OSError('no value')
@dataclasses.dataclass
class Part:
  name: str
  size: int = dataclasses.field(init=False)
class Meta(type):
  def __getattr__(cls, name): raise ZeroDivisionError(name)
class Strange(metaclass=Meta): pass
released = memoryview(b'abc'); released.release()
)");
  CHECK(failure_of("[Bad.A]") == "OSError: no value");
  CHECK(contains(failure_of("Part('x')"), "AttributeError: "));
  CHECK(contains(failure_of("{'k': Strange()}"), "ZeroDivisionError: "));
  CHECK(contains(failure_of("released"), "ValueError: "));
  CHECK(PyErr_Occurred() == nullptr);
}

TEST_CASE("user code that changes the container that is walked") {
  run(R"(
import enum
class Hook(enum.Enum):
  A = 1
  @property
  def value(self):
    action()
    return 0
)");
  const auto changing = [](const char* value, const char* action) {
    run(std::string("target = ") + value + "\ndef action(): " + action);
    return failure_of("target");
  };
  if (python::compat::free_threaded) {
    // A container is walked as it was when the walk came to it.
    for (const char* const action : {"target.append(1)", "target.clear()"})
      CHECK(changing("[Hook.A, 1]", action).empty());
    for (const char* const action : {"target.update({9: 1})", "target.clear()"})
      CHECK(changing("{1: Hook.A, 2: 3}", action).empty());
    for (const char* const action : {"target.add(9)", "target.clear()"})
      CHECK(changing("{Hook.A, 1, 2}", action).empty());
    return;
  }
  const std::string list = "RuntimeError: list changed size during conversion";
  CHECK(changing("[Hook.A, 1]", "target.append(1)") == list);
  CHECK(changing("[Hook.A, 1]", "target.clear()") == list);
  CHECK(changing("[1, Hook.A]", "target.pop()") == list);
  CHECK(changing("[Hook.A] * 3", "target.__setitem__(slice(None), [5, 6, 7])").empty());
  const std::string dict = "RuntimeError: dictionary changed size during conversion";
  CHECK(changing("{1: Hook.A, 2: 3}", "target.update({len(target) + 1: 1})") == dict);
  CHECK(changing("{1: Hook.A, 2: 3}", "target.clear()") == dict);
  CHECK(changing("{Hook.A: 1}", "target.clear()") == dict);
  // Entries that give way to others, so that the size stays, are not always noticed; nothing breaks.
  const std::string swapped = changing("{i: Hook.A for i in range(50)}",
                                       "(target.pop(max(target)), target.update({min(target) - 1: 0}))");
  CHECK((swapped.empty() || swapped == dict));
  CHECK(contains(changing("{Hook.A, 1, 2}", "target.clear()"), "RuntimeError: "));
  CHECK(contains(changing("{Hook.A, 1, 2}", "target.add(len(target))"), "RuntimeError: "));
}

TEST_CASE("a conversion ends when its call is cancelled") {
  std::atomic<bool> stop{true};
  CHECK(contains(failure_of("[0] * 5000", {.stop = &stop}), "cancelled"));
  CHECK(contains(failure_of("[[i] for i in range(5000)]", {.stop = &stop}), "cancelled"));
  CHECK(contains(failure_of("dict.fromkeys(range(5000))", {.stop = &stop}), "cancelled"));
  CHECK(contains(failure_of("set(range(5000))", {.stop = &stop}), "cancelled"));
  stop = false;
  CHECK(failure_of("[0] * 5000", {.stop = &stop}).empty());
}

TEST_CASE("bytes of 64 KiB and more are lent, not copied") {
  run("big = b'x' * 65536\nsmall = b'x' * 65535");
  let("copy", copy_of(py("big")));
  CHECK(truth("type(copy) is memoryview and copy.readonly and copy == big"));
  CHECK(PyMemoryView_GET_BUFFER(py("copy").get())->buf == PyBytes_AS_STRING(py("big").get()));
  let("copy", copy_of(py("small")));
  CHECK(truth("type(copy) is bytes"));
  run("import sys\nbefore = sys.getrefcount(big)");
  { const ref lent = copy_of(py("big")); }
  world::get().home().drops()->drain();
  CHECK(truth("sys.getrefcount(big) <= before"));
}

TEST_CASE("conversions leave no references behind") {
  run(R"(
import sys, enum, dataclasses, erlang
class E(enum.Enum):
  A = 'a-value'
@dataclasses.dataclass
class D:
  x: object
class Unhashable:
  __hash__ = None
marks = [object() for _ in range(3)]
text = 'a text of some length'
key = 'a key of some length'
good = [text, (text, [text]), {key: text, (1, 2): {text}}, E.A, D(text), 10**50, -10**50, b'x' * 70000,
        bytearray(b'abc'), memoryview(b'abc'), erlang.Atom('a'), 1.5, 'caf\xe9' * 3]
bad = [good, good, '\ud800']
def counts(): return [sys.getrefcount(x) for x in (good, good[2], text, key, E.A, good[4], good[7], *types)]
)");
  // Without a GIL each thread has a share of a type's count.
  let("types", python::compat::free_threaded ? py("()") : py("(D,)"));
  const auto round = [] {
    { const ref copy = copy_of(py("good")); }
    CHECK(contains(failure_of("bad"), "UnicodeEncodeError"));
    world::get().objects().drain();
    world::get().home().drops()->drain();
  };
  for (int i = 0; i < 10; ++i) round();
  run("before = counts()");
  const std::size_t tracked = tracked_objects();
  for (int i = 0; i < 1000; ++i) round();
  INFO(repr(py("before")) << " then " << repr(py("counts()")));
  CHECK(truth("counts() == before"));
  CHECK(tracked_objects() <= tracked + 5);
}

TEST_CASE("a long walk lets others run now and then, and sees that it is to stop") {
  run("numbers = list(range(100_000))");
  int breaths = 0;
  erlpy::walk_limits limits;
  limits.breather = &breaths;
  limits.breathe = [](void* counted) { ++*static_cast<int*>(counted); };
  (void)copy_of(py("numbers"), limits);
  CHECK(breaths > 50);

  std::atomic<bool> stop{false};
  struct stopper {
    std::atomic<bool>& flag;
    int left;
  } after_ten{stop, 10};
  limits.stop = &stop;
  limits.breather = &after_ten;
  limits.breathe = [](void* self) {
    auto& mine = *static_cast<stopper*>(self);
    if (--mine.left == 0) mine.flag = true;
  };
  try {
    (void)copy_of(py("numbers"), limits);
    FAIL("not stopped");
  } catch (const erlpy::conversion_error& stopped) {
    CHECK(stopped.kind() == erlpy::fault::cancelled);
  }
  CHECK(after_ten.left == 0);
}

TEST_CASE("a list under construction is hidden from the collector, a complete one is not") {
  const ref copy = copy_of(py("[[1], (2,), ()]"));
  CHECK(PyObject_IsTrue(erlpy::python::checked(
                            PyObject_CallMethod(erlpy::python::checked(PyImport_ImportModule("gc")).get(),
                                                "is_tracked", "O", copy.get()))
                            .get()) == 1);
}
