// The elements of an encoded list one by one, whichever form it has: LIST, STRING, or a LIST whose tail
// is a list again.
#ifndef ERLPY_ETF_DETAIL_LIST_CURSOR_HPP
#define ERLPY_ETF_DETAIL_LIST_CURSOR_HPP

#include <array>
#include <cstddef>
#include <cstdint>

#include <erlpy/data_model.hpp>
#include <erlpy/etf/detail/reader.hpp>
#include <erlpy/etf/detail/skip.hpp>

namespace erlpy::etf::detail {

// An element of a STRING, spelled as the term it stands for.
using small_term = std::array<std::byte, 2>;

// Whether the next term, of tag LIST or STRING, is [] all the same.
[[nodiscard]] inline bool is_empty_list(reader in) {
  const bool string = static_cast<tag>(in.u8()) == tag::string;
  return (string ? in.u16() : in.u32()) == 0;
}

// Reads through `in`, which passes the list (but not the tail of an improper one) as the cursor moves.
class list_cursor {
 public:
  // The next term must be of tag LIST or STRING.
  explicit list_cursor(reader& in) : in_(in) { enter(); }

  // Whether there is an element; else the list is done, and `proper()` says how.
  [[nodiscard]] bool more() {
    while (left_ == 0 && !done_) {
      const tag t = string_ ? tag::nil : in_.peek();
      if (t == tag::list || t == tag::string) {
        enter();
      } else {
        proper_ = t == tag::nil;
        if (proper_ && !string_) in_.skip(1);
        done_ = true;
      }
    }
    return left_ != 0;
  }
  [[nodiscard]] bool proper() const noexcept { return proper_; }
  // Where the tail of an improper list is.
  [[nodiscard]] const reader& position() const noexcept { return in_; }

  // A reader at the element; `room` must live as long as it does.
  [[nodiscard]] reader element(small_term& room) const {
    if (!string_) return in_;
    room = {static_cast<std::byte>(tag::small_integer), std::byte{reader(in_).u8()}};
    return reader(room);
  }
  // Goes on behind the element; `end` is the reader from element(), behind it.
  void pass(const reader& end) {
    if (string_)
      in_.skip(1);
    else
      in_ = end;
    --left_;
  }

 private:
  void enter() {
    string_ = in_.peek() == tag::string;
    if (string_) {
      in_.skip(1);
      left_ = in_.u16();
      in_.need(static_cast<std::size_t>(left_));
    } else {
      left_ = step(in_) - 1;
    }
  }

  reader& in_;
  std::uint64_t left_ = 0;
  bool string_ = false;
  bool done_ = false;
  bool proper_ = false;
};

}  // namespace erlpy::etf::detail

#endif
