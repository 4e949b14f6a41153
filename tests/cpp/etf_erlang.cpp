// The External Term Format against the real Erlang: what the VM wrote comes back as the identical term,
// and term order, `=:=` and ordsets are the VM's own. Needs `escript`; where there is none it warns.
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "catch.hpp"
#include "etf_support.hpp"

using namespace etf_test;
using erlpy::byte_buffer;
using erlpy::bytes_view;

namespace {

class scratch_directory {
 public:
  scratch_directory() {
    std::string name = (std::filesystem::temp_directory_path() / "etf_test_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary directory");
    path_ = name;
  }
  scratch_directory(const scratch_directory&) = delete;
  scratch_directory& operator=(const scratch_directory&) = delete;
  ~scratch_directory() { std::filesystem::remove_all(path_); }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

int run_erlang(const std::string& what, const std::filesystem::path& directory) {
  const auto script = std::filesystem::path(__FILE__).parent_path() / "etf_terms.escript";
  return std::system(("escript '" + script.string() + "' " + what + " '" + directory.string() + "'").c_str());
}

std::vector<byte_buffer> read_records(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::vector<byte_buffer> records;
  std::array<unsigned char, 4> head{};
  while (in.read(reinterpret_cast<char*>(head.data()), 4)) {
    const std::size_t size =
        std::size_t{head[0]} << 24U | std::size_t{head[1]} << 16U | std::size_t{head[2]} << 8U | head[3];
    byte_buffer record(size);
    in.read(reinterpret_cast<char*>(record.data()), static_cast<std::streamsize>(size));
    records.push_back(std::move(record));
  }
  return records;
}

void write_records(const std::filesystem::path& file, const std::vector<byte_buffer>& records) {
  std::ofstream out(file, std::ios::binary);
  for (const byte_buffer& record : records) {
    for (const unsigned shift : {24U, 16U, 8U, 0U})
      out.put(static_cast<char>((record.size() >> shift) & 0xFFU));
    out.write(reinterpret_cast<const char*>(record.data()), static_cast<std::streamsize>(record.size()));
  }
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
