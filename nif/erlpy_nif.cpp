// The NIF: the functions of py_nif.erl, each a few lines over the library.
//
// Every function here runs on a BEAM scheduler and returns within a millisecond; none touches Python.
// No exception leaves it: guarded() turns what the library throws into {error, Reason}.
#include <erl_nif.h>

#include <erlpy/nif/job.hpp>
#include <erlpy/nif/library.hpp>
#include <erlpy/nif/load.hpp>
#include <erlpy/nif/pool_resource.hpp>
#include <erlpy/nif/stream_calls.hpp>
#include <erlpy/nif/submit.hpp>
#include <erlpy/pool_values.hpp>

namespace {

namespace nif = erlpy::nif;
namespace pool = erlpy::pool;
using nif::library;

[[nodiscard]] ERL_NIF_TERM failure(ErlNifEnv* env, ERL_NIF_TERM reason) {
  return enif_make_tuple2(env, library::current().names.error, reason);
}

template <class Body>
[[nodiscard]] ERL_NIF_TERM guarded(ErlNifEnv* env, Body body) noexcept {
  try {
    return body(library::current());
  } catch (const std::exception& failed) {
    return failure(env, enif_make_string(env, failed.what(), ERL_NIF_LATIN1));
  } catch (...) {
    return enif_make_badarg(env);
  }
}

ERL_NIF_TERM pool_new(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  return guarded(env, [&](const library& loaded) {
    ErlNifPid owner;
    if (enif_self(env, &owner) == nullptr) return enif_make_badarg(env);
    erlpy::cpp::sink<pool::options> to;
    pool::options settings = erlpy::transcode(nif::source(env, argv[1], loaded.sources), to);
    settings.default_python = ERLPY_PYTHON_EXECUTABLE;
    const auto made = nif::resource_ptr<nif::pool_resource>::make(loaded.pools, owner);
    made->open(std::move(settings));
    if (enif_monitor_process(env, made.get(), &owner, nullptr) != 0) {
      made->down(owner);  // else the pool would keep itself
      return enif_make_badarg(env);
    }
    return enif_make_tuple2(env, loaded.names.ok, made.term(env));
  });
}

ERL_NIF_TERM pool_start_worker(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  return guarded(env, [&](const library& loaded) {
    nif::pool_resource* const found = loaded.pools.get(env, argv[0]);
    ErlNifUInt64 index = 0;
    ErlNifPid listener;
    if (found == nullptr || !enif_get_uint64(env, argv[1], &index) || index == 0 ||
        index > found->pool()->settings().num_workers || enif_self(env, &listener) == nullptr)
      return enif_make_badarg(env);
    if (found->pool()->stopped()) return failure(env, loaded.names.stopped);
    found->start_worker(index, listener);
    return loaded.names.ok;
  });
}

ERL_NIF_TERM pool_process_ended(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  return guarded(env, [&](const library& loaded) {
    nif::pool_resource* const found = loaded.pools.get(env, argv[0]);
    ErlNifUInt64 index = 0;
    ErlNifBinary told;
    ErlNifBinary how;
    if (found == nullptr || found->processes() == nullptr || !enif_get_uint64(env, argv[1], &index) ||
        index == 0 || index > found->pool()->settings().num_workers ||
        !enif_inspect_binary(env, argv[2], &told) || !enif_inspect_binary(env, argv[3], &how))
      return enif_make_badarg(env);
    found->processes()->process_ended(index, std::string(erlpy::as_text(nif::view_of(told))),
                                      std::string(erlpy::as_text(nif::view_of(how))));
    return loaded.names.ok;
  });
}

ERL_NIF_TERM python_abi(ErlNifEnv* env, int, const ERL_NIF_TERM[]) {
  return guarded(env, [&](const library&) { return nif::make_binary(env, erlpy::python::compat::abi()); });
}

ERL_NIF_TERM pool_stop(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  return guarded(env, [&](const library& loaded) {
    nif::pool_resource* const found = loaded.pools.get(env, argv[0]);
    if (found == nullptr) return enif_make_badarg(env);
    found->pool()->stop();
    return loaded.names.ok;
  });
}

ERL_NIF_TERM pool_stats(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  return guarded(env, [&](const library& loaded) {
    nif::pool_resource* const found = loaded.pools.get(env, argv[0]);
    if (found == nullptr) return enif_make_badarg(env);
    nif::sink_context scratch(loaded.names, loaded.lent, nullptr);
    nif::sink to(env, scratch);
    return erlpy::transcode(erlpy::cpp::source(found->pool()->stats()), to);
  });
}

ERL_NIF_TERM submit_heavy(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  return guarded(env, [&](const library&) { return nif::submission(env, argv).queue(nif::light_weight); });
}

ERL_NIF_TERM submit(ErlNifEnv* env, int argc, const ERL_NIF_TERM argv[]) {
  return guarded(env, [&](const library&) {
    nif::submission asked(env, argv);
    const std::size_t weight = asked.weigh();
    if (weight < nif::light_weight) return asked.queue(weight);
    return enif_schedule_nif(env, "submit", ERL_NIF_DIRTY_JOB_CPU_BOUND, submit_heavy, argc, argv);
  });
}

[[nodiscard]] ERL_NIF_TERM name_of(const nif::atoms& names, pool::outcome what) {
  switch (what) {
    case pool::outcome::open: return names.open;
    case pool::outcome::sent: return names.sent;
    case pool::outcome::timeout: return names.timeout;
    case pool::outcome::cancelled: return names.cancelled;
  }
  return names.open;
}

ERL_NIF_TERM abandon(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  return guarded(env, [&](const library& loaded) {
    nif::call_job* const job = loaded.jobs.get(env, argv[0]);
    const bool cancel = argv[1] == loaded.names.cancelled;
    if (job == nullptr || (!cancel && argv[1] != loaded.names.timeout)) return enif_make_badarg(env);
    (void)job->home().abandon(*job, cancel ? pool::outcome::cancelled : pool::outcome::timeout);
    job->unwatch(env);
    return job->result() == pool::outcome::sent ? loaded.names.sent : loaded.names.abandoned;
  });
}

ERL_NIF_TERM outcome(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  return guarded(env, [&](const library& loaded) {
    const nif::call_job* const job = loaded.jobs.get(env, argv[0]);
    return job == nullptr ? enif_make_badarg(env) : name_of(loaded.names, job->result());
  });
}

ERL_NIF_TERM release(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  return guarded(env, [&](const library& loaded) {
    nif::object_resource* const object = loaded.objects.get(env, argv[0]);
    if (object == nullptr) return failure(env, loaded.names.badarg);
    object->release();
    return loaded.names.ok;
  });
}

ERL_NIF_TERM object_location(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  return guarded(env, [&](const library& loaded) {
    const nif::object_resource* const object = loaded.objects.get(env, argv[0]);
    if (object == nullptr) return failure(env, loaded.names.badarg);
    const auto home = object->home().pool.lock();
    if (!home || object->gone()) return failure(env, loaded.names.object_gone);
    return enif_make_tuple3(env, loaded.names.ok, nif::make_atom(env, home->settings().name),
                            enif_make_uint64(env, object->home().slot));
  });
}

template <auto Ask>
ERL_NIF_TERM stream_slowly(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  return guarded(env, [&](const library&) { return (nif::stream_call(env, argv).*Ask)(); });
}

// What is sent into a generator may be a big term, and so may what a stream ends with. `Sent` is the
// argument.
template <auto Ask, int Sent>
ERL_NIF_TERM stream_ask(ErlNifEnv* env, int argc, const ERL_NIF_TERM argv[]) {
  return guarded(env, [&](const library&) {
    const nif::stream_call asked(env, argv);
    if (!asked.is_heavy(argv[Sent])) return (asked.*Ask)();
    return enif_schedule_nif(env, "stream_ask", ERL_NIF_DIRTY_JOB_CPU_BOUND, stream_slowly<Ask>, argc, argv);
  });
}

ERL_NIF_TERM stream_abandon(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  return guarded(env, [&](const library&) { return nif::stream_call(env, argv).abandon(); });
}

ERL_NIF_TERM stream_close(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  return guarded(env, [&](const library&) { return nif::stream_call(env, argv).close(); });
}

int load(ErlNifEnv* env, void** data, ERL_NIF_TERM) { return nif::install_library(env, data, nullptr); }

int upgrade(ErlNifEnv* env, void** data, void** before, ERL_NIF_TERM) {
  return nif::install_library(env, data, static_cast<library*>(*before));
}

// The library must have this: without it the VM refuses to replace the module. There is nothing to do,
// because nothing is ever freed.
void unload(ErlNifEnv*, void*) {}

ErlNifFunc functions[] = {
    {"pool_new", 2, pool_new, 0},
    {"pool_start_worker", 2, pool_start_worker, 0},
    {"pool_process_ended", 4, pool_process_ended, 0},
    {"python_abi", 0, python_abi, 0},
    {"pool_stop", 1, pool_stop, 0},
    {"pool_stats", 1, pool_stats, 0},
    {"submit", 6, submit, 0},
    {"abandon", 2, abandon, 0},
    {"outcome", 1, outcome, 0},
    {"release", 1, release, 0},
    {"object_location", 1, object_location, 0},
    {"stream_pull", 5, stream_ask<&nif::stream_call::pull, 3>, 0},
    {"stream_push", 4, stream_ask<&nif::stream_call::push, 3>, 0},
    {"stream_demand", 2, stream_ask<&nif::stream_call::demand, 1>, 0},
    {"stream_abandon", 2, stream_abandon, 0},
    {"stream_close", 2, stream_close, 0},
};

}  // namespace

ERL_NIF_INIT(py_nif, functions, load, nullptr, upgrade, unload)
