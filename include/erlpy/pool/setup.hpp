// What a worker process is told of its pool's options: the payload of `configure`.
#ifndef ERLPY_POOL_SETUP_HPP
#define ERLPY_POOL_SETUP_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include <erlpy/pool/frame.hpp>
#include <erlpy/pool/options.hpp>

namespace erlpy::pool {

inline void write_setup(outgoing_frame& to, const options& settings, std::size_t slot) {
  to.put_text(settings.name);
  to.put<std::uint64_t>(slot);
  to.put<std::uint64_t>(static_cast<std::uint64_t>(settings.grace.count()));
  to.put<std::uint64_t>(settings.stack_size);
  to.put<std::uint64_t>(settings.max_depth);
  to.put_text(settings.python.empty() ? settings.default_python : settings.python);
  to.put_text(settings.preload);
  to.put<std::uint64_t>(settings.python_path.size());
  for (const std::string& each : settings.python_path) to.put_text(each);
}

// For the process's own pool, of one worker whose queue the pool outside bounds. Errors: erlpy::error.
[[nodiscard]] inline options read_setup(const incoming_frame& frame) {
  frame_reader from(frame.bytes);
  options settings;
  settings.name = from.get_text();
  settings.name += "_" + std::to_string(from.get<std::uint64_t>());
  settings.num_workers = 1;
  settings.max_queue = std::size_t{1} << 40U;
  settings.object_owner = frame.id;
  settings.grace = std::chrono::milliseconds(from.get<std::uint64_t>());
  settings.stack_size = from.get<std::uint64_t>();
  settings.max_depth = from.get<std::uint64_t>();
  settings.python = from.get_text();
  settings.preload = from.get_text();
  for (auto left = from.get<std::uint64_t>(); left > 0; --left)
    settings.python_path.emplace_back(from.get_text());
  return settings;
}

}  // namespace erlpy::pool

#endif
