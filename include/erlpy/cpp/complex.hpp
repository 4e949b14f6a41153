// std::complex: a complex in Python; elsewhere, where there is no such number, the tuple of its real and its
// imaginary part. All of these are taken, and so is a real number.
#ifndef ERLPY_CPP_COMPLEX_HPP
#define ERLPY_CPP_COMPLEX_HPP

#include <complex>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <erlpy/cpp/caster.hpp>
#include <erlpy/cpp/refusing.hpp>
#include <erlpy/cpp/scalar.hpp>
#include <erlpy/cpp/through.hpp>
#include <erlpy/cpp/tuple.hpp>

namespace erlpy::cpp {

template <detail::real_type T>
struct caster<std::complex<T>> {
  using number = std::complex<T>;
  using parts = std::pair<T, T>;

  template <class To>
  static typename To::value_type walk(const number& value, To& to, walking& on) {
    if constexpr (requires { to.complex(0.0, 0.0); }) {
      if (tells_exactly(to))
        return to.complex(static_cast<double>(value.real()), static_cast<double>(value.imag()));
    }
    return on.value(parts(value.real(), value.imag()), to);
  }

  struct sink : refusing<sink, number> {
    static constexpr kinds exact = kind::complex;
    static constexpr kinds also = kind::tuple | kind::real | kind::integer;
    [[nodiscard]] static std::string expected() { return "complex"; }

    [[nodiscard]] static number made(parts both) { return {both.first, both.second}; }

    number complex(double real, double imaginary) const {
      return {cpp::sink<T>().real(real), cpp::sink<T>().real(imaginary)};
    }
    number real(double value) const { return cpp::sink<T>().real(value); }
    number integer(std::int64_t value) const { return cpp::sink<T>().integer(value); }
    number big_integer(bool negative, bytes_view magnitude) const {
      return cpp::sink<T>().big_integer(negative, magnitude);
    }
    number atom(std::string_view name) const { return cpp::sink<T>().atom(name); }
    auto tuple(std::size_t size) const {
      using builder = decltype(cpp::sink<parts>().tuple(size));
      return detail::through_builder<builder, sink, number>(cpp::sink<parts>().tuple(size));
    }
  };
};

}  // namespace erlpy::cpp

#endif
