// Files that the tests share with an Erlang program: a directory that goes when the test does, with records
// in its files, each of them four bytes of length and the bytes.
#ifndef ERLPY_TESTS_ETF_FILES_HPP
#define ERLPY_TESTS_ETF_FILES_HPP

#include <array>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <erlpy/data_model.hpp>

namespace etf_test {

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

inline std::vector<erlpy::byte_buffer> read_records(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::vector<erlpy::byte_buffer> records;
  std::array<unsigned char, 4> head{};
  while (in.read(reinterpret_cast<char*>(head.data()), 4)) {
    const std::size_t size =
        std::size_t{head[0]} << 24U | std::size_t{head[1]} << 16U | std::size_t{head[2]} << 8U | head[3];
    erlpy::byte_buffer record(size);
    in.read(reinterpret_cast<char*>(record.data()), static_cast<std::streamsize>(size));
    records.push_back(std::move(record));
  }
  return records;
}

// The file has its name only when it is complete.
inline void write_records(const std::filesystem::path& file, const std::vector<erlpy::byte_buffer>& records) {
  const std::filesystem::path part = file.string() + ".part";
  {
    std::ofstream out(part, std::ios::binary);
    for (const erlpy::byte_buffer& record : records) {
      for (const unsigned shift : {24U, 16U, 8U, 0U})
        out.put(static_cast<char>((record.size() >> shift) & 0xFFU));
      out.write(reinterpret_cast<const char*>(record.data()), static_cast<std::streamsize>(record.size()));
    }
  }
  std::filesystem::rename(part, file);
}

}  // namespace etf_test

#endif
