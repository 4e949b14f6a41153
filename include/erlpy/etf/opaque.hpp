// Terms that only Erlang understands (pids, ports, references, funs, bitstrings, improper lists, native
// records, terms in a node's local format), held as their bytes in the External Term Format: `opaque` owns
// them, `opaque_view` is one on offer while a source walks.
#ifndef ERLPY_ETF_OPAQUE_HPP
#define ERLPY_ETF_OPAQUE_HPP

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <erlpy/data_model.hpp>
#include <erlpy/etf/compare.hpp>
#include <erlpy/etf/detail/hash.hpp>
#include <erlpy/etf/detail/print.hpp>

namespace erlpy::etf {

// Owns one term. Safe on any thread: nothing in it changes.
class opaque final : public opaque_term {
 public:
  // `external` is the term without the version byte.
  opaque(opaque_kind kind, byte_buffer external)
      : external_(std::move(external)), kind_(kind), hash_(detail::hash_term(term(external_))) {}

  [[nodiscard]] opaque_kind kind() const noexcept override { return kind_; }

  // Erlang's `=:=`, also where two writers encoded the same term differently (atoms in Latin-1, say).
  [[nodiscard]] bool same_as(const opaque_term& other) const override {
    if (kind_ != other.kind()) return false;
    byte_buffer theirs;
    other.append_external(theirs);
    return std::ranges::equal(external_, theirs) || identical(term(external_), term(theirs));
  }

  [[nodiscard]] std::size_t hash() const noexcept override { return hash_; }

  void append_external(byte_buffer& out) const override {
    out.insert(out.end(), external_.begin(), external_.end());
  }

  // As Erlang prints it, but for the node's name in place of its number, which only a VM knows.
  [[nodiscard]] std::string text() const override { return detail::print(term(external_)); }

 private:
  byte_buffer external_;
  opaque_kind kind_;
  std::size_t hash_;
};

// What etf::source offers to a sink's opaque(); valid as long as the bytes that the source walks.
class opaque_view {
 public:
  opaque_view(opaque_kind kind, bytes_view external) noexcept : external_(external), kind_(kind) {}

  [[nodiscard]] opaque_kind kind() const noexcept { return kind_; }
  void external(byte_buffer& out) const { out.insert(out.end(), external_.begin(), external_.end()); }
  [[nodiscard]] opaque_ptr share() const {
    return std::make_shared<const opaque>(kind_, byte_buffer(external_.begin(), external_.end()));
  }

 private:
  bytes_view external_;
  opaque_kind kind_;
};

static_assert(opaque_handle<opaque_view>);

}  // namespace erlpy::etf

#endif
