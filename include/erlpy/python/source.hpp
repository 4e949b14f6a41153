// Walks a Python object and reports it to a sink, as the crossing table says (docs/types.md).
//
// The common exact types are told by one comparison each and run no user code. The rest may: properties,
// buffer exporters, destructors. So every element is held while it is walked, sizes are looked at again
// after each, and what user code raises comes out as python::exception. Without a GIL other threads may
// change a container at any moment: there each is walked as it was at one. It runs attached to the
// interpreter, on the context's thread.
#ifndef ERLPY_PYTHON_SOURCE_HPP
#define ERLPY_PYTHON_SOURCE_HPP

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <erlpy/data_model.hpp>
#include <erlpy/python/context.hpp>
#include <erlpy/python/detail/array_walk.hpp>
#include <erlpy/python/detail/held_term.hpp>
#include <erlpy/python/detail/known_types.hpp>
#include <erlpy/python/detail/text.hpp>
#include <erlpy/python/exception.hpp>

namespace erlpy::python {

namespace detail {

[[noreturn]] inline void raise_changed(const char* what) {
  PyErr_Format(PyExc_RuntimeError, "%s changed size during conversion", what);
  throw exception::fetch();
}

// A sink that remembers texts by an identity, which stands for the same text as long as the sink lives.
template <class S>
concept caches_texts = requires(S& sink, const void* identity, std::string_view text) {
  { sink.cached_text(identity, text) } -> std::same_as<typename S::value_type>;
};

// A sink of a world that has complex numbers; in others they are objects.
template <class S>
concept takes_complex = requires(S& sink) {
  sink.complex(0.0, 0.0);
};

// Whether somebody at the sink's end will let objects go again.
template <class S>
[[nodiscard]] bool keeps_objects(const S& to) noexcept {
  if constexpr (requires {
                  { to.keeps_objects() } -> std::same_as<bool>;
                })
    return to.keeps_objects();
  return true;
}

// A sink that keeps nothing, and so no objects.
template <class S>
concept ignores_values = requires {
  requires S::ignores;
};

}  // namespace detail

class source : detail::array_walk<source> {
  friend detail::array_walk<source>;

 public:
  // The caller keeps `value` alive; `where` outlives the source.
  source(context& where, PyObject* value, const walk_limits& limits = {})
      : context_(where), value_(value), limits_(limits), guard_(limits) {}

  // From now on no object is held: one that has no value of another kind is told as object number 0.
  void hold_nothing() noexcept { hold_ = false; }

  // Errors: conversion_error, python::exception. Objects that were held for a value that fails to cross
  // are let go of again.
  template <erlpy::sink To>
  typename To::value_type walk(To& to) {
    const std::size_t held_before = held_.size();
    try {
      return value(value_, to, nullptr);
    } catch (...) {
      while (held_.size() > held_before) {
        context_.objects().release(held_.back());
        held_.pop_back();
      }
      throw;
    }
  }

 private:
  // From this size on, `bytes` are lent instead of copied.
  static constexpr Py_ssize_t lend_from = 64 * 1024;
  // The containers around the one that is walked.
  struct enclosing {
    const enclosing* outer;
    PyObject* container;
    std::size_t depth;
  };

  // Held while inside one container: bounds the depth, and finds structures that contain themselves.
  class inside {
   public:
    inside(source& walk, PyObject* container, const enclosing* outer)
        : here{outer, container, outer == nullptr ? 1 : outer->depth + 1},
          level_((walk.check_cycle(here), walk.guard_)) {}
    const enclosing here;

   private:
    walk_guard::level level_;
  };

  // Brent's way: each container is compared with the one at the depth that was the last power of two.
  // What that misses, because the way round is long, is found when the walk is too deep anyway.
  void check_cycle(const enclosing& here) {
    if (here.depth <= limits_.max_depth) {
      const auto power = static_cast<std::size_t>(std::bit_width(here.depth)) - 1;
      // Not has_single_bit(), which is a call where the processor may have no popcnt.
      if ((here.depth & (here.depth - 1)) == 0) {
        landmarks_[power] = here.container;
      } else if (landmarks_[power] == here.container) {
        throw conversion_error(fault::value, "structure contains itself");
      }
      return;
    }
    for (const enclosing* at = here.outer; at != nullptr; at = at->outer) {
      if (at->container == here.container) throw conversion_error(fault::value, "structure contains itself");
    }
  }

  template <class To>
  typename To::value_type value(PyObject* object, To& to, const enclosing* outer) {
    PyTypeObject* const type = Py_TYPE(object);
    if (type == &PyLong_Type) return integer(object, to);
    if (type == &PyUnicode_Type) return text(object, to);
    if (type == &PyFloat_Type) return to.real(PyFloat_AS_DOUBLE(object));
    if (object == Py_None) return to.none();
    if (type == &PyBool_Type) return to.boolean(object == Py_True);
    if (type == &PyList_Type) return list(object, to, outer);
    if (type == &PyTuple_Type) return tuple(object, to, outer);
    if (type == &PyDict_Type) return dict(object, to, outer);
    if (type == &PyBytes_Type) return bytes(object, to);
    return other(object, to, outer);
  }

  // As value(), for an object that its owner may let go of as soon as other code runs: numbers have been read
  // by then, what else it is is held.
  template <class To>
  typename To::value_type borrowed(PyObject* object, To& to, const enclosing* outer) {
    std::int64_t small = 0;
    if (Py_TYPE(object) == &PyLong_Type && compat::small_int(object, small)) return to.integer(small);
    if (Py_TYPE(object) == &PyFloat_Type) return to.real(PyFloat_AS_DOUBLE(object));
    const ref held = ref::borrow(object);
    if (Py_TYPE(object) == &PyUnicode_Type && PyUnicode_IS_COMPACT_ASCII(object))
      return to.text(detail::ascii_of(object));
    return value(object, to, outer);
  }

  template <class To>
  [[gnu::noinline]] typename To::value_type other(PyObject* object, To& to, const enclosing* outer) {
    const erlang_types& types = context_.home().types();
    if (PyUnicode_Check(object) &&
        PyType_IsSubtype(Py_TYPE(object), reinterpret_cast<PyTypeObject*>(types.atom.get())) != 0) {
      return detail::encoded(object, [&](std::string_view name) { return to.atom(name); });
    }
    if (opaque_ptr term = term_of(types, object)) return to.opaque(detail::held_term(std::move(term)));
    if (known_.is_enum(object)) return enumeration(object, to, outer);

    if (PyLong_Check(object)) return integer(object, to);
    if (PyUnicode_Check(object)) return text(object, to);
    if (PyFloat_Check(object)) return to.real(PyFloat_AS_DOUBLE(object));
    if (PyList_Check(object)) return list(object, to, outer);
    if (PyTuple_Check(object)) return tuple(object, to, outer);
    if (PyDict_Check(object)) return dict(object, to, outer);
    if (PyAnySet_Check(object)) return set(object, to, outer);
    if (PyBytes_Check(object)) return to.bytes(detail::bytes_of(object));
    if constexpr (detail::takes_complex<To>) {
      if (PyComplex_Check(object) && tells_exactly(to)) return complex(object, to);
    }

    if (PyGen_CheckExact(object) || PyAsyncGen_CheckExact(object)) return held(object, to, true);
    if (PyType_Check(object)) return held(object, to, false);
    if (const ref names = known_.dataclass_fields(object)) return dataclass(object, names.get(), to, outer);
    if (known_.is_numpy_scalar(object)) return numpy_scalar(object, to, outer);
    if (known_.is_numpy_array(object)) return numpy_array(object, to, outer);
    if (PyObject_CheckBuffer(object)) return buffer(object, to);
    return held(object, to, false);
  }

  // ---- scalars

  template <class To>
  typename To::value_type integer(PyObject* object, To& to) {
    std::int64_t small = 0;
    if (compat::small_int(object, small)) return to.integer(small);
    int overflow = 0;
    const std::int64_t word = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow == 0) return to.integer(word);
    return big_integer(object, overflow < 0, to);
  }

  template <class To>
  [[gnu::noinline]] typename To::value_type big_integer(PyObject* object, bool negative, To& to) {
    // The slot of `int` itself: a subclass may have an __abs__ of its own.
    const ref magnitude =
        negative ? checked(PyLong_Type.tp_as_number->nb_absolute(object)) : ref::borrow(object);
    const std::int64_t bits = compat::int_bit_length(magnitude.get());
    if (bits < 0) throw exception::fetch();
    byte_buffer digits((static_cast<std::size_t>(bits) + 7) / 8);
    if (!compat::int_to_magnitude(magnitude.get(), reinterpret_cast<unsigned char*>(digits.data()),
                                  digits.size()))
      throw exception::fetch();
    return to.big_integer(negative, digits);
  }

  template <class To>
  typename To::value_type text(PyObject* object, To& to) {
    return detail::encoded(object, [&](std::string_view utf8) { return to.text(utf8); });
  }

  // A subclass may have a __complex__ of its own: the value is that of `complex` itself.
  template <class To>
  typename To::value_type complex(PyObject* object, To& to) {
    const Py_complex number = reinterpret_cast<PyComplexObject*>(object)->cval;
    return to.complex(number.real, number.imag);
  }

  template <class To>
  typename To::value_type bytes(PyObject* object, To& to) {
    if (PyBytes_GET_SIZE(object) < lend_from) return to.bytes(detail::bytes_of(object));
    return to.shared(std::make_shared<lent_bytes>(object, context_.home().drops()));
  }

  // ---- containers

  template <class To>
  [[gnu::noinline]] typename To::value_type list(PyObject* object, To& to, const enclosing* outer) {
    const inside level(*this, object, outer);
    if constexpr (compat::free_threaded) {
      const ref elements = checked(PyList_AsTuple(object));
      auto out = to.list(static_cast<std::size_t>(PyTuple_GET_SIZE(elements.get())));
      push_all(elements.get(), out, &level.here);
      return out.finish();
    }
    const Py_ssize_t size = PyList_GET_SIZE(object);
    auto out = to.list(static_cast<std::size_t>(size));
    for (Py_ssize_t i = 0; i < size; ++i) {
      guard_.tick();
      if (i >= PyList_GET_SIZE(object)) detail::raise_changed("list");
      PyObject* const element = PyList_GET_ITEM(object, i);
      push_element(out, [&](auto& child) { return borrowed(element, child, &level.here); });
    }
    if (PyList_GET_SIZE(object) != size) detail::raise_changed("list");
    return out.finish();
  }

  template <class To>
  [[gnu::noinline]] typename To::value_type tuple(PyObject* object, To& to, const enclosing* outer) {
    const inside level(*this, object, outer);
    auto out = to.tuple(static_cast<std::size_t>(PyTuple_GET_SIZE(object)));
    push_all(object, out, &level.here);
    return out.finish();
  }

  template <class Builder>
  void push_all(PyObject* tuple, Builder& out, const enclosing* around) {
    const Py_ssize_t size = PyTuple_GET_SIZE(tuple);
    for (Py_ssize_t i = 0; i < size; ++i) {
      guard_.tick();
      PyObject* const element = PyTuple_GET_ITEM(tuple, i);
      if (element == nullptr) detail::raise_changed("tuple");  // still under construction somewhere
      push_element(out, [&](auto& child) { return value(element, child, around); });
    }
  }

  template <class To>
  [[gnu::noinline]] typename To::value_type dict(PyObject* object, To& to, const enclosing* outer) {
    const inside level(*this, object, outer);
    if constexpr (compat::free_threaded) {
      const ref entries = checked(compat::dict_entries(object));
      const Py_ssize_t places = PyTuple_GET_SIZE(entries.get());
      auto out = to.map(static_cast<std::size_t>(places / 2));
      for (Py_ssize_t i = 0; i < places; i += 2) {
        guard_.tick();
        entry(PyTuple_GET_ITEM(entries.get(), i), PyTuple_GET_ITEM(entries.get(), i + 1), out, &level.here);
      }
      return out.finish();
    }
    const Py_ssize_t size = PyDict_GET_SIZE(object);
    auto out = to.map(static_cast<std::size_t>(size));
    Py_ssize_t position = 0;
    Py_ssize_t seen = 0;
    PyObject* next_key = nullptr;
    PyObject* next_value = nullptr;
    while (compat::dict_next(object, position, next_key, next_value)) {
      const ref held_key = ref::steal(next_key);
      const ref held_value = ref::steal(next_value);
      guard_.tick();
      if (++seen > size) break;
      entry(held_key.get(), held_value.get(), out, &level.here);
      if (PyDict_GET_SIZE(object) != size) break;
    }
    if (seen != size || PyDict_GET_SIZE(object) != size) detail::raise_changed("dictionary");
    return out.finish();
  }

  template <class Builder>
  void entry(PyObject* key, PyObject* mapped, Builder& out, const enclosing* around) {
    push_entry(
        out, [&](auto& child) { return this->key(key, child, around); },
        [&](auto& child) { return value(mapped, child, around); });
  }

  template <class To>
  typename To::value_type key(PyObject* object, To& to, const enclosing* outer) {
    if constexpr (detail::caches_texts<To>) {
      if (Py_TYPE(object) == &PyUnicode_Type && PyUnicode_IS_COMPACT_ASCII(object) &&
          static_cast<std::size_t>(PyUnicode_GET_LENGTH(object)) <= text_cache::longest) {
        const std::uint64_t identity = context_.texts().identity(object);
        return to.cached_text(reinterpret_cast<const void*>(identity), detail::ascii_of(object));
      }
    }
    return value(object, to, outer);
  }

  template <class To>
  [[gnu::noinline]] typename To::value_type set(PyObject* object, To& to, const enclosing* outer) {
    const inside level(*this, object, outer);
    ref copy;
    if constexpr (compat::free_threaded) {
      if (!PyFrozenSet_Check(object)) copy = checked(PyFrozenSet_New(object));
      if (copy) object = copy.get();
    }
    const Py_ssize_t size = PySet_GET_SIZE(object);
    auto out = to.set(static_cast<std::size_t>(size));
    // The slot of the built-in type: a subclass may have an __iter__ of its own.
    const ref elements = checked(PyFrozenSet_Type.tp_iter(object));
    Py_ssize_t seen = 0;
    while (const ref element = ref::steal(PyIter_Next(elements.get()))) {
      guard_.tick();
      if (++seen > size) break;
      push_element(out, [&](auto& child) { return value(element.get(), child, &level.here); });
    }
    if (PyErr_Occurred() != nullptr) throw exception::fetch();
    if (seen != size) detail::raise_changed("set");
    return out.finish();
  }

  template <class To>
  [[gnu::noinline]] typename To::value_type dataclass(PyObject* object, PyObject* names, To& to,
                                                      const enclosing* outer) {
    const inside level(*this, object, outer);
    const Py_ssize_t size = PyTuple_GET_SIZE(names);
    auto out = to.map(static_cast<std::size_t>(size));
    for (Py_ssize_t i = 0; i < size; ++i) {
      guard_.tick();
      PyObject* const name = PyTuple_GET_ITEM(names, i);
      const ref field = checked(PyObject_GetAttr(object, name));
      entry(name, field.get(), out, &level.here);
    }
    return out.finish();
  }

  template <class To>
  [[gnu::noinline]] typename To::value_type enumeration(PyObject* object, To& to, const enclosing* outer) {
    const inside level(*this, object, outer);
    const ref plain = checked(PyObject_GetAttrString(object, "value"));
    return value(plain.get(), to, &level.here);
  }

  // ---- everything else stays here

  template <class To>
  [[gnu::noinline]] typename To::value_type held(PyObject* object, To& to, bool generator) {
    if constexpr (detail::ignores_values<To>) return to.none();
    if (!hold_ || !detail::keeps_objects(to)) return to.object({0, 0, generator});
    std::uint64_t& number = held_.emplace_back();  // first: what is held must be known here
    const object_ref reference = context_.objects().hold(ref::borrow(object), generator);
    number = reference.id;
    return to.object(reference);
  }

  context& context_;
  PyObject* value_;
  walk_limits limits_;
  walk_guard guard_;
  detail::known_types known_;
  std::array<PyObject*, std::numeric_limits<std::size_t>::digits> landmarks_{};  // compared, never used
  bool hold_ = true;
  std::vector<std::uint64_t> held_;  // numbers of the objects that this walk put into the table
};

static_assert(erlpy::source<source>);

}  // namespace erlpy::python

#endif
