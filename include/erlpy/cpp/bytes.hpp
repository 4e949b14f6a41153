// Bytes: byte_buffer, std::array<std::byte, N> and std::span<const std::byte> by value; cpp::buffer and
// shared_bytes_ptr by reference count.
//
// To Python the first three are `bytes`, a copy; the others are a read-only memoryview on the very bytes. To
// Erlang all are binaries.
#ifndef ERLPY_CPP_BYTES_HPP
#define ERLPY_CPP_BYTES_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <erlpy/cpp/caster.hpp>
#include <erlpy/cpp/refusing.hpp>

namespace erlpy::cpp {

namespace detail {

// Bytes of our own, written once before they are shared.
class owned_bytes final : public shared_bytes {
 public:
  explicit owned_bytes(std::size_t size)
      : bytes_(std::make_unique_for_overwrite<std::byte[]>(size)), size_(size) {}
  [[nodiscard]] std::span<std::byte> room() noexcept { return {bytes_.get(), size_}; }
  [[nodiscard]] bytes_view view() const noexcept override { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t size_;
};

[[noreturn]] inline void wrong_size(std::size_t expected, std::size_t got) {
  throw mismatch(fault::value, "expected " + std::to_string(expected) + " bytes, got " + std::to_string(got));
}

}  // namespace detail

// Immutable bytes with an owner, shared by its copies. As a result it takes over what can be lent (a Python
// `bytes` of 64 KiB or more) without a copy, and copies the rest once. Any thread; a default one is empty.
class buffer {
 public:
  buffer() = default;
  // A copy of `bytes`.
  explicit buffer(bytes_view bytes) {
    auto made = std::make_shared<detail::owned_bytes>(bytes.size());
    std::ranges::copy(bytes, made->room().begin());
    *this = buffer(std::move(made));
  }
  explicit buffer(shared_bytes_ptr owner) noexcept
      : owner_(std::move(owner)), view_(owner_ ? owner_->view() : bytes_view()) {}

  // Valid as long as this, or a copy of it, is.
  [[nodiscard]] bytes_view view() const noexcept { return view_; }
  [[nodiscard]] const std::byte* data() const noexcept { return view_.data(); }
  [[nodiscard]] std::size_t size() const noexcept { return view_.size(); }
  [[nodiscard]] bool empty() const noexcept { return view_.empty(); }
  [[nodiscard]] const std::byte* begin() const noexcept { return view_.data(); }
  [[nodiscard]] const std::byte* end() const noexcept { return view_.data() + view_.size(); }
  operator bytes_view() const noexcept { return view_; }

  // Null for an empty one that was made of nothing.
  [[nodiscard]] const shared_bytes_ptr& owner() const noexcept { return owner_; }

  // By content.
  friend bool operator==(const buffer& a, const buffer& b) noexcept {
    return std::ranges::equal(a.view_, b.view_);
  }

 private:
  shared_bytes_ptr owner_;
  bytes_view view_;
};

namespace detail {

// Self turns bytes, or bytes with an owner, into its value.
template <class Self, class Value>
struct bytes_sink : refusing<Self, Value> {
  static constexpr kinds exact = kind::bytes;
  static constexpr kinds also{};
  [[nodiscard]] static std::string expected() { return "bytes"; }

  Value bytes(bytes_view data) const { return Self::copied(data); }
  Value binary(bytes_view data) const { return Self::copied(data); }
  Value shared(const shared_bytes_ptr& data) const { return Self::copied(data->view()); }
};

}  // namespace detail

template <>
struct caster<byte_buffer> {
  template <class To>
  static typename To::value_type walk(const byte_buffer& bytes, To& to, walking&) {
    return to.bytes(bytes);
  }

  struct sink : detail::bytes_sink<sink, byte_buffer> {
    static byte_buffer copied(bytes_view data) { return byte_buffer(data.begin(), data.end()); }
    template <class Fill>
    byte_buffer bytes_from(std::size_t size, Fill&& fill) const {
      byte_buffer made(size);
      std::forward<Fill>(fill)(std::span<std::byte>(made));
      return made;
    }
  };
};

template <std::size_t N>
struct caster<std::array<std::byte, N>> {
  using array = std::array<std::byte, N>;

  template <class To>
  static typename To::value_type walk(const array& bytes, To& to, walking&) {
    return to.bytes(bytes);
  }

  struct sink : detail::bytes_sink<sink, array> {
    static array copied(bytes_view data) {
      if (data.size() != N) detail::wrong_size(N, data.size());
      array made;
      std::ranges::copy(data, made.begin());
      return made;
    }
    template <class Fill>
    array bytes_from(std::size_t size, Fill&& fill) const {
      if (size != N) detail::wrong_size(N, size);
      array made;
      std::forward<Fill>(fill)(std::span<std::byte>(made));
      return made;
    }
  };
};

template <>
struct caster<buffer> {
  template <class To>
  static typename To::value_type walk(const buffer& bytes, To& to, walking&) {
    return bytes.owner() ? to.shared(bytes.owner()) : to.bytes(bytes.view());
  }

  struct sink : detail::bytes_sink<sink, buffer> {
    static buffer copied(bytes_view data) { return buffer(data); }
    buffer shared(const shared_bytes_ptr& data) const { return buffer(data); }
    template <class Fill>
    buffer bytes_from(std::size_t size, Fill&& fill) const {
      auto made = std::make_shared<detail::owned_bytes>(size);
      std::forward<Fill>(fill)(made->room());
      return buffer(std::move(made));
    }
  };
};

// Null is none.
template <>
struct caster<shared_bytes_ptr> {
  template <class To>
  static typename To::value_type walk(const shared_bytes_ptr& bytes, To& to, walking&) {
    return bytes ? to.shared(bytes) : to.none();
  }

  struct sink : detail::bytes_sink<sink, shared_bytes_ptr> {
    static constexpr kinds exact = kind::bytes | kind::none;
    [[nodiscard]] static std::string expected() { return "bytes or None"; }
    static shared_bytes_ptr copied(bytes_view data) { return buffer(data).owner(); }
    shared_bytes_ptr none() const noexcept { return nullptr; }
    shared_bytes_ptr shared(const shared_bytes_ptr& data) const noexcept { return data; }
    template <class Fill>
    shared_bytes_ptr bytes_from(std::size_t size, Fill&& fill) const {
      return cpp::sink<buffer>().bytes_from(size, std::forward<Fill>(fill)).owner();
    }
  };
};

// Not copied on the way into a Python of this process, which sees the bytes themselves: they must stay, and
// not change, until Python has let go of them. As a result it is a cpp::buffer.
template <>
struct caster<bytes_view> {
  template <class To>
  static typename To::value_type walk(bytes_view bytes, To& to, walking&) {
    return to.bytes(bytes);
  }

  using sink = caster<buffer>::sink;
};

template <>
struct caster<std::span<std::byte>> {
  template <class To>
  static typename To::value_type walk(std::span<std::byte> bytes, To& to, walking& on) {
    return caster<bytes_view>::walk(bytes, to, on);
  }
};

}  // namespace erlpy::cpp

#endif
