// A call of a C++ program as a job of the pool, and the result that its caller waits for.
#ifndef ERLPY_HOST_CALL_HPP
#define ERLPY_HOST_CALL_HPP

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <erlpy/cpp.hpp>
#include <erlpy/error_values.hpp>
#include <erlpy/etf.hpp>
#include <erlpy/host/arrival.hpp>
#include <erlpy/host/errors.hpp>
#include <erlpy/host/format.hpp>
#include <erlpy/pool/process_worker.hpp>
#include <erlpy/pool/thread_worker.hpp>
#include <erlpy/pool/timer.hpp>
#include <erlpy/pool/worker_pool.hpp>

namespace erlpy::host {

// The reason of a worker process: {Class, Message}, {Class, Message, Frames}, or an atom of our own.
[[nodiscard]] inline std::exception_ptr error_of_payload(bytes_view payload) {
  const etf::term reason(payload);
  std::vector<etf::term> parts;
  if (!etf::tuple_elements(reason, parts) || parts.size() < 2) {
    const std::string name = etf::atom_text(reason).value_or("the worker process gave no reason");
    if (name == exception_name(fault::object_gone))
      return std::make_exception_ptr(
          conversion_error(fault::object_gone, "the object is not there any more"));
    const auto why = name == "cancelled" ? call_failure::cancelled : call_failure::worker_crashed;
    return std::make_exception_ptr(call_error(why, name));
  }
  const auto raised = [&](auto to) {
    return std::make_exception_ptr(python_error(failure_of(transcode(etf::source(reason), to))));
  };
  return parts.size() == 2 ? raised(cpp::sink<error_value>{}) : raised(cpp::sink<traced_error_value>{});
}

// All of a call but the type of its result.
class basic_call : public pool::counted<pool::remote_job> {
 public:
  basic_call(std::shared_ptr<pool::worker_pool> pool, asked wanted, std::unique_ptr<arguments> given)
      : pool_(std::move(pool)), wanted_(std::move(wanted)), given_(std::move(given)), lent_(given_->lent()) {}

  // The caller's side ------------------------------------------------------------------------------------

  // Blocks until there is a result or an error. After the deadline the call is given up, and that is its
  // error.
  void wait(const deadline& until) {
    if (!arrived_.wait(until)) give_up_for(call_failure::timeout);
    (void)arrived_.wait(std::nullopt);
  }
  // Any thread, without waiting.
  void give_up_for(call_failure why) {
    const bool late = why == call_failure::timeout;
    if (!pool_->abandon(*this, late ? pool::outcome::timeout : pool::outcome::cancelled)) return;
    settle(std::make_exception_ptr(
        call_error(why, late ? "the call was not answered in time" : "the call was cancelled")));
  }
  // The same at this time, if there is no result by then. Once.
  void expire_at(std::chrono::steady_clock::time_point when) {
    limit_ = pool::timer::instance().at(
        when, [share = pool::job_ptr(this), this] { give_up_for(call_failure::timeout); });
    limited_.store(true, std::memory_order_release);
    // What settles it meanwhile may not have seen the limit.
    if (arrived_.here()) pool::timer::instance().cancel(limit_);
  }
  // Blocks until nothing uses any more what the caller lends. After arrived(), or give_up_for().
  void wait_for_lent() {
    if (lent_.empty()) return;
    if (pool_->settings().kind != pool::isolation::process) {
      (void)left_.wait(std::nullopt);
    } else {
      without_gil([this] { const std::lock_guard written(writing_); });
    }
  }
  [[nodiscard]] bool lends() const noexcept { return !lent_.empty(); }
  // What a coroutine waits for: it cannot wait_for_lent() afterwards. With this, there is a result or is one
  // in a moment.
  [[nodiscard]] arrival& released() noexcept {
    return lends() && pool_->settings().kind != pool::isolation::process ? left_ : arrived_;
  }
  [[nodiscard]] arrival& arrived() noexcept { return arrived_; }

  // Puts it into the queue of a slot, or mailbox::any.
  void submit(std::size_t slot) {
    const auto pushed = pool_->submit(*this, slot);
    if (pushed == pool::mailbox::push_result::queued) return;
    (void)claim();
    left_.announce();
    if (pushed == pool::mailbox::push_result::closed)
      return settle(refusal_error(pool::refusal::stopped, name()));
    settle(std::make_exception_ptr(
        call_error(call_failure::overload,
                   "the queue of the pool " + name() + " is full: try again later, or raise max_queue")));
  }

  // pool::job --------------------------------------------------------------------------------------------

  void run(pool::worker& on) noexcept override {
    if (pool_->settings().kind == pool::isolation::process) {
      send_over(pool::process_worker::of(on));
    } else {
      run_here(pool::thread_worker::of(on));
    }
  }
  void answered(pool::worker& on, bool good, bytes_view payload) noexcept override {
    std::exception_ptr failed;
    try {
      if (good) {
        take(pool::process_worker::of(on), payload, limits_on(on));
      } else {
        failed = error_of_payload(payload);
      }
    } catch (...) {
      failed = std::current_exception();
    }
    on.count(failed == nullptr);
    if (claim()) settle(std::move(failed));
  }
  void refuse(pool::refusal why) noexcept override {
    if (claim()) settle(refusal_error(why, name()));
  }
  void discard() noexcept override { let_go(); }

 protected:
  ~basic_call() override = default;

  // On the worker, attached: keeps what the call gave. Errors: cpp::mismatch, and what walking it raises.
  virtual void take(pool::thread_worker& on, const python::ref& given, const walk_limits& limits) = 0;
  // The same of what a worker process wrote.
  virtual void take(pool::process_worker& on, bytes_view payload, const walk_limits& limits) = 0;

  // After arrived(): throws what went wrong.
  void check() const {
    if (failed_) std::rethrow_exception(failed_);
  }
  [[nodiscard]] const std::shared_ptr<pool::worker_pool>& pool() const noexcept { return pool_; }
  [[nodiscard]] bool with_frames() const noexcept { return wanted_.traceback; }

 private:
  [[nodiscard]] const std::string& name() const noexcept { return pool_->settings().name; }
  [[nodiscard]] walk_limits limits_on(const pool::worker& on) const noexcept {
    return {on.settings().max_depth, &stop_flag()};
  }

  void run_here(pool::thread_worker& on) noexcept {
    std::exception_ptr failed;
    try {
      format terms(wanted_, *given_);
      const request<part> request = format::request_of(wanted_);
      bridge<format> work(on, terms, request, &stop_flag());
      const python::ref result = work.object();
      take(on, result, work.giving_limits());
      if (python::in_forked_child()) python::end_forked_child(nullptr);
    } catch (...) {
      failed = error_of_current(on.context().home(), wanted_.traceback);
    }
    let_go();
    if (keeps_lent()) {
      failed = std::make_exception_ptr(
          error("Python kept a view of memory that was lent to the call: pass a cpp::buffer, or a copy"));
    }
    on.count(failed == nullptr);
    if (claim()) settle(std::move(failed));
  }

  // The arguments stay until the answer: a process that ends before it has begun the call is not the last to
  // get it.
  void send_over(pool::process_worker& on) noexcept {
    try {
      {
        const std::lock_guard lock(writing_);
        if (result() != pool::outcome::open) return;
        write_request(on.begin_call(), wanted_, *given_, limits_on(on));
      }
      return on.ask();
    } catch (...) {
      on.count(false);
      if (claim()) settle(std::current_exception());
    }
  }

  // Nothing of the arguments is used any more.
  void let_go() noexcept {
    given_.reset();
    left_.announce();
  }
  [[nodiscard]] bool keeps_lent() const noexcept {
    for (const auto& each : lent_) {
      if (!each.expired()) return true;
    }
    return false;
  }

  // By whoever has claimed it.
  void settle(std::exception_ptr failed) noexcept {
    failed_ = std::move(failed);
    arrived_.announce();
    if (limited_.load(std::memory_order_acquire)) pool::timer::instance().cancel(limit_);
  }

  const std::shared_ptr<pool::worker_pool> pool_;
  const asked wanted_;
  std::unique_ptr<arguments> given_;  // the worker's
  const arguments::lent_list lent_;
  arrival arrived_;     // of failed_ and the result
  arrival left_;        // the arguments are gone
  std::mutex writing_;  // the arguments, to a process
  std::atomic<bool> limited_{false};
  pool::timer::ticket limit_;
  std::exception_ptr failed_;
};

// What a call may be asked for.
template <class R>
concept result = std::is_void_v<R> || cpp::readable<R>;

template <class R>
class typed_call final : public basic_call {
 public:
  using basic_call::basic_call;
  using value_type = cpp::result_t<R>;

  // After arrived(), once. Errors: what went wrong.
  [[nodiscard]] value_type value() {
    check();
    return std::move(*value_);
  }

 private:
  ~typed_call() override = default;

  void take(pool::thread_worker& on, const python::ref& given, const walk_limits& limits) override {
    cpp::sink<R> into;
    python::source from(on.context(), given.get(), limits);
    from.hold_nothing();
    value_.emplace(transcode(from, into));
  }
  void take(pool::process_worker&, bytes_view payload, const walk_limits& limits) override {
    cpp::sink<R> into;
    value_.emplace(transcode(etf::source(payload, limits, nullptr, etf::bytes_form::tagged), into));
  }

  std::optional<value_type> value_;
};

// Whatever the call gives, nobody wants it.
template <>
class typed_call<void> final : public basic_call {
 public:
  using basic_call::basic_call;
  void value() const { check(); }

 private:
  ~typed_call() override = default;

  void take(pool::thread_worker&, const python::ref&, const walk_limits&) override {}
  void take(pool::process_worker&, bytes_view, const walk_limits&) override {}
};

}  // namespace erlpy::host

#endif
