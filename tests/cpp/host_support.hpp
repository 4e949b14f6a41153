// What the tests of the C++ host share: a pool of each kind, a coroutine to await calls in, and what went
// wrong.
#ifndef ERLPY_TESTS_HOST_SUPPORT_HPP
#define ERLPY_TESTS_HOST_SUPPORT_HPP

#include <chrono>
#include <coroutine>
#include <exception>
#include <future>
#include <string>
#include <utility>
#include <vector>

#include <erlpy/interpreter_pool.hpp>

#include "catch.hpp"

namespace host_support {

using namespace std::chrono_literals;
using erlpy::isolation;
using erlpy::kwarg;

inline constexpr isolation every_kind[] = {isolation::shared, isolation::subinterpreter, isolation::process};

[[nodiscard]] inline std::string kind_name(isolation kind) {
  return kind == isolation::shared ? "shared" : kind == isolation::process ? "process" : "subinterpreter";
}

[[nodiscard]] inline erlpy::pool_options options_of(isolation kind, std::size_t workers = 1) {
  static int made = 0;
  erlpy::pool_options options;
  options.name = "host" + std::to_string(++made);
  options.kind = kind;
  options.num_workers = workers;
  return options;
}

// What an action throws: "python_error: ...", "call_error: timeout", "mismatch: ...", "" for nothing.
template <class Action>
[[nodiscard]] std::string failure(Action&& action) {
  try {
    (void)std::forward<Action>(action)();
    return "";
  } catch (const erlpy::python_error& raised) {
    return std::string("python_error: ") + raised.what();
  } catch (const erlpy::call_error& failed) {
    return "call_error: " + std::string(erlpy::failure_name(failed.why()));
  } catch (const erlpy::cpp::mismatch& failed) {
    return std::string("mismatch: ") + failed.what();
  } catch (const erlpy::conversion_error& failed) {
    return std::string("conversion_error: ") + failed.what();
  } catch (const erlpy::error& failed) {
    return std::string("error: ") + failed.what();
  }
}

// A coroutine that runs at once, and whose end can be waited for.
template <class T>
struct task {
  struct promise_type {
    std::promise<T> result;
    task get_return_object() { return {result.get_future()}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_value(T value) { result.set_value(std::move(value)); }
    void unhandled_exception() { result.set_exception(std::current_exception()); }
  };
  std::future<T> future;
  [[nodiscard]] T get() {
    if (future.wait_for(20s) != std::future_status::ready)
      throw std::runtime_error("the coroutine did not end");
    return future.get();
  }
};

}  // namespace host_support

#endif
