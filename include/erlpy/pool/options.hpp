// What a pool is told, and what it tells: plain aggregates.
#ifndef ERLPY_POOL_OPTIONS_HPP
#define ERLPY_POOL_OPTIONS_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace erlpy::pool {

// What a worker is: a thread in the main interpreter, a thread with an interpreter of its own, or another OS
// process.
enum class isolation : std::uint8_t { shared, subinterpreter, process };

struct options {
  std::string name = "default";
  isolation kind = isolation::shared;
  std::size_t num_workers = 4;
  std::size_t max_queue = 10'000;           // waiting jobs, a worker
  std::chrono::milliseconds grace{100};     // from an interruption to the next harder one
  std::size_t max_abandoned = 4;            // threads given up and still running, in the whole pool
  std::size_t stack_size = 64U << 20U;      // bytes of address space, of a worker's thread
  std::size_t max_depth = 10'000;           // nesting of a value that is converted
  std::string python = {};                  // the interpreter asked for; empty: whichever runs
  std::string default_python = {};          // the one to start where none was asked for
  std::vector<std::string> python_path = {};  // put in front of sys.path
  std::string preload = {};                 // statements that every worker runs as it starts
  std::uint64_t object_owner = 0;           // of the only worker's object table; 0: a new one
  std::uint64_t memory_limit = 0;           // bytes resident, of a worker process; 0: no limit
};

enum class worker_state : std::uint8_t { down, starting, idle, busy, stuck };

struct worker_stats {
  std::uint64_t index = 0;       // from 1
  worker_state state = worker_state::down;
  std::uint64_t queued = 0;      // jobs that wait for this worker and no other
  std::uint64_t calls = 0;       // jobs it has run
  std::uint64_t errors = 0;      // of these, those that ended in an exception
  std::uint64_t restarts = 0;    // how often its thread was replaced
  std::uint64_t objects = 0;     // Python objects that Erlang holds
  std::uint64_t streams = 0;     // generators that are open
  std::uint64_t busy_us = 0;     // microseconds spent in jobs
};

// What is in worker_stats too is the sum of its workers' here.
struct pool_stats {
  std::vector<worker_stats> workers;
  std::uint64_t queued = 0;      // and those that wait for any worker
  std::uint64_t calls = 0;
  std::uint64_t errors = 0;
  std::uint64_t timeouts = 0;    // jobs given up at their deadline
  std::uint64_t overloads = 0;   // jobs refused because a queue was full
  std::uint64_t restarts = 0;
  std::uint64_t abandoned = 0;   // threads given up and still running
  std::uint64_t objects = 0;
  std::uint64_t streams = 0;
  std::uint64_t busy_us = 0;
  bool gil_stalled = false;      // some C code has kept the GIL for longer than `grace`
  bool parallel = false;         // the workers run Python code at the same time
  std::uint64_t leaked_interpreters = 0;  // of this OS process: sub-interpreters that must not be ended
};

}  // namespace erlpy::pool

#endif
