// What a C++ host is told of a call that failed: exceptions, free of Python objects, for any thread.
//
// A result that is not of the type that was asked for is a cpp::mismatch besides, which names the place.
#ifndef ERLPY_HOST_ERRORS_HPP
#define ERLPY_HOST_ERRORS_HPP

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <erlpy/error.hpp>
#include <erlpy/pool/job.hpp>
#include <erlpy/python/failure.hpp>
#include <erlpy/python/fork.hpp>

namespace erlpy {

// Why there is no result though Python raised nothing.
enum class call_failure : std::uint8_t {
  timeout,          // the deadline passed
  cancelled,        // its caller gave it up
  overload,         // the queue is full
  worker_crashed,   // the worker process ended
  worker_replaced,  // the worker did not let go of a call in time
  pool_stopped
};

[[nodiscard]] constexpr std::string_view failure_name(call_failure why) noexcept {
  switch (why) {
    case call_failure::timeout: return "timeout";
    case call_failure::cancelled: return "cancelled";
    case call_failure::overload: return "overload";
    case call_failure::worker_crashed: return "worker_crashed";
    case call_failure::worker_replaced: return "worker_replaced";
    case call_failure::pool_stopped: return "pool_stopped";
  }
  return "unknown";
}

class call_error : public error {
 public:
  call_error(call_failure why, const std::string& message) : error(message), why_(why) {}
  [[nodiscard]] call_failure why() const noexcept { return why_; }

 private:
  call_failure why_;
};

// An exception that Python code raised.
class python_error : public error {
 public:
  explicit python_error(python::failure what)
      : error(what.kind + (what.message.empty() ? "" : ": " + what.message)), what_(std::move(what)) {}
  // The class's name, "ValueError"; str() of it; where it came from, if call_options::traceback asked for
  // that.
  [[nodiscard]] const std::string& kind() const noexcept { return what_.kind; }
  [[nodiscard]] const std::string& message() const noexcept { return what_.message; }
  [[nodiscard]] const std::vector<python::frame>& frames() const noexcept { return what_.frames; }

 private:
  python::failure what_;
};

// A pool that could not start.
class start_error : public error {
 public:
  using error::error;
};

namespace host {

[[nodiscard]] inline std::exception_ptr refusal_error(pool::refusal why, const std::string& pool) {
  switch (why) {
    case pool::refusal::stopped:
      return std::make_exception_ptr(
          call_error(call_failure::pool_stopped, "the pool " + pool + " has stopped"));
    case pool::refusal::replaced:
      return std::make_exception_ptr(call_error(
          call_failure::worker_replaced, "the worker did not let go of a call in time, and was replaced"));
    case pool::refusal::crashed: break;
  }
  return std::make_exception_ptr(call_error(call_failure::worker_crashed, "the worker process has ended"));
}

// Inside a catch block, attached: what was thrown, as something that may leave Python. Exceptions of Python
// are described here, before they are destroyed; a child that user code forked ends here.
[[nodiscard]] inline std::exception_ptr error_of_current(const python::interpreter& home, bool with_frames) {
  try {
    throw;
  } catch (const python::exception& raised) {
    if (python::in_forked_child()) python::end_forked_child(&raised);
    return std::make_exception_ptr(python_error(python::describe(home, raised, with_frames)));
  } catch (...) {
    if (python::in_forked_child()) python::end_forked_child(nullptr);
    return std::current_exception();
  }
}

}  // namespace host
}  // namespace erlpy

#endif
