// What a worker does to its interpreter before it serves.
#ifndef ERLPY_POOL_PREPARATION_HPP
#define ERLPY_POOL_PREPARATION_HPP

#include <algorithm>
#include <cstddef>
#include <string>

#include <erlpy/pool/options.hpp>
#include <erlpy/python/call.hpp>
#include <erlpy/python/code.hpp>
#include <erlpy/python/interpreter.hpp>

namespace erlpy::pool {

// The stack of a worker's thread, in bytes.
[[nodiscard]] inline std::size_t worker_stack(const options& settings) noexcept {
  return std::max(settings.stack_size, python::compat::least_stack);
}

// Attached. Bounds recursion by the stack of a worker, and puts the pool's directories in front of sys.path,
// which belongs to the interpreter: what one pool adds, others of the same interpreter see too.
inline void prepare_interpreter(const python::interpreter& home, const options& settings) {
  // What a call of Python takes of the C stack at most, and half as much again: 3.4 KB were measured for
  // each level that the recursion limit counts (list.sort() with a key function that sorts again).
  constexpr std::size_t stack_per_call = 5 * 1024;
  const python::ref cap = python::checked(PyLong_FromSize_t(worker_stack(settings) / stack_per_call));
  const python::ref limited = python::call(home.helpers().limit_recursion.get(), cap.get());
  if (settings.python_path.empty()) return;
  const python::ref entries = python::checked(PyList_New(0));
  for (const std::string& entry : settings.python_path)
    python::checked_status(PyList_Append(entries.get(), python::make_str(entry).get()));
  const python::ref extended = python::call(home.helpers().extend_path.get(), entries.get());
}

}  // namespace erlpy::pool

#endif
