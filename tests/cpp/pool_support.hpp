// A pool for tests without a BEAM: its jobs run statements or C++ functions, their answers are futures.
#ifndef ERLPY_TESTS_POOL_SUPPORT_HPP
#define ERLPY_TESTS_POOL_SUPPORT_HPP

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <erlpy/pool/thread_pool.hpp>

namespace pool_support {

using namespace std::chrono_literals;
namespace pool = erlpy::pool;
namespace python = erlpy::python;

// Runs a function on a worker. What the caller sees: `answer`, exactly once.
class function_job final : public pool::counted<pool::job> {
 public:
  explicit function_job(std::function<std::string(pool::thread_worker&)> body) : body_(std::move(body)) {}

  void run(pool::worker& runner) noexcept override {
    pool::thread_worker& on = pool::thread_worker::of(runner);
    began_ = true;
    std::string text;
    bool good = false;
    try {
      text = body_(on);
      good = true;
    } catch (const python::exception& raised) {
      text = python::describe(on.context().home(), raised, false).kind;
    } catch (const std::exception& other) {
      text = other.what();
    }
    ran_ = true;
    on.count(good);
    if (claim()) answer_.set_value(text);
  }
  void refuse(pool::refusal) noexcept override {
    if (claim()) answer_.set_value("stopped");
  }
  void discard() noexcept override { discarded_ = true; }

  [[nodiscard]] std::future<std::string> answer() { return answer_.get_future(); }
  [[nodiscard]] bool began() const { return began_; }
  [[nodiscard]] bool ran() const { return ran_; }
  [[nodiscard]] bool discarded() const { return discarded_; }

 private:
  ~function_job() override = default;

  std::function<std::string(pool::thread_worker&)> body_;
  std::promise<std::string> answer_;
  std::atomic<bool> began_{false};
  std::atomic<bool> ran_{false};
  std::atomic<bool> discarded_{false};
};

// A job, and the answer to wait for.
struct call {
  pool::job_ptr share;
  function_job* job = nullptr;
  std::future<std::string> answer;
  pool::mailbox::push_result pushed{};

  [[nodiscard]] std::string get(std::chrono::milliseconds limit = 20s) {
    return answer.wait_for(limit) == std::future_status::ready ? answer.get() : "no answer";
  }
};

class test_pool {
 public:
  explicit test_pool(pool::options settings = {}) {
    settings.name = "test" + std::to_string(++count());
    pool_ = std::make_shared<pool::thread_pool>(
        settings, pool::pool_events{[state = state_](std::size_t, std::optional<std::string> kind,
                                                     const std::string& text) {
                                      const std::lock_guard lock(state->mutex);
                                      state->started.push_back(kind ? *kind + ": " + text : text);
                                      state->changed.notify_all();
                                    },
                                    [state = state_](std::size_t) {
                                      const std::lock_guard lock(state->mutex);
                                      ++state->replaced;
                                    },
                                    [state = state_] {
                                      const std::lock_guard lock(state->mutex);
                                      state->stopped = true;
                                      state->changed.notify_all();
                                    }});
    for (std::size_t i = 1; i <= settings.num_workers; ++i) pool_->start_worker(i);
    std::unique_lock lock(state_->mutex);
    state_->changed.wait_for(lock, 30s, [&] { return state_->started.size() == settings.num_workers; });
  }
  ~test_pool() {
    pool_->stop();
    (void)wait_stopped(5s);
  }

  [[nodiscard]] bool wait_stopped(std::chrono::milliseconds limit) {
    std::unique_lock lock(state_->mutex);
    return state_->changed.wait_for(lock, limit, [&] { return state_->stopped; });
  }
  // What each worker reported as it started: empty is good.
  [[nodiscard]] std::vector<std::string> started() {
    const std::lock_guard lock(state_->mutex);
    return state_->started;
  }

  [[nodiscard]] int replaced() {
    const std::lock_guard lock(state_->mutex);
    return state_->replaced;
  }

  [[nodiscard]] call submit(std::function<std::string(pool::thread_worker&)> body,
                            std::size_t slot = pool::mailbox::any) {
    call made;
    made.job = new function_job(std::move(body));
    made.share = pool::job_ptr(made.job);
    made.answer = made.job->answer();
    made.pushed = pool_->submit(*made.job, slot);
    return made;
  }
  // Blocks in C++, without the GIL and without a Python instruction: only a replacement helps.
  [[nodiscard]] call sleep(double seconds, std::size_t slot = pool::mailbox::any) {
    return submit(
        [seconds](pool::thread_worker&) {
          const python::detached no_gil;
          std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
          return std::string("slept");
        },
        slot);
  }
  // Statements, in the worker's namespace.
  [[nodiscard]] call exec(std::string code, std::size_t slot = pool::mailbox::any) {
    return submit(
        [code = std::move(code)](pool::thread_worker& on) {
          python::exec_code(on.name_space(), code);
          return std::string("done");
        },
        slot);
  }
  // An expression that gives a str.
  [[nodiscard]] call eval(std::string code, std::size_t slot = pool::mailbox::any) {
    return submit(
        [code = std::move(code)](pool::thread_worker& on) {
          const python::ref text = python::make_str(code);
          const python::ref value =
              python::eval_code(on.context().home(), on.name_space(), text.get(), nullptr);
          const python::ref shown = python::checked(PyObject_Str(value.get()));
          return std::string(PyUnicode_AsUTF8(shown.get()));
        },
        slot);
  }
  [[nodiscard]] bool abandon(call& given_up) { return pool_->abandon(*given_up.job, pool::outcome::timeout); }

  [[nodiscard]] pool::thread_pool& operator*() { return *pool_; }
  pool::thread_pool* operator->() { return pool_.get(); }

 private:
  struct state {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<std::string> started;
    int replaced = 0;
    bool stopped = false;
  };

  static int& count() {
    static int made = 0;
    return made;
  }

  std::shared_ptr<state> state_ = std::make_shared<state>();
  std::shared_ptr<pool::thread_pool> pool_;
};

// Waits until `condition` holds; false after `limit`.
template <class Condition>
[[nodiscard]] bool eventually(Condition condition, std::chrono::milliseconds limit = 10s) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < end) {
    if (condition()) return true;
    std::this_thread::sleep_for(2ms);
  }
  return condition();
}

// One worker, replaced soon after a deadline, and no more than once at a time.
[[nodiscard]] inline erlpy::pool::options one_worker() {
  erlpy::pool::options settings;
  settings.num_workers = 1;
  settings.max_abandoned = 1;
  settings.grace = std::chrono::milliseconds(50);
  return settings;
}

}  // namespace pool_support

#endif
