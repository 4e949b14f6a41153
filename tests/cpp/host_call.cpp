// Calls of a C++ program, in every kind of pool.
#include <atomic>
#include <cmath>
#include <complex>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <variant>
#include <vector>

#include "host_support.hpp"

using namespace host_support;
using namespace erlpy::literals;

namespace {

struct row {
  std::string name;
  double score = 0;
  std::vector<int> tags;
};

struct table {
  std::vector<row> rows;
};

}  // namespace

template <>
struct erlpy::field_names<row> {
  static constexpr std::array<std::string_view, 3> value{"name", "score", "tags"};
};
template <>
struct erlpy::field_names<table> {
  static constexpr std::array<std::string_view, 1> value{"rows"};
};

TEST_CASE("a C++ program calls Python in every kind of pool") {
  for (const isolation kind : every_kind) {
    INFO(kind_name(kind));
    erlpy::interpreter_pool pool(options_of(kind, 2));

    CHECK(pool.call<double>("math", "sqrt", 16).get() == 4.0);
    CHECK(pool.call<std::string>("builtins", "str", 42).get() == "42");
    CHECK(pool.call<int>("builtins", "int", "ff", kwarg("base", 16)).get() == 255);
    CHECK(pool.call<int>("builtins", "int", "77", "base"_kw = 8).get() == 63);
    CHECK(pool.eval<int>("x * y", kwarg("x", 6), kwarg("y", 7)).get() == 42);
    CHECK(pool.eval<std::vector<int>>("[i * n for i in range(4)]", kwarg("n", 3)).get() ==
          std::vector<int>{0, 3, 6, 9});
    pool.call<void>("math", "floor", 1.5).get();

    pool.exec("def add(a, b=1):\n    return a + b").get();
    CHECK(pool.call<int>("__main__", "add", 2, kwarg("b", 40)).get() == 42);
    CHECK(pool.eval<int>("add(41)").get() == 42);
    CHECK(pool.stats().workers.size() == 2);
  }
}

TEST_CASE("values of all kinds go in and come back the same") {
  for (const isolation kind : every_kind) {
    INFO(kind_name(kind));
    erlpy::interpreter_pool pool(options_of(kind));
    const auto same = [&](auto value) {
      using type = decltype(value);
      return pool.eval<type>("v", kwarg("v", value)).get() == value;
    };
    CHECK(same(true));
    CHECK(same(std::int64_t{-9'000'000'000'000'000'000}));
    CHECK(same(std::uint64_t{18'000'000'000'000'000'000U}));
    CHECK(same(1.5));
    CHECK(same(std::string("h\u00e9llo")));
    CHECK(same(std::string()));
    CHECK(same(std::vector<double>{1, 2.5, -3}));
    CHECK(same(std::map<std::string, std::vector<int>>{{"a", {1, 2}}, {"b", {}}}));
    CHECK(same(std::tuple<int, std::string, bool>{1, "two", true}));
    CHECK(same(std::optional<int>()));
    CHECK(same(std::optional<int>(5)));
    CHECK(same(std::variant<int, std::string>("text")));
    CHECK(same(std::variant<int, std::string>(3)));
    CHECK(same(std::vector<std::optional<std::pair<int, std::string>>>{{}, {{1, "x"}}}));
    CHECK(same(std::set<int>{3, 1, 2}));
    CHECK(same(std::complex<double>{1.5, -2}));
    CHECK(same(std::complex<double>{std::numeric_limits<double>::infinity(), 0}));
    CHECK(pool.call<std::complex<double>>("cmath", "sqrt", -4).get() == std::complex<double>(0, 2));
    CHECK(pool.eval<std::string>("type(v[0]).__name__", kwarg("v", std::vector{std::complex<double>{1, 2}}))
              .get() == "complex");
  }
}

TEST_CASE("what Erlang has no terms for reaches every kind as it is") {
  for (const isolation kind : every_kind) {
    INFO(kind_name(kind));
    erlpy::interpreter_pool pool(options_of(kind));
    const auto type_of = [&](auto value) {
      return pool.eval<std::string>("type(v).__name__", kwarg("v", value)).get();
    };
    CHECK(std::isnan(pool.eval<double>("v", kwarg("v", std::nan(""))).get()));
    CHECK(pool.eval<double>("v", kwarg("v", -std::numeric_limits<double>::infinity())).get() ==
          -std::numeric_limits<double>::infinity());
    CHECK(type_of(std::nan("")) == "float");
    CHECK(failure([&] { return pool.eval<std::string>("float('inf')").get(); }) ==
          "mismatch: expected str, got float");
    CHECK(type_of(std::set<int>{1, 2}) == "set");
    CHECK(type_of(std::set<int>{}) == "set");
    CHECK(pool.eval<std::set<std::string>>("{'a', 'b'}").get() == std::set<std::string>{"a", "b"});
    CHECK(type_of(static_cast<const char*>(nullptr)) == "NoneType");
    pool.eval<void>("object()").get();
    CHECK(failure([&] { return pool.eval<int>("object()").get(); }) == "mismatch: expected int, got object");
    CHECK(pool.stats().objects == 0);
  }
}

TEST_CASE("objects that no C++ value stands for are not kept") {
  for (const isolation kind : every_kind) {
    INFO(kind_name(kind));
    erlpy::interpreter_pool pool(options_of(kind));
    pool.exec(
            "import weakref, gc\nclass Thing: pass\nmade = weakref.WeakSet()\n"
            "def make():\n    thing = Thing()\n    made.add(thing)\n    return [thing]")
        .get();
    for (int i = 0; i < 20; ++i) {
      pool.call<void>("__main__", "make").get();
      (void)failure([&] { return pool.call<std::vector<int>>("__main__", "make").get(); });
      (void)pool.call<erlpy::cpp::any_value>("__main__", "make").get();
    }
    CHECK(pool.eval<int>("(gc.collect(), len(made))[1]").get() == 0);
  }
}

TEST_CASE("text and bytes are told apart in every kind") {
  const std::string plain = "plain";
  const auto bytes = erlpy::byte_buffer{std::byte{'a'}, std::byte{'b'}};
  for (const isolation kind : every_kind) {
    INFO(kind_name(kind));
    erlpy::interpreter_pool pool(options_of(kind));
    CHECK(pool.eval<std::string>("type(v).__name__", kwarg("v", plain)).get() == "str");
    CHECK(pool.eval<std::string>("type(v).__name__", kwarg("v", bytes)).get() == "bytes");
    CHECK(pool.eval<erlpy::byte_buffer>("b'ab'").get() == bytes);
    CHECK(pool.eval<erlpy::byte_buffer>("bytearray(b'ab')").get() == bytes);
    CHECK(failure([&] { return pool.eval<std::string>("b'ab'").get(); }) ==
          "mismatch: expected str, got bytes");
    CHECK(failure([&] { return pool.eval<erlpy::byte_buffer>("'ab'").get(); }) ==
          "mismatch: expected bytes, got str");
  }
}

TEST_CASE("a span is lent, and comes back as a buffer that owns its bytes") {
  std::vector<std::byte> big(1 << 20, std::byte{7});
  const std::span<const std::byte> view(big);
  for (const isolation kind : every_kind) {
    INFO(kind_name(kind));
    erlpy::interpreter_pool pool(options_of(kind));
    CHECK(pool.call<int>("builtins", "sum", view).get() == 7 * (1 << 20));
    CHECK(pool.eval<std::string>("type(v).__name__", kwarg("v", view)).get() == "memoryview");
    const auto given = pool.eval<std::span<const std::byte>>("bytes([1, 2, 3]) * 100_000").get();
    CHECK(given.size() == 300'000);
    CHECK(given.view()[299'999] == std::byte{3});
    pool.stop();
    CHECK(given.view()[0] == std::byte{1});
  }
  erlpy::interpreter_pool pool(options_of(isolation::shared));
  pool.exec(
          "kept = []\ndef keep(v):\n    kept.append(v)\ndef address(v):\n    import ctypes\n"
          "    return ctypes.addressof((ctypes.c_char * len(v)).from_buffer_copy(v)) and len(v)")
      .get();
  CHECK(failure([&] {
          pool.call<void>("__main__", "keep", view).get();
          return 0;
        }) == "error: Python kept a view of memory that was lent to the call: pass a cpp::buffer, or a copy");
}

TEST_CASE("a call that is given up lends until its worker has let go") {
  erlpy::interpreter_pool pool(options_of(isolation::shared));
  pool.exec("import time\ndef slow(v):\n    time.sleep(0.4)\n    return v[0]").get();
  const auto start = std::chrono::steady_clock::now();
  {
    std::vector<std::byte> mine(1000, std::byte{9});
    CHECK(failure([&] {
            return pool.call<int>("__main__", "slow", std::span<const std::byte>(mine)).get(50ms);
          }) == "call_error: timeout");
  }
  {
    const std::vector<int> mine(1000, 9);
    CHECK(pool.call<int>("__main__", "slow", std::cref(mine)).get() == 9);
    CHECK(pool.call<int>("__main__", "slow", kwarg("v", std::cref(mine))).get() == 9);
  }
  erlpy::interpreter_pool processes(options_of(isolation::process));
  processes.exec("import time\nseen = []\ndef slow(v):\n    time.sleep(0.2)\n    seen.append(v[0])").get();
  auto before = processes.call<void>("__main__", "slow", std::vector<int>{1});
  {
    std::vector<int> mine(1000, 9);
    auto queued = processes.call<void>("__main__", "slow", std::cref(mine));
    queued.detach();
    mine.assign(1000, 0);
  }
  before.get();
  CHECK(processes.eval<std::vector<int>>("seen").get() == std::vector<int>{1, 9});
  CHECK(std::chrono::steady_clock::now() - start >= 350ms);
}

TEST_CASE("aggregates cross without registration, and a mismatch names its place") {
  for (const isolation kind : every_kind) {
    INFO(kind_name(kind));
    erlpy::interpreter_pool pool(options_of(kind));
    const row made{"ada", 9.5, {1, 2}};
    CHECK(pool.eval<std::string>("r['name'] + str(r['score'])", kwarg("r", made)).get() == "ada9.5");
    const auto back = pool.eval<row>("r", kwarg("r", made)).get();
    CHECK(back.name == "ada");
    CHECK(back.tags == std::vector<int>{1, 2});

    CHECK(pool.eval<std::string>("repr(r)", kwarg("r", erlpy::as_namedtuple(made))).get() ==
          "row(name='ada', score=9.5, tags=[1, 2])");
    CHECK(pool.eval<bool>("__import__('dataclasses').is_dataclass(r) and r.tags == [1, 2]",
                          kwarg("r", erlpy::as_dataclass(made)))
              .get());
    CHECK(pool.eval<row>("r", kwarg("r", erlpy::as_dataclass(made))).get().score == 9.5);
    CHECK(pool.eval<std::string>("repr(r)", kwarg("r", erlpy::as_record(made))).get() ==
          "('row', 'ada', 9.5, [1, 2])");

    pool.exec(
            "import dataclasses, collections\n"
            "@dataclasses.dataclass\nclass Row:\n    name: str\n    score: float\n    tags: list\n"
            "Pair = collections.namedtuple('Pair', 'name score tags')")
        .get();
    CHECK(pool.eval<row>("Row('bob', 1.0, [])").get().name == "bob");
    CHECK(pool.eval<row>("Pair('eve', 2, [3])").get().score == 2.0);
    CHECK(failure([&] {
            return pool
                .eval<table>(
                    "{'rows': [{'name': str(i), 'score': 1.0 if i < 3 else 'x', 'tags': []}"
                    " for i in range(5)]}")
                .get();
          }) == "mismatch: rows[3].score: expected float, got str");
    CHECK(failure([&] { return pool.eval<int>("'text'").get(); }) == "mismatch: expected int, got str");
  }
}

TEST_CASE("what goes wrong is an exception that says so") {
  for (const isolation kind : every_kind) {
    INFO(kind_name(kind));
    erlpy::interpreter_pool pool(options_of(kind));
    CHECK(failure([&] {
            return pool.call<double>("math", "sqrt", -1).get();
          }).starts_with("python_error: ValueError: "));
    CHECK(failure([&] { return pool.eval<int>("1 +").get(); }).starts_with("python_error: SyntaxError: "));
    CHECK(failure([&] { return pool.call<int>("no_such_module", "f").get(); }) ==
          "python_error: ModuleNotFoundError: No module named 'no_such_module'");
    CHECK(failure([&] { return pool.eval<int>("{}['h\u00e9']").get(); }) ==
          "python_error: KeyError: 'h\u00e9'");
    try {
      (void)pool.with({.traceback = true}).eval<int>("[][1]").get();
      FAIL("no exception");
    } catch (const erlpy::python_error& raised) {
      CHECK(raised.kind() == "IndexError");
      CHECK_FALSE(raised.frames().empty());
    }
    CHECK(pool.eval<int>("1").get() == 1);
  }
}

TEST_CASE("a call ends at its deadline, whatever Python does") {
  for (const isolation kind : every_kind) {
    INFO(kind_name(kind));
    erlpy::interpreter_pool pool(options_of(kind));
    pool.call<void>("time", "sleep", 0).get();
    const auto start = std::chrono::steady_clock::now();
    CHECK(failure([&] {
            pool.call<void>("time", "sleep", 3).get(100ms);
            return 0;
          }) == "call_error: timeout");
    CHECK(failure([&] {
            return pool.with({.timeout = 100ms}).eval<int>("[0 for _ in iter(int, 1)]").get();
          }) == "call_error: timeout");
    CHECK(std::chrono::steady_clock::now() - start < 2500ms);
    CHECK(pool.eval<int>("2").get(20s) == 2);
    CHECK(pool.stats().timeouts == 2);
  }
}

TEST_CASE("a call can be cancelled, dropped and left alone") {
  erlpy::interpreter_pool pool(options_of(isolation::shared));
  pool.exec("import time\nseen = []\ndef slow(n, wait):\n    time.sleep(wait)\n    seen.append(n)").get();
  auto running = pool.call<void>("__main__", "slow", 1, 0.3);
  running.cancel();
  CHECK(failure([&] {
          running.get();
          return 0;
        }) == "call_error: cancelled");
  (void)pool.call<void>("__main__", "slow", 2, 0.0);  // dropped
  auto left = pool.call<void>("__main__", "slow", 3, 0.0);
  left.detach();
  auto moved = pool.call<void>("__main__", "slow", 4, 0.0);
  const auto into = std::move(moved);
  const auto seen = pool.eval<std::vector<int>>("seen").get();
  CHECK(std::count(seen.begin(), seen.end(), 3) == 1);
  CHECK(std::count(seen.begin(), seen.end(), 4) == 1);
}

TEST_CASE("a full queue refuses, and a pool that has stopped says so") {
  auto options = options_of(isolation::shared);
  options.max_queue = 2;
  auto pool = std::make_unique<erlpy::interpreter_pool>(options);
  auto busy = pool->call<void>("time", "sleep", 0.5);
  std::this_thread::sleep_for(100ms);
  auto first = pool->eval<int>("1");
  auto second = pool->eval<int>("2");
  CHECK(failure([&] { return pool->eval<int>("3").get(); }) == "call_error: overload");
  CHECK(first.get() == 1);
  auto late = pool->call<void>("time", "sleep", 30);
  erlpy::caller face = *pool;
  pool.reset();
  CHECK(failure([&] {
          late.get();
          return 0;
        }) == "call_error: pool_stopped");
  CHECK(failure([&] { return face.eval<int>("1").get(); }) == "call_error: pool_stopped");
}

TEST_CASE("a deadline holds for who looks without waiting, and for who has left") {
  for (const isolation kind : every_kind) {
    INFO(kind_name(kind));
    auto options = options_of(kind);
    options.preload =
        "import time\ndone = 0\ndef work():\n    global done\n    for i in range(20): time.sleep(0.02)\n    "
        "done = 1";
    erlpy::interpreter_pool pool(options);
    auto seen = pool.with({.timeout = 50ms}).call<void>("time", "sleep", 10);
    CHECK_FALSE(seen.ready());
    for (int tries = 0; tries < 500 && !seen.ready(); ++tries) std::this_thread::sleep_for(10ms);
    CHECK(seen.ready());
    CHECK(failure([&] {
            seen.get();
            return 0;
          }) == "call_error: timeout");
    pool.with({.timeout = 50ms}).call<void>("__main__", "work").detach();
    std::this_thread::sleep_for(600ms);
    CHECK(pool.eval<int>("done").get() == 0);
    CHECK(pool.stats().timeouts == 2);
  }
}

TEST_CASE("a deadline may lie beyond what a clock can count") {
  erlpy::interpreter_pool pool(options_of(isolation::shared));
  CHECK(pool.call<double>("math", "sqrt", 4).get(std::chrono::milliseconds::max()) == 2.0);
  CHECK(pool.with({.timeout = std::chrono::milliseconds::max()}).call<double>("math", "sqrt", 4).get() ==
        2.0);
}

TEST_CASE("many threads share a pool") {
  for (const isolation kind : every_kind) {
    INFO(kind_name(kind));
    erlpy::interpreter_pool pool(options_of(kind, 2));
    std::atomic<int> good{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 100; ++i) good += pool.call<int>("operator", "add", t, i).get() == t + i ? 1 : 0;
      });
    }
    for (auto& each : threads) each.join();
    CHECK(good == 800);
  }
}

TEST_CASE("each session has a namespace of its own") {
  erlpy::interpreter_pool pool(options_of(isolation::shared, 2));
  const auto one = pool.session();
  const auto other = pool.session();
  one.exec("x = 1").get();
  other.exec("x = 2").get();
  CHECK(one.eval<int>("x").get() == 1);
  CHECK(other.eval<int>("x").get() == 2);
  CHECK(one.with({.timeout = 10s}).eval<int>("x").get() == 1);
  CHECK(one.with({.worker = 2}).eval<int>("x").get() == other.with({.worker = 2}).eval<int>("x").get());
  CHECK(failure([&] { return pool.with({.worker = 3}).eval<int>("1").get(); }) ==
        "error: there is no worker 3: the pool has 2");
}

TEST_CASE("a pool that cannot start says why") {
  auto options = options_of(isolation::shared);
  options.preload = "import no_such_module";
  CHECK(failure([&] {
          erlpy::interpreter_pool pool(options);
          return 0;
        }) == "error: ModuleNotFoundError: No module named 'no_such_module'");
  options = options_of(isolation::process);
  CHECK(failure([&] {
          erlpy::interpreter_pool pool(options, "/no/such/program");
          return 0;
        }).find("/no/such/program") != std::string::npos);
  options.num_workers = 0;
  CHECK(failure([&] {
          erlpy::interpreter_pool pool(options);
          return 0;
        }) == "error: a pool needs at least one worker: num_workers is 0");
  options = options_of(isolation::shared);
  options.max_depth = 1'000'000;
  CHECK(failure([&] {
          erlpy::interpreter_pool pool(options);
          return 0;
        }) ==
        "error: max_depth 1000000 is more than the 16384 levels that a worker's stack has room for: lower "
        "it, or "
        "raise stack_size (4 KiB a level)");
  options.stack_size = std::size_t{4} << 30U;
  erlpy::interpreter_pool deep(options);
  const int levels = 20'000;
  CHECK(failure([&] {
          deep.exec("x = 0\nfor i in range(" + std::to_string(levels) + "): x = [x]").get();
          return deep
              .eval<int>("__import__('functools').reduce(lambda v, _: v[0], range(" + std::to_string(levels) +
                             "), v)",
                         kwarg("v", deep.eval<erlpy::cpp::any_value>("x").get()))
              .get();
        }).empty());
}
