// A program that has never heard of the BEAM: reads a term, hands it to Python, writes the answer as a term.
// Light on purpose: it is compiled once for each way to come by the library.
#include <zlib.h>

#include <boost/pfr.hpp>
#include <chrono>
#include <coroutine>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <erlpy/etf/sink.hpp>
#include <erlpy/etf/source.hpp>
#include <erlpy/interpreter_pool.hpp>
#include <erlpy/python/context.hpp>
#include <erlpy/python/sink.hpp>
#include <erlpy/python/source.hpp>

namespace {

namespace etf = erlpy::etf;
namespace python = erlpy::python;

int failures = 0;

void expect(bool holds, const char* what) {
  std::printf("%s: %s\n", holds ? "ok" : "not ok", what);
  if (!holds) ++failures;
}

// #{numbers => [1, 2, 39]}, and {true, 42}.
using namespace std::string_view_literals;
constexpr std::string_view question = "\x83t\0\0\0\1w\7numbersl\0\0\0\3a\1a\2a\x27j"sv;
constexpr std::string_view answer = "\x83h\2w\4truea*"sv;

[[nodiscard]] std::string python_answers(python::context& context, erlpy::bytes_view term) {
  python::sink to_python(context);
  const python::ref value = erlpy::transcode(etf::source(term), to_python);

  const python::ref names = python::checked(PyDict_New());
  python::checked_status(PyDict_SetItemString(names.get(), "__builtins__", PyEval_GetBuiltins()));
  python::checked_status(PyDict_SetItemString(names.get(), "term", value.get()));
  const python::ref result = python::checked(PyRun_String("(isinstance(term, dict), sum(term['numbers']))",
                                                          Py_eval_input, names.get(), names.get()));

  etf::sink to_term;
  static_cast<void>(erlpy::transcode(python::source(context, result.get()), to_term));
  return std::string(erlpy::as_text(to_term.take()));
}

void conversions() {
  const auto home = std::make_shared<python::interpreter>([] {});
  python::context context(home, std::make_shared<python::object_table>([] {}));
  expect(python_answers(context, erlpy::as_bytes(question)) == answer,
         "a term to Python, its answer as a term");

  bool refused = false;
  try {
    static_cast<void>(python_answers(context, erlpy::as_bytes(question.substr(0, 20))));
  } catch (const erlpy::conversion_error&) {
    refused = true;
  }
  expect(refused, "bytes that are cut off are refused");
}

// The library was told that zlib is there.
void compressed() {
  const std::string_view plain = question.substr(1);
  std::vector<unsigned char> packed(compressBound(plain.size()));
  uLongf size = packed.size();
  expect(compress(packed.data(), &size, reinterpret_cast<const Bytef*>(plain.data()), plain.size()) == Z_OK,
         "zlib");
  std::string term("\x83P\0\0\0"sv);
  term += static_cast<char>(plain.size());
  term.append(packed.begin(), packed.begin() + static_cast<std::ptrdiff_t>(size));

  etf::sink to;
  static_cast<void>(erlpy::transcode(etf::source(erlpy::as_bytes(term)), to));
  expect(erlpy::as_text(to.take()) == question, "a compressed term");
}

// Boost.PFR comes with the library's target.
void aggregates() {
  struct point {
    int x, y;
  };
  expect(boost::pfr::get<1>(point{3, 4}) == 4, "Boost.PFR");
}

// A pool beside the Python that this program has initialised, asked by a thread that has the GIL.
struct task {
  struct promise_type : std::promise<std::int64_t> {
    task get_return_object() { return {get_future()}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_value(std::int64_t value) { set_value(value); }
    void unhandled_exception() { set_exception(std::current_exception()); }
  };
  std::future<std::int64_t> result;
};

// Slower than the worker, so that values are there: each of these takes no stack.
task awaited_sum(erlpy::interpreter_pool& pool) {
  auto values = pool.with({.ahead = 4096}).stream_eval<std::int64_t>("iter(range(1, 100_001))");
  std::int64_t sum = 0;
  while (const auto each = co_await values.next_async()) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(8);
    while (std::chrono::steady_clock::now() < until) {
    }
    sum += *each;
  }
  co_return sum;
}

void typed_calls() {
  erlpy::interpreter_pool pool({.name = "consumer", .num_workers = 1});
  expect(pool.call<double>("math", "sqrt", 16).get() == 4.0, "a typed call");
  int sum = 0;
  for (const int each : pool.stream_eval<int>("(i * i for i in range(n))", erlpy::kwarg("n", 4))) sum += each;
  expect(sum == 14, "a typed stream");
  auto awaited = awaited_sum(pool);
  const python::detached no_gil;  // a future does not give it up
  expect(awaited.result.get() == 5'000'050'000, "an awaited stream, built without optimisation");
}

}  // namespace

int main() {
  Py_InitializeEx(0);
  try {
    conversions();
    compressed();
    aggregates();
    typed_calls();
  } catch (const std::exception& failed) {
    std::printf("not ok: %s\n", failed.what());
    return 1;
  }
  return failures == 0 ? 0 : 1;
}
