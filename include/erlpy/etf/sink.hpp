// The sink into the External Term Format: appends one term (or several, one after the other) to a byte
// buffer, in the forms that term_to_binary of OTP 26 and later uses, with one exception: a list of small
// integers is an ordinary LIST, never a STRING. Integers take their smallest form, atoms are UTF-8.
//
// Nothing is allocated per element, apart from one entry per key of a map and per element of a set, in
// one vector that the sink keeps: keys that become one must be found.
#ifndef ERLPY_ETF_SINK_HPP
#define ERLPY_ETF_SINK_HPP

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include <erlpy/crossing.hpp>
#include <erlpy/data_model.hpp>
#include <erlpy/etf/detail/entries.hpp>
#include <erlpy/etf/detail/writer.hpp>
#include <erlpy/etf/tags.hpp>

namespace erlpy::etf {

// The buffer has all of a term as soon as that is complete, and perhaps less of one that is not yet. After an
// exception it holds the beginning of a term: `discard()` cuts it off.
class sink {
 public:
  // What was written; `begin` is where, in the buffer.
  struct value_type {
    std::size_t begin = 0;
  };
  class sequence;
  class ordered_set;
  class mapping;
  class under_construction;

  static constexpr bool erlang_terms = true;

  // Writes to a buffer of its own, which take() hands out.
  sink() : own_{version_byte}, out_(own_), start_(own_.size()), entries_(walk_limits{}.max_depth) {}
  // Appends to `out`, which must outlive the sink, without a version byte (see write_version).
  // `limits.max_depth` bounds the comparison of a set's elements and of map keys.
  explicit sink(byte_buffer& out, const walk_limits& limits = {},
                bytes_form form = bytes_form::plain) noexcept
      : out_(out), start_(out.size()), entries_(limits.max_depth), form_(form) {}
  sink(const sink&) = delete;
  sink& operator=(const sink&) = delete;

  // Appends the version byte, 131, that a term begins with outside the distribution protocol.
  void write_version() {
    out_.u8(131);
    if (open_ == 0) out_.flush();
  }
  // The own buffer with what was written, version byte first. Not for a sink into a given buffer, whose
  // owner has it already. The sink is done with.
  [[nodiscard]] byte_buffer take() noexcept { return std::move(own_); }
  // Cuts the buffer back to what it was when the sink was made.
  void discard() noexcept {
    out_.cut(start_);
    entries_.clear();
  }

  value_type none() { return atom(crossing::none_atom); }
  value_type boolean(bool flag) { return atom(flag ? crossing::true_atom : crossing::false_atom); }
  value_type integer(std::int64_t value) {
    return wrote([&] { out_.integer(value); });
  }
  value_type big_integer(bool negative, bytes_view magnitude) {
    return wrote([&] { out_.big_integer(negative, magnitude); });
  }
  value_type real(double value) {
    if (std::isfinite(value)) return wrote([&] { out_.real(value); });
    if (exact()) return wrote([&] { out_.reals(crossing::real_tag, {value}); });
    if (std::isnan(value)) return atom(crossing::nan_atom);
    return atom(value < 0 ? crossing::neg_infinity_atom : crossing::infinity_atom);
  }
  // Throws conversion_error (value) for more than 255 characters.
  value_type atom(std::string_view text) {
    return wrote([&] { out_.atom(text); });
  }
  value_type text(std::string_view text) { return binary(as_bytes(text)); }
  value_type bytes(bytes_view bytes) {
    return wrote([&] {
      tag_as(crossing::bytes_tag);
      out_.binary(bytes);
    });
  }
  value_type binary(bytes_view bytes) {
    return wrote([&] { out_.binary(bytes); });
  }
  value_type shared(const shared_bytes_ptr& bytes) {
    return wrote([&] {
      tag_as(crossing::buffer_tag);
      out_.binary(bytes->view());
    });
  }
  template <class Fill>
  value_type bytes_from(std::size_t n, Fill&& fill) {
    return wrote([&] {
      tag_as(crossing::bytes_tag);
      std::forward<Fill>(fill)(out_.binary_of(n));
    });
  }
  template <class Fill>
  value_type ndarray(std::string_view dtype, std::span<const std::int64_t> shape, std::size_t n,
                     Fill&& fill) {
    return wrote([&] {
      out_.ndarray_head(dtype, shape);
      std::forward<Fill>(fill)(out_.binary_of(n));
    });
  }
  value_type ndarray(std::string_view dtype, std::span<const std::int64_t> shape,
                     const shared_bytes_ptr& bytes) {
    return wrote([&] {
      out_.ndarray_head(dtype, shape);
      out_.binary(bytes->view());
    });
  }
  value_type opaque(const opaque_handle auto& handle) {
    return wrote([&] { handle.external(out_.buffer()); });
  }
  value_type object(object_ref object) {
    return wrote([&] { out_.object(object); });
  }

  // What the other end has to know of: only where exact() says so.
  [[nodiscard]] bool exact() const noexcept { return form_ == bytes_form::tagged; }
  // That end has no way to let an object go.
  [[nodiscard]] bool keeps_objects() const noexcept { return !exact(); }
  value_type complex(double real, double imaginary) {
    return wrote([&] { out_.reals(crossing::complex_tag, {real, imaginary}); });
  }
  sequence namedtuple(std::string_view name, std::span<const std::string_view> fields);
  sequence dataclass(std::string_view name, std::span<const std::string_view> fields);

  sequence list(std::size_t n);
  sequence tuple(std::size_t n);
  // The elements may come in any order; they are in Erlang's term order after finish().
  ordered_set set(std::size_t n);
  mapping map(std::size_t n);

 private:
  template <class Write>
  value_type wrote(Write&& write) {
    const value_type value{out_.size()};
    std::forward<Write>(write)();
    if (open_ == 0) out_.flush();
    return value;
  }

  sequence instance(std::string_view tag, std::string_view name, std::span<const std::string_view> fields);

  void tag_as(std::string_view tag) {
    if (form_ == bytes_form::plain) return;
    out_.tuple_head(2);
    out_.atom(tag);
  }

  byte_buffer own_;
  detail::writer out_;
  std::size_t start_;
  std::size_t open_ = 0;  // containers under construction
  detail::entries entries_;
  bytes_form form_ = bytes_form::plain;
};

// Held by each builder until its container is complete, or given up.
class sink::under_construction {
 public:
  explicit under_construction(sink& to) noexcept : to_(to) { ++to_.open_; }
  under_construction(under_construction&& other) noexcept
      : to_(other.to_), done_(std::exchange(other.done_, true)) {}
  under_construction& operator=(under_construction&&) = delete;
  ~under_construction() {
    if (!done_ && --to_.open_ == 0) to_.out_.drop();
  }
  void complete() {
    done_ = true;
    if (--to_.open_ == 0) to_.out_.flush();
  }

 private:
  sink& to_;
  bool done_ = false;
};

// finish() of each builder throws conversion_error (value) if not as many elements were pushed as were
// announced; that of `ordered_set` and `mapping` also if two elements, or two keys, are one to Erlang.
class sink::sequence {
 public:
  [[nodiscard]] sink& child() noexcept { return to_; }
  void push(value_type) noexcept { --left_; }
  value_type finish() {
    if (left_ != 0) detail::wrong_count();
    if (close_) to_.out_.u8(static_cast<std::uint8_t>(tag::nil));
    work_.complete();
    return value_;
  }

 private:
  friend class sink;
  sequence(sink& to, value_type value, std::size_t n, bool close) noexcept
      : to_(to), work_(to), value_(value), left_(n), close_(close) {}

  sink& to_;
  under_construction work_;
  value_type value_;
  std::size_t left_;
  bool close_;
};

class sink::ordered_set {
 public:
  [[nodiscard]] sink& child() noexcept { return to_; }
  void push(value_type element) {
    --left_;
    to_.entries_.add(element.begin, to_.out_.size());
  }
  value_type finish() {
    if (left_ != 0) detail::wrong_count();
    to_.entries_.sort_set(first_, to_.out_.buffer());
    if (close_) to_.out_.u8(static_cast<std::uint8_t>(tag::nil));
    work_.complete();
    return value_;
  }

 private:
  friend class sink;
  ordered_set(sink& to, value_type value, std::size_t n) noexcept
      : to_(to), work_(to), value_(value), left_(n), first_(to.entries_.size()), close_(n != 0) {}

  sink& to_;
  under_construction work_;
  value_type value_;
  std::size_t left_;
  std::size_t first_;
  bool close_;
};

class sink::mapping {
 public:
  [[nodiscard]] sink& key() noexcept { return to_; }
  [[nodiscard]] sink& value() noexcept { return to_; }
  void push(value_type key, value_type value) {
    --left_;
    to_.entries_.add(key.begin, value.begin);
  }
  value_type finish() {
    if (left_ != 0) detail::wrong_count();
    to_.entries_.check_keys(first_, to_.out_.buffer());
    work_.complete();
    return value_;
  }
  // The same for keys that the source knows to be different in Erlang.
  value_type finish_distinct() {
    if (left_ != 0) detail::wrong_count();
    to_.entries_.forget(first_);
    work_.complete();
    return value_;
  }

 private:
  friend class sink;
  mapping(sink& to, value_type value, std::size_t n) noexcept
      : to_(to), work_(to), value_(value), left_(n), first_(to.entries_.size()) {}

  sink& to_;
  under_construction work_;
  value_type value_;
  std::size_t left_;
  std::size_t first_;
};

inline sink::sequence sink::list(std::size_t n) {
  const value_type value = wrote([&] { out_.list_head(n); });
  return {*this, value, n, n != 0};
}
inline sink::sequence sink::tuple(std::size_t n) {
  const value_type value = wrote([&] { out_.tuple_head(n); });
  return {*this, value, n, false};
}
inline sink::sequence sink::instance(std::string_view tag, std::string_view name,
                                     std::span<const std::string_view> fields) {
  const value_type value = wrote([&] {
    out_.tuple_head(4);
    out_.atom(tag);
    out_.binary(as_bytes(name));
    out_.tuple_head(fields.size());
    for (const std::string_view each : fields) out_.binary(as_bytes(each));
    out_.tuple_head(fields.size());
  });
  return {*this, value, fields.size(), false};
}
inline sink::sequence sink::namedtuple(std::string_view name, std::span<const std::string_view> fields) {
  return instance(crossing::namedtuple_tag, name, fields);
}
inline sink::sequence sink::dataclass(std::string_view name, std::span<const std::string_view> fields) {
  return instance(crossing::dataclass_tag, name, fields);
}
inline sink::ordered_set sink::set(std::size_t n) {
  const value_type value = wrote([&] {
    tag_as(crossing::set_tag);
    out_.list_head(n);
  });
  return {*this, value, n};
}
inline sink::mapping sink::map(std::size_t n) {
  const value_type value = wrote([&] { out_.map_head(n); });
  return {*this, value, n};
}

static_assert(erlpy::sink<sink>);

}  // namespace erlpy::etf

#endif
