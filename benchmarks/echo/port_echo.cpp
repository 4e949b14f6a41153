// The least that a port program can do: reads packets of {packet, 4} on descriptor 3, and writes them to 4.
#include <unistd.h>

#include <array>
#include <cstddef>
#include <vector>

namespace {

bool read_all(std::byte* to, std::size_t count) {
  while (count > 0) {
    const ssize_t came = ::read(3, to, count);
    if (came <= 0) return false;
    to += came;
    count -= static_cast<std::size_t>(came);
  }
  return true;
}

bool write_all(const std::byte* from, std::size_t count) {
  while (count > 0) {
    const ssize_t gone = ::write(4, from, count);
    if (gone <= 0) return false;
    from += gone;
    count -= static_cast<std::size_t>(gone);
  }
  return true;
}

}  // namespace

int main() {
  constexpr std::size_t head = 4;
  std::vector<std::byte> packet(head);
  while (read_all(packet.data(), head)) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < head; ++i) length = length << 8U | std::to_integer<std::size_t>(packet[i]);
    packet.resize(head + length);
    if (!read_all(packet.data() + head, length) || !write_all(packet.data(), packet.size())) return 1;
  }
}
