// What only one of the other worlds understands and C++ may hold and hand back: terms of Erlang's
// (opaque_ptr: pids, references, ports, funs, ...) and Python objects that stay where they are (object_ref).
#ifndef ERLPY_CPP_ERLANG_HPP
#define ERLPY_CPP_ERLANG_HPP

#include <string>

#include <erlpy/cpp/caster.hpp>
#include <erlpy/cpp/refusing.hpp>

namespace erlpy::cpp {

namespace detail {

// A term that is held, as a source offers it.
class offered_term {
 public:
  explicit offered_term(const opaque_ptr& term) noexcept : term_(term) {}
  [[nodiscard]] opaque_kind kind() const noexcept { return term_->kind(); }
  void external(byte_buffer& out) const { term_->append_external(out); }
  [[nodiscard]] opaque_ptr share() const noexcept { return term_; }

 private:
  const opaque_ptr& term_;
};
static_assert(opaque_handle<offered_term>);

}  // namespace detail

// Null is none.
template <>
struct caster<opaque_ptr> {
  template <class To>
  static typename To::value_type walk(const opaque_ptr& term, To& to, walking&) {
    return term ? to.opaque(detail::offered_term(term)) : to.none();
  }

  struct sink : refusing<sink, opaque_ptr> {
    static constexpr kinds exact = kind::opaque | kind::none;
    static constexpr kinds also{};
    [[nodiscard]] static std::string expected() { return "opaque term or None"; }
    opaque_ptr none() const noexcept { return nullptr; }
    opaque_ptr opaque(const opaque_handle auto& handle) const { return handle.share(); }
  };
};

// The object stays held by its worker until it is released there.
template <>
struct caster<object_ref> {
  template <class To>
  static typename To::value_type walk(object_ref object, To& to, walking&) {
    return to.object(object);
  }

  struct sink : refusing<sink, object_ref> {
    static constexpr kinds exact = kind::object;
    static constexpr kinds also{};
    [[nodiscard]] static std::string expected() { return "object"; }
    object_ref object(object_ref where) const noexcept { return where; }
  };
};

}  // namespace erlpy::cpp

#endif
