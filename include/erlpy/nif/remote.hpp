// Terms and frames: what of a request and its answer goes to a worker process, and comes from one.
#ifndef ERLPY_NIF_REMOTE_HPP
#define ERLPY_NIF_REMOTE_HPP

#include <erl_nif.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include <erlpy/bridge.hpp>
#include <erlpy/etf.hpp>
#include <erlpy/nif/format.hpp>
#include <erlpy/nif/source.hpp>
#include <erlpy/pool/frame.hpp>

namespace erlpy::nif {

// As process::read_request reads it. Errors: conversion_error.
inline void write_request(pool::outgoing_frame& to, ErlNifEnv* env, const request<ERL_NIF_TERM>& asked,
                          const source_context& sources, walk_limits limits) {
  to.put(static_cast<std::uint8_t>(asked.what));
  to.put(static_cast<std::uint8_t>((asked.traceback ? request_flags::traceback : 0) |
                                   (asked.keep_atoms ? request_flags::keep_atoms : 0) |
                                   (asked.as_stream ? request_flags::as_stream : 0)));
  to.put(asked.number);
  etf::sink into(to.bytes(), limits);
  for (const ERL_NIF_TERM each :
       {asked.target, asked.function, asked.code, asked.arguments, asked.keywords}) {
    if (each == 0) {
      (void)into.list(0).finish();  // not of this operation
    } else {
      (void)transcode(source(env, each, sources, limits), into);
    }
  }
}

// A reason of a worker process, where the class of an exception is a text, with that class as an atom if it
// may be one: {Class, Message}, {Class, Message, Frames}, {Index, Reason}; others as they are.
[[nodiscard]] inline ERL_NIF_TERM with_class_atoms(ErlNifEnv* env, ERL_NIF_TERM reason, atom_budget& budget) {
  int arity = 0;
  const ERL_NIF_TERM* parts = nullptr;
  if (!enif_get_tuple(env, reason, &arity, &parts) || arity < 2) return reason;
  std::vector<ERL_NIF_TERM> copy(parts, parts + arity);
  ErlNifBinary name;
  if (enif_inspect_binary(env, copy[0], &name)) {
    const std::string_view text = as_text(view_of(name));
    if (!budget.admit(env, text)) return reason;
    copy[0] = make_atom(env, text);
  } else if (arity == 2) {
    copy[1] = with_class_atoms(env, copy[1], budget);
  } else {
    return reason;
  }
  return enif_make_tuple_from_array(env, copy.data(), static_cast<unsigned>(arity));
}

}  // namespace erlpy::nif

#endif
