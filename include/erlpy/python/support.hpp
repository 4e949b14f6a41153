// The few parts that are clearer in Python than in C: compiling expressions with parameters, and
// collecting statistics; what concerns asyncio is in detail/loop_source.hpp. None is on the path of a
// plain call.
#ifndef ERLPY_PYTHON_SUPPORT_HPP
#define ERLPY_PYTHON_SUPPORT_HPP

#include <string>

#include <erlpy/python/detail/loop_source.hpp>
#include <erlpy/python/exception.hpp>
#include <erlpy/python/ref.hpp>

namespace erlpy::python {

namespace detail {
inline constexpr const char* support_source = R"python(
import _thread
import gc
import sys

_path_lock = _thread.allocate_lock()
_expressions = {}
_expressions_limit = 1024
_expression_length = 4096  # longer ones are not kept


def expression(code, names):
    """The code object of an expression; with names, of a lambda of those parameters."""
    key = (code, names)
    found = _expressions.get(key)
    if found is None:
        found = _compile_expression(code, names)
        if len(code) > _expression_length:
            return found
        if len(_expressions) >= _expressions_limit:
            _expressions.clear()
        _expressions[key] = found
    return found


def _compile_expression(code, names):
    stripped = code.strip(' \t\r\n')
    plain = compile(stripped, '<eval>', 'eval')
    if not names:
        return plain
    import ast
    parameters = ast.arguments(
        posonlyargs=[], args=[ast.arg(arg=_identifier(name), annotation=None) for name in names],
        vararg=None, kwonlyargs=[], kw_defaults=[], kwarg=None, defaults=[])
    tree = ast.parse(stripped, '<eval>', 'eval')
    tree.body = ast.copy_location(ast.Lambda(args=parameters, body=tree.body), tree.body)
    return compile(ast.fix_missing_locations(tree), '<eval>', 'eval')


def _identifier(name):
    """The name as the compiler sees it in source text, where it is normalised."""
    import keyword
    import unicodedata
    if not name.isidentifier() or keyword.iskeyword(name) or name == '__debug__':
        raise ValueError('local name %r is not a Python identifier' % (str(name),))
    return str(name) if name.isascii() else unicodedata.normalize('NFKC', name)


def memory_stats():
    from erlang import Atom
    stats = {
        Atom('gc_stats'): [{Atom(k): v for k, v in s.items()} for s in gc.get_stats()],
        Atom('gc_count'): gc.get_count(),
        Atom('gc_threshold'): gc.get_threshold(),
    }
    tracemalloc = sys.modules.get('tracemalloc')
    if tracemalloc is not None and tracemalloc.is_tracing():
        current, peak = tracemalloc.get_traced_memory()
        stats[Atom('traced_memory_current')] = current
        stats[Atom('traced_memory_peak')] = peak
    return stats


def tracemalloc_start(frames):
    import tracemalloc
    tracemalloc.start(frames)


def tracemalloc_stop():
    import tracemalloc
    tracemalloc.stop()


def frames(error):
    """[(file, line, function)] of an exception's traceback, outermost first."""
    found = []
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        found.append((code.co_filename, step.tb_lineno or 0, code.co_name))
        step = step.tb_next
    return found


def make_exception(what, space):
    """An exception from (class name, message): of the namespace, a builtin, or 'module.Class'."""
    name, message = what
    import builtins
    found = space.get(name, getattr(builtins, name, None))
    if found is None and '.' in name:
        module, _, attribute = name.rpartition('.')
        found = getattr(import_name(module), attribute)
    if found is None:
        raise NameError('there is no exception class %r' % (str(name),))
    if not (isinstance(found, type) and issubclass(found, BaseException)):
        raise TypeError('%s is not an exception class' % (name,))
    return found(message)


def import_name(name):
    import importlib
    return importlib.import_module(name)


_recursion_cap = None


def limit_recursion(cap):
    """Until 3.11 every Python call uses the C stack: a limit that outruns it would crash the process."""
    global _recursion_cap
    if sys.version_info >= (3, 12):
        return
    if _recursion_cap is None:
        set_limit = sys.setrecursionlimit

        def setrecursionlimit(limit, /):
            set_limit(min(limit, _recursion_cap) if isinstance(limit, int) else limit)
        setrecursionlimit.__doc__ = set_limit.__doc__
        sys.setrecursionlimit = setrecursionlimit
        _recursion_cap = cap
    _recursion_cap = min(_recursion_cap, cap)


def extend_path(entries):
    """Puts what is not there yet in front of sys.path, in order."""
    with _path_lock:
        sys.path[:0] = [entry for entry in entries if entry not in sys.path]


def end_idle_threads():
    """Threads that only wait, for an executor that nobody shut down, end soon."""
    futures = sys.modules.get('concurrent.futures.thread')
    if futures is not None:
        futures._shutdown = True
        for queue in list(futures._threads_queues.values()):
            queue.put(None)
    gc.collect()


def run_exit_functions():
    """When no thread is left, before the interpreter ends."""
    import atexit
    futures = sys.modules.get('concurrent.futures.thread')
    if futures is not None:
        futures._threads_queues.clear()  # nothing to join
    atexit._run_exitfuncs()


def flush_lines():
    """Output line by line, also where it is not a terminal."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, 'reconfigure'):
            stream.reconfigure(line_buffering=True)
)python";
}  // namespace detail

struct support {
  ref expression, memory_stats, tracemalloc_start, tracemalloc_stop, frames, import_name;
  ref limit_recursion, extend_path, flush_lines, make_exception, end_idle_threads, run_exit_functions;
  ref new_loop, start_task, advance, cancel, run_once, run_until_woken, end_tasks, close_loop, drive,
      drive_alone;
};

// Attached to the interpreter; our `erlang` module is there already.
[[nodiscard]] inline support load_support() {
  const ref space = checked(PyDict_New());
  checked_status(PyDict_SetItemString(space.get(), "__builtins__", PyEval_GetBuiltins()));
  const ref name = checked(PyUnicode_FromString("erlang._support"));
  checked_status(PyDict_SetItemString(space.get(), "__name__", name.get()));
  for (const char* source : {detail::support_source, detail::loop_source}) {
    const ref code = checked(Py_CompileString(source, "<erlang support>", Py_file_input));
    const ref done = checked(PyEval_EvalCode(code.get(), space.get(), space.get()));
  }
  const auto function = [&](const char* key) {
    PyObject* found = PyDict_GetItemString(space.get(), key);
    if (found == nullptr) throw error(std::string("support function missing: ") + key);
    return ref::borrow(found);
  };
  return {function("expression"),       function("memory_stats"),     function("tracemalloc_start"),
          function("tracemalloc_stop"), function("frames"),           function("import_name"),
          function("limit_recursion"),  function("extend_path"),      function("flush_lines"),
          function("make_exception"),   function("end_idle_threads"), function("run_exit_functions"),
          function("new_loop"),         function("start_task"),       function("advance"),
          function("cancel"),           function("run_once"),         function("run_until_woken"),
          function("end_tasks"),        function("close_loop"),       function("drive"),
          function("drive_alone")};
}

}  // namespace erlpy::python

#endif
