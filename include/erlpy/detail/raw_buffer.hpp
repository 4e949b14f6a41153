// Bytes that are received into: grown without being cleared, and, where they are many, without being copied.
#ifndef ERLPY_DETAIL_RAW_BUFFER_HPP
#define ERLPY_DETAIL_RAW_BUFFER_HPP

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

namespace erlpy::detail {

class raw_buffer {
 public:
  [[nodiscard]] std::byte* data() const noexcept { return bytes_.get(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  // Keeps the bytes that are there; new ones are not initialised. Throws std::bad_alloc.
  void grow(std::size_t size) {
    void* const moved = std::realloc(bytes_.get(), size);
    if (moved == nullptr) throw std::bad_alloc();
    (void)bytes_.release();  // realloc has freed or moved it
    bytes_.reset(static_cast<std::byte*>(moved));
    size_ = size;
  }

 private:
  struct freed {
    void operator()(std::byte* bytes) const noexcept { std::free(bytes); }
  };

  std::unique_ptr<std::byte[], freed> bytes_;
  std::size_t size_ = 0;
};

}  // namespace erlpy::detail

#endif
