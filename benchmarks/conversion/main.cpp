// The nine directions between C++, Python and the External Term Format. No BEAM needed.
#include <cstdio>
#include <exception>

#include "cpp.hpp"
#include "etf.hpp"
#include "measure.hpp"
#include "python.hpp"

namespace {

void register_all(conversion::cpp_world& cpp, conversion::python_world& python, conversion::etf_world& etf) {
  using conversion::add_direction;
  add_direction(cpp, cpp);
  add_direction(cpp, python);
  add_direction(cpp, etf);
  add_direction(python, cpp);
  add_direction(python, python);
  add_direction(python, etf);
  add_direction(etf, cpp);
  add_direction(etf, python);
  add_direction(etf, etf);
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  Py_InitializeEx(0);
  try {
    conversion::cpp_world cpp;
    conversion::python_world python;
    conversion::etf_world etf;
    register_all(cpp, python, etf);
    benchmark::RunSpecifiedBenchmarks();
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "benchmark failed: %s\n", failed.what());
    return 1;
  }
  return 0;
}
