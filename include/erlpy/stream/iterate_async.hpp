// Async iterables as coroutines: one asyncio task steps the iterator from its first value to its close, for
// libraries that keep cancel scopes open across yields refuse anything else.
//
// The coroutine gives the task its orders, and suspends pending until the outcome is there. A worker resumes
// it from its loop; a program that has the loop to itself waits with the range adaptor, which runs the loop.
// The same commands as for iterate(). All of it runs attached, on the thread of the loop.
#ifndef ERLPY_STREAM_ITERATE_ASYNC_HPP
#define ERLPY_STREAM_ITERATE_ASYNC_HPP

#include <memory>
#include <utility>

#include <erlpy/python/call.hpp>
#include <erlpy/python/event_loop.hpp>
#include <erlpy/python/exception.hpp>
#include <erlpy/stream/iterate.hpp>

namespace erlpy::stream {

// Whether `async for` would take it.
[[nodiscard]] inline bool is_async_iterable(PyObject* object) noexcept {
  const PyAsyncMethods* const methods = Py_TYPE(object)->tp_as_async;
  return methods != nullptr && methods->am_aiter != nullptr;
}

// What its __aiter__ gives. Errors: what that raises; TypeError if that is no async iterator.
[[nodiscard]] inline python::ref async_iterator(PyObject* object) {
  python::ref result = python::checked(Py_TYPE(object)->tp_as_async->am_aiter(object));
  const PyAsyncMethods* const methods = Py_TYPE(result.get())->tp_as_async;
  if (methods == nullptr || methods->am_anext == nullptr) {
    PyErr_Format(PyExc_TypeError, "'%.200s' object is not an async iterator", Py_TYPE(result.get())->tp_name);
    throw python::exception::fetch();
  }
  return result;
}

// As check() of iterate.hpp, for an async iterator. `fresh`: it was not stepped yet.
inline void check_async(PyObject* iterator, const command& order, bool fresh) {
  if (order.what != step::send && order.what != step::raise) return;
  const bool send = order.what == step::send;
  if (!detail::attribute(iterator, send ? "asend" : "athrow")) {
    PyErr_Format(PyExc_TypeError, "'%.200s' object has no %s(): it is no async generator",
                 Py_TYPE(iterator)->tp_name, send ? "asend" : "athrow");
    throw python::exception::fetch();
  }
  if (send && fresh && order.value && order.value.get() != Py_None) {
    PyErr_SetString(PyExc_TypeError, "can't send non-None value to a just-started async generator");
    throw python::exception::fetch();
  }
}

namespace detail {

// The object `Drive` of python/detail/loop_source.hpp, and the wait for it.
class drive final : public waiter {
 public:
  explicit drive(python::ref object) noexcept : object_(std::move(object)) {}
  drive(drive&&) noexcept = default;
  drive& operator=(drive&&) = delete;
  // Let go of half way: its task closes the iterator, at once where the loop is ours to run.
  ~drive() {
    if (ended_ || !object_) return;
    const python::ref before = python::ref::steal(python::compat::take_raised_exception());
    const python::ref done = python::ref::steal(PyObject_CallMethod(object_.get(), "end", nullptr));
    if (!done) PyErr_WriteUnraisable(object_.get());
    if (before) python::compat::set_raised_exception(before.get());
  }

  void give(const command& order) {
    const python::ref number = python::checked(PyLong_FromLong(static_cast<long>(order.what)));
    const python::ref name = python::checked(PyUnicode_InternFromString("order"));
    const python::ref done = python::checked(PyObject_CallMethodObjArgs(
        object_.get(), name.get(), number.get(), order.value ? order.value.get() : Py_None, nullptr));
  }

  [[nodiscard]] bool ready() const { return kind().get() != Py_None; }

  // After ready(), once: true with what was yielded, false at the end. Errors: what the iterator raised.
  [[nodiscard]] bool take(python::ref& result) {
    enum outcome : long { yielded, ended, raised };
    const long told = PyLong_AsLong(kind().get());
    result = attribute(object_.get(), "result");
    // It would keep a value alive as long as the stream rests, and an exception for ever: its traceback
    // holds the frame of the task.
    python::checked_status(PyObject_SetAttrString(object_.get(), "result", Py_None));
    ended_ = told != yielded;
    if (told != raised) return told == yielded;
    python::compat::set_raised_exception(result.get());
    throw python::exception::fetch();
  }

  void wait() override {
    const python::ref done = python::checked(PyObject_CallMethod(object_.get(), "wait", nullptr));
  }

  [[nodiscard]] python::ref iterator() const { return attribute(object_.get(), "iterator"); }

 private:
  [[nodiscard]] python::ref kind() const { return attribute(object_.get(), "kind"); }

  python::ref object_;
  bool ended_ = false;
};

[[nodiscard]] inline iteration steps(drive task) {
  command order = co_await current_input{};
  python::ref value;
  for (bool fresh = true;; fresh = false) {
    if (order.what == step::send || order.what == step::raise)
      check_async(task.iterator().get(), order, fresh);
    task.give(order);
    while (!task.ready()) co_await pending{task};
    if (!task.take(value)) co_return std::move(value);
    order = co_yield value;
  }
}

}  // namespace detail

// Steps the async iterator of a Drive. It has ended when the iterator is closed and its task is over.
[[nodiscard]] inline iteration iterate_async(python::ref driving) {
  return detail::steps(detail::drive(std::move(driving)));
}

// For a program that runs the loop itself: any iterable, sync or async. `loop` outlives the iteration.
[[nodiscard]] inline iteration iterate(const python::ref& object, python::event_loop& loop) {
  if (!is_async_iterable(object.get())) return iterate(object);
  return iterate_async(loop.drive_alone(async_iterator(object.get()).get()));
}

}  // namespace erlpy::stream

#endif
