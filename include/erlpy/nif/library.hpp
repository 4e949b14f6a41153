// What the loaded NIF keeps: its atoms, its resource types, its books. One for each load or upgrade;
// threads of a pool that outlive an upgrade find the newest, so it is never freed.
#ifndef ERLPY_NIF_LIBRARY_HPP
#define ERLPY_NIF_LIBRARY_HPP

#include <erl_nif.h>

#include <atomic>

#include <erlpy/nif/atoms.hpp>
#include <erlpy/nif/binaries.hpp>
#include <erlpy/nif/format.hpp>
#include <erlpy/nif/object.hpp>
#include <erlpy/nif/resource.hpp>

namespace erlpy::nif {

class call_job;
class pool_resource;
class stream_handle;
class stream_watch;

struct library {
  // Inside load or upgrade. `before` is the library that is taken over from, or null.
  // Defined in load.hpp, where all the resources are complete.
  library(ErlNifEnv* env, library* before);
  library(const library&) = delete;
  library& operator=(const library&) = delete;

  const atoms names;
  const lent_bytes lent;
  const resource_type<object_resource> objects;
  const resource_type<call_job> jobs;
  const resource_type<pool_resource> pools;
  const resource_type<stream_handle> streams;
  const resource_type<stream_watch> watches;
  const object_lookup lookup;
  const source_context sources;
  atom_budget& budget;  // one for the life of the VM

  // The library in force. Set once a load, read on any thread.
  [[nodiscard]] static const library& current() noexcept { return *slot().load(std::memory_order_acquire); }
  static void install(const library* loaded) noexcept { slot().store(loaded, std::memory_order_release); }

 private:
  [[nodiscard]] static std::atomic<const library*>& slot() noexcept {
    static std::atomic<const library*> the_slot{nullptr};
    return the_slot;
  }
};

}  // namespace erlpy::nif

#endif
