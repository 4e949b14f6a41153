// A pool as Erlang holds it: its events, sent as messages.
#ifndef ERLPY_NIF_POOL_RESOURCE_HPP
#define ERLPY_NIF_POOL_RESOURCE_HPP

#include <erl_nif.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <erlpy/nif/library.hpp>
#include <erlpy/nif/resource.hpp>
#include <erlpy/pool/process_pool.hpp>
#include <erlpy/pool/thread_pool.hpp>

namespace erlpy::nif {

class pool_resource {
 public:
  explicit pool_resource(ErlNifPid owner) noexcept : owner_(owner) {}
  pool_resource(const pool_resource&) = delete;
  pool_resource& operator=(const pool_resource&) = delete;
  ~pool_resource() = default;

  // Once, right after it is made. The pool's events keep the resource until the pool has stopped.
  void open(pool::options settings) {
    const auto self = resource_ptr<pool_resource>::share(this);
    listeners_.resize(settings.num_workers);
    pool::pool_events events;
    events.started = [self](std::size_t slot, const std::optional<std::string>& kind,
                            const std::string& message) { self->tell_started(slot, kind, message); };
    events.replaced = [self](std::size_t slot) { self->tell(slot, library::current().names.replaced); };
    events.stopped = [self] { self->tell_stopped(); };
    if (settings.kind != pool::isolation::process) {
      pool_ = std::make_shared<pool::thread_pool>(std::move(settings), std::move(events));
      return;
    }
    events.crashed = [self](std::size_t slot, const std::string& message) {
      self->tell(slot, library::current().names.crashed,
                 [&](ErlNifEnv* env) { return make_binary(env, message); });
    };
    events.launch = [self](std::size_t slot, const std::string& told) {
      self->tell(slot, library::current().names.launch,
                 [&](ErlNifEnv* env) { return make_binary(env, told); });
    };
    auto made = std::make_shared<pool::process_pool>(std::move(settings), std::move(events));
    processes_ = made.get();
    pool_ = std::move(made);
  }

  [[nodiscard]] const std::shared_ptr<pool::worker_pool>& pool() const noexcept { return pool_; }
  // The same if its workers are processes, else null.
  [[nodiscard]] pool::process_pool* processes() const noexcept { return processes_; }

  // The owner has ended.
  void down(ErlNifPid) noexcept {
    if (pool_) pool_->stop();
  }

  void start_worker(std::size_t slot, ErlNifPid listener) {
    {
      const std::lock_guard lock(mutex_);
      listeners_[slot - 1] = listener;
    }
    pool_->start_worker(slot);
  }

 private:
  void tell_started(std::size_t slot, const std::optional<std::string>& kind,
                    const std::string& message) noexcept {
    const atoms& names = library::current().names;
    if (!kind && message.empty()) return tell(slot, names.ready);
    tell(slot, names.failed, [&](ErlNifEnv* env) { return reason(env, kind, message); });
  }

  void tell(std::size_t slot, ERL_NIF_TERM event) noexcept {
    send_event(slot, [event](ErlNifEnv*) { return event; });
  }
  template <class Detail>
  void tell(std::size_t slot, ERL_NIF_TERM event, Detail detail) noexcept {
    send_event(slot, [&](ErlNifEnv* env) { return enif_make_tuple2(env, event, detail(env)); });
  }

  // {py_worker, Pool, Index, Event} to who started the worker.
  template <class Event>
  void send_event(std::size_t slot, Event event) noexcept {
    try {
      std::optional<ErlNifPid> to;
      {
        const std::lock_guard lock(mutex_);
        to = listeners_[slot - 1];
      }
      if (!to) return;
      const env_ptr env = make_env();
      send(
          *to, env.get(),
          enif_make_tuple4(env.get(), library::current().names.py_worker, enif_make_resource(env.get(), this),
                           enif_make_uint64(env.get(), slot), event(env.get())));
    } catch (...) {
      // Out of memory: the starter's own time-out tells it.
    }
  }

  void tell_stopped() noexcept {
    try {
      const env_ptr env = make_env();
      send(owner_, env.get(),
           enif_make_tuple2(env.get(), library::current().names.py_pool_stopped,
                            enif_make_resource(env.get(), this)));
    } catch (...) {
    }
  }

  // {Class, Message}, as every exception is told.
  [[nodiscard]] static ERL_NIF_TERM reason(ErlNifEnv* env, const std::optional<std::string>& kind,
                                           const std::string& message) {
    const library& loaded = library::current();
    sink_context scratch(loaded.names, loaded.lent, nullptr);
    format terms(env, loaded.sources, scratch, loaded.budget, false);
    terms.begin_answer();
    reply_writer writer(terms, false, std::nullopt);
    return writer.exception({kind.value_or("RuntimeError"), message, {}});
  }

  static void send(ErlNifPid to, ErlNifEnv* env, ERL_NIF_TERM message) noexcept {
    (void)enif_send(nullptr, &to, env, message);  // fails only if the receiver is gone
  }

  ErlNifPid owner_;
  std::shared_ptr<pool::worker_pool> pool_;
  pool::process_pool* processes_ = nullptr;
  std::mutex mutex_;
  std::vector<std::optional<ErlNifPid>> listeners_;
};

}  // namespace erlpy::nif

#endif
