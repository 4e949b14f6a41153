// The operations that Erlang asks for (call, map, eval, exec, ...), written once for every format that
// their terms may come in.
//
// A request arrives as terms of a *format*; its arguments go straight from that format into Python
// objects, the result straight back. Nothing here knows which format it is, or which thread asked.
#ifndef ERLPY_BRIDGE_HPP
#define ERLPY_BRIDGE_HPP

#include <concepts>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include <erlpy/data_model.hpp>
#include <erlpy/pool/thread_worker.hpp>
#include <erlpy/python/call.hpp>
#include <erlpy/python/fork.hpp>
#include <erlpy/python/gil.hpp>
#include <erlpy/python/sink.hpp>
#include <erlpy/python/source.hpp>
#include <erlpy/reply.hpp>

namespace erlpy {

enum class operation : std::uint8_t {
  call,
  map,
  eval,
  exec,
  object,
  version,
  memory_stats,
  gc,
  tracemalloc_start,
  tracemalloc_stop
};

// The marks of a request as bits, for formats that write them down.
struct request_flags {
  static constexpr std::uint8_t traceback = 1;
  static constexpr std::uint8_t keep_atoms = 2;
  static constexpr std::uint8_t as_stream = 4;
  static constexpr std::uint8_t exact_bytes = 8;
};

// What to do, in terms of one format. Which members count depends on `what`:
//   call  target, function, arguments (a list), keywords (a map)
//   map   target, function, arguments (a list of lists)
//   eval  code, keywords (the locals, a map)
//   exec  code
//   object  target, an object: itself
//   gc, tracemalloc_start  number
template <class Term>
struct request {
  operation what = operation::call;
  Term target{};
  Term function{};
  Term code{};
  Term arguments{};
  Term keywords{};
  std::int64_t number = 0;
  bool traceback = false;    // errors carry their frames
  bool keep_atoms = false;   // atoms cross as erlang.Atom
  bool as_stream = false;    // of call, eval and object: the answer is a stream over the result
  bool exact_bytes = false;  // where the answer is written down: so that text and bytes can be told apart
};

// A format of terms, for the time of one request.
//   is_object(term)         the term is {py_object, _} or {generator, _}
//   name(term, context)     an atom or a UTF-8 binary as a Python str, whatever the atom means elsewhere
//   text(term)              the bytes of a binary
//   source(term, limits)    a source over the term
//   begin_answer()          no term of the request is looked at any more; what was built of an answer is void
//   sink()                  where the answer is built; after begin_answer()
//   stream(object)          a handle of a stream over the object; after begin_answer()
//   may_be_atom(name)       whether an exception's name may become an atom
template <class F>
concept term_format = requires(F& format, const typename F::term& term, python::context& context,
                               walk_limits limits, std::string_view name) {
  { format.is_object(term) } -> std::same_as<bool>;
  { format.name(term, context) } -> std::same_as<python::ref>;
  { format.text(term) } -> std::convertible_to<std::string_view>;
  { format.source(term, limits) } -> source;
  format.begin_answer();
  requires sink<std::remove_cvref_t<decltype(format.sink())>>;
  {
    format.stream(std::declval<const python::ref&>())
    } -> std::same_as<typename std::remove_cvref_t<decltype(format.sink())>::value_type>;
  { format.may_be_atom(name) } -> std::same_as<bool>;
};

template <term_format Format>
class bridge {
 public:
  using term = typename Format::term;
  using value = typename std::remove_cvref_t<decltype(std::declval<Format&>().sink())>::value_type;

  // `value` is V of {ok, V} if `good`, else E of {error, E}.
  struct answer {
    bool good = false;
    value result;
  };

  bridge(pool::thread_worker& on, Format& format, const request<term>& asked, const std::atomic<bool>* stop)
      : on_(on),
        format_(format),
        asked_(asked),
        limits_{on.settings().max_depth, stop},
        into_(on.context(), {asked.keep_atoms}) {}

  // Attached, on the worker. Runs user code; what that raises is the answer.
  [[nodiscard]] answer run() {
    try {
      const answer good{true, asked_.what == operation::map ? run_map() : run_one()};
      if (python::in_forked_child()) python::end_forked_child(nullptr);
      return good;
    } catch (...) {
      format_.begin_answer();
      return {false, reason_of_current(format_, on_.context().home(), asked_.traceback, index_)};
    }
  }

  // Attached, on the worker, for a host that takes the object itself: what the operation gives, awaited, not
  // converted. Not for `map`. Errors: what user code raises, conversion_error.
  [[nodiscard]] python::ref object() {
    python::ref result = perform();
    if (answers_value() && python::is_awaitable(result.get())) result = on_.await(result);
    return result;
  }

  // How an object of this request is walked.
  [[nodiscard]] walk_limits giving_limits() const noexcept {
    walk_limits limits = limits_;
    limits.breathe = [](void*) { let_others_run(); };
    return limits;
  }

 private:
  [[nodiscard]] value run_one() {
    const python::ref result = object();
    return asked_.as_stream ? format_.stream(result) : give(result);
  }

  // Whether what came back from Python is a user's value (and so is awaited), not our own.
  [[nodiscard]] bool answers_value() const noexcept {
    return asked_.what == operation::call || asked_.what == operation::eval;
  }

  [[nodiscard]] python::ref perform() {
    const python::interpreter& home = on_.context().home();
    const python::support& helpers = home.helpers();
    switch (asked_.what) {
      case operation::call: {
        const python::ref function = resolve();
        const python::ref arguments = take_arguments();
        const python::ref keywords = take_names();
        format_.begin_answer();
        return python::call(function.get(), arguments.get(), keywords.get());
      }
      case operation::eval: {
        const python::ref code = python::make_str(format_.text(asked_.code));
        const python::ref locals = take_names();
        format_.begin_answer();
        return python::eval_code(home, on_.name_space(), code.get(), locals.get());
      }
      case operation::exec: {
        const std::string code(format_.text(asked_.code));
        format_.begin_answer();
        python::exec_code(on_.name_space(), code);
        return python::ref::borrow(Py_None);
      }
      case operation::object: {
        python::ref object = take(asked_.target);
        format_.begin_answer();
        return object;
      }
      case operation::version: format_.begin_answer(); return python::make_str(Py_GetVersion());
      case operation::memory_stats: format_.begin_answer(); return python::call(helpers.memory_stats.get());
      case operation::gc: format_.begin_answer(); return python::collect(static_cast<int>(asked_.number));
      case operation::tracemalloc_start: {
        format_.begin_answer();
        const python::ref frames = python::checked(PyLong_FromLongLong(asked_.number));
        return python::call(helpers.tracemalloc_start.get(), frames.get());
      }
      case operation::tracemalloc_stop:
        format_.begin_answer();
        return python::call(helpers.tracemalloc_stop.get());
      case operation::map: break;
    }
    throw error("no such operation");
  }

  // Many calls of one function: the answer is built call by call.
  [[nodiscard]] value run_map() {
    const python::ref function = resolve();
    const python::ref each = take_arguments();
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(each.get()); ++i) hide(PyList_GET_ITEM(each.get(), i));
    format_.begin_answer();
    const Py_ssize_t count = PyList_GET_SIZE(each.get());
    auto& to = format_.sink();
    auto list = to.list(static_cast<std::size_t>(count));
    for (Py_ssize_t i = 0; i < count; ++i) {
      index_ = i + 1;
      poll();
      python::ref result = python::call(function.get(), PyList_GET_ITEM(each.get(), i), nullptr);
      if (python::is_awaitable(result.get())) result = on_.await(result);
      push_element(list, [&](auto& child) {
        return transcode(python::source(on_.context(), result.get(), giving_limits()), child);
      });
    }
    index_.reset();
    return list.finish();
  }

  void poll() const {
    if (limits_.stop != nullptr && limits_.stop->load(std::memory_order_relaxed))
      throw conversion_error(fault::cancelled, "cancelled between two calls");
  }

  // The callable: an attribute of a module, of the worker's namespace ('__main__') or of an object.
  [[nodiscard]] python::ref resolve() {
    const python::ref name = format_.name(asked_.function, on_.context());
    if (format_.is_object(asked_.target)) {
      const python::ref object = take(asked_.target);
      return python::attribute(object.get(), name.get());
    }
    const python::ref module_name = format_.name(asked_.target, on_.context());
    if (PyUnicode_CompareWithASCIIString(module_name.get(), "__main__") == 0)
      return python::attribute(on_.name_space(), name.get());
    const python::ref module = python::import_module(on_.context().home(), module_name.get());
    return python::attribute(module.get(), name.get());
  }

  [[nodiscard]] python::ref take(const term& from) {
    python::compat::collector_pause pause;
    walk_limits limits = limits_;
    limits.breather = &pause;
    limits.breathe = [](void* paused) {
      auto& collector = *static_cast<python::compat::collector_pause*>(paused);
      collector.end();
      let_others_run();
      collector.begin();
    };
    return transcode(format_.source(from, limits), into_);
  }

  // Keyword arguments, or the variables of an expression.
  [[nodiscard]] python::ref take_names() {
    python::ref names = take(asked_.keywords);
    if (!PyDict_CheckExact(names.get()))
      throw conversion_error(fault::type, "keyword arguments and variables must be a map");
    return names;
  }

  static void hide(PyObject* arguments) {
    if (!PyList_CheckExact(arguments)) throw conversion_error(fault::type, "the arguments must be a list");
    PyObject_GC_UnTrack(arguments);
  }

  // A list that is ours alone: hidden from the garbage collector, so that no code that it calls can find
  // and change it.
  [[nodiscard]] python::ref take_arguments() {
    python::ref list = take(asked_.arguments);
    hide(list.get());
    return list;
  }

  [[nodiscard]] value give(const python::ref& result) {
    return transcode(python::source(on_.context(), result.get(), giving_limits()), format_.sink());
  }

  // As Python code does between instructions: whoever has waited for the GIL for the switch interval
  // gets it now.
  static void let_others_run() noexcept { const python::detached no_gil; }

  pool::thread_worker& on_;
  Format& format_;
  const request<term>& asked_;
  walk_limits limits_;
  python::sink into_;
  std::optional<std::int64_t> index_;  // of the call under way in a map
};

}  // namespace erlpy

#endif
