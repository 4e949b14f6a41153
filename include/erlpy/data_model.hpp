// What a value can be between two worlds.
//
// A *source* walks a value of its world and reports what it finds; a *sink* builds a value of its
// world from what it is told. `transcode(source, sink)` joins any two directly: there is no tree of
// values in between, no virtual call and no allocation per element.
//
// Errors are exceptions (see error.hpp for the one convention). A sink that throws leaves nothing
// behind: what it built so far is owned by its builders.
//
// This header knows neither CPython nor Erlang, except for the names of the few things that only
// one of them has and that must survive the crossing (atoms, opaque terms, object references).
#ifndef ERLPY_DATA_MODEL_HPP
#define ERLPY_DATA_MODEL_HPP

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <erlpy/error.hpp>

namespace erlpy {

using bytes_view = std::span<const std::byte>;
using byte_buffer = std::vector<std::byte>;

[[nodiscard]] inline bytes_view as_bytes(std::string_view text) noexcept {
  return std::as_bytes(std::span{text.data(), text.size()});
}

[[nodiscard]] inline std::string_view as_text(bytes_view bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Immutable bytes with an owner: what crosses without a copy. `view()` is valid, and its bytes do
// not change, until the last owner lets go. The destructor may run on any thread and must neither
// block nor need the GIL.
class shared_bytes {
 public:
  shared_bytes() = default;
  shared_bytes(const shared_bytes&) = delete;
  shared_bytes& operator=(const shared_bytes&) = delete;
  virtual ~shared_bytes() = default;
  [[nodiscard]] virtual bytes_view view() const noexcept = 0;
};
using shared_bytes_ptr = std::shared_ptr<const shared_bytes>;

// `record`: a native record of OTP 29. `local`: what term_to_binary(T, [local]) writes, for the VM that wrote it.
enum class opaque_kind : std::uint8_t { pid, port, reference, fun, bitstring, improper_list, record, local };

// A term that only Erlang understands, owned by another world (Python's `erlang.Term` holds one).
// Equality is Erlang's `=:=`. All members are safe on any thread.
class opaque_term {
 public:
  opaque_term() = default;
  opaque_term(const opaque_term&) = delete;
  opaque_term& operator=(const opaque_term&) = delete;
  virtual ~opaque_term() = default;
  [[nodiscard]] virtual opaque_kind kind() const noexcept = 0;
  [[nodiscard]] virtual bool same_as(const opaque_term& other) const = 0;
  [[nodiscard]] virtual std::size_t hash() const noexcept = 0;
  // Appends the term in the External Term Format, without the leading version byte (131).
  virtual void append_external(byte_buffer& out) const = 0;
  // What Erlang would print, for repr().
  [[nodiscard]] virtual std::string text() const = 0;
};
using opaque_ptr = std::shared_ptr<const opaque_term>;

// A Python object seen from Erlang: which worker slot holds it, and under which number.
struct object_ref {
  std::uint64_t owner = 0;
  std::uint64_t id = 0;
  bool generator = false;
  friend bool operator==(const object_ref&, const object_ref&) = default;
};

// Who holds such objects, seen from those that have a number of one. Any thread.
class object_holder {
 public:
  object_holder() = default;
  object_holder(const object_holder&) = delete;
  object_holder& operator=(const object_holder&) = delete;
  virtual ~object_holder() = default;

  // Unique among all holders of this OS process, never 0.
  [[nodiscard]] virtual std::uint64_t owner() const noexcept = 0;
  // It has let everything go, and finds nothing any more.
  [[nodiscard]] virtual bool closed() const noexcept = 0;
  // Objects held now.
  [[nodiscard]] virtual std::size_t held() const noexcept = 0;
  // Another term names one of them, and will release it.
  virtual void lent() noexcept {}
  // Lets the object of this number go, soon.
  virtual void release(std::uint64_t id) noexcept = 0;
  // From now on nothing is found and nothing held.
  virtual void shut() noexcept = 0;

  // A number for a new holder.
  [[nodiscard]] static std::uint64_t next_owner() noexcept {
    static std::atomic<std::uint64_t> counter{0};
    return counter.fetch_add(1, std::memory_order_relaxed) + 1;
  }
};

// What bounds a walk. Two things are done now and then, between two elements: `stop`, if given, is
// looked at, and once true the walk ends with fault::cancelled, so that a conversion cannot outlive the
// call it belongs to; and `breathe`, if given, is called with `breather`, to let others have what the
// walk holds (the GIL).
struct walk_limits {
  std::size_t max_depth = 10'000;
  const std::atomic<bool>* stop = nullptr;
  void (*breathe)(void*) = nullptr;
  void* breather = nullptr;
};

// The running state of one walk: depth against walk_limits::max_depth, and what is done now and then.
class walk_guard {
 public:
  explicit walk_guard(const walk_limits& limits) noexcept : limits_(limits) {}

  // Held while inside one container.
  class level {
   public:
    explicit level(walk_guard& guard) : guard_(guard) {
      if (++guard_.depth_ > guard_.limits_.max_depth) {
        --guard_.depth_;
        throw conversion_error(fault::recursion, "value is nested deeper than max_depth (" +
                                                     std::to_string(guard_.limits_.max_depth) +
                                                     "); raise the option or flatten the value");
      }
    }
    level(const level&) = delete;
    level& operator=(const level&) = delete;
    ~level() { --guard_.depth_; }

   private:
    walk_guard& guard_;
  };

  // Called once an element; costs a decrement.
  void tick() {
    if (--until_poll_ == 0) poll();
  }

 private:
  static constexpr std::uint32_t poll_every = 1024;

  void poll() {
    until_poll_ = poll_every;
    if (limits_.stop != nullptr && limits_.stop->load(std::memory_order_relaxed))
      throw conversion_error(fault::cancelled, "cancelled while a value was converted");
    if (limits_.breathe != nullptr) limits_.breathe(limits_.breather);
  }

  walk_limits limits_;
  std::size_t depth_ = 0;
  std::uint32_t until_poll_ = poll_every;
};

// ---------------------------------------------------------------------------------------------
// Builders. `child()` (for maps `key()` and `value()`) is the sink that the next element goes to;
// most sinks return themselves. Elements are written in order: walk an element *completely*, push
// it, then begin the next; of a map entry first the key, then the value. (A sink that appends
// bytes depends on this.) Exactly the announced number of elements is pushed before finish().
//
// Where elements are of several types, no one sink takes them all: such a builder has, instead of these,
// `element(walk)`, or `entry(walk_key, walk_value)`, and calls each walk, once, with the sink that is right
// for that place; a walk is generic, and returns what the sink built. Sources use push_element() and
// push_entry(), which serve both.

namespace detail {
struct archetype_walk {
  template <class S>
  typename S::value_type operator()(S& to) const {
    return to.none();
  }
};
}  // namespace detail

template <class B>
concept element_builder = requires(B& b, detail::archetype_walk walk) { b.element(walk); };
template <class B>
concept entry_builder = requires(B& b, detail::archetype_walk walk) { b.entry(walk, walk); };

template <class B, class Value>
concept sequence_builder = requires(B b) {
  { b.finish() } -> std::convertible_to<Value>;
} && (element_builder<B> || requires(B b, Value v) {
  b.child();
  b.push(std::move(v));
});

template <class B, class Value>
concept map_builder = requires(B b) {
  { b.finish() } -> std::convertible_to<Value>;
} && (entry_builder<B> || requires(B b, Value k, Value v) {
  b.key();
  b.value();
  b.push(std::move(k), std::move(v));  // duplicates: fault::value from push() or finish()
});

// Adds what `walk(sink)` builds as the next element.
template <class Builder, class Walk>
[[gnu::always_inline]] inline void push_element(Builder& to, Walk&& walk) {
  if constexpr (element_builder<Builder>) {
    to.element(std::forward<Walk>(walk));
  } else {
    auto&& child = to.child();
    to.push(walk(child));
  }
}

// Adds an entry of a map, the key first.
template <class Builder, class WalkKey, class WalkValue>
void push_entry(Builder& to, WalkKey&& walk_key, WalkValue&& walk_value) {
  if constexpr (entry_builder<Builder>) {
    to.entry(std::forward<WalkKey>(walk_key), std::forward<WalkValue>(walk_value));
  } else {
    auto&& key_sink = to.key();
    auto key = walk_key(key_sink);
    auto&& value_sink = to.value();
    to.push(std::move(key), walk_value(value_sink));
  }
}

// An opaque term on offer by a source: `kind()`, `external(out)` appends External Term Format
// without the version byte, `share()` makes an owner that outlives the source.
template <class H>
concept opaque_handle = requires(const H& handle, byte_buffer& out) {
  { handle.kind() } -> std::same_as<opaque_kind>;
  handle.external(out);
  { handle.share() } -> std::convertible_to<opaque_ptr>;
};

namespace detail {
struct archetype_handle {
  [[nodiscard]] opaque_kind kind() const { return opaque_kind::pid; }
  void external(byte_buffer&) const {}
  [[nodiscard]] opaque_ptr share() const { return nullptr; }
};
struct archetype_fill {
  void operator()(std::span<std::byte>) const {}
};
}  // namespace detail

// A sink. `value_type` is movable and owns what was built (a sink into bytes has an empty one).
//
// `erlang_terms` says that the sink's world is Erlang's: its sources then pass on terms exactly as
// they are (atoms as atoms, `{'$buffer', _}` as that tuple), references to objects apart; into any other world an Erlang source
// applies the crossing table (`true` becomes boolean(true), `undefined` none(), ...).
template <class S>
concept sink = requires(S& s, std::int64_t integer, double real, bool flag, std::string_view text,
                        bytes_view bytes, std::size_t n, object_ref object, shared_bytes_ptr shared,
                        std::span<const std::int64_t> shape, detail::archetype_handle handle,
                        detail::archetype_fill fill) {
  typename S::value_type;
  { S::erlang_terms } -> std::convertible_to<bool>;
  { s.none() } -> std::same_as<typename S::value_type>;
  { s.boolean(flag) } -> std::same_as<typename S::value_type>;
  { s.integer(integer) } -> std::same_as<typename S::value_type>;
  // Sign and magnitude, least significant byte first; may have leading (most significant) zeros.
  { s.big_integer(flag, bytes) } -> std::same_as<typename S::value_type>;
  { s.real(real) } -> std::same_as<typename S::value_type>;       // not finite: an atom in Erlang
  { s.atom(text) } -> std::same_as<typename S::value_type>;       // UTF-8, at most 255 characters
  { s.text(text) } -> std::same_as<typename S::value_type>;       // valid UTF-8
  { s.bytes(bytes) } -> std::same_as<typename S::value_type>;     // bytes, whatever they hold
  { s.binary(bytes) } -> std::same_as<typename S::value_type>;    // Erlang's: text if valid UTF-8
  // `fill` writes exactly n bytes into place: one copy for what is not contiguous in its world.
  { s.bytes_from(n, fill) } -> std::same_as<typename S::value_type>;
  { s.shared(shared) } -> std::same_as<typename S::value_type>;   // immutable bytes, without a copy
  { s.ndarray(text, shape, n, fill) } -> std::same_as<typename S::value_type>;
  { s.ndarray(text, shape, shared) } -> std::same_as<typename S::value_type>;
  { s.opaque(handle) } -> std::same_as<typename S::value_type>;
  { s.object(object) } -> std::same_as<typename S::value_type>;
  { s.list(n) } -> sequence_builder<typename S::value_type>;
  { s.tuple(n) } -> sequence_builder<typename S::value_type>;
  { s.set(n) } -> sequence_builder<typename S::value_type>;       // Erlang: an ordset
  { s.map(n) } -> map_builder<typename S::value_type>;
};

namespace detail {

// A sink that builds nothing: what the source concept is checked against.
struct archetype_sink {
  struct value_type {};
  struct sequence {
    archetype_sink child() { return {}; }
    void push(value_type) {}
    value_type finish() { return {}; }
  };
  struct mapping {
    archetype_sink key() { return {}; }
    archetype_sink value() { return {}; }
    void push(value_type, value_type) {}
    value_type finish() { return {}; }
  };
  static constexpr bool erlang_terms = false;
  value_type none() { return {}; }
  value_type boolean(bool) { return {}; }
  value_type integer(std::int64_t) { return {}; }
  value_type big_integer(bool, bytes_view) { return {}; }
  value_type real(double) { return {}; }
  value_type atom(std::string_view) { return {}; }
  value_type text(std::string_view) { return {}; }
  value_type bytes(bytes_view) { return {}; }
  value_type binary(bytes_view) { return {}; }
  template <class Fill>
  value_type bytes_from(std::size_t, Fill&&) { return {}; }
  value_type shared(const shared_bytes_ptr&) { return {}; }
  template <class Fill>
  value_type ndarray(std::string_view, std::span<const std::int64_t>, std::size_t, Fill&&) { return {}; }
  value_type ndarray(std::string_view, std::span<const std::int64_t>, const shared_bytes_ptr&) { return {}; }
  value_type opaque(const opaque_handle auto&) { return {}; }
  value_type object(object_ref) { return {}; }
  sequence list(std::size_t) { return {}; }
  sequence tuple(std::size_t) { return {}; }
  sequence set(std::size_t) { return {}; }
  mapping map(std::size_t) { return {}; }
};
static_assert(sink<archetype_sink>);

}  // namespace detail

// Whether what only some worlds have (complex numbers, instances of classes) may be told to this sink, whose type
// has a function for it: one that writes for another end has to know that that end understands it.
template <class S>
[[nodiscard]] bool tells_exactly(const S& to) noexcept {
  if constexpr (requires { { to.exact() } -> std::same_as<bool>; }) return to.exact();
  return true;
}

// A source: one value, and `walk(sink)`, which reports it and returns what the sink built.
template <class S>
concept source = requires(S& s, detail::archetype_sink& k) {
  { s.walk(k) } -> std::same_as<detail::archetype_sink::value_type>;
};

// Builds in `to` the value that `from` walks.
// Errors: conversion_error, and whatever the two worlds raise (python::exception).
template <source From, sink To>
[[nodiscard]] auto transcode(From&& from, To& to) -> typename To::value_type {
  return from.walk(to);
}

}  // namespace erlpy

#endif
