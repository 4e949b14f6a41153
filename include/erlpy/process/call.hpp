// A call as a job of the worker process's own pool: its frame, the bridge, the answer's frame.
#ifndef ERLPY_PROCESS_CALL_HPP
#define ERLPY_PROCESS_CALL_HPP

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include <erlpy/pool/thread_worker.hpp>
#include <erlpy/process/format.hpp>
#include <erlpy/process/post.hpp>
#include <erlpy/process/stream.hpp>

namespace erlpy::process {

class served_call final : public pool::counted<pool::job> {
 public:
  // `frame`: the payload of `call`.
  served_call(post& office, std::uint64_t id, shared_bytes_ptr frame)
      : office_(office), id_(id), frame_(std::move(frame)) {}

  // Any thread: user code of it has run.
  [[nodiscard]] bool began() const noexcept { return began_.load(std::memory_order_acquire); }
  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }

  void run(pool::worker& runner) noexcept override {
    pool::thread_worker& on = pool::thread_worker::of(runner);
    began_.store(true, std::memory_order_release);
    pool::outgoing_frame out;
    try {
      pool::frame_reader reader(frame_->view());
      const request<etf::term> asked = read_request(reader);
      const auto form = asked.exact_bytes ? etf::bytes_form::tagged : etf::bytes_form::plain;
      stream_opener streams(office_, on, {asked.traceback, asked.keep_atoms, form});
      format terms(frame_, out, id_, &streams, form);
      const auto answered = bridge<format>(on, terms, asked, &stop_flag()).run();
      if (!answered.good) out.retitle(pool::frame_kind::refusal);
    } catch (const std::exception& failed) {
      out.begin(pool::frame_kind::refusal, id_);
      etf::sink(out.bytes()).atom("worker_crashed");
    }
    (void)claim();
    if (!answered_.exchange(true)) office_.send_attached(out);
  }
  void refuse(pool::refusal) noexcept override {}
  // It was given up before it began: nobody wants to know, but the pool waits for this worker. On a thread
  // that must not wait: the timer's, or the worker's with the GIL in hand.
  void discard() noexcept override {
    if (answered_.exchange(true)) return;
    try {
      pool::outgoing_frame out;
      out.begin(pool::frame_kind::refusal, id_);
      etf::sink(out.bytes()).atom("cancelled");
      office_.send_soon(std::move(out));
    } catch (...) {
      office_.end_process();
    }
  }

 private:
  ~served_call() override = default;

  post& office_;
  const std::uint64_t id_;
  const shared_bytes_ptr frame_;
  std::atomic<bool> began_{false};
  std::atomic<bool> answered_{false};
};

}  // namespace erlpy::process

#endif
