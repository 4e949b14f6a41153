// Text that is an Erlang string: a list of its code points, in Erlang and Python alike.
#ifndef ERLPY_CPP_CHARLIST_HPP
#define ERLPY_CPP_CHARLIST_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <erlpy/cpp/caster.hpp>
#include <erlpy/cpp/refusing.hpp>
#include <erlpy/cpp/scalar.hpp>
#include <erlpy/cpp/text.hpp>
#include <erlpy/detail/utf8.hpp>

namespace erlpy::cpp {

// UTF-8. Takes what is text as well.
struct charlist {
  std::string text;
  friend bool operator==(const charlist&, const charlist&) = default;
  friend auto operator<=>(const charlist&, const charlist&) = default;
};

namespace detail {

class charlist_builder {
 public:
  template <class Walk>
  void element(Walk&& walk) {
    at_place(
        [&] {
          cpp::sink<std::uint32_t> to;
          const std::uint32_t point = walk(to);
          if (point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF))
            throw mismatch(fault::value, std::to_string(point) + " is no Unicode character");
          erlpy::detail::append_code_point(point, built_.text);
        },
        [&] { return index_step(next_); });
    ++next_;
  }
  charlist finish() { return std::move(built_); }

 private:
  charlist built_;
  std::size_t next_ = 0;
};

}  // namespace detail

template <>
struct caster<charlist> {
  template <class To>
  static typename To::value_type walk(const charlist& list, To& to, walking& on) {
    const std::string_view text = list.text;
    if (!erlpy::detail::is_valid_utf8(text)) detail::not_utf8(text);
    auto out = to.list(erlpy::detail::count_code_points(text));
    for (std::size_t at = 0; at < text.size();) on.element(out, erlpy::detail::next_code_point(text, at));
    return out.finish();
  }

  struct sink : refusing<sink, charlist> {
    using as_string = cpp::sink<std::string>;
    static constexpr kinds exact = kind::list;
    static constexpr kinds also = kind::text | kind::atom;
    static constexpr bool refuses_improper_lists = true;
    [[nodiscard]] static std::string expected() { return "list of characters"; }

    charlist text(std::string_view text) const { return {std::string(text)}; }
    charlist atom(std::string_view name) const { return {std::string(name)}; }
    charlist binary(bytes_view data) const {
      as_string::check(data);
      return {std::string(as_text(data))};
    }
    detail::charlist_builder list(std::size_t) const { return {}; }
  };
};

}  // namespace erlpy::cpp

#endif
