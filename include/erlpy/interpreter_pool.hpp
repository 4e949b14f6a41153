// The typed face of a pool for C++ programs: call, eval, exec and stream, with C++ values in and out.
//
//   erlpy::interpreter_pool pool({.num_workers = 2});
//   double root = pool.call<double>("math", "sqrt", 16).get();
//   for (const row& each : pool.stream<row>("reader", "rows", path)) ...
//
// It works beside a Python that the program has initialised itself, and never finalises one. Any thread may
// use it, with or without the GIL.
#ifndef ERLPY_INTERPRETER_POOL_HPP
#define ERLPY_INTERPRETER_POOL_HPP

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <erlpy/host/launcher.hpp>
#include <erlpy/host/pending.hpp>
#include <erlpy/host/value_stream.hpp>
#include <erlpy/pool/options.hpp>
#include <erlpy/pool/process_pool.hpp>
#include <erlpy/pool/thread_pool.hpp>
#include <erlpy/pool/timer.hpp>

namespace erlpy {

using pool_options = pool::options;
using pool_stats = pool::pool_stats;
using isolation = pool::isolation;

// How a call is made.
struct call_options {
  std::size_t worker = 0;  // 1 to num_workers; 0: see interpreter_pool
  std::optional<std::chrono::milliseconds> timeout = std::nullopt;  // from the submission; none: no limit
  bool traceback = false;                                           // python_error::frames()
  std::size_t ahead = 64;  // of a stream: values made before they are asked for
};

namespace host {

// A running pool, shared by all that use it.
class running_pool {
 public:
  // Blocks until all workers have started. `program`: of worker processes. Errors: start_error.
  running_pool(pool_options settings, const std::string& program) {
    check(settings);
    const std::size_t workers = settings.num_workers;
    if (settings.kind == isolation::process) {
      auto made = std::make_shared<std::weak_ptr<pool::process_pool>>();
      pool::pool_events events = listen();
      events.launch = [made, program, state = state_](std::size_t slot, std::string told) {
        try {
          launch_worker(*made, program, slot, std::move(told));
        } catch (const std::exception& failed) {
          state->note_start(slot, failed.what());
        }
      };
      const auto processes = std::make_shared<pool::process_pool>(std::move(settings), std::move(events));
      *made = processes;
      pool_ = processes;
    } else {
      pool_ = std::make_shared<pool::thread_pool>(std::move(settings), listen());
    }
    {
      const std::lock_guard lock(state_->mutex);
      state_->pool = pool_;
    }
    for (std::size_t slot = 1; slot <= workers; ++slot) pool_->start_worker(slot);
    const auto failure = without_gil([&] { return state_->await_start(workers); });
    if (!failure) return;
    stop();
    throw start_error(*failure);
  }
  running_pool(const running_pool&) = delete;
  running_pool& operator=(const running_pool&) = delete;
  ~running_pool() { stop(); }

  // Every call ends with call_error (pool_stopped). Waits for the workers to leave, at most five seconds:
  // what does not let go of a GIL is left behind.
  void stop() {
    pool_->stop();
    if (waited_.exchange(true)) return;
    without_gil([&] { return state_->await_stop(std::chrono::seconds(5)); });
  }

  [[nodiscard]] const std::shared_ptr<pool::worker_pool>& pool() const noexcept { return pool_; }

  // The worker that has the pool's namespace, chosen at the first use.
  [[nodiscard]] std::size_t namespace_worker() {
    std::size_t none = 0;
    const std::size_t next = pool_->next_slot();
    return bound_.compare_exchange_strong(none, next) ? next : none;
  }
  // 0 before the first use.
  [[nodiscard]] std::size_t bound_worker() const noexcept { return bound_.load(); }

 private:
  // A level of a value takes up to 1.6 KB where nothing is optimised.
  static constexpr std::size_t stack_per_level = 4 * 1024;

  static void check(const pool_options& settings) {
    if (settings.num_workers == 0) throw start_error("a pool needs at least one worker: num_workers is 0");
    const std::size_t levels = pool::worker_stack(settings) / stack_per_level;
    if (settings.max_depth <= levels) return;
    throw start_error(
        "max_depth " + std::to_string(settings.max_depth) + " is more than the " + std::to_string(levels) +
        " levels that a worker's stack has room for: lower it, or raise stack_size (4 KiB a level)");
  }

  struct state {
    // A worker that cannot be replaced is tried again, once a second.
    void note_start(std::size_t slot, const std::string& failure) {
      {
        const std::lock_guard lock(mutex);
        ++started;
        if (!failure.empty() && !failed) failed = failure;
        if (failure.empty() || !up) return changed.notify_all();
      }
      pool::timer::instance().at(pool::timer::clock::now() + std::chrono::seconds(1), [home = pool, slot] {
        const auto alive = home.lock();
        if (alive && !alive->stopped()) alive->start_worker(slot);
      });
    }
    [[nodiscard]] std::optional<std::string> await_start(std::size_t workers) {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return started >= workers || failed; });
      up = !failed;
      return failed;
    }
    bool await_stop(std::chrono::seconds limit) {
      std::unique_lock lock(mutex);
      return changed.wait_for(lock, limit, [this] { return stopped; });
    }

    std::mutex mutex;
    std::condition_variable changed;
    std::size_t started = 0;
    std::optional<std::string> failed;
    bool up = false;  // all have started
    bool stopped = false;
    std::weak_ptr<pool::worker_pool> pool;
  };

  [[nodiscard]] pool::pool_events listen() const {
    return {
        [state = state_](std::size_t slot, const std::optional<std::string>& kind, const std::string& text) {
          state->note_start(slot, kind && !kind->empty() ? *kind + ": " + text : text);
        },
        [](std::size_t) {},
        [state = state_] {
          {
            const std::lock_guard lock(state->mutex);
            state->stopped = true;
          }
          state->changed.notify_all();
        }};
  }

  const std::shared_ptr<state> state_ = std::make_shared<state>();
  std::shared_ptr<pool::worker_pool> pool_;
  std::atomic<std::size_t> bound_{0};
  std::atomic<bool> waited_{false};
};

}  // namespace host

// A way to call the workers of a pool: cheap to copy, and good as long as its interpreter_pool is there
// (after that every call ends with pool_stopped).
//
// What names no worker goes to the least loaded one. But for what uses the namespace of statements,
// '__main__': exec(), calls of '__main__', and, once something was defined, eval(). For that the pool keeps
// to one worker, so that what was defined is there.
//
// Arguments are C++ values (cpp.hpp), copied or moved in; std::cref() and spans of bytes are lent instead,
// see host/arguments.hpp. kwarg("name", value), or "name"_kw = value, is a keyword argument.
class caller {
 public:
  // The same pool, called in this way; a session keeps its worker, unless `options` name another.
  [[nodiscard]] caller with(call_options options) const {
    if (options.worker == 0) options.worker = options_.worker;
    return {pool_, options};
  }
  // The same, always with one worker, and so with a namespace of its own: each session gets the next one in
  // turn.
  [[nodiscard]] caller session() const {
    call_options options = options_;
    options.worker = pool_->pool()->next_slot();
    return {pool_, options};
  }

  // Calls `function` of `module`, both UTF-8; a dotted function name is looked up as written. R: any readable
  // type, or void. What an `async def` returns is awaited. Errors, here: erlpy::error for a worker that
  // there is not, std::bad_alloc; all else is in the result.
  template <host::result R, host::argument... As>
  pending<R> call(std::string_view module, std::string_view function, As&&... arguments) const {
    host::asked wanted = ask(operation::call);
    wanted.module = module;
    wanted.function = function;
    return submit<pending<R>, host::typed_call<R>>(std::move(wanted), slot_of(module == "__main__"),
                                                   std::forward<As>(arguments)...);
  }
  // Evaluates an expression; `variables` are keyword arguments.
  template <host::result R, class... Ts>
  pending<R> eval(std::string_view code, keyword_argument<Ts>... variables) const {
    host::asked wanted = ask(operation::eval);
    wanted.code = code;
    return submit<pending<R>, host::typed_call<R>>(std::move(wanted), slot_of(pool_->bound_worker() != 0),
                                                   std::move(variables)...);
  }
  // Runs statements.
  pending<void> exec(std::string_view code) const {
    host::asked wanted = ask(operation::exec);
    wanted.code = code;
    return submit<pending<void>, host::typed_call<void>>(std::move(wanted), slot_of(true));
  }

  // The values of what the call gives: a generator, an async generator, any iterable.
  template <cpp::readable T, host::argument... As>
  value_stream<T> stream(std::string_view module, std::string_view function, As&&... arguments) const {
    host::asked wanted = ask(operation::call);
    wanted.module = module;
    wanted.function = function;
    return open<T>(std::move(wanted), slot_of(module == "__main__"), std::forward<As>(arguments)...);
  }
  template <cpp::readable T, class... Ts>
  value_stream<T> stream_eval(std::string_view code, keyword_argument<Ts>... variables) const {
    host::asked wanted = ask(operation::eval);
    wanted.code = code;
    return open<T>(std::move(wanted), slot_of(pool_->bound_worker() != 0), std::move(variables)...);
  }

 protected:
  caller(std::shared_ptr<host::running_pool> pool, call_options options)
      : pool_(std::move(pool)), options_(options) {}

  [[nodiscard]] host::running_pool& running() const noexcept { return *pool_; }

 private:
  [[nodiscard]] host::asked ask(operation what) const {
    host::asked wanted;
    wanted.what = what;
    wanted.traceback = options_.traceback;
    return wanted;
  }
  // Errors: erlpy::error for a worker that there is not.
  [[nodiscard]] std::size_t slot_of(bool in_namespace) const {
    if (options_.worker > pool_->pool()->settings().num_workers) {
      throw error("there is no worker " + std::to_string(options_.worker) + ": the pool has " +
                  std::to_string(pool_->pool()->settings().num_workers));
    }
    if (options_.worker != 0) return options_.worker;
    return in_namespace ? pool_->namespace_worker() : pool::mailbox::any;
  }
  [[nodiscard]] host::deadline until() const {
    if (!options_.timeout) return std::nullopt;
    return host::deadline_after(*options_.timeout);
  }

  template <class Handle, class Call, class... As>
  Handle submit(host::asked wanted, std::size_t slot, As&&... arguments) const {
    auto* const call = new Call(pool_->pool(), std::move(wanted), host::keep(std::forward<As>(arguments)...));
    Handle made(call, until());
    call->submit(slot);
    return made;
  }
  template <class T, class... As>
  value_stream<T> open(host::asked wanted, std::size_t slot, As&&... arguments) const {
    static_assert(!(host::lends<As> || ...),
                  "a stream outlives its call: give it a cpp::buffer or a copy, not memory that is lent");
    wanted.as_stream = true;
    auto* const call =
        new host::opening<T>(pool_->pool(), std::move(wanted), host::keep(std::forward<As>(arguments)...));
    value_stream<T> made(call, until(), options_.ahead);
    call->submit(slot);
    return made;
  }

  std::shared_ptr<host::running_pool> pool_;
  call_options options_;
};

// Owns the workers: they stop with it.
class interpreter_pool : public caller {
 public:
  // Blocks until every worker is ready. `worker_program` is what `isolation::process` starts; empty: see
  // host::default_worker_program(). Errors: start_error, with the reason of the first worker that did not
  // start.
  explicit interpreter_pool(pool_options options = {}, const std::string& worker_program = {})
      : caller(
            std::make_shared<host::running_pool>(
                std::move(options), worker_program.empty() ? host::default_worker_program() : worker_program),
            {}) {}
  interpreter_pool(const interpreter_pool&) = delete;
  interpreter_pool& operator=(const interpreter_pool&) = delete;
  ~interpreter_pool() { stop(); }

  // Ends all calls and streams, and waits for the workers to leave, at most five seconds.
  void stop() { running().stop(); }

  [[nodiscard]] pool_stats stats() const { return running().pool()->stats(); }
};

}  // namespace erlpy

#endif
