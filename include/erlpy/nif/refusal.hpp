// Why a job or a stream did not run to its end, as its owner is told.
#ifndef ERLPY_NIF_REFUSAL_HPP
#define ERLPY_NIF_REFUSAL_HPP

#include <erl_nif.h>

#include <string>

#include <erlpy/nif/atom_text.hpp>
#include <erlpy/nif/atoms.hpp>
#include <erlpy/pool/job.hpp>

namespace erlpy::nif {

// {no_pool, Name}
[[nodiscard]] inline ERL_NIF_TERM no_pool_term(ErlNifEnv* env, const atoms& names, const std::string& pool) {
  return enif_make_tuple2(env, names.no_pool, make_atom(env, pool));
}

[[nodiscard]] inline ERL_NIF_TERM refusal_term(ErlNifEnv* env, const atoms& names, pool::refusal why,
                                               const std::string& pool) {
  switch (why) {
    case pool::refusal::stopped: break;
    case pool::refusal::replaced: return names.worker_replaced;
    case pool::refusal::crashed: return names.worker_crashed;
  }
  return no_pool_term(env, names, pool);
}

}  // namespace erlpy::nif

#endif
