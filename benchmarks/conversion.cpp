// Conversion between the External Term Format and Python objects, element by element, beside CPython's
// own `marshal` on the same values in the same run. No BEAM needed.
//
// The four shapes: lists of integers, of floats, of short strings, and of records (a dict of four
// fields, one of them a list of two). Only the conversion is timed, not the release of its result.
#include <benchmark/benchmark.h>
#include <time.h>

#include <cstddef>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include <erlpy/etf/sink.hpp>
#include <erlpy/etf/source.hpp>
#include <erlpy/python/context.hpp>
#include <erlpy/python/sink.hpp>
#include <erlpy/python/source.hpp>

namespace {

namespace python = erlpy::python;
using python::ref;

constexpr int elements = 10'000;

struct shape {
  const char* name;
  const char* expression;
};
constexpr shape shapes[] = {
    {"integers", "[i * 37 for i in range(n)]"},
    {"floats", "[i * 0.37 for i in range(n)]"},
    {"short_strings", "['text %d' % i for i in range(n)]"},
    {"records",
     "[{'id': i, 'name': 'name %d' % i, 'score': i * 0.5, 'tags': ['a tag', 'b tag']} for i in range(n)]"},
};

struct world {
  world() {
    home = std::make_shared<python::interpreter>([] {});
    objects = std::make_shared<python::object_table>([] {});
    context = std::make_unique<python::context>(home, objects);
    const ref marshal = python::checked(PyImport_ImportModule("marshal"));
    loads = python::checked(PyObject_GetAttrString(marshal.get(), "loads"));
    dumps = python::checked(PyObject_GetAttrString(marshal.get(), "dumps"));
  }

  std::shared_ptr<python::interpreter> home;
  std::shared_ptr<python::object_table> objects;
  std::unique_ptr<python::context> context;
  ref loads, dumps;
};

[[nodiscard]] ref make_value(const shape& which) {
  const ref names = python::checked(PyDict_New());
  const ref count = python::checked(PyLong_FromLong(elements));
  python::checked_status(PyDict_SetItemString(names.get(), "__builtins__", PyEval_GetBuiltins()));
  python::checked_status(PyDict_SetItemString(names.get(), "n", count.get()));
  return python::checked(PyRun_String(which.expression, Py_eval_input, names.get(), names.get()));
}

// Seconds of the processor that this thread has had: not disturbed by what else runs on the machine.
[[nodiscard]] double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Times `convert`, whose result lives until after the clock has stopped.
template <class Convert>
void measure(benchmark::State& state, Convert&& convert) {
  for (auto step : state) {
    static_cast<void>(step);
    const double begin = processor_seconds();
    const auto result = convert();
    const double end = processor_seconds();
    benchmark::DoNotOptimize(&result);
    state.SetIterationTime(end - begin);
  }
  state.counters["per_element"] = benchmark::Counter(
      elements, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

[[nodiscard]] erlpy::byte_buffer encode(world& here, const ref& value) {
  erlpy::byte_buffer out;
  erlpy::etf::sink to(out);
  static_cast<void>(erlpy::transcode(python::source(*here.context, value.get()), to));
  return out;
}

void add(world& here, const shape& which, std::string direction, auto body) {
  benchmark::RegisterBenchmark(
      (std::move(direction) + "/" + which.name).c_str(),
      [&here, &which, body](benchmark::State& state) { body(state, here, make_value(which)); })
      ->UseManualTime()
      ->Unit(benchmark::kMillisecond);
}

void register_all(world& here) {
  for (const shape& which : shapes) {
    add(here, which, "to_python/marshal.loads", [](benchmark::State& state, world& at, const ref& value) {
      const ref bytes = python::checked(PyObject_CallFunctionObjArgs(at.dumps.get(), value.get(), nullptr));
      measure(state, [&] {
        return python::checked(PyObject_CallFunctionObjArgs(at.loads.get(), bytes.get(), nullptr));
      });
    });
    add(here, which, "to_python/etf", [](benchmark::State& state, world& at, const ref& value) {
      const erlpy::byte_buffer bytes = encode(at, value);
      measure(state, [&] {
        python::sink to(*at.context);
        return erlpy::transcode(erlpy::etf::source(bytes), to);
      });
    });
  }
  for (const shape& which : shapes) {
    add(here, which, "from_python/marshal.dumps", [](benchmark::State& state, world& at, const ref& value) {
      measure(state, [&] {
        return python::checked(PyObject_CallFunctionObjArgs(at.dumps.get(), value.get(), nullptr));
      });
    });
    add(here, which, "from_python/etf", [](benchmark::State& state, world& at, const ref& value) {
      measure(state, [&] { return encode(at, value); });
    });
  }
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  Py_InitializeEx(0);
  try {
    // Not destroyed: Python is not finalised either.
    register_all(*std::make_unique<world>().release());
    benchmark::RunSpecifiedBenchmarks();
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "benchmark failed: %s\n", failed.what());
    return 1;
  }
  return 0;
}
