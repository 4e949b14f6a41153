// What a C++ caller passes to Python: positional and keyword arguments, kept until the worker takes them.
//
// Arguments are moved or copied in, as with std::thread. Two things lend instead: std::cref(value), and a
// span of bytes, which Python sees as a memoryview on the caller's own memory. What is lent must stay until
// the call has ended; the handle of the call waits for that in its destructor.
#ifndef ERLPY_HOST_ARGUMENTS_HPP
#define ERLPY_HOST_ARGUMENTS_HPP

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <erlpy/cpp.hpp>
#include <erlpy/data_model.hpp>
#include <erlpy/etf/sink.hpp>
#include <erlpy/python/sink.hpp>

namespace erlpy {

// An argument with a name; see kwarg().
template <class T>
struct keyword_argument {
  std::string name;
  T value;
};

// A keyword argument of a call, or a variable of an expression. `name` is UTF-8.
template <class T>
[[nodiscard]] keyword_argument<T> kwarg(std::string name, T&& value) {
  return {std::move(name), std::forward<T>(value)};
}

namespace literals {

struct keyword_name {
  std::string_view name;
  template <class T>
  [[nodiscard]] keyword_argument<T> operator=(T&& value) const {
    return {std::string(name), std::forward<T>(value)};
  }
};

// "digits"_kw = 2
[[nodiscard]] inline keyword_name operator""_kw(const char* name, std::size_t length) noexcept {
  return {{name, length}};
}

}  // namespace literals

namespace host {

// Bytes of somebody else.
class lent_span final : public shared_bytes {
 public:
  explicit lent_span(bytes_view bytes) noexcept : bytes_(bytes) {}
  [[nodiscard]] bytes_view view() const noexcept override { return bytes_; }

 private:
  bytes_view bytes_;
};

// How an argument is kept, and read again.
template <class T>
struct stored {
  using type = T;
  [[nodiscard]] static const T& value(const type& kept) noexcept { return kept; }
};
// A null pointer is none.
template <>
struct stored<const char*> {
  struct type {
    explicit type(const char* given) {
      if (given != nullptr) text = given;
    }
    std::optional<std::string> text;
  };
  [[nodiscard]] static const std::optional<std::string>& value(const type& kept) noexcept {
    return kept.text;
  }
};
template <>
struct stored<char*> : stored<const char*> {};
template <>
struct stored<std::string_view> {
  using type = std::string;
  [[nodiscard]] static const std::string& value(const type& kept) noexcept { return kept; }
};
template <class T>
struct stored<std::reference_wrapper<T>> {
  using type = std::reference_wrapper<T>;
  [[nodiscard]] static const T& value(const type& kept) noexcept { return kept.get(); }
};
template <>
struct stored<bytes_view> {
  class type {
   public:
    explicit type(bytes_view bytes) : lent_(std::make_shared<lent_span>(bytes)) {}
    [[nodiscard]] const shared_bytes_ptr& lent() const noexcept { return lent_; }

   private:
    shared_bytes_ptr lent_;
  };
  [[nodiscard]] static const shared_bytes_ptr& value(const type& kept) noexcept { return kept.lent(); }
};
template <>
struct stored<std::span<std::byte>> : stored<bytes_view> {};
template <class T>
struct stored<keyword_argument<T>> {
  using inner = stored<std::decay_t<T>>;
  struct type {
    explicit type(keyword_argument<T> given)
        : name(std::move(given.name)), value(std::forward<T>(given.value)) {}
    std::string name;
    typename inner::type value;
  };
};

template <class T>
inline constexpr bool is_keyword = false;
template <class T>
inline constexpr bool is_keyword<keyword_argument<T>> = true;

template <class T>
concept argument =
    is_keyword<std::decay_t<T>> || cpp::writable<std::remove_cvref_t<decltype(stored<std::decay_t<T>>::value(
        std::declval<const typename stored<std::decay_t<T>>::type&>()))>>;

template <class T>
inline constexpr bool is_reference = false;
template <class T>
inline constexpr bool is_reference<std::reference_wrapper<T>> = true;

// Whether such an argument stays the caller's own.
template <class T>
inline constexpr bool lends = is_reference<std::decay_t<T>> ||
                              requires(const typename stored<std::decay_t<T>>::type& kept) {
  kept.lent();
};
template <class T>
requires is_keyword<std::decay_t<T>>
inline constexpr bool lends<T> = lends<typename stored<std::decay_t<T>>::inner::type>;

// The arguments of one call. Any thread, one at a time; read only.
class arguments {
 public:
  using lent_list = std::vector<std::weak_ptr<const shared_bytes>>;

  arguments() = default;
  arguments(const arguments&) = delete;
  arguments& operator=(const arguments&) = delete;
  virtual ~arguments() = default;

  [[nodiscard]] virtual python::ref positional(python::sink& to, const walk_limits& limits) const = 0;
  [[nodiscard]] virtual python::ref named(python::sink& to, const walk_limits& limits) const = 0;
  virtual void positional(etf::sink& to, const walk_limits& limits) const = 0;
  virtual void named(etf::sink& to, const walk_limits& limits) const = 0;
  // What the caller lends; empty ones for what Python never sees, as std::cref's.
  [[nodiscard]] virtual lent_list lent() const = 0;
};

template <class... Given>
class typed_arguments final : public arguments {
 public:
  template <class... As>
  explicit typed_arguments(std::in_place_t, As&&... as) : kept_(std::forward<As>(as)...) {}

  [[nodiscard]] python::ref positional(python::sink& to, const walk_limits& limits) const override {
    return give_positional(to, limits);
  }
  [[nodiscard]] python::ref named(python::sink& to, const walk_limits& limits) const override {
    return give_named(to, limits);
  }
  void positional(etf::sink& to, const walk_limits& limits) const override {
    (void)give_positional(to, limits);
  }
  void named(etf::sink& to, const walk_limits& limits) const override { (void)give_named(to, limits); }

  [[nodiscard]] lent_list lent() const override {
    lent_list all;
    for_each([&]<class As>(const typename stored<As>::type& kept) {
      if constexpr (is_keyword<As>) {
        note<typename stored<As>::inner>(kept.value, all);
      } else {
        note<stored<As>>(kept, all);
      }
    });
    return all;
  }

 private:
  static constexpr std::size_t names = (std::size_t{is_keyword<Given>} + ... + 0);

  template <class How>
  static void note(const typename How::type& kept, lent_list& all) {
    if constexpr (requires { kept.lent(); }) all.emplace_back(kept.lent());
    if constexpr (is_reference<typename How::type>) all.emplace_back();
  }

  template <class Visit>
  void for_each(Visit visit) const {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (visit.template operator()<Given>(std::get<I>(kept_)), ...);
    }
    (std::index_sequence_for<Given...>{});
  }

  template <class How, class To>
  static auto give(const typename How::type& kept, To& to, const walk_limits& limits) {
    return transcode(cpp::source(How::value(kept), limits), to);
  }

  template <class To>
  [[nodiscard]] auto give_positional(To& to, const walk_limits& limits) const {
    auto list = to.list(sizeof...(Given) - names);
    for_each([&]<class As>(const typename stored<As>::type& kept) {
      if constexpr (!is_keyword<As>)
        push_element(list, [&](auto& child) { return give<stored<As>>(kept, child, limits); });
    });
    return list.finish();
  }
  template <class To>
  [[nodiscard]] auto give_named(To& to, const walk_limits& limits) const {
    auto map = to.map(names);
    for_each([&]<class As>(const typename stored<As>::type& kept) {
      if constexpr (is_keyword<As>) {
        push_entry(
            map, [&](auto& child) { return child.text(kept.name); },
            [&](auto& child) { return give<typename stored<As>::inner>(kept.value, child, limits); });
      }
    });
    return map.finish();
  }

  std::tuple<typename stored<Given>::type...> kept_;
};

template <argument... As>
[[nodiscard]] std::unique_ptr<arguments> keep(As&&... as) {
  return std::make_unique<typed_arguments<std::decay_t<As>...>>(std::in_place, std::forward<As>(as)...);
}

}  // namespace host
}  // namespace erlpy

#endif
