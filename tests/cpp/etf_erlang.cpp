// The External Term Format against the real Erlang: what the VM wrote comes back as the identical term,
// and term order, `=:=` and ordsets are the VM's own. Needs `escript`; where there is none it warns.
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "catch.hpp"
#include "etf_files.hpp"
#include "etf_support.hpp"

using namespace etf_test;
using erlpy::byte_buffer;
using erlpy::bytes_view;

namespace {

int run_erlang(const std::string& what, const std::filesystem::path& directory) {
  const auto script = std::filesystem::path(__FILE__).parent_path() / "etf_terms.escript";
  return std::system(("escript '" + script.string() + "' " + what + " '" + directory.string() + "'").c_str());
}

int sign(std::strong_ordering order) { return order < 0 ? 0 : order == 0 ? 1 : 2; }

std::string both(erlpy::etf::term a, erlpy::etf::term b) {
  return erlpy::etf::detail::print(a) + "   and   " + erlpy::etf::detail::print(b);
}

}  // namespace

TEST_CASE("terms, their order and ordsets are the VM's own", "[etf][erlang]") {
  if (std::system("command -v escript >/dev/null") != 0) {
    WARN("there is no escript: not compared with Erlang");
    return;
  }
  const scratch_directory directory;
  REQUIRE(run_erlang("write", directory.path()) == 0);

  std::vector<byte_buffer> again;
  const auto terms = read_records(directory.path() / "terms");
  REQUIRE(terms.size() > 4000);
  for (const byte_buffer& term : terms) {
    again.push_back(reencoded(term));
    CHECK(reencoded(again.back()) == again.back());
    CHECK_FALSE(spelled(bytes_view(term)).empty());
    const auto before = erlpy::etf::read_term(term);
    const auto after = erlpy::etf::read_term(again.back());
    CHECK(erlpy::etf::identical(before, after));
    CHECK(erlpy::etf::detail::hash_term(before) == erlpy::etf::detail::hash_term(after));
  }
  write_records(directory.path() / "again", again);

  const auto pairs = read_records(directory.path() / "pairs");
  REQUIRE(pairs.size() > 3 * 40'000);
  for (std::size_t i = 0; i + 2 < pairs.size(); i += 3) {
    const auto a = erlpy::etf::read_term(pairs[i + 1]);
    const auto b = erlpy::etf::read_term(pairs[i + 2]);
    const int order = std::to_integer<int>(pairs[i][0]);
    const bool same = pairs[i][1] == std::byte{1};
    if (sign(erlpy::etf::compare(a, b)) != order || sign(erlpy::etf::compare(b, a)) != 2 - order) {
      INFO(both(a, b));
      CHECK(sign(erlpy::etf::compare(a, b)) == order);
      CHECK(sign(erlpy::etf::compare(b, a)) == 2 - order);
    }
    if (erlpy::etf::identical(a, b) != same ||
        (same && erlpy::etf::detail::hash_term(a) != erlpy::etf::detail::hash_term(b))) {
      INFO(both(a, b));
      CHECK(erlpy::etf::identical(a, b) == same);
      CHECK_FALSE(same);
    }
  }

  std::vector<byte_buffer> made;
  for (const byte_buffer& set : read_records(directory.path() / "sets")) {
    std::vector<erlpy::etf::term> elements;
    REQUIRE(erlpy::etf::tuple_elements(erlpy::etf::read_term(set), elements));
    erlpy::etf::sink to;
    auto builder = to.set(elements.size());
    for (const auto element : elements)
      builder.push(erlpy::transcode(erlpy::etf::source(element), builder.child()));
    (void)builder.finish();
    made.push_back(to.take());
  }
  REQUIRE(made.size() == 200);
  write_records(directory.path() / "made", made);
  CHECK(run_erlang("check", directory.path()) == 0);
}
