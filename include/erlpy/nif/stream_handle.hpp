// The term that Erlang holds of a stream: when it is collected, or its owner ends, the stream closes.
#ifndef ERLPY_NIF_STREAM_HANDLE_HPP
#define ERLPY_NIF_STREAM_HANDLE_HPP

#include <erl_nif.h>

#include <memory>
#include <utility>

#include <erlpy/nif/library.hpp>
#include <erlpy/nif/resource.hpp>
#include <erlpy/nif/stream_local.hpp>
#include <erlpy/nif/stream_remote.hpp>
#include <erlpy/stream_maker.hpp>

namespace erlpy::nif {

class stream_handle {
 public:
  explicit stream_handle(pool::job_ptr core) noexcept : core_(std::move(core)) {}
  stream_handle(const stream_handle&) = delete;
  stream_handle& operator=(const stream_handle&) = delete;
  ~stream_handle() { core().orphan(); }

  [[nodiscard]] stream_core& core() const noexcept { return static_cast<stream_core&>(*core_); }
  // The owner has ended.
  void down(ErlNifPid) noexcept { core().drop(); }

 private:
  pool::job_ptr core_;
};

// What watches the owner of a stream that pushes: its handle may be gone.
class stream_watch {
 public:
  explicit stream_watch(pool::job_ptr core) noexcept : core_(std::move(core)) {}
  stream_watch(const stream_watch&) = delete;
  stream_watch& operator=(const stream_watch&) = delete;
  ~stream_watch() = default;

  void down(ErlNifPid) noexcept { static_cast<stream_core&>(*core_).drop(); }

 private:
  pool::job_ptr core_;
};

inline resource_ptr<stream_watch> stream_core::watch_owner(ErlNifEnv* env) {
  auto watch = resource_ptr<stream_watch>::make(library::current().watches, pool::job_ptr(this));
  (void)enif_monitor_process(env, watch.get(), &settings_.owner, nullptr);  // it is the caller
  return watch;
}

// A handle of a stream that was just opened. Where the owner is gone already the handle goes unread, and
// closes it.
[[nodiscard]] inline ERL_NIF_TERM make_handle(ErlNifEnv* env, pool::job_ptr core, ErlNifPid owner) {
  const auto handle = resource_ptr<stream_handle>::make(library::current().streams, std::move(core));
  (void)enif_monitor_process(nullptr, handle.get(), &owner, nullptr);
  return handle.term(env);
}

// Of a stream that a worker process has opened, whose answer is its number. On the worker's thread.
[[nodiscard]] inline ERL_NIF_TERM open_remote_stream(pool::process_worker& on,
                                                     const std::shared_ptr<pool::worker_pool>& pool,
                                                     stream_settings settings, ErlNifEnv* env,
                                                     bytes_view answer) {
  const auto number = etf::integer_value(etf::term(answer));
  if (!number) throw error("a worker process has answered with no stream");
  auto* const opened = new remote_stream(static_cast<std::uint64_t>(*number), pool, on, settings);
  pool::job_ptr core(opened);
  opened->open(on);
  return make_handle(env, std::move(core), settings.owner);
}

// Opens streams for the job of an owner: handles in `env`.
class stream_opener final : public stream_maker<ERL_NIF_TERM> {
 public:
  stream_opener(pool::thread_worker& on, const std::shared_ptr<pool::worker_pool>& pool,
                stream_settings settings, ErlNifEnv* env) noexcept
      : on_(on), pool_(pool), settings_(settings), env_(env) {}

  [[nodiscard]] ERL_NIF_TERM make_stream(const python::ref& iterable) override {
    auto* const opened = new local_stream(pool_, on_, settings_);
    pool::job_ptr core(opened);
    opened->open(on_, iterable);
    return make_handle(env_, std::move(core), settings_.owner);
  }

 private:
  pool::thread_worker& on_;
  const std::shared_ptr<pool::worker_pool>& pool_;
  stream_settings settings_;
  ErlNifEnv* env_;
};

}  // namespace erlpy::nif

#endif
