// The statistics of a pool as the map that py_pool:stats/1 gives.
#ifndef ERLPY_NIF_STATS_HPP
#define ERLPY_NIF_STATS_HPP

#include <erl_nif.h>

#include <array>
#include <cstdint>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <erlpy/nif/atoms.hpp>
#include <erlpy/pool/options.hpp>

namespace erlpy::nif {

class stats_writer {
 public:
  explicit stats_writer(ErlNifEnv* env) noexcept : env_(env) {}

  [[nodiscard]] ERL_NIF_TERM write(const pool::pool_stats& stats) const {
    pool::worker_stats sum;
    std::vector<ERL_NIF_TERM> workers;
    workers.reserve(stats.workers.size());
    for (const pool::worker_stats& each : stats.workers) {
      sum.queued += each.queued;
      sum.calls += each.calls;
      sum.errors += each.errors;
      sum.restarts += each.restarts;
      sum.objects += each.objects;
      sum.streams += each.streams;
      sum.busy_us += each.busy_us;
      workers.push_back(map(std::array{
          entry("index", enif_make_uint64(env_, workers.size() + 1)), entry("state", state(each.state)),
          count("queued", each.queued), count("calls", each.calls), count("errors", each.errors),
          count("restarts", each.restarts), count("objects", each.objects), count("streams", each.streams),
          count("busy_us", each.busy_us)}));
    }
    return map(std::array{
        entry("workers",
              enif_make_list_from_array(env_, workers.data(), static_cast<unsigned>(workers.size()))),
        count("queued", stats.queued + sum.queued), count("calls", sum.calls), count("errors", sum.errors),
        count("timeouts", stats.timeouts), count("overloads", stats.overloads),
        count("restarts", sum.restarts), count("abandoned", stats.abandoned), count("objects", sum.objects),
        count("streams", sum.streams), count("busy_us", sum.busy_us),
        flag("gil_stalled", stats.gil_stalled), flag("parallel", stats.parallel),
        count("leaked_interpreters", stats.leaked_interpreters)});
  }

 private:
  using pair = std::pair<ERL_NIF_TERM, ERL_NIF_TERM>;

  [[nodiscard]] pair entry(std::string_view key, ERL_NIF_TERM value) const noexcept {
    return {make_ascii_atom(env_, key), value};
  }
  [[nodiscard]] pair count(std::string_view key, std::uint64_t value) const noexcept {
    return entry(key, enif_make_uint64(env_, value));
  }
  [[nodiscard]] pair flag(std::string_view key, bool value) const noexcept {
    return entry(key, make_ascii_atom(env_, value ? "true" : "false"));
  }
  [[nodiscard]] ERL_NIF_TERM state(pool::worker_state value) const noexcept {
    static constexpr std::array<std::string_view, 5> texts = {"down", "starting", "idle", "busy", "stuck"};
    return make_ascii_atom(env_, texts[static_cast<std::size_t>(value)]);
  }

  template <std::size_t N>
  [[nodiscard]] ERL_NIF_TERM map(const std::array<pair, N>& entries) const noexcept {
    std::array<ERL_NIF_TERM, N> keys{};
    std::array<ERL_NIF_TERM, N> values{};
    for (std::size_t i = 0; i < N; ++i) std::tie(keys[i], values[i]) = entries[i];
    ERL_NIF_TERM result{};
    (void)enif_make_map_from_arrays(env_, keys.data(), values.data(), N, &result);  // the keys differ
    return result;
  }

  ErlNifEnv* env_;
};

}  // namespace erlpy::nif

#endif
