// Loading and upgrading: where the resource types meet the classes of their objects.
#ifndef ERLPY_NIF_LOAD_HPP
#define ERLPY_NIF_LOAD_HPP

#include <erl_nif.h>

#include <memory>

#include <erlpy/nif/job.hpp>
#include <erlpy/nif/library.hpp>
#include <erlpy/nif/pool_resource.hpp>
#include <erlpy/nif/stream_handle.hpp>

namespace erlpy::nif {

inline library::library(ErlNifEnv* env, library* before)
    : names(env),
      lent(lent_bytes::open(env)),
      objects(resource_type<object_resource>::open(env, "erlpy_object")),
      jobs(resource_type<call_job>::open(env, "erlpy_job")),
      pools(resource_type<pool_resource>::open(env, "erlpy_pool")),
      streams(resource_type<stream_handle>::open(env, "erlpy_stream")),
      watches(resource_type<stream_watch>::open(env, "erlpy_stream_watch")),
      lookup(objects),
      sources{names, &lookup},
      budget(before != nullptr ? before->budget : *new atom_budget) {}

// For the load and upgrade callbacks: their return value. `before` is the library that is replaced, or null.
[[nodiscard]] inline int install_library(ErlNifEnv* env, void** data, library* before) noexcept {
  try {
    auto loaded = std::make_unique<library>(env, before);
    library::install(loaded.get());
    *data = loaded.release();  // threads may read it for the life of the VM
    return 0;
  } catch (...) {
    return 1;
  }
}

}  // namespace erlpy::nif

#endif
