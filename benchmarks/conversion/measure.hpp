// One benchmark for each direction and shape: ours and the hand-written code in turns, so that what
// disturbs the machine disturbs both. Its counters are what counts: `ours` and `hand`, nanoseconds of
// processor time for an element (medians), and `ratio`, the median of the ratios of neighbours.
//
// Only the conversion is timed: its result is let go of after the clock has stopped.
#ifndef ERLPY_BENCHMARKS_CONVERSION_MEASURE_HPP
#define ERLPY_BENCHMARKS_CONVERSION_MEASURE_HPP

#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <erlpy/cpp.hpp>

#include "hand.hpp"
#include "shapes.hpp"

namespace conversion {

// Of this thread: what else runs on the machine does not add to it.
[[nodiscard]] inline double processor_nanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// Nanoseconds that `convert` takes; its result dies uncounted.
template <class Convert>
[[nodiscard]] double timed(Convert&& convert) {
  const double begin = processor_nanoseconds();
  const auto result = convert();
  const double end = processor_nanoseconds();
  benchmark::DoNotOptimize(&result);
  return end - begin;
}

[[nodiscard]] inline double median(std::vector<double> sample) {
  const auto middle = sample.begin() + static_cast<std::ptrdiff_t>(sample.size() / 2);
  std::nth_element(sample.begin(), middle, sample.end());
  return *middle;
}

template <class Ours, class Hand>
void measure_in_turns(benchmark::State& state, Ours ours, Hand hand) {
  std::vector<double> of_ours, of_hand, ratios;
  bool ours_first = true;
  for (auto step : state) {
    static_cast<void>(step);
    if (ours_first) of_ours.push_back(timed(ours));
    of_hand.push_back(timed(hand));
    if (!ours_first) of_ours.push_back(timed(ours));
    ours_first = !ours_first;
    ratios.push_back(of_ours.back() / of_hand.back());
    state.SetIterationTime(of_ours.back() * 1e-9);
  }
  state.counters["ours"] = median(std::move(of_ours)) / elements;
  state.counters["hand"] = median(std::move(of_hand)) / elements;
  state.counters["ratio"] = median(std::move(ratios));
}

// Erlang has atoms where a C++ struct has the names of its fields; what comes from Python has texts.
template <class From, shape S>
inline constexpr hand::key_form keys_from =
    S == shape::structs&& From::name != "python" ? hand::key_form::atom : hand::key_form::text;

template <class From, class To, shape S>
void add(From& from, To& to) {
  const auto run = [&from, &to](benchmark::State& state) {
    const auto made = make_values<S>();
    const auto value = from.template build<S>(erlpy::cpp::source(made));
    const auto ours = [&] { return to.template build<S>(from.template source<S>(value)); };
    const auto by_hand = [&] {
      if constexpr (From::name == To::name && requires { from.template copy<S>(value); }) {
        return from.template copy<S>(value);
      } else {
        constexpr hand::key_form keys = keys_from<From, S>;
        return hand::convert<S>(from.template reader<S>(value, keys), to.template writer<S>(keys));
      }
    };
    if (!to.same(ours(), by_hand())) throw std::runtime_error("ours and the hand-written are not the same");
    measure_in_turns(state, ours, by_hand);
  };
  std::string name(From::name);
  name.append("/").append(To::name).append("/").append(shape_names[static_cast<std::size_t>(S)]);
  benchmark::RegisterBenchmark(name.c_str(), run)->UseManualTime()->Unit(benchmark::kMicrosecond);
}

template <class From, class To>
void add_direction(From& from, To& to) {
  add<From, To, shape::integers>(from, to);
  add<From, To, shape::floats>(from, to);
  add<From, To, shape::texts>(from, to);
  add<From, To, shape::records>(from, to);
  add<From, To, shape::structs>(from, to);
}

}  // namespace conversion

#endif
