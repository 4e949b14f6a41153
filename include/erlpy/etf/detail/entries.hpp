// What a sink remembers of the sets and maps that it is writing: where their elements and keys are, so
// that they can be sorted and those that are one to Erlang be found.
#ifndef ERLPY_ETF_DETAIL_ENTRIES_HPP
#define ERLPY_ETF_DETAIL_ENTRIES_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include <erlpy/data_model.hpp>
#include <erlpy/etf/compare.hpp>
#include <erlpy/etf/detail/hash.hpp>
#include <erlpy/etf/detail/print.hpp>
#include <erlpy/etf/tags.hpp>
#include <erlpy/etf/term.hpp>

namespace erlpy::etf::detail {

[[noreturn, gnu::cold, gnu::noinline]] inline void wrong_count() {
  throw conversion_error(fault::value, "a container changed its size while it was converted");
}

// Used as a stack: containers that are nested have their entries on top of those of the outer ones, and
// take them off when they are finished.
class entries {
 public:
  explicit entries(std::size_t max_depth) noexcept : max_depth_(max_depth) {}

  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  void clear() noexcept { entries_.clear(); }
  // Takes off the entries from `first` on.
  void forget(std::size_t first) noexcept {
    entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(first), entries_.end());
  }
  // The term in bytes [begin, end) of the buffer.
  void add(std::size_t begin, std::size_t end) { entries_.push_back({begin, end, 0}); }

  // Takes off the entries from `first` on, which are keys. Throws if two of them are identical. The
  // time is that of sorting numbers, whatever the keys are and however their hashes collide.
  void check_keys(std::size_t first, const byte_buffer& out) {
    const std::span<entry> keys = std::span(entries_).subspan(first);
    if (keys.size() > 1 && !plainly_different(keys, out)) {
      for (entry& key : keys) key.hash = hash_term(key.in(out));
      std::ranges::sort(keys, {}, &entry::hash);
      for (std::size_t i = 0; i < keys.size();) {
        std::size_t end = i + 1;
        while (end < keys.size() && keys[end].hash == keys[i].hash) ++end;
        if (end - i > 1) check_identical(keys.subspan(i, end - i), out);
        i = end;
      }
    }
    entries_.resize(first);
  }

  // Takes off the entries from `first` on, which are the last bytes of `out` in this order, and puts
  // those bytes into term order. Throws if two of them are equal.
  void sort_set(std::size_t first, byte_buffer& out) {
    const std::span<entry> elements = std::span(entries_).subspan(first);
    const auto order = [&](const entry& a, const entry& b) {
      return compare(a.in(out), b.in(out), max_depth_);
    };
    const auto less = [&](const entry& a, const entry& b) { return order(a, b) < 0; };
    if (!std::ranges::is_sorted(elements, less)) {
      const std::size_t begin = elements.front().begin;
      std::ranges::sort(elements, less);
      move_to_order(elements, begin, out);
    }
    for (std::size_t i = 1; i < elements.size(); ++i)
      if (order(elements[i - 1], elements[i]) == 0)
        throw conversion_error(
            fault::value, "two elements of a set become one in Erlang: " + print(elements[i - 1].in(out)) +
                              " and " + print(elements[i].in(out)));
    entries_.resize(first);
  }

 private:
  struct entry {
    std::size_t begin;
    std::size_t end;
    std::size_t hash;
    [[nodiscard]] term in(const byte_buffer& out) const noexcept {
      return term(bytes_view(out).subspan(begin, end - begin));
    }
  };

  // A few keys of kinds that are spelled in one way each, and no two spelled alike: what maps mostly have.
  [[nodiscard]] static bool plainly_different(std::span<const entry> keys, const byte_buffer& out) noexcept {
    constexpr std::size_t few = 8;
    if (keys.size() > few) return false;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const entry& key = keys[i];
      const std::byte* const bytes = out.data() + key.begin;
      const auto t = static_cast<tag>(*bytes);
      if (t != tag::binary && t != tag::small_atom_utf8 && t != tag::small_integer && t != tag::integer)
        return false;
      const std::size_t size = key.end - key.begin;
      for (const entry& other : keys.first(i))
        if (other.end - other.begin == size && std::memcmp(out.data() + other.begin, bytes, size) == 0)
          return false;
    }
    return true;
  }

  void check_identical(std::span<entry> keys, const byte_buffer& out) const {
    std::ranges::sort(keys, [&](const entry& a, const entry& b) {
      return compare_keys(a.in(out), b.in(out), max_depth_) < 0;
    });
    for (std::size_t i = 1; i < keys.size(); ++i)
      if (identical(keys[i - 1].in(out), keys[i].in(out), max_depth_))
        throw conversion_error(fault::value,
                               "two keys of a map become one in Erlang: " + print(keys[i].in(out)));
  }

  static void move_to_order(std::span<entry> elements, std::size_t begin, byte_buffer& out) {
    byte_buffer sorted;
    sorted.reserve(out.size() - begin);
    for (entry& element : elements) {
      const bytes_view bytes = element.in(out).bytes();
      element.begin = begin + sorted.size();
      sorted.insert(sorted.end(), bytes.begin(), bytes.end());
      element.end = begin + sorted.size();
    }
    std::ranges::copy(sorted, out.begin() + static_cast<std::ptrdiff_t>(begin));
  }

  std::size_t max_depth_;
  std::vector<entry> entries_;
};

}  // namespace erlpy::etf::detail

#endif
