// What differs between CPython 3.8 and 3.15, and nothing else: the only header of the library with
// an `#if` on the Python version. Each function here has one meaning on every version. It lies below
// `ref`, so it speaks of new and borrowed references as the C API manual does.
#ifndef ERLPY_PYTHON_COMPAT_HPP
#define ERLPY_PYTHON_COMPAT_HPP

#ifndef PY_SSIZE_T_CLEAN
#define PY_SSIZE_T_CLEAN
#endif
#include <Python.h>

#include <string>

#if PY_VERSION_HEX < 0x03080000
#error "erlpy needs CPython 3.8 or later"
#endif

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace erlpy::python::compat {

// Whether this is a build without a GIL: threads that are attached to one interpreter run at the same time.
#ifdef Py_GIL_DISABLED
inline constexpr bool free_threaded = true;
#else
inline constexpr bool free_threaded = false;
#endif

// Attached: whether threads of this interpreter run one at a time. A build without a GIL has one all the
// same as soon as an extension is imported that does not say that it can do without, or if it was told so
// (PYTHON_GIL=1).
[[nodiscard]] inline bool gil_in_force() noexcept {
#ifdef Py_GIL_DISABLED
  PyObject* const ask = PySys_GetObject("_is_gil_enabled");
  PyObject* const answer = ask == nullptr ? nullptr : PyObject_CallNoArgs(ask);
  const bool in_force = answer == Py_True;
  if (answer == nullptr) PyErr_Clear();
  Py_XDECREF(answer);
  return in_force;
#else
  return true;
#endif
}

// The Python that this was compiled for, as "3.11", or "3.13t" without a GIL: what its extensions must match.
[[nodiscard]] inline std::string abi() {
  return std::to_string(PY_MAJOR_VERSION) + "." + std::to_string(PY_MINOR_VERSION) +
         (free_threaded ? "t" : "");
}

// Whether each sub-interpreter has a GIL of its own, and so runs beside the others.
#if PY_VERSION_HEX >= 0x030C0000
inline constexpr bool own_gil = true;
#else
inline constexpr bool own_gil = false;
#endif

// Whether interpreters share a GIL for which a thread waits in vain while another interpreter computes: see
// turns.hpp.
#if PY_VERSION_HEX >= 0x03090000 && PY_VERSION_HEX < 0x030C0000
inline constexpr bool unfair_gil = true;
#else
inline constexpr bool unfair_gil = false;
#endif

// Whether an extension that refuses sub-interpreters is initialised in one before it is refused there, with a
// GIL of its own: see detail/extension_guard.hpp.
#if PY_VERSION_HEX >= 0x030C0000 && PY_VERSION_HEX < 0x030D0000
inline constexpr bool refuses_extensions_late = true;
#else
inline constexpr bool refuses_extensions_late = false;
#endif

// Makes a sub-interpreter, with a GIL of its own where that exists. Attached to the main interpreter, with a
// state of this thread that stays detached: the result is the new interpreter's first thread state, attached.
// Null, still attached as before, with `reason` set, if it failed.
[[nodiscard]] inline PyThreadState* new_interpreter(const char*& reason) noexcept {
  PyThreadState* made = nullptr;
  reason = "Python could not make a sub-interpreter";
#if PY_VERSION_HEX >= 0x030C0000
  PyInterpreterConfig config{};
  config.use_main_obmalloc = 0;
  config.allow_fork = 0;  // CPython aborts the child of a fork in a sub-interpreter
  config.allow_exec = 1;
  config.allow_threads = 1;
  config.allow_daemon_threads = 1;
  config.check_multi_interp_extensions = 1;
  config.gil = PyInterpreterConfig_OWN_GIL;
  const PyStatus status = Py_NewInterpreterFromConfig(&made, &config);
  if (PyStatus_Exception(status) != 0 && status.err_msg != nullptr) reason = status.err_msg;
#else
  PyThreadState* const before = PyThreadState_Get();
  made = Py_NewInterpreter();
  if (made == nullptr) PyThreadState_Swap(before);
#endif
  return made;
}

// Ends a sub-interpreter. `state` is the only thread state that it has left, and attached. Afterwards the
// thread is attached to nothing.
inline void end_interpreter(PyThreadState* state) noexcept {
#if PY_VERSION_HEX >= 0x030C0000
  Py_EndInterpreter(state);
#else
  // The GIL stays with the thread, which needs a state to let go of it.
  PyThreadState* const last = PyThreadState_New(PyInterpreterState_Main());
  Py_EndInterpreter(state);
  PyThreadState_Swap(last);
  PyThreadState_Clear(last);
  PyThreadState_DeleteCurrent();
#endif
}

// A new state for the calling thread, not attached. Before 3.12 states are numbered anew in each interpreter,
// while C code that several interpreters share goes by that number (contextvars, and so decimal): there it
// gets a number that no other has.
[[nodiscard]] inline PyThreadState* new_thread_state(PyInterpreterState* of) noexcept {
  PyThreadState* const made = PyThreadState_New(of);
#if PY_VERSION_HEX < 0x030C0000
  static std::atomic<std::uint64_t> numbers{std::uint64_t{1} << 32U};
  if (made != nullptr) made->id = numbers.fetch_add(1, std::memory_order_relaxed);
#endif
  return made;
}

// The pending exception as a new reference, normalised and with its traceback attached, and the
// error indicator cleared; null if there is none.
[[nodiscard]] inline PyObject* take_raised_exception() noexcept {
#if PY_VERSION_HEX >= 0x030C0000
  return PyErr_GetRaisedException();
#else
  PyObject* type = nullptr;
  PyObject* value = nullptr;
  PyObject* traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  if (type == nullptr) return nullptr;
  PyErr_NormalizeException(&type, &value, &traceback);
  if (traceback != nullptr) PyException_SetTraceback(value, traceback);
  Py_XDECREF(traceback);
  Py_DECREF(type);
  return value;
#endif
}

// Makes `value` (a borrowed reference) the pending exception.
inline void set_raised_exception(PyObject* value) noexcept {
#if PY_VERSION_HEX >= 0x030C0000
  Py_INCREF(value);
  PyErr_SetRaisedException(value);
#else
  auto* type = reinterpret_cast<PyObject*>(Py_TYPE(value));
  Py_INCREF(type);
  Py_INCREF(value);
  PyErr_Restore(type, value, PyException_GetTraceback(value));
#endif
}

// A Python int from a little-endian magnitude: a new reference, or null with an exception set.
[[nodiscard]] inline PyObject* int_from_magnitude(bool negative, const unsigned char* bytes,
                                                  std::size_t size) noexcept {
#if PY_VERSION_HEX >= 0x030D0000
  PyObject* magnitude = PyLong_FromUnsignedNativeBytes(bytes, size, Py_ASNATIVEBYTES_LITTLE_ENDIAN);
#else
  PyObject* magnitude = _PyLong_FromByteArray(bytes, size, 1, 0);
#endif
  if (magnitude == nullptr || !negative) return magnitude;
  PyObject* result = PyNumber_Negative(magnitude);
  Py_DECREF(magnitude);
  return result;
}

// How many bits the magnitude of an int has, or a negative number with an exception set.
[[nodiscard]] inline std::int64_t int_bit_length(PyObject* value) noexcept {
#if PY_VERSION_HEX >= 0x030E0000
  return PyLong_IsZero(value) == 1 ? 0 : static_cast<std::int64_t>(_PyLong_NumBits(value));
#else
  const std::size_t bits = _PyLong_NumBits(value);
  if (bits == static_cast<std::size_t>(-1) && PyErr_Occurred() != nullptr) return -1;
  return static_cast<std::int64_t>(bits);
#endif
}

// Writes the little-endian magnitude of a non-negative int into exactly `size` bytes.
// Returns false with an exception set.
[[nodiscard]] inline bool int_to_magnitude(PyObject* non_negative, unsigned char* bytes,
                                           std::size_t size) noexcept {
#if PY_VERSION_HEX >= 0x030D0000
  return PyLong_AsNativeBytes(non_negative, bytes, static_cast<Py_ssize_t>(size),
                              Py_ASNATIVEBYTES_LITTLE_ENDIAN | Py_ASNATIVEBYTES_UNSIGNED_BUFFER) >= 0;
#else
  return _PyLong_AsByteArray(reinterpret_cast<PyLongObject*>(non_negative), bytes, size, 1, 0) >= 0;
#endif
}

// Calls `callable` with the positional arguments in `stack[0, count)` and a dict of keywords or null: a
// new reference, or null with an exception set.
[[nodiscard]] inline PyObject* call_vector(PyObject* callable, PyObject* const* stack, std::size_t count,
                                           PyObject* keywords) noexcept {
#if PY_VERSION_HEX >= 0x03090000
  return PyObject_VectorcallDict(callable, stack, count, keywords);
#else
  return _PyObject_FastCallDict(callable, stack, static_cast<Py_ssize_t>(count), keywords);
#endif
}

// The value of an int that the interpreter holds in one digit; false if this is none (it may still be
// small). No exception.
[[nodiscard]] inline bool small_int(PyObject* value, std::int64_t& out) noexcept {
#if PY_VERSION_HEX >= 0x030C0000
  const auto* number = reinterpret_cast<PyLongObject*>(value);
  if (PyUnstable_Long_IsCompact(number) == 0) return false;
  out = PyUnstable_Long_CompactValue(number);
  return true;
#else
  const Py_ssize_t size = Py_SIZE(value);
  if (size < -1 || size > 1) return false;
  out = size * static_cast<std::int64_t>(reinterpret_cast<PyLongObject*>(value)->ob_digit[0]);
  return true;
#endif
}

// Strings made by the oldest API have no canonical form until they are asked for it. False with an
// exception set if that fails.
[[nodiscard]] inline bool ready_text([[maybe_unused]] PyObject* text) noexcept {
#if PY_VERSION_HEX >= 0x030C0000
  return true;
#else
  return PyUnicode_READY(text) >= 0;
#endif
}

// The item of a list as a new reference; null, without an exception, past its end.
[[nodiscard]] inline PyObject* list_item(PyObject* list, Py_ssize_t index) noexcept {
  if (index >= PyList_GET_SIZE(list)) return nullptr;
  PyObject* item = PyList_GET_ITEM(list, index);
  Py_XINCREF(item);
  return item;
}

// The next entry of a dict as new references; false at its end. Safe, though perhaps not complete, if
// the dict changes between two calls.
[[nodiscard]] inline bool dict_next(PyObject* dict, Py_ssize_t& position, PyObject*& key,
                                    PyObject*& value) noexcept {
  if (PyDict_Next(dict, &position, &key, &value) == 0) return false;
  Py_INCREF(key);
  Py_INCREF(value);
  return true;
}

// What a dict holds at one moment, whatever other threads do to it meanwhile: a new tuple of a key, its
// value, the next key, ...; null with an exception set. It is hidden from the garbage collector.
[[nodiscard]] inline PyObject* dict_entries(PyObject* dict) noexcept {
  for (;;) {
    const Py_ssize_t places = 2 * PyDict_GET_SIZE(dict);
    PyObject* const entries = PyTuple_New(places);
    if (entries == nullptr || places == 0) return entries;
    PyObject_GC_UnTrack(entries);
    Py_ssize_t filled = 0;
#ifdef Py_GIL_DISABLED
    Py_BEGIN_CRITICAL_SECTION(dict);
#endif
    Py_ssize_t position = 0;
    PyObject* key = nullptr;
    PyObject* value = nullptr;
    while (2 * PyDict_GET_SIZE(dict) == places && filled < places &&
           PyDict_Next(dict, &position, &key, &value) != 0) {
      Py_INCREF(key);
      PyTuple_SET_ITEM(entries, filled++, key);
      Py_INCREF(value);
      PyTuple_SET_ITEM(entries, filled++, value);
    }
#ifdef Py_GIL_DISABLED
    Py_END_CRITICAL_SECTION();
#endif
    if (filled == places) return entries;
    Py_DECREF(entries);  // another thread was there before
  }
}

// The value of a key as a new reference; null, with an exception set if the key could not be looked up,
// without one if it is not there.
[[nodiscard]] inline PyObject* dict_item(PyObject* dict, PyObject* key) noexcept {
  PyObject* found = nullptr;
#if PY_VERSION_HEX >= 0x030D0000
  PyDict_GetItemRef(dict, key, &found);
#else
  found = PyDict_GetItemWithError(dict, key);
  Py_XINCREF(found);
#endif
  return found;
}

// The attribute as a new reference, or null: with an exception set if looking it up failed, without one
// if there is none of that name.
[[nodiscard]] inline PyObject* optional_attribute(PyObject* object, PyObject* name) noexcept {
  PyObject* found = nullptr;
#if PY_VERSION_HEX >= 0x030D0000
  PyObject_GetOptionalAttr(object, name, &found);
#else
  _PyObject_LookupAttr(object, name, &found);
#endif
  return found;
}

// How one step of an iterator came out.
enum class sent : std::uint8_t { yielded, returned, raised };

// The value of the StopIteration that is pending (None if there is no exception: an iterator may end without
// one), which is cleared: a new reference. Null, with the exception left alone, if it is another one.
[[nodiscard]] inline PyObject* stop_value() noexcept {
  PyObject* value = Py_None;
  if (PyErr_Occurred() == nullptr) {
    Py_INCREF(value);
    return value;
  }
  if (PyErr_ExceptionMatches(PyExc_StopIteration) == 0) return nullptr;
  PyObject* stop = take_raised_exception();
  if (PyObject_TypeCheck(stop, reinterpret_cast<PyTypeObject*>(PyExc_StopIteration)) == 0) {
    // It could not be made: what was raised instead.
    set_raised_exception(stop);
    Py_DECREF(stop);
    return nullptr;
  }
  PyObject* held = reinterpret_cast<PyStopIterationObject*>(stop)->value;
  if (held != nullptr) value = held;
  Py_INCREF(value);
  Py_DECREF(stop);
  return value;
}

// Steps an iterator: __next__ if `value` is None, send() otherwise. `result` is a new reference to what it
// yielded or returned; null with an exception set if it raised.
[[nodiscard]] inline sent iter_send(PyObject* iterator, PyObject* value, PyObject*& result) noexcept {
  result = nullptr;
#if PY_VERSION_HEX >= 0x030A0000
  switch (PyIter_Send(iterator, value, &result)) {
    case PYGEN_NEXT: return sent::yielded;
    case PYGEN_RETURN: return sent::returned;
    default: return sent::raised;
  }
#else
  if (value == Py_None && PyIter_Check(iterator) != 0) {
    result = Py_TYPE(iterator)->tp_iternext(iterator);
  } else {
    PyObject* send = PyObject_GetAttrString(iterator, "send");
    if (send == nullptr) return sent::raised;
    result = PyObject_CallFunctionObjArgs(send, value, nullptr);
    Py_DECREF(send);
  }
  if (result != nullptr) return sent::yielded;
  result = stop_value();
  return result != nullptr ? sent::returned : sent::raised;
#endif
}

// The slots of a module that is fit for every kind of interpreter: `execute` fills a new module of it.
// One array for the whole process, so `execute` is the same at every call.
[[nodiscard]] inline PyModuleDef_Slot* module_slots(int (*execute)(PyObject*)) noexcept {
  static PyModuleDef_Slot slots[] = {
      {Py_mod_exec, reinterpret_cast<void*>(execute)},
#if PY_VERSION_HEX >= 0x030C0000
      {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
      {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
      {0, nullptr},
  };
  return slots;
}

// Keeps the cyclic garbage collector from running in the middle of an allocation, as it does before 3.12:
// while a big value is built there is no garbage to find, and looking for it takes a third of the time.
// (Python 3.8 and 3.9 have no function for it.) Code that switches the collector off on another thread
// in the middle of an element is overruled.
class collector_pause {
 public:
  collector_pause() noexcept { begin(); }
  collector_pause(const collector_pause&) = delete;
  collector_pause& operator=(const collector_pause&) = delete;
  ~collector_pause() { end(); }

  // Around a moment in which other threads run.
  void begin() noexcept {
#if PY_VERSION_HEX >= 0x030A0000 && PY_VERSION_HEX < 0x030C0000
    was_on_ = PyGC_Disable() != 0;
#endif
  }
  void end() noexcept {
#if PY_VERSION_HEX >= 0x030A0000 && PY_VERSION_HEX < 0x030C0000
    if (was_on_) PyGC_Enable();
#endif
  }

 private:
  [[maybe_unused]] bool was_on_ = false;
};

// The least stack for a thread that runs Python, in bytes: from 3.12 to 3.13 the interpreter lets C code
// recurse 10,000 deep whatever the stack, which takes some 45 MB with sorted() and a key function.
#if PY_VERSION_HEX >= 0x030C0000 && PY_VERSION_HEX < 0x030E0000
inline constexpr std::size_t least_stack = std::size_t{64} << 20U;
#else
inline constexpr std::size_t least_stack = std::size_t{8} << 20U;
#endif

// Whether the calling thread holds a GIL (on free-threaded builds: is attached); false before Python is up.
[[nodiscard]] inline bool thread_attached() noexcept {
  if (Py_IsInitialized() == 0) return false;
#if PY_VERSION_HEX >= 0x030D0000
  return PyThreadState_GetUnchecked() != nullptr;
#elif PY_VERSION_HEX >= 0x030C0000
  return _PyThreadState_UncheckedGet() != nullptr;
#else
  // There it is the state of whichever thread holds the GIL.
  PyThreadState* const own = PyGILState_GetThisThreadState();
  return own != nullptr && own == _PyThreadState_UncheckedGet();
#endif
}

}  // namespace erlpy::python::compat

#endif
