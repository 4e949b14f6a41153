// What sources and sinks of NIF terms share with the library that hosts them: its atoms, its
// resources, and memory that is used again from one conversion to the next.
#ifndef ERLPY_NIF_CONTEXT_HPP
#define ERLPY_NIF_CONTEXT_HPP

#include <erl_nif.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include <erlpy/data_model.hpp>
#include <erlpy/nif/atoms.hpp>
#include <erlpy/nif/binaries.hpp>
#include <erlpy/nif/maps.hpp>

namespace erlpy::nif {

// Knows the references in {py_object, Ref} and {generator, Ref}. Implemented by the host; called on
// any thread, also on several at once.
class object_resolver {
 public:
  object_resolver() = default;
  object_resolver(const object_resolver&) = delete;
  object_resolver& operator=(const object_resolver&) = delete;
  virtual ~object_resolver() = default;

  // True if `ref` is one of ours; then `object` says which. `object.generator` is set from the tag
  // of the tuple before the call. May throw conversion_error (object_gone).
  [[nodiscard]] virtual bool resolve(ErlNifEnv* env, ERL_NIF_TERM ref, object_ref& object) const = 0;
};

// Makes those tuples. Implemented by the host; called on the thread of the sink.
class object_maker {
 public:
  object_maker() = default;
  object_maker(const object_maker&) = delete;
  object_maker& operator=(const object_maker&) = delete;
  virtual ~object_maker() = default;

  // {py_object, Ref} or {generator, Ref} as a term of `env`; takes over the one use of the object's
  // number that the caller of sink::object() had.
  [[nodiscard]] virtual ERL_NIF_TERM make_object(ErlNifEnv* env, object_ref object) = 0;
};

// What a nif::source needs besides its term. Both members outlive every source.
struct source_context {
  const atoms& names;
  const object_resolver* objects = nullptr;  // without one, such tuples are plain tuples

  [[nodiscard]] bool resolve(ErlNifEnv* env, ERL_NIF_TERM ref, object_ref& object) const {
    return objects != nullptr && objects->resolve(env, ref, object);
  }
};

// Atoms by their text: to make one, the VM looks it up under a lock. 256 entries of 48 bytes, each with the
// atom that was seen there last, as atoms stay what they are.
class made_atoms {
 public:
  // The atom of this text, which `make()` makes if it is not here.
  template <class Make>
  [[nodiscard]] ERL_NIF_TERM get(std::string_view utf8, Make&& make) {
    if (utf8.empty() || utf8.size() > longest) return make();
    entry& slot = entries_[index(utf8)];
    if (slot.size != utf8.size() || std::memcmp(slot.text.data(), utf8.data(), utf8.size()) != 0) {
      slot.size = 0;
      slot.term = make();
      std::memcpy(slot.text.data(), utf8.data(), utf8.size());
      slot.size = utf8.size();
    }
    return slot.term;
  }

 private:
  static constexpr std::size_t longest = 32;
  struct entry {
    std::size_t size = 0;
    ERL_NIF_TERM term = 0;
    std::array<char, longest> text;
  };

  [[nodiscard]] static std::size_t index(std::string_view text) noexcept {
    std::uint64_t word = 0;
    for (const char each : text) word = (word << 5U) + (word >> 59U) + static_cast<unsigned char>(each);
    return static_cast<std::size_t>((word * 0x9E3779B97F4A7C15ULL) >> 56U);
  }

  std::array<entry, 256> entries_{};
};

// What a nif::sink needs besides its environment: one for each thread that builds terms, kept from
// conversion to conversion. The members that hold terms are scratch of the sink at work.
class sink_context {
 public:
  // `names` and `objects` outlive the context; `objects` may be null where no objects cross.
  sink_context(const atoms& atom_terms, lent_bytes lent_type, object_maker* maker) noexcept
      : names(atom_terms), lent(lent_type), objects(maker), maps_at_once_(detail::keys_at_once()) {}
  sink_context(const sink_context&) = delete;
  sink_context& operator=(const sink_context&) = delete;
  ~sink_context() = default;

  const atoms& names;
  const lent_bytes lent;
  object_maker* const objects;

 private:
  friend class sink;

  struct cached {
    const void* identity = nullptr;
    std::uint64_t conversion = 0;
    ERL_NIF_TERM term = 0;
  };
  static constexpr std::size_t cache_size = 256;
  static constexpr std::size_t kept_terms = std::size_t{1} << 20U;
  static constexpr std::size_t kept_bytes = std::size_t{1} << 20U;

  [[nodiscard]] std::uint64_t begin_conversion() noexcept { return ++conversions_; }

  void end_conversion() noexcept {
    if (terms_.capacity() > kept_terms && terms_.empty()) terms_ = std::vector<ERL_NIF_TERM>();
    if (values_.capacity() > kept_terms && values_.empty()) values_ = std::vector<ERL_NIF_TERM>();
    if (external_.capacity() > kept_bytes) external_ = byte_buffer();
  }

  [[nodiscard]] cached& slot(const void* identity) noexcept {
    const auto address = reinterpret_cast<std::uintptr_t>(identity);
    return cache_[((address >> 4U) ^ (address >> 12U)) % cache_size];
  }

  const std::size_t maps_at_once_;
  // Elements and keys of the containers under construction, innermost last; the values of maps.
  std::vector<ERL_NIF_TERM> terms_;
  std::vector<ERL_NIF_TERM> values_;
  byte_buffer external_;
  std::array<cached, cache_size> cache_{};
  made_atoms made_atoms_;
  std::uint64_t conversions_ = 0;
};

}  // namespace erlpy::nif

#endif
