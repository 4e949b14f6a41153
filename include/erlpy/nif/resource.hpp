// C++ objects as Erlang resources: one owner type for the native side, one way to make them.
#ifndef ERLPY_NIF_RESOURCE_HPP
#define ERLPY_NIF_RESOURCE_HPP

#include <erl_nif.h>

#include <memory>
#include <new>
#include <string>
#include <utility>

#include <erlpy/error.hpp>

namespace erlpy::nif {

// A resource type whose objects are T. If T has `void down(ErlNifPid)`, that is called when a process
// that was monitored with the object ends. T's destructor must be safe on any thread.
template <class T>
class resource_type {
 public:
  // Only inside load or upgrade, where it takes the type over from a library before. Throws erlpy::error.
  [[nodiscard]] static resource_type open(ErlNifEnv* env, const char* name) {
    ErlNifResourceTypeInit init{};
    init.dtor = [](ErlNifEnv*, void* object) noexcept { std::destroy_at(static_cast<T*>(object)); };
    // Every type has a `down`: enif_alloc_resource asks twice whether there is one, and a type without
    // one has a stand-in during a take-over (erl_nif.c, prepare_opened_rt). An object that is made on
    // another thread at that moment would get its monitors' lock written outside of its room.
    init.down = [](ErlNifEnv*, [[maybe_unused]] void* object, [[maybe_unused]] ErlNifPid* pid,
                   ErlNifMonitor*) noexcept {
      if constexpr (requires(T & t, ErlNifPid who) { t.down(who); }) static_cast<T*>(object)->down(*pid);
    };
    constexpr auto flags = static_cast<ErlNifResourceFlags>(ERL_NIF_RT_CREATE | ERL_NIF_RT_TAKEOVER);
    ErlNifResourceType* const type = enif_open_resource_type_x(env, name, &init, flags, nullptr);
    if (type == nullptr) throw error(std::string("the resource type ") + name + " cannot be opened");
    return resource_type(type);
  }

  // Null if `term` is no such resource. The object lives as long as the term's environment.
  [[nodiscard]] T* get(ErlNifEnv* env, ERL_NIF_TERM term) const noexcept {
    void* object = nullptr;
    return enif_get_resource(env, term, type_, &object) != 0 ? static_cast<T*>(object) : nullptr;
  }

  [[nodiscard]] ErlNifResourceType* get() const noexcept { return type_; }

 private:
  explicit resource_type(ErlNifResourceType* type) noexcept : type_(type) {}
  ErlNifResourceType* type_;
};

// A share of a resource's life, held by native code.
template <class T>
class resource_ptr {
 public:
  template <class... Arguments>
  [[nodiscard]] static resource_ptr make(const resource_type<T>& type, Arguments&&... arguments) {
    void* const room = enif_alloc_resource(type.get(), sizeof(T));
    if (room == nullptr) throw std::bad_alloc();
    // Until it is constructed, the destructor of the type must not see it: T's constructors for
    // resources are noexcept.
    static_assert(noexcept(T(std::forward<Arguments>(arguments)...)));
    return resource_ptr(::new (room) T(std::forward<Arguments>(arguments)...));
  }
  [[nodiscard]] static resource_ptr share(T* object) noexcept {
    enif_keep_resource(object);
    return resource_ptr(object);
  }
  resource_ptr(const resource_ptr& other) noexcept : object_(other.object_) {
    if (object_ != nullptr) enif_keep_resource(object_);
  }
  resource_ptr(resource_ptr&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  resource_ptr& operator=(resource_ptr other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~resource_ptr() {
    if (object_ != nullptr) enif_release_resource(object_);
  }

  [[nodiscard]] T* get() const noexcept { return object_; }
  T* operator->() const noexcept { return object_; }
  T& operator*() const noexcept { return *object_; }
  [[nodiscard]] ERL_NIF_TERM term(ErlNifEnv* env) const noexcept { return enif_make_resource(env, object_); }

 private:
  explicit resource_ptr(T* object) noexcept : object_(object) {}
  T* object_;
};

}  // namespace erlpy::nif

#endif
