// What the tests of the External Term Format share: bytes from hexadecimal text, a sink that spells out
// what a world other than Erlang is told, and a thread with the stack that the library's workers have.
#ifndef ERLPY_TESTS_ETF_SUPPORT_HPP
#define ERLPY_TESTS_ETF_SUPPORT_HPP

#include <pthread.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <erlpy/etf.hpp>

namespace etf_test {

// Hexadecimal digits; blanks are skipped, and text in "..." stands for its characters.
inline erlpy::byte_buffer bytes_of(std::string_view spelled) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : (c | 32) - 'a' + 10; };
  erlpy::byte_buffer out;
  for (std::size_t i = 0; i < spelled.size(); ++i) {
    if (spelled[i] == ' ') continue;
    if (spelled[i] == '"') {
      while (spelled[++i] != '"') out.push_back(static_cast<std::byte>(spelled[i]));
      continue;
    }
    out.push_back(static_cast<std::byte>(digit(spelled[i]) * 16 + digit(spelled[i + 1])));
    ++i;
  }
  return out;
}

inline std::string hex(erlpy::bytes_view bytes) {
  std::ostringstream out;
  out << std::hex;
  for (const std::byte b : bytes) out << (std::to_integer<int>(b) < 16 ? "0" : "") << std::to_integer<int>(b);
  return out.str();
}

inline std::string spell(erlpy::bytes_view bytes) { return '"' + std::string(erlpy::as_text(bytes)) + '"'; }

// A world other than Erlang's, whose values are descriptions of themselves.
class spelling_sink {
 public:
  using value_type = std::string;
  static constexpr bool erlang_terms = false;

  class sequence {
   public:
    sequence(spelling_sink& to, std::string open, std::string close)
        : to_(to), text_(std::move(open)), close_(std::move(close)) {}
    spelling_sink& child() { return to_; }
    void push(std::string element) {
      if (!first_) text_ += ' ';
      first_ = false;
      text_ += element;
    }
    std::string finish() { return text_ + close_; }

   private:
    spelling_sink& to_;
    std::string text_;
    std::string close_;
    bool first_ = true;
  };
  class mapping {
   public:
    explicit mapping(spelling_sink& to) : inner_(to, "#{", "}") {}
    spelling_sink& key() { return inner_.child(); }
    spelling_sink& value() { return inner_.child(); }
    void push(const std::string& key, const std::string& value) { inner_.push(key + "=>" + value); }
    std::string finish() { return inner_.finish(); }

   private:
    sequence inner_;
  };

  std::string none() { return "none"; }
  std::string boolean(bool flag) { return flag ? "yes" : "no"; }
  std::string integer(std::int64_t value) { return std::to_string(value); }
  std::string big_integer(bool negative, erlpy::bytes_view magnitude) {
    return (negative ? "-big:" : "big:") + hex(magnitude);
  }
  std::string real(double value) {
    std::ostringstream out;
    out.precision(17);
    out << "float:" << value;
    return out.str();
  }
  std::string atom(std::string_view text) { return "atom:" + std::string(text); }
  std::string text(std::string_view text) { return "text:" + std::string(text); }
  std::string bytes(erlpy::bytes_view bytes) { return "bytes:" + spell(bytes); }
  std::string binary(erlpy::bytes_view bytes) { return "binary:" + spell(bytes); }
  template <class Fill>
  std::string bytes_from(std::size_t n, Fill&& fill) {
    erlpy::byte_buffer room(n);
    fill(std::span(room));
    return bytes(room);
  }
  std::string shared(const erlpy::shared_bytes_ptr& bytes) {
    last_shared = bytes;
    return "shared:" + spell(bytes->view());
  }
  template <class Fill>
  std::string ndarray(std::string_view dtype, std::span<const std::int64_t> shape, std::size_t n,
                      Fill&& fill) {
    erlpy::byte_buffer room(n);
    fill(std::span(room));
    return array(dtype, shape, room);
  }
  std::string ndarray(std::string_view dtype, std::span<const std::int64_t> shape,
                      const erlpy::shared_bytes_ptr& bytes) {
    last_shared = bytes;
    return array(dtype, shape, bytes->view());
  }
  std::string opaque(const erlpy::opaque_handle auto& handle) {
    last_opaque = handle.share();
    return "opaque:" + last_opaque->text();
  }
  std::string object(erlpy::object_ref object) {
    return (object.generator ? "generator:" : "object:") + std::to_string(object.owner) + "/" +
           std::to_string(object.id);
  }
  sequence list(std::size_t) { return {*this, "[", "]"}; }
  sequence tuple(std::size_t) { return {*this, "{", "}"}; }
  sequence set(std::size_t) { return {*this, "<", ">"}; }
  mapping map(std::size_t) { return mapping(*this); }

  erlpy::shared_bytes_ptr last_shared;
  erlpy::opaque_ptr last_opaque;

 private:
  static std::string array(std::string_view dtype, std::span<const std::int64_t> shape,
                           erlpy::bytes_view bytes) {
    std::string out = "ndarray:" + std::string(dtype) + "(";
    for (const std::int64_t extent : shape) out += std::to_string(extent) + ",";
    return out + ")" + spell(bytes);
  }
};
static_assert(erlpy::sink<spelling_sink>);

inline std::string spelled(erlpy::bytes_view payload, erlpy::walk_limits limits = {}) {
  spelling_sink to;
  return erlpy::transcode(erlpy::etf::source(payload, limits), to);
}
inline std::string spelled(std::string_view hexadecimal) {
  return spelled(erlpy::bytes_view(bytes_of(hexadecimal)));
}

inline erlpy::byte_buffer reencoded(erlpy::bytes_view payload, erlpy::walk_limits limits = {}) {
  erlpy::etf::sink to;
  (void)erlpy::transcode(erlpy::etf::source(payload, limits), to);
  return to.take();
}

// What `write(sink)` makes of an empty sink, without the version byte.
template <class Write>
erlpy::byte_buffer written(Write&& write) {
  erlpy::byte_buffer out;
  erlpy::etf::sink to(out);
  write(to);
  return out;
}

// Runs `body` on a thread with a stack of `stack` bytes, and throws here what it throws there.
inline void on_stack(std::size_t stack, const std::function<void()>& body) {
  struct shared_state {
    const std::function<void()>& body;
    std::exception_ptr failure;
  } state{body, nullptr};
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, stack);
  const auto entry = [](void* raw) -> void* {
    auto& mine = *static_cast<shared_state*>(raw);
    try {
      mine.body();
    } catch (...) {
      mine.failure = std::current_exception();
    }
    return nullptr;
  };
  pthread_t thread;
  const int status = pthread_create(&thread, &attributes, entry, &state);
  pthread_attr_destroy(&attributes);
  if (status != 0) throw std::runtime_error("no thread for the test");
  pthread_join(thread, nullptr);
  if (state.failure) std::rethrow_exception(state.failure);
}

// The stack of the library's workers, with what the sanitizers need on top.
#if defined(__SANITIZE_ADDRESS__)
#define ERLPY_TESTS_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ERLPY_TESTS_SANITIZED
#endif
#endif
#ifdef ERLPY_TESTS_SANITIZED
inline constexpr std::size_t worker_stack = std::size_t{128} << 20U;
#else
inline constexpr std::size_t worker_stack = std::size_t{64} << 20U;
#endif

// The kind of the conversion_error that `act` throws; -1 if it throws none.
template <class Act>
int fault_of(Act&& act, std::string* message = nullptr) {
  try {
    act();
  } catch (const erlpy::conversion_error& failure) {
    if (message != nullptr) *message = failure.what();
    return static_cast<int>(failure.kind());
  }
  return -1;
}
inline constexpr int value_fault = static_cast<int>(erlpy::fault::value);
inline constexpr int overflow_fault = static_cast<int>(erlpy::fault::overflow);
inline constexpr int recursion_fault = static_cast<int>(erlpy::fault::recursion);
inline constexpr int cancelled_fault = static_cast<int>(erlpy::fault::cancelled);

}  // namespace etf_test

#endif
