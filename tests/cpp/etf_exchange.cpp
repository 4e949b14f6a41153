// The External Term Format and a VM, face to face: Erlang writes every form that term_to_binary has, and
// 100,000 random terms; what the sink makes of them, straight and through Python objects, is to Erlang the
// identical term. Needs `escript` (and PropEr, for better terms); where there is none it warns.
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "etf_files.hpp"
#include "etf_support.hpp"
#include "python_fixture.hpp"

using erlpy::byte_buffer;
using erlpy::bytes_view;
using namespace etf_test;
namespace fs = std::filesystem;

namespace {

// The VM, which says a line when its terms are written, and all else when it is done.
class erlang {
 public:
  erlang(const fs::path& directory, const std::string& what) {
    const auto script = fs::path(__FILE__).parent_path() / "etf_exchange.escript";
    const std::string command =
        "exec escript '" + script.string() + "' '" + directory.string() + "' " + what + " 2>&1";
    output_ = popen(command.c_str(), "r");
  }
  erlang(const erlang&) = delete;
  erlang& operator=(const erlang&) = delete;
  ~erlang() {
    if (output_ != nullptr) pclose(output_);
  }

  [[nodiscard]] std::string line() {
    std::array<char, 4096> text{};
    return output_ != nullptr && std::fgets(text.data(), text.size(), output_) != nullptr ? text.data() : "";
  }
  [[nodiscard]] int end() {
    const int status = pclose(std::exchange(output_, nullptr));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  FILE* output_ = nullptr;
};

// Empty if Python refuses it.
byte_buffer through_python(bytes_view term) {
  try {
    erlpy::python::sink to(test::world::get().context(), {.keep_atoms = true});
    const erlpy::python::ref object = erlpy::transcode(erlpy::etf::source(term), to);
    erlpy::etf::sink back;
    (void)erlpy::transcode(erlpy::python::source(test::world::get().context(), object.get()), back);
    return back.take();
  } catch (const erlpy::python::exception&) {
    return {};
  } catch (const erlpy::conversion_error&) {
    return {};
  }
}

bool compressed(const byte_buffer& term) { return term.size() > 1 && term[1] == std::byte{80}; }

// As Erlang has it, term by term; `least` terms must come.
void exchange(const std::string& what, std::size_t least) {
  if (std::system("command -v escript >/dev/null") != 0) {
    WARN("there is no escript: nothing exchanged with Erlang");
    return;
  }
  const scratch_directory directory;
  erlang vm(directory.path(), what);
  const std::string first = vm.line();
  CAPTURE(first);
  REQUIRE(first == "written\n");

  std::vector<byte_buffer> again;
  std::vector<byte_buffer> python;
  const auto terms = read_records(directory.path() / "terms");
  REQUIRE(terms.size() >= least);
  std::size_t wrong = 0;
  for (const byte_buffer& term : terms) {
    again.push_back(reencoded(term));
    python.push_back(through_python(term));
    const auto after = erlpy::etf::read_term(again.back());
    bool good = reencoded(again.back()) == again.back();
    if (!compressed(term)) {
      // Skipping passes exactly the term, and looks at it as the walk does.
      const auto before = erlpy::etf::read_term(term);
      good = good && before.bytes().size() == term.size() - 1 && erlpy::etf::identical(before, after) &&
             erlpy::etf::detail::hash_term(before) == erlpy::etf::detail::hash_term(after);
    }
    if (!good && ++wrong < 10) {
      CAPTURE(hex(term));
      CHECK(good);
    }
  }
  CHECK(wrong == 0);
  write_records(directory.path() / "python", python);
  write_records(directory.path() / "again", again);
  std::string said;
  for (std::string line = vm.line(); !line.empty(); line = vm.line()) said += line;
  CAPTURE(said);
  CHECK(vm.end() == 0);
}

}  // namespace

TEST_CASE("every form that term_to_binary writes, with each of its options", "[etf][erlang]") {
  exchange("forms", 1500);
}

TEST_CASE("100,000 random terms", "[etf][erlang]") {
  const auto start = std::chrono::steady_clock::now();
  exchange("random 100000", 100'000);
#ifndef ERLPY_TESTS_SANITIZED
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(60));
#else
  (void)start;
#endif
}
