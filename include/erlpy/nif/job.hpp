// A call from Erlang as a job of the pool: the request's terms, whom to answer, and the answer itself.
//
// It lives in a resource: the term of that resource is what the caller holds, to give the call up or
// to learn what became of it.
#ifndef ERLPY_NIF_JOB_HPP
#define ERLPY_NIF_JOB_HPP

#include <erl_nif.h>

#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include <erlpy/bridge.hpp>
#include <erlpy/nif/env.hpp>
#include <erlpy/nif/format.hpp>
#include <erlpy/nif/library.hpp>
#include <erlpy/nif/refusal.hpp>
#include <erlpy/nif/remote.hpp>
#include <erlpy/nif/resource.hpp>
#include <erlpy/nif/scratch.hpp>
#include <erlpy/nif/stream_handle.hpp>
#include <erlpy/pool/process_worker.hpp>
#include <erlpy/pool/thread_pool.hpp>

namespace erlpy::nif {

class call_job final : public pool::remote_job {
 public:
  struct address {
    ErlNifPid reply_to{};
    std::optional<ERL_NIF_TERM> tag;  // none: the job itself
  };

  explicit call_job(std::shared_ptr<pool::worker_pool> pool) noexcept : pool_(std::move(pool)) {}
  call_job(const call_job&) = delete;
  call_job& operator=(const call_job&) = delete;
  ~call_job() override = default;

  // `asked` and `to.tag` are terms of `env`. `heavy`: they are too big to travel with the answer.
  void prepare(env_ptr env, const request<ERL_NIF_TERM>& asked, address to, bool heavy) {
    env_ = std::move(env);
    request_ = asked;
    to_ = to;
    clear_ = heavy;
    if (heavy && to_.tag) {
      tag_env_ = make_env();
      to_.tag = enif_make_copy(tag_env_.get(), *to_.tag);
    }
  }

  [[nodiscard]] pool::worker_pool& home() noexcept { return *pool_; }

  // Watches the receiver of the answer. False if it is gone.
  [[nodiscard]] bool watch(ErlNifEnv* caller) noexcept {
    const bool alive = enif_monitor_process(caller, this, &to_.reply_to, &monitor_) == 0;
    watched_ = alive;
    return alive;
  }
  void unwatch(ErlNifEnv* caller) noexcept {
    if (watched_.exchange(false)) enif_demonitor_process(caller, this, &monitor_);
  }
  // The receiver has ended.
  void down(ErlNifPid) noexcept {
    watched_ = false;
    try {
      (void)pool_->abandon(*this, pool::outcome::cancelled);
    } catch (...) {
      stop();  // out of memory: at least the conversion ends
    }
  }

  // pool::job ---------------------------------------------------------------------------------------

  void run(pool::worker& on) noexcept override {
    if (pool_->settings().kind == pool::isolation::process) {
      send_over(pool::process_worker::of(on));
    } else {
      run_here(pool::thread_worker::of(on));
    }
  }

  // What the worker process made of it.
  void answered(pool::worker& on, bool good, bytes_view payload) noexcept override {
    const library& loaded = library::current();
    try {
      worker_scratch& scratch = worker_scratch::mine();
      scratch.minter.serve({pool_, on.place().index, on.objects()});
      {
        format terms(env_.get(), loaded.sources, scratch.sinks, loaded.budget, clear_);
        terms.begin_answer();
        ERL_NIF_TERM result{};
        try {
          result = read_answer(on, terms, good, payload);
        } catch (...) {
          good = false;
          terms.begin_answer();
          result = reason_of_conversion(terms, std::nullopt);
        }
        on.count(good);
        if (claim()) send_in(env_.get(), good, result);
      }
      scratch.minter.leave();
    } catch (...) {
      if (claim()) send_in(env_.get(), false, loaded.names.worker_crashed);
    }
    done();
  }

  void refuse(pool::refusal why) noexcept override {
    refused_.store(true, std::memory_order_release);
    if (!claim()) return;
    const library& loaded = library::current();
    // The job may be running: its environment is not ours to write to.
    try {
      const env_ptr env = make_env();
      send_in(env.get(), false, refusal_term(env.get(), loaded.names, why, pool_->settings().name));
    } catch (...) {
      // Out of memory: the caller's own time-out tells it.
    }
    unwatch(nullptr);
  }

  void discard() noexcept override {
    env_.reset();
    tag_env_.reset();
  }

  void retain() noexcept override { enif_keep_resource(this); }
  void release() noexcept override { enif_release_resource(this); }

 private:
  void run_here(pool::thread_worker& on) noexcept {
    const library& loaded = library::current();
    try {
      worker_scratch& scratch = worker_scratch::mine();
      scratch.minter.serve({pool_, on.place().index, on.objects()});
      {
        stream_opener streams(on, pool_, owner(), env_.get());
        format terms(env_.get(), loaded.sources, scratch.sinks, loaded.budget, clear_, &streams);
        const auto answered = bridge<format>(on, terms, request_, &stop_flag()).run();
        on.count(answered.good);
        if (claim()) send_in(env_.get(), answered.good, answered.result);
      }
      scratch.minter.leave();
    } catch (...) {
      if (claim()) send_in(env_.get(), false, loaded.names.worker_crashed);
    }
    done();
  }

  // The terms stay until the answer: a process that ends before it has begun the call is not the last to get
  // it.
  void send_over(pool::process_worker& on) noexcept {
    const library& loaded = library::current();
    try {
      write_request(on.begin_call(), env_.get(), request_, loaded.sources,
                    walk_limits{on.settings().max_depth, &stop_flag()});
      return on.ask();
    } catch (...) {
      try {
        format terms(env_.get(), loaded.sources, worker_scratch::mine().sinks, loaded.budget, clear_);
        terms.begin_answer();
        const ERL_NIF_TERM reason = reason_of_conversion(terms, std::nullopt);
        on.count(false);
        if (claim()) send_in(env_.get(), false, reason);
      } catch (...) {
        if (claim()) send_in(env_.get(), false, loaded.names.worker_crashed);
      }
    }
    done();
  }

  [[nodiscard]] ERL_NIF_TERM read_answer(pool::worker& on, format& terms, bool good, bytes_view payload) {
    const walk_limits limits{on.settings().max_depth, &stop_flag()};
    if (good && request_.as_stream)
      return open_remote_stream(pool::process_worker::of(on), pool_, owner(), env_.get(), payload);
    const ERL_NIF_TERM result = transcode(etf::source(payload, limits), terms.sink());
    return good ? result : with_class_atoms(env_.get(), result, library::current().budget);
  }

  [[nodiscard]] stream_settings owner() const noexcept {
    return {to_.reply_to, request_.traceback, request_.keep_atoms};
  }

  // Whoever refused this job meanwhile may still be reading the tag: then the destructor frees it.
  void done() noexcept {
    unwatch(nullptr);
    if (!refused_.load(std::memory_order_acquire)) discard();
  }

  // The message and everything in `env` become the receiver's.
  void send_in(ErlNifEnv* env, bool good, ERL_NIF_TERM result) noexcept {
    const atoms& names = library::current().names;
    const ERL_NIF_TERM tag = !to_.tag                         ? enif_make_resource(env, this)
                             : env == env_.get() && !tag_env_ ? *to_.tag
                                                              : enif_make_copy(env, *to_.tag);
    const ERL_NIF_TERM message =
        good ? enif_make_tuple3(env, names.py_response, tag, enif_make_tuple2(env, names.ok, result))
             : enif_make_tuple3(env, names.py_error, tag, result);
    // It fails only if the receiver is gone, and then nobody misses the message.
    (void)enif_send(nullptr, &to_.reply_to, env, message);
  }

  std::shared_ptr<pool::worker_pool> pool_;
  env_ptr env_;
  env_ptr tag_env_;
  request<ERL_NIF_TERM> request_;
  address to_;
  bool clear_ = false;
  std::atomic<bool> watched_{false};
  std::atomic<bool> refused_{false};
  ErlNifMonitor monitor_{};
};

}  // namespace erlpy::nif

#endif
