// The world of CPython: ours, and loops over its C API.
#ifndef ERLPY_BENCHMARKS_CONVERSION_PYTHON_HPP
#define ERLPY_BENCHMARKS_CONVERSION_PYTHON_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include <erlpy/python/context.hpp>
#include <erlpy/python/sink.hpp>
#include <erlpy/python/source.hpp>

#include "hand.hpp"

namespace conversion {

namespace hand {

using erlpy::python::ref;

// The names of the fields, as a C extension makes them once when it is loaded.
struct python_keys {
  python_keys() {
    for (std::size_t i = 0; i < field_names.size(); ++i)
      names[i] = erlpy::python::checked(PyUnicode_InternFromString(std::string(field_names[i]).c_str()));
  }
  std::array<ref, 4> names;
};

class python_reader {
 public:
  python_reader(const python_keys& keys, PyObject* list) noexcept : keys_(keys), list_(list) {}

  std::size_t begin() {
    expect(PyList_Check(list_) != 0, "a list is missing");
    return static_cast<std::size_t>(PyList_GET_SIZE(list_));
  }
  void end() {}
  std::int64_t integer() { return integer_of(next()); }
  double real() { return real_of(next()); }
  std::string_view text() { return text_of(next()); }
  fields record() {
    PyObject* const dict = next();
    expect(PyDict_Check(dict) && PyDict_GET_SIZE(dict) == 4, "a dict of four is missing");
    fields out;
    out.id = integer_of(field_of(dict, 0));
    out.name = text_of(field_of(dict, 1));
    out.score = real_of(field_of(dict, 2));
    PyObject* const tags = field_of(dict, 3);
    expect(PyList_Check(tags) && PyList_GET_SIZE(tags) == 2, "a list of two is missing");
    out.tags = {text_of(PyList_GET_ITEM(tags, 0)), text_of(PyList_GET_ITEM(tags, 1))};
    return out;
  }

 private:
  PyObject* next() noexcept { return PyList_GET_ITEM(list_, at_++); }
  PyObject* field_of(PyObject* dict, std::size_t which) {
    PyObject* const found = PyDict_GetItemWithError(dict, keys_.names[which].get());
    expect(found != nullptr, "a field is missing");
    return found;
  }
  static std::int64_t integer_of(PyObject* object) {
    expect(PyLong_Check(object) != 0, "an int is missing");
    int overflow = 0;
    const long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
    expect(overflow == 0, "an int is too large");
    if (value == -1 && PyErr_Occurred() != nullptr) fail("an int fails");
    return value;
  }
  static double real_of(PyObject* object) {
    expect(PyFloat_Check(object) != 0, "a float is missing");
    return PyFloat_AS_DOUBLE(object);
  }
  static std::string_view text_of(PyObject* object) {
    expect(PyUnicode_Check(object) != 0, "a str is missing");
    Py_ssize_t size = 0;
    const char* const utf8 = PyUnicode_AsUTF8AndSize(object, &size);
    expect(utf8 != nullptr, "a str has no UTF-8");
    return {utf8, static_cast<std::size_t>(size)};
  }

  const python_keys& keys_;
  PyObject* list_;
  Py_ssize_t at_ = 0;
};

class python_writer {
 public:
  explicit python_writer(const python_keys& keys) noexcept : keys_(keys) {}

  void begin(std::size_t size) { list_ = made(PyList_New(static_cast<Py_ssize_t>(size))); }
  void integer(std::int64_t value) { push(made(PyLong_FromLongLong(value))); }
  void real(double value) { push(made(PyFloat_FromDouble(value))); }
  void text(std::string_view value) { push(new_text(value)); }
  void record(const fields& value) {
    ref dict = made(PyDict_New());
    set(dict, 0, made(PyLong_FromLongLong(value.id)));
    set(dict, 1, new_text(value.name));
    set(dict, 2, made(PyFloat_FromDouble(value.score)));
    ref tags = made(PyList_New(2));
    PyList_SET_ITEM(tags.get(), 0, new_text(value.tags[0]).release());
    PyList_SET_ITEM(tags.get(), 1, new_text(value.tags[1]).release());
    set(dict, 3, std::move(tags));
    push(std::move(dict));
  }
  ref end() { return std::move(list_); }

 private:
  static ref made(PyObject* object) {
    expect(object != nullptr, "no memory");
    return ref::steal(object);
  }
  static ref new_text(std::string_view value) {
    return made(PyUnicode_DecodeUTF8(value.data(), static_cast<Py_ssize_t>(value.size()), nullptr));
  }
  void push(ref element) { PyList_SET_ITEM(list_.get(), at_++, element.release()); }
  void set(const ref& dict, std::size_t which, ref value) {
    expect(PyDict_SetItem(dict.get(), keys_.names[which].get(), value.get()) == 0, "no memory");
  }

  const python_keys& keys_;
  ref list_;
  Py_ssize_t at_ = 0;
};

}  // namespace hand

class python_world {
 public:
  static constexpr std::string_view name = "python";
  template <shape S>
  using value = erlpy::python::ref;

  python_world()
      : home_(std::make_shared<erlpy::python::interpreter>([] {})),
        context_(home_, std::make_shared<erlpy::python::object_table>([] {})) {}

  template <shape S>
  [[nodiscard]] auto source(const value<S>& from) {
    return erlpy::python::source(context_, from.get());
  }
  template <shape S, class Source>
  [[nodiscard]] value<S> build(Source&& from) {
    erlpy::python::sink to(context_);
    return erlpy::transcode(std::forward<Source>(from), to);
  }

  template <shape S>
  [[nodiscard]] auto reader(const value<S>& from, hand::key_form) {
    return hand::python_reader(keys_, from.get());
  }
  template <shape S>
  [[nodiscard]] auto writer(hand::key_form) {
    return hand::python_writer(keys_);
  }

  [[nodiscard]] static bool same(const erlpy::python::ref& a, const erlpy::python::ref& b) {
    return PyObject_RichCompareBool(a.get(), b.get(), Py_EQ) == 1;
  }

 private:
  std::shared_ptr<erlpy::python::interpreter> home_;
  erlpy::python::context context_;
  hand::python_keys keys_;
};

}  // namespace conversion

#endif
