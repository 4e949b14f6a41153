// The consumer's end of a stream: a range, or value by value.
#ifndef ERLPY_HOST_VALUE_STREAM_HPP
#define ERLPY_HOST_VALUE_STREAM_HPP

#include <algorithm>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include <erlpy/host/alarm.hpp>
#include <erlpy/host/awaiting.hpp>
#include <erlpy/host/lazy.hpp>
#include <erlpy/host/stream_core.hpp>

namespace erlpy {

namespace host {

// The call that makes the iterable: its result is the stream.
template <class T>
class opening final : public basic_call {
 public:
  using basic_call::basic_call;

  // After arrived(), once: the stream, which is closed by who takes it over. Errors: what went wrong.
  [[nodiscard]] value_queue<T>& hand_over(pool::job_ptr& share) {
    check();
    share = std::move(share_);
    return *stream_;
  }

 private:
  ~opening() override {
    if (share_) stream_->close();
  }

  void take(pool::thread_worker& on, const python::ref& given, const walk_limits&) override {
    auto* const made = new stepped_stream<value_queue<T>>(pool(), on, with_frames());
    pool::job_ptr share(made);
    made->open(on, given);
    keep(std::move(share), *made);
  }
  void take(pool::process_worker& on, bytes_view payload, const walk_limits& limits) override {
    cpp::sink<std::uint64_t> into;
    const std::uint64_t number = transcode(etf::source(payload, limits), into);
    auto* const made = new relayed_stream<value_queue<T>>(number, pool(), on, with_frames());
    pool::job_ptr share(made);
    made->open(on);
    keep(std::move(share), *made);
  }

  void keep(pool::job_ptr share, value_queue<T>& opened) noexcept {
    share_ = std::move(share);
    stream_ = &opened;
  }

  pool::job_ptr share_;
  value_queue<T>* stream_ = nullptr;
};

}  // namespace host

// A single-pass range of T. Belongs to one thread or coroutine at a time; its end closes the iterable
// (`finally` blocks run, on its worker) whether it was read to the end or not.
//
//   for (const row& each : pool.stream<row>("reader", "rows", path)) ...
template <class T>
class [[nodiscard]] value_stream {
 public:
  using value_type = cpp::result_t<T>;
  using clock = std::chrono::steady_clock;
  class iterator;

  // Made by interpreter_pool. `ahead`: how many values may be made before they are asked for; at least 1.
  value_stream(host::opening<T>* call, host::deadline until, std::size_t ahead)
      : opening_share_(call), opening_(call), until_(until), ahead_(std::max<std::size_t>(ahead, 1)) {}
  value_stream(value_stream&& other) noexcept
      : opening_share_(std::move(other.opening_share_)),
        share_(std::move(other.share_)),
        opening_(std::exchange(other.opening_, nullptr)),
        stream_(std::exchange(other.stream_, nullptr)),
        until_(other.until_),
        where_(std::move(other.where_)),
        ahead_(other.ahead_),
        asked_(other.asked_),
        over_(std::exchange(other.over_, true)) {}
  value_stream& operator=(value_stream&&) = delete;
  ~value_stream() { close(); }

  // Waits for the next value; none at the end. Errors: python_error, call_error, cpp::mismatch, once; after
  // an error the stream is at its end. The second waits not longer than `limit`: then it is call_error
  // (timeout), and the stream is closed.
  [[nodiscard]] std::optional<value_type> next() { return next_until(std::nullopt); }
  [[nodiscard]] std::optional<value_type> next(std::chrono::milliseconds limit) {
    return next_until(host::deadline_after(limit));
  }

  // co_await: the same for a coroutine, which goes on as one that awaits a call does (pending::via). `limit`
  // counts from the co_await. The stream stays where it is meanwhile.
  //
  //   while (const auto each = co_await rows.next_async()) ...
  class next_awaiter;
  [[nodiscard]] next_awaiter next_async() { return next_awaiter(*this, std::nullopt); }
  [[nodiscard]] next_awaiter next_async(std::chrono::milliseconds limit) {
    return next_awaiter(*this, limit);
  }
  [[nodiscard]] value_stream via(executor where) && noexcept {
    where_ = std::move(where);
    return std::move(*this);
  }

  // Closes the iterable now; there are no more values.
  void close() noexcept {
    over_ = true;
    if (stream_ != nullptr) {
      std::exchange(stream_, nullptr)->close();
      share_ = {};
    } else if (opening_ != nullptr && !opening_->arrived().here()) {
      opening_->give_up_for(call_failure::cancelled);
    }
    opening_ = nullptr;
    opening_share_ = {};
  }

  [[nodiscard]] iterator begin() { return iterator(*this); }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

 private:
  [[nodiscard]] std::optional<value_type> next_until(host::deadline until) {
    if (over_) return std::nullopt;
    try {
      if (stream_ == nullptr) {
        opening_->wait(first_of(until, until_));
        take_over();
      }
      bool end = false;
      while (!end) {
        if (auto value = take(end)) return value;
        if (!end && !stream_->arrived().wait(until)) too_late();
      }
    } catch (...) {
      close();
      throw;
    }
    close();
    return std::nullopt;
  }

  // Whether next() would not wait: then it is done, and `value` what it gives.
  [[nodiscard]] bool next_now(std::optional<value_type>& value) {
    if (over_) return true;
    if (stream_ == nullptr) return false;
    bool end = false;
    try {
      value = take(end);
    } catch (...) {
      close();
      throw;
    }
    if (end) close();
    return end || value.has_value();
  }

  host::lazy<std::optional<value_type>> next_awaited(host::deadline until) {
    if (over_) co_return std::nullopt;
    try {
      if (stream_ == nullptr) {
        host::alarm late;
        if (const auto when = first_of(until, until_))
          late.arm(*when, [call = opening_] { call->give_up_for(call_failure::timeout); });
        host::awaiting opened(opening_share_, opening_->arrived(), where_);
        co_await opened;
        late.disarm();
        take_over();
      }
      host::alarm late;
      bool end = false;
      while (!end) {
        if (auto value = take(end)) co_return value;
        if (end) break;
        if (until && clock::now() >= *until) too_late();
        if (until && !late.armed()) late.arm(*until, [stream = stream_] { stream->arrived().announce(); });
        host::awaiting more(share_, stream_->arrived(), where_);
        co_await more;
      }
    } catch (...) {
      close();
      throw;
    }
    close();
    co_return std::nullopt;
  }

  // What is there; asks for more in time.
  [[nodiscard]] std::optional<value_type> take(bool& end) {
    if (asked_ <= ahead_ / 2) {
      stream_->demand(ahead_ - asked_);
      asked_ = ahead_;
    }
    auto value = stream_->take(end);
    if (value) --asked_;
    return value;
  }
  void take_over() {
    stream_ = &opening_->hand_over(share_);
    opening_ = nullptr;
    opening_share_ = {};
  }
  [[noreturn]] static void too_late() {
    throw call_error(call_failure::timeout, "the stream gave no value in time");
  }
  [[nodiscard]] static host::deadline first_of(const host::deadline& a, const host::deadline& b) {
    return a && b ? std::min(a, b) : a ? a : b;
  }

  pool::job_ptr opening_share_;
  pool::job_ptr share_;
  host::opening<T>* opening_;
  host::value_queue<T>* stream_ = nullptr;
  host::deadline until_;
  executor where_;
  std::size_t ahead_;
  std::size_t asked_ = 0;  // values that were asked for and have not been taken
  bool over_ = false;
};

// A value that is there costs no coroutine.
template <class T>
class value_stream<T>::next_awaiter {
 public:
  next_awaiter(value_stream& from, std::optional<std::chrono::milliseconds> limit) noexcept
      : from_(from), limit_(limit) {}
  next_awaiter(const next_awaiter&) = delete;
  next_awaiter& operator=(const next_awaiter&) = delete;
  ~next_awaiter() = default;

  [[nodiscard]] bool await_ready() { return from_.next_now(value_); }
  [[nodiscard]] bool await_suspend(std::coroutine_handle<> caller) {
    slow_.emplace(from_.next_awaited(limit_ ? host::deadline_after(*limit_) : std::nullopt));
    return slow_->await_suspend(caller);
  }
  [[nodiscard]] std::optional<value_type> await_resume() {
    return slow_ ? slow_->await_resume() : std::move(value_);
  }

 private:
  value_stream& from_;
  std::optional<std::chrono::milliseconds> limit_;
  std::optional<value_type> value_;
  std::optional<host::lazy<std::optional<value_type>>> slow_;
};

template <class T>
class value_stream<T>::iterator {
 public:
  using value_type = typename value_stream<T>::value_type;
  using difference_type = std::ptrdiff_t;
  using iterator_concept = std::input_iterator_tag;

  explicit iterator(value_stream& from) : from_(&from), value_(from.next()) {}
  iterator(iterator&&) noexcept = default;
  iterator& operator=(iterator&&) noexcept = default;

  [[nodiscard]] value_type& operator*() const noexcept { return *value_; }
  iterator& operator++() {
    value_ = from_->next();
    return *this;
  }
  void operator++(int) { ++*this; }
  friend bool operator==(const iterator& here, std::default_sentinel_t) noexcept { return !here.value_; }

 private:
  value_stream* from_;
  mutable std::optional<value_type> value_;
};

}  // namespace erlpy

#endif
