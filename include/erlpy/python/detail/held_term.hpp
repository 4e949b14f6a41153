// The term inside an erlang.Term or erlang.Pid, as a source offers it to a sink.
#ifndef ERLPY_PYTHON_DETAIL_HELD_TERM_HPP
#define ERLPY_PYTHON_DETAIL_HELD_TERM_HPP

#include <utility>

#include <erlpy/data_model.hpp>

namespace erlpy::python::detail {

class held_term {
 public:
  explicit held_term(opaque_ptr term) noexcept : term_(std::move(term)) {}
  [[nodiscard]] opaque_kind kind() const noexcept { return term_->kind(); }
  void external(byte_buffer& out) const { term_->append_external(out); }
  [[nodiscard]] opaque_ptr share() const noexcept { return term_; }

 private:
  opaque_ptr term_;
};
static_assert(opaque_handle<held_term>);

}  // namespace erlpy::python::detail

#endif
