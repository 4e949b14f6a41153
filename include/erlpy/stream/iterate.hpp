// Python iterables as coroutines: iterate(object) is a generator of what the object yields.
//
// The resumes of an iteration carry commands: the next value, a value to send in, an exception to raise in
// the Python generator, or that it close. What Python raises comes out of resume() as python::exception.
// Destroying an iteration half way closes the Python generator, so that its `finally` blocks run. All of
// it runs attached to the interpreter (GIL held), destruction too.
#ifndef ERLPY_STREAM_ITERATE_HPP
#define ERLPY_STREAM_ITERATE_HPP

#include <cstdint>
#include <utility>

#include <erlpy/python/exception.hpp>
#include <erlpy/python/ref.hpp>
#include <erlpy/stream/generator.hpp>

namespace erlpy::stream {

enum class step : std::uint8_t { next, send, raise, close };

struct command {
  step what = step::next;
  python::ref value = nullptr;  // of send: the value, None if null; of raise: the exception instance
};

// Yields new references; the result is what the Python generator returned, None if it did not say.
using iteration = generator<python::ref, python::ref, command>;

namespace detail {

[[nodiscard]] inline python::ref attribute(PyObject* object, const char* name) {
  const python::ref text = python::checked(PyUnicode_InternFromString(name));
  PyObject* found = python::compat::optional_attribute(object, text.get());
  if (found == nullptr && PyErr_Occurred() != nullptr) throw python::exception::fetch();
  return python::ref::steal(found);
}

// Whether this is a generator of which no code has run yet.
[[nodiscard]] inline bool just_started(PyObject* iterator) {
  if (PyGen_Check(iterator) == 0) return false;
  const python::ref frame = attribute(iterator, "gi_frame");
  if (!frame || frame.get() == Py_None) return false;
  const python::ref running = attribute(iterator, "gi_running");
  if (running && running.get() == Py_True) return false;
  // Python 3.11 and later say it; before, the frame has no last instruction.
  const python::ref suspended = attribute(iterator, "gi_suspended");
  if (suspended) return suspended.get() == Py_False;
  const python::ref last = attribute(frame.get(), "f_lasti");
  return last && PyLong_AsLong(last.get()) < 0;
}

// An iterator that is closed when it is let go of before its end.
class open_iterator {
 public:
  explicit open_iterator(python::ref iterator) noexcept : iterator_(std::move(iterator)) {}
  open_iterator(open_iterator&&) noexcept = default;
  open_iterator& operator=(open_iterator&&) = delete;
  ~open_iterator() {
    if (iterator_) close_quietly();
  }

  // One step of it: true with what it yielded, false with what it returned. Either that or an exception
  // is its end, and there is nothing left to close.
  [[nodiscard]] bool advance(const command& order, python::ref& result) {
    PyObject* out = nullptr;
    const python::compat::sent how =
        order.what == step::raise ? raise(order.value.get(), out) : send(order.value.get(), out);
    result = python::ref::steal(out);
    if (how == python::compat::sent::yielded) return true;
    const python::ref ended = std::move(iterator_);
    if (how == python::compat::sent::raised) throw python::exception::fetch();
    return false;
  }

  // Closes it if it can be closed; what that raises is thrown.
  void close() {
    const python::ref ended = std::move(iterator_);
    close(ended.get());
  }

  [[nodiscard]] PyObject* get() const noexcept { return iterator_.get(); }

 private:
  [[nodiscard]] python::compat::sent send(PyObject* value, PyObject*& out) const noexcept {
    return python::compat::iter_send(iterator_.get(), value == nullptr ? Py_None : value, out);
  }

  [[nodiscard]] python::compat::sent raise(PyObject* exception, PyObject*& out) const {
    const python::ref method = attribute(iterator_.get(), "throw");
    out = PyObject_CallFunctionObjArgs(method.get(), exception, nullptr);
    if (out != nullptr) return python::compat::sent::yielded;
    out = python::compat::stop_value();
    return out != nullptr ? python::compat::sent::returned : python::compat::sent::raised;
  }

  static void close(PyObject* iterator) {
    const python::ref method = attribute(iterator, "close");
    if (method) const python::ref ignored = python::checked(PyObject_CallObject(method.get(), nullptr));
  }

  // Nobody is there to be told: what it raises goes to sys.unraisablehook. An exception that is pending
  // stays so.
  void close_quietly() noexcept {
    const python::ref before = python::ref::steal(python::compat::take_raised_exception());
    try {
      close(iterator_.get());
    } catch (const python::exception& raised) {
      raised.restore();
      PyErr_WriteUnraisable(iterator_.get());
    }
    if (before) python::compat::set_raised_exception(before.get());
  }

  python::ref iterator_;
};

}  // namespace detail

// Whether an iterator can follow a command. If not, a TypeError is thrown, and nothing has happened to the
// iterator: not every one can be sent values or raised into, and a generator of which nothing has run yet
// cannot take a value. An iteration checks this too, but what it throws is its end.
inline void check(PyObject* iterator, const command& order) {
  if (order.what != step::send && order.what != step::raise) return;
  const char* const method = order.what == step::send ? "send" : "throw";
  if (order.what == step::raise && (!order.value || PyExceptionInstance_Check(order.value.get()) == 0)) {
    PyErr_SetString(PyExc_TypeError, "exceptions must be instances of BaseException");
    throw python::exception::fetch();
  }
  if (!detail::attribute(iterator, method)) {
    PyErr_Format(PyExc_TypeError, "'%.200s' object has no %s(): it is no generator",
                 Py_TYPE(iterator)->tp_name, method);
    throw python::exception::fetch();
  }
  if (order.what == step::send && order.value && order.value.get() != Py_None &&
      detail::just_started(iterator)) {
    PyErr_SetString(PyExc_TypeError, "can't send non-None value to a just-started generator");
    throw python::exception::fetch();
  }
}

// Throws ValueError for an iterator that gives itself as its next value: it would never come to an end. A
// generator may have been sent itself.
inline void check_value(PyObject* iterator, PyObject* value) {
  if (value != iterator || PyGen_Check(value) != 0 || PyAsyncGen_CheckExact(value) != 0) return;
  PyErr_Format(PyExc_ValueError, "'%.200s' object returns itself as its next value, without end",
               Py_TYPE(iterator)->tp_name);
  throw python::exception::fetch();
}

namespace detail {

[[nodiscard]] inline iteration steps(open_iterator iterator) {
  command order = co_await current_input{};
  python::ref value;
  for (;;) {
    if (order.what == step::close) {
      iterator.close();
      co_return python::ref::borrow(Py_None);
    }
    check(iterator.get(), order);
    if (!iterator.advance(order, value)) co_return std::move(value);
    order = co_yield value;
  }
}

}  // namespace detail

// Steps an iterator. After step::close it ends with None. Errors: TypeError at once if it is none.
[[nodiscard]] inline iteration iterate_sync(python::ref iterator) {
  if (!iterator || PyIter_Check(iterator.get()) == 0) {
    PyErr_Format(PyExc_TypeError, "'%.200s' object is not an iterator",
                 iterator ? Py_TYPE(iterator.get())->tp_name : "NULL");
    throw python::exception::fetch();
  }
  return detail::steps(detail::open_iterator(std::move(iterator)));
}

// Steps any iterable. Errors: what iter(object) raises, at once.
[[nodiscard]] inline iteration iterate(const python::ref& object) {
  return iterate_sync(python::checked(PyObject_GetIter(object.get())));
}

}  // namespace erlpy::stream

#endif
