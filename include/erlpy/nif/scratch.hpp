// What each worker thread keeps for the sinks of its jobs and streams.
#ifndef ERLPY_NIF_SCRATCH_HPP
#define ERLPY_NIF_SCRATCH_HPP

#include <erlpy/nif/library.hpp>
#include <erlpy/nif/object.hpp>

namespace erlpy::nif {

struct worker_scratch {
  worker_scratch()
      : minter(library::current().names, library::current().objects),
        sinks(library::current().names, library::current().lent, &minter) {}
  object_minter minter;
  sink_context sinks;

  [[nodiscard]] static worker_scratch& mine() {
    thread_local worker_scratch scratch;
    return scratch;
  }
};

}  // namespace erlpy::nif

#endif
