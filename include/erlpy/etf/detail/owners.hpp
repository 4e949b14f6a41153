// Owners of bytes that a source hands out as shared_bytes: a copy, or a part of what another owns.
#ifndef ERLPY_ETF_DETAIL_OWNERS_HPP
#define ERLPY_ETF_DETAIL_OWNERS_HPP

#include <memory>
#include <utility>

#include <erlpy/data_model.hpp>

namespace erlpy::etf::detail {

class owned_bytes final : public shared_bytes {
 public:
  explicit owned_bytes(byte_buffer bytes) noexcept : bytes_(std::move(bytes)) {}
  [[nodiscard]] bytes_view view() const noexcept override { return bytes_; }

 private:
  byte_buffer bytes_;
};

class part_of_bytes final : public shared_bytes {
 public:
  part_of_bytes(shared_bytes_ptr owner, bytes_view part) noexcept : owner_(std::move(owner)), part_(part) {}
  [[nodiscard]] bytes_view view() const noexcept override { return part_; }

 private:
  shared_bytes_ptr owner_;
  bytes_view part_;
};

// `bytes` for as long as the result lives: as a part of `owner` if there is one, else as a copy.
[[nodiscard]] inline shared_bytes_ptr share_bytes(const shared_bytes_ptr& owner, bytes_view bytes) {
  if (owner != nullptr) return std::make_shared<const part_of_bytes>(owner, bytes);
  return std::make_shared<const owned_bytes>(byte_buffer(bytes.begin(), bytes.end()));
}

}  // namespace erlpy::etf::detail

#endif
