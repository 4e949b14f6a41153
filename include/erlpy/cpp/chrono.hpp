// Time: a std::chrono::duration is its seconds, a std::chrono::sys_time the seconds since 1970 UTC, both as
// a float; an integer is taken as well. What is read is rounded to the type's own ticks; a float of today's
// date is exact to some 0.2 microseconds.
#ifndef ERLPY_CPP_CHRONO_HPP
#define ERLPY_CPP_CHRONO_HPP

#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <ratio>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <erlpy/cpp/caster.hpp>
#include <erlpy/cpp/refusing.hpp>
#include <erlpy/cpp/scalar.hpp>
#include <erlpy/cpp/through.hpp>

namespace erlpy::cpp {

template <class Rep, class Period>
struct caster<std::chrono::duration<Rep, Period>> {
  using duration = std::chrono::duration<Rep, Period>;

  template <class To>
  static typename To::value_type walk(duration value, To& to, walking&) {
    return to.real(std::chrono::duration<double>(value).count());
  }

  struct sink : refusing<sink, duration> {
    static constexpr kinds exact = kind::real;
    static constexpr kinds also = kind::integer;
    [[nodiscard]] static std::string expected() { return "seconds as float"; }

    duration real(double seconds) const {
      if constexpr (std::is_floating_point_v<Rep>) {
        return std::chrono::duration_cast<duration>(std::chrono::duration<double>(seconds));
      } else {
        const double ticks = std::round(seconds * (static_cast<double>(Period::den) / Period::num));
        constexpr auto most = static_cast<double>(std::numeric_limits<Rep>::max());
        constexpr auto least = static_cast<double>(std::numeric_limits<Rep>::min());
        // `most` may have been rounded up to a number that Rep does not have.
        const bool below = std::numeric_limits<Rep>::digits <= std::numeric_limits<double>::digits
                               ? ticks <= most
                               : ticks < most;
        if (!(ticks >= least && below)) does_not_fit(detail::shown(seconds));
        return duration(static_cast<Rep>(ticks));
      }
    }
    duration integer(std::int64_t seconds) const {
      if constexpr (std::is_integral_v<Rep> && Period::num == 1) {
        constexpr std::int64_t per_second = Period::den;
        if (seconds > std::numeric_limits<std::int64_t>::max() / per_second ||
            seconds < std::numeric_limits<std::int64_t>::min() / per_second ||
            !std::in_range<Rep>(seconds * per_second))
          does_not_fit(std::to_string(seconds));
        return duration(static_cast<Rep>(seconds * per_second));
      } else {
        return real(static_cast<double>(seconds));
      }
    }
    duration atom(std::string_view name) const { return real(cpp::sink<double>().atom(name)); }

   private:
    [[noreturn]] static void does_not_fit(const std::string& seconds) {
      detail::does_not_fit(seconds + " seconds", "the std::chrono::duration");
    }
  };
};

namespace detail {

template <class Duration>
struct sys_time_sink
    : through<sys_time_sink<Duration>, cpp::sink<Duration>, std::chrono::sys_time<Duration>> {
  static std::chrono::sys_time<Duration> made(Duration since_epoch) {
    return std::chrono::sys_time<Duration>(since_epoch);
  }
};

}  // namespace detail

template <class Duration>
struct caster<std::chrono::time_point<std::chrono::system_clock, Duration>> {
  template <class To>
  static typename To::value_type walk(std::chrono::sys_time<Duration> value, To& to, walking& on) {
    return on.value(value.time_since_epoch(), to);
  }

  using sink = detail::sys_time_sink<Duration>;
};

}  // namespace erlpy::cpp

#endif
