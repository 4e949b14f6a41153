// The seven directions to and from NIF terms, inside a BEAM: the NIF of bench_conversion.erl.
#include <erl_nif.h>

#include <exception>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cpp.hpp"
#include "etf.hpp"
#include "measure.hpp"
#include "nif.hpp"
#include "python.hpp"

namespace {

// Standard output is the VM's: what is measured goes to the file that --benchmark_out names.
class silent final : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>&) override {}
};

void run_all(conversion::nif_world& nif, std::vector<std::string>& options) {
  std::vector<char*> arguments;
  for (std::string& option : options) arguments.push_back(option.data());
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  Py_InitializeEx(0);
  conversion::cpp_world cpp;
  conversion::python_world python;
  conversion::etf_world etf;
  using conversion::add_direction;
  add_direction(nif, nif);
  add_direction(nif, cpp);
  add_direction(nif, python);
  add_direction(nif, etf);
  add_direction(cpp, nif);
  add_direction(python, nif);
  add_direction(etf, nif);
  silent nobody;
  benchmark::RunSpecifiedBenchmarks(&nobody);
}

[[nodiscard]] std::vector<std::string> read_options(ErlNifEnv* env, ERL_NIF_TERM list) {
  std::vector<std::string> options{"bench_conversion"};
  ErlNifBinary option;
  for (ERL_NIF_TERM head = 0; enif_get_list_cell(env, list, &head, &list) != 0;)
    if (enif_inspect_binary(env, head, &option) != 0)
      options.emplace_back(erlpy::as_text(erlpy::nif::view_of(option)));
  return options;
}

// run(Options :: [binary()]) -> ok | {error, string()}. On a thread of its own, as workers have.
ERL_NIF_TERM run(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  std::string failure;
  std::vector<std::string> options = read_options(env, argv[0]);
  auto& world = *static_cast<conversion::nif_world*>(enif_priv_data(env));
  std::thread([&] {
    try {
      run_all(world, options);
    } catch (const std::exception& failed) {
      failure = failed.what();
    }
  }).join();
  if (failure.empty()) return enif_make_atom(env, "ok");
  return enif_make_tuple2(env, enif_make_atom(env, "error"),
                          enif_make_string(env, failure.c_str(), ERL_NIF_LATIN1));
}

int load(ErlNifEnv* env, void** data, ERL_NIF_TERM) {
  try {
    *data = std::make_unique<conversion::nif_world>(env).release();
    return 0;
  } catch (...) {
    return 1;
  }
}

void unload(ErlNifEnv*, void* data) { delete static_cast<conversion::nif_world*>(data); }

ErlNifFunc functions[] = {{"run_nif", 1, run, ERL_NIF_DIRTY_JOB_CPU_BOUND}};

}  // namespace

ERL_NIF_INIT(bench_conversion, functions, load, nullptr, nullptr, unload)
