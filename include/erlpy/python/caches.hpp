// Python strings that were made before and will be wanted again: keys of maps, and atoms.
//
// Both caches are direct-mapped: an entry's place follows from its key, and a newcomer takes the place
// of whoever is there. So their size is fixed, nothing is ever searched or evicted, and a value that is
// full of different strings costs one wasted comparison each, no more. They belong to a context, hence
// to one thread and one interpreter; they are used and destroyed by a thread attached to it.
#ifndef ERLPY_PYTHON_CACHES_HPP
#define ERLPY_PYTHON_CACHES_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include <erlpy/python/exception.hpp>
#include <erlpy/python/ref.hpp>

namespace erlpy::python {

namespace detail {

// Spreads the entropy of a word over its high bits, which then choose a cache's entry.
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t word) noexcept {
  return word * 0x9E3779B97F4A7C15ULL;
}

}  // namespace detail

// ASCII strings by content. 2,048 entries of 8 bytes (and 2,048 of 16 for identities); strings of up to 32
// bytes, so that it holds at most 160 KiB of strings. An entry is the `str` itself: its bytes are compared,
// which touches the object whose reference count is about to change anyway. Meant for keys, which repeat: it
// halves what a record's keys cost, but strings that do not repeat would cost twice what they do without it.
class text_cache {
 public:
  static constexpr std::size_t entries = 2048;
  static constexpr std::size_t longest = 32;

  text_cache() : slots_(entries), known_(entries) {}

  // The string equal to `ascii` if it is here, else the one that `make()` (-> ref to an exact, compact
  // ASCII `str` of that content) gives, which then takes the entry. `ascii` has 1 to `longest` bytes.
  template <class Make>
  [[nodiscard]] ref get(std::string_view ascii, Make&& make) {
    ref& slot = slots_[index(ascii)];
    if (PyObject* found = slot.get(); found != nullptr && holds(found, ascii)) return slot;
    slot = make();
    return slot;
  }

  // A number for a `str` object that no other object of this context ever gets, though the same object may
  // get another later: what a sink can remember a key by. (An address cannot: it is used again when the
  // string is gone.) Holds on to the object for a while.
  [[nodiscard]] std::uint64_t identity(PyObject* text) {
    numbered& slot = known_[detail::mix(reinterpret_cast<std::uintptr_t>(text)) >> (64U - index_bits)];
    if (slot.text.get() != text) slot = numbered{ref::borrow(text), next_ += identity_step};
    return slot.number;
  }

 private:
  // Identities look like addresses of small objects, for which caches keyed by them are made.
  static constexpr std::uint64_t identity_step = 16;

  struct numbered {
    ref text;
    std::uint64_t number = 0;
  };

  static constexpr unsigned index_bits = 11;
  static_assert(entries == std::size_t{1} << index_bits);

  [[nodiscard]] static bool holds(PyObject* text, std::string_view ascii) noexcept {
    return static_cast<std::size_t>(PyUnicode_GET_LENGTH(text)) == ascii.size() &&
           std::memcmp(PyUnicode_1BYTE_DATA(text), ascii.data(), ascii.size()) == 0;
  }

  [[nodiscard]] static std::size_t index(std::string_view ascii) noexcept {
    std::uint64_t hash = ascii.size();
    const char* at = ascii.data();
    std::size_t left = ascii.size();
    for (; left >= sizeof hash; at += sizeof hash, left -= sizeof hash) {
      std::uint64_t word = 0;
      std::memcpy(&word, at, sizeof word);
      hash = detail::mix(hash ^ word);
      hash ^= hash >> 29U;
    }
    std::uint64_t tail = 0;
    for (std::size_t i = 0; i < left; ++i) tail = tail << 8U | static_cast<unsigned char>(at[i]);
    return static_cast<std::size_t>(detail::mix(hash ^ tail) >> (64U - index_bits));
  }

  std::vector<ref> slots_;
  std::vector<numbered> known_;
  std::uint64_t next_ = 0;
};

// Atoms by the word that stands for them in their world (an Erlang term). 2,048 entries of 24 bytes.
// What atoms become is an option of a conversion, so that is part of the key.
class atom_cache {
 public:
  static constexpr std::size_t entries = 2048;

  atom_cache() : slots_(entries) {}

  // The Python value of atom `key`, made with `make()` (-> ref) if it is not here. `kept` tells whether
  // it is an `erlang.Atom` or a plain `str`.
  template <class Make>
  [[nodiscard]] ref get(std::uintptr_t key, bool kept, Make&& make) {
    entry& slot = slots_[index(key)];
    if (slot.value && slot.key == key && slot.kept == kept) return slot.value;
    ref made = make();
    slot = entry{key, made, kept};
    return made;
  }

 private:
  static constexpr unsigned index_bits = 11;
  static_assert(entries == std::size_t{1} << index_bits);

  struct entry {
    std::uintptr_t key = 0;
    ref value;
    bool kept = false;
  };

  [[nodiscard]] static std::size_t index(std::uintptr_t key) noexcept {
    return static_cast<std::size_t>(detail::mix(key) >> (64U - index_bits));
  }

  std::vector<entry> slots_;
};

}  // namespace erlpy::python

#endif
