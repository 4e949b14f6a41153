// The world of the External Term Format: ours, and loops over `ei`, which OTP has for it.
//
// `ei` knows neither the end of its input nor whether a list is proper before it has read it; ours checks
// both. So what it reads is trusted, and what ours reads is not.
#ifndef ERLPY_BENCHMARKS_CONVERSION_ETF_HPP
#define ERLPY_BENCHMARKS_CONVERSION_ETF_HPP

#include <ei.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include <erlpy/etf/sink.hpp>
#include <erlpy/etf/source.hpp>

#include "hand.hpp"

namespace conversion {

// A term with its version byte, in memory that grows without being written to.
class term_bytes {
 public:
  term_bytes() = default;

  [[nodiscard]] std::string_view view() const noexcept {
    return {bytes_.get(), static_cast<std::size_t>(size_)};
  }
  // Where `more` bytes may be written; `size()` counts those that are.
  [[nodiscard]] char* room(std::size_t more) {
    if (capacity_ - static_cast<std::size_t>(size_) < more) grow(more);
    return bytes_.get();
  }
  [[nodiscard]] int& size() noexcept { return size_; }

 private:
  struct freed {
    void operator()(char* bytes) const noexcept { std::free(bytes); }
  };

  [[gnu::noinline]] void grow(std::size_t more) {
    const std::size_t capacity = std::max<std::size_t>(2 * capacity_, static_cast<std::size_t>(size_) + more);
    char* const grown = static_cast<char*>(std::realloc(bytes_.get(), capacity));
    hand::expect(grown != nullptr, "no memory");
    (void)bytes_.release();
    bytes_.reset(grown);
    capacity_ = capacity;
  }

  std::unique_ptr<char, freed> bytes_;
  std::size_t capacity_ = 0;
  int size_ = 0;
};

namespace hand {

class ei_reader {
 public:
  ei_reader(const char* bytes, key_form keys) noexcept : bytes_(bytes), keys_(keys) {}

  std::size_t begin() {
    int version = 0;
    int size = 0;
    expect(ei_decode_version(bytes_, &at_, &version) == 0, "a version is missing");
    expect(ei_decode_list_header(bytes_, &at_, &size) == 0, "a list is missing");
    return static_cast<std::size_t>(size);
  }
  void end() { end_of_list(); }
  std::int64_t integer() {
    long long value = 0;
    expect(ei_decode_longlong(bytes_, &at_, &value) == 0, "an integer is missing");
    return value;
  }
  double real() {
    double value = 0;
    expect(ei_decode_double(bytes_, &at_, &value) == 0, "a float is missing");
    return value;
  }
  std::string_view text() {
    const char* data = nullptr;
    unsigned skipped_bits = 0;
    std::size_t bits = 0;
    expect(ei_decode_bitstring(bytes_, &at_, &data, &skipped_bits, &bits) == 0 && skipped_bits == 0 &&
               bits % 8 == 0,
           "a binary is missing");
    return {data, bits / 8};
  }
  fields record() {
    int size = 0;
    expect(ei_decode_map_header(bytes_, &at_, &size) == 0 && size == 4, "a map of four is missing");
    fields out;
    unsigned seen = 0;
    for (int i = 0; i < 4; ++i) {
      const std::size_t which = key();
      seen |= 1U << which;
      switch (which) {
        case 0: out.id = integer(); break;
        case 1: out.name = text(); break;
        case 2: out.score = real(); break;
        default: tags(out);
      }
    }
    expect(seen == 0xFU, "a field is missing");
    return out;
  }

 private:
  std::size_t key() {
    char atom[MAXATOMLEN_UTF8];
    std::string_view name;
    if (keys_ == key_form::text) {
      name = text();
    } else {
      expect(ei_decode_atom_as(bytes_, &at_, atom, sizeof atom, ERLANG_UTF8, nullptr, nullptr) == 0,
             "an atom is missing");
      name = atom;
    }
    for (std::size_t which = 0; which < field_names.size(); ++which)
      if (name == field_names[which]) return which;
    fail("no field has this name");
  }
  void tags(fields& out) {
    int size = 0;
    expect(ei_decode_list_header(bytes_, &at_, &size) == 0 && size == 2, "a list of two is missing");
    for (std::string_view& tag : out.tags) tag = text();
    end_of_list();
  }
  void end_of_list() {
    int size = 0;
    expect(ei_decode_list_header(bytes_, &at_, &size) == 0 && size == 0, "a list is improper");
  }

  const char* bytes_;
  key_form keys_;
  int at_ = 0;
};

class ei_writer {
 public:
  explicit ei_writer(key_form keys) noexcept : keys_(keys) {}

  void begin(std::size_t size) {
    expect(ei_encode_version(out_.room(1), &out_.size()) == 0, "no version");
    list(size);
  }
  void integer(std::int64_t value) {
    expect(ei_encode_longlong(out_.room(11), &out_.size(), value) == 0, "no integer");
  }
  void real(double value) { expect(ei_encode_double(out_.room(9), &out_.size(), value) == 0, "no float"); }
  void text(std::string_view value) {
    expect(ei_encode_binary(out_.room(5 + value.size()), &out_.size(), value.data(),
                            static_cast<long>(value.size())) == 0,
           "no binary");
  }
  void record(const fields& value) {
    expect(ei_encode_map_header(out_.room(5), &out_.size(), 4) == 0, "no map");
    key(0);
    integer(value.id);
    key(1);
    text(value.name);
    key(2);
    real(value.score);
    key(3);
    list(2);
    for (const std::string_view tag : value.tags) text(tag);
    end_of_list();
  }
  term_bytes end() {
    end_of_list();
    return std::move(out_);
  }

 private:
  void list(std::size_t size) {
    expect(ei_encode_list_header(out_.room(5), &out_.size(), static_cast<int>(size)) == 0, "no list");
  }
  void end_of_list() { expect(ei_encode_empty_list(out_.room(1), &out_.size()) == 0, "no list"); }
  void key(std::size_t which) {
    const std::string_view name = field_names[which];
    if (keys_ == key_form::text) return text(name);
    expect(ei_encode_atom_len_as(out_.room(3 + name.size()), &out_.size(), name.data(),
                                 static_cast<int>(name.size()), ERLANG_UTF8, ERLANG_UTF8) == 0,
           "no atom");
  }

  key_form keys_;
  term_bytes out_;
};

}  // namespace hand

class etf_world {
 public:
  static constexpr std::string_view name = "etf";
  template <shape S>
  using value = erlpy::byte_buffer;

  template <shape S>
  [[nodiscard]] auto source(const value<S>& from) {
    return erlpy::etf::source(from);
  }
  template <shape S, class Source>
  [[nodiscard]] value<S> build(Source&& from) {
    erlpy::etf::sink to;
    static_cast<void>(erlpy::transcode(std::forward<Source>(from), to));
    return to.take();
  }

  template <shape S>
  [[nodiscard]] auto reader(const value<S>& from, hand::key_form keys) {
    return hand::ei_reader(erlpy::as_text(from).data(), keys);
  }
  template <shape S>
  [[nodiscard]] auto writer(hand::key_form keys) {
    return hand::ei_writer(keys);
  }
  // A copy of a term that was looked through: nobody takes it apart for that.
  template <shape S>
  [[nodiscard]] static value<S> copy(const value<S>& from) {
    int at = 0;
    int version = 0;
    const char* const bytes = erlpy::as_text(from).data();
    hand::expect(ei_decode_version(bytes, &at, &version) == 0 && ei_skip_term(bytes, &at) == 0 &&
                     static_cast<std::size_t>(at) == from.size(),
                 "not a term");
    return from;
  }

  [[nodiscard]] static bool same(const erlpy::byte_buffer& a, const erlpy::byte_buffer& b) { return a == b; }
  [[nodiscard]] static bool same(const erlpy::byte_buffer& a, const term_bytes& b) {
    return erlpy::as_text(a) == b.view();
  }
};

}  // namespace conversion

#endif
