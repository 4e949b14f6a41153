// The Ref of {py_object, Ref} and {generator, Ref}: a share in a Python object, held by Erlang terms.
#ifndef ERLPY_NIF_OBJECT_HPP
#define ERLPY_NIF_OBJECT_HPP

#include <erl_nif.h>

#include <atomic>
#include <memory>
#include <utility>

#include <erlpy/nif/context.hpp>
#include <erlpy/nif/resource.hpp>
#include <erlpy/pool/worker_pool.hpp>

namespace erlpy::nif {

// Where a slot of a pool can be found from outside.
struct home_address {
  std::weak_ptr<pool::worker_pool> pool;
  std::size_t slot = 0;
  std::shared_ptr<object_holder> objects;
};

class object_resource {
 public:
  object_resource(home_address home, object_ref object) noexcept : home_(std::move(home)), object_(object) {}
  object_resource(const object_resource&) = delete;
  object_resource& operator=(const object_resource&) = delete;
  ~object_resource() { release(); }

  [[nodiscard]] const home_address& home() const noexcept { return home_; }
  [[nodiscard]] const object_ref& object() const noexcept { return object_; }
  // Released, or its worker has ended.
  [[nodiscard]] bool gone() const noexcept {
    return released_.load(std::memory_order_acquire) || home_.objects->closed();
  }
  // Any thread: nobody finds the object any more; it is let go on its own worker, soon.
  void release() noexcept {
    if (!released_.exchange(true, std::memory_order_acq_rel)) home_.objects->release(object_.id);
  }

 private:
  home_address home_;
  object_ref object_;
  std::atomic<bool> released_{false};
};

class object_lookup final : public object_resolver {
 public:
  explicit object_lookup(resource_type<object_resource> type) noexcept : type_(type) {}

  [[nodiscard]] object_resource* find(ErlNifEnv* env, ERL_NIF_TERM ref) const noexcept {
    return type_.get(env, ref);
  }
  [[nodiscard]] const resource_type<object_resource>& type() const noexcept { return type_; }

  [[nodiscard]] bool resolve(ErlNifEnv* env, ERL_NIF_TERM ref, object_ref& object) const override {
    const object_resource* const found = find(env, ref);
    if (found == nullptr) return false;
    if (found->gone()) throw conversion_error(fault::object_gone, "the worker that held the object is gone");
    object.owner = found->object().owner;
    object.id = found->object().id;
    return true;
  }

 private:
  resource_type<object_resource> type_;
};

// Makes references to objects of the slot whose job is under way on this thread.
class object_minter final : public object_maker {
 public:
  object_minter(const atoms& names, const resource_type<object_resource>& type) noexcept
      : names_(names), type_(type) {}

  void serve(home_address home) noexcept { home_ = std::move(home); }
  void leave() noexcept { home_ = {}; }

  [[nodiscard]] ERL_NIF_TERM make_object(ErlNifEnv* env, object_ref object) override {
    const auto made = resource_ptr<object_resource>::make(type_, home_address(home_), object);
    home_.objects->lent();
    return enif_make_tuple2(env, object.generator ? names_.generator : names_.py_object, made.term(env));
  }

 private:
  const atoms& names_;
  const resource_type<object_resource>& type_;
  home_address home_;
};

}  // namespace erlpy::nif

#endif
