// The atoms that the native code compares with and answers with, made once when the NIF is loaded.
// Atoms are immediate values that hold for the life of the VM, in every environment and on every
// thread, and two atoms are the same exactly if their terms are equal as numbers.
//
// The struct is made from the environment of load or upgrade, kept in the NIF's private data, and
// passed by const reference.
#ifndef ERLPY_NIF_ATOMS_HPP
#define ERLPY_NIF_ATOMS_HPP

#include <erl_nif.h>

#include <string_view>

#include <erlpy/crossing.hpp>

namespace erlpy::nif {

// ASCII names only: these cannot fail.
[[nodiscard]] inline ERL_NIF_TERM make_ascii_atom(ErlNifEnv* env, std::string_view name) noexcept {
  return enif_make_atom_len(env, name.data(), name.size());
}

struct atoms {
  explicit atoms(ErlNifEnv* env) noexcept
      : true_(make_ascii_atom(env, crossing::true_atom)),
        false_(make_ascii_atom(env, crossing::false_atom)),
        none(make_ascii_atom(env, crossing::none_atoms[0])),
        nil(make_ascii_atom(env, crossing::none_atoms[1])),
        undefined(make_ascii_atom(env, crossing::none_atoms[2])),
        nan(make_ascii_atom(env, crossing::nan_atom)),
        infinity(make_ascii_atom(env, crossing::infinity_atom)),
        neg_infinity(make_ascii_atom(env, crossing::neg_infinity_atom)),
        bytes(make_ascii_atom(env, crossing::bytes_tag)),
        buffer(make_ascii_atom(env, crossing::buffer_tag)),
        ndarray(make_ascii_atom(env, crossing::ndarray_tag)),
        py_object(make_ascii_atom(env, crossing::object_tag)),
        generator(make_ascii_atom(env, crossing::generator_tag)),
        ok(make_ascii_atom(env, "ok")),
        error(make_ascii_atom(env, "error")),
        badarg(make_ascii_atom(env, "badarg")),
        timeout(make_ascii_atom(env, "timeout")),
        overload(make_ascii_atom(env, "overload")),
        cancelled(make_ascii_atom(env, "cancelled")),
        stopped(make_ascii_atom(env, "stopped")),
        worker_crashed(make_ascii_atom(env, "worker_crashed")),
        worker_replaced(make_ascii_atom(env, "worker_replaced")),
        object_gone(make_ascii_atom(env, "object_gone")),
        no_pool(make_ascii_atom(env, "no_pool")),
        py_response(make_ascii_atom(env, "py_response")),
        py_error(make_ascii_atom(env, "py_error")),
        ready(make_ascii_atom(env, "ready")),
        failed(make_ascii_atom(env, "failed")),
        replaced(make_ascii_atom(env, "replaced")),
        crashed(make_ascii_atom(env, "crashed")),
        launch(make_ascii_atom(env, "launch")),
        py_worker(make_ascii_atom(env, "py_worker")),
        py_pool_stopped(make_ascii_atom(env, "py_pool_stopped")),
        call(make_ascii_atom(env, "call")),
        map(make_ascii_atom(env, "map")),
        eval(make_ascii_atom(env, "eval")),
        exec(make_ascii_atom(env, "exec")),
        info(make_ascii_atom(env, "info")),
        version(make_ascii_atom(env, "version")),
        memory_stats(make_ascii_atom(env, "memory_stats")),
        gc(make_ascii_atom(env, "gc")),
        tracemalloc_start(make_ascii_atom(env, "tracemalloc_start")),
        tracemalloc_stop(make_ascii_atom(env, "tracemalloc_stop")),
        bind(make_ascii_atom(env, "bind")),
        job(make_ascii_atom(env, "job")),
        abandoned(make_ascii_atom(env, "abandoned")),
        sent(make_ascii_atom(env, "sent")),
        open(make_ascii_atom(env, "open")),
        stale(make_ascii_atom(env, "stale")),
        py_stream(make_ascii_atom(env, "py_stream")),
        py_chunk(make_ascii_atom(env, "py_chunk")),
        py_end(make_ascii_atom(env, "py_end")),
        more(make_ascii_atom(env, "more")),
        stop(make_ascii_atom(env, "stop")),
        done(make_ascii_atom(env, "done")),
        closed(make_ascii_atom(env, "closed")),
        wait(make_ascii_atom(env, "wait")),
        again(make_ascii_atom(env, "again")),
        ended(make_ascii_atom(env, "ended")),
        stream(make_ascii_atom(env, "stream")),
        object(make_ascii_atom(env, "object")),
        next(make_ascii_atom(env, "next")),
        send(make_ascii_atom(env, "send")),
        throw_(make_ascii_atom(env, "throw")),
        not_owner(make_ascii_atom(env, "not_owner")),
        subscribed(make_ascii_atom(env, "subscribed")),
        not_subscribed(make_ascii_atom(env, "not_subscribed")) {}

  // Values with a meaning of their own.
  ERL_NIF_TERM true_, false_, none, nil, undefined;
  ERL_NIF_TERM nan, infinity, neg_infinity;
  // Tags of tuples.
  ERL_NIF_TERM bytes, buffer, ndarray, py_object, generator;
  // Answers.
  ERL_NIF_TERM ok, error, badarg, timeout, overload, cancelled, stopped;
  ERL_NIF_TERM worker_crashed, worker_replaced, object_gone, no_pool;
  // Tags of messages.
  ERL_NIF_TERM py_response, py_error, ready, failed, replaced, crashed, launch, py_worker, py_pool_stopped;
  // Requests, and what becomes of them.
  ERL_NIF_TERM call, map, eval, exec, info, version, memory_stats, gc, tracemalloc_start, tracemalloc_stop;
  ERL_NIF_TERM bind, job, abandoned, sent, open, stale;
  // Streams: messages, what is asked, what is answered.
  ERL_NIF_TERM py_stream, py_chunk, py_end, more, stop, done, closed, wait, again, ended;
  ERL_NIF_TERM stream, object, next, send, throw_, not_owner, subscribed, not_subscribed;
};

}  // namespace erlpy::nif

#endif
