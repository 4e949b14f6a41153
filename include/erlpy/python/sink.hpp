// Builds Python objects from what a source reports.
//
// Lists and tuples are made at their final size and filled in place, strings are written where they
// will stay. A container under construction can be seen through gc.get_objects(), as CPython's own
// can; nothing else refers to it. All of it runs attached to the interpreter, on the context's thread.
#ifndef ERLPY_PYTHON_SINK_HPP
#define ERLPY_PYTHON_SINK_HPP

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <erlpy/data_model.hpp>
#include <erlpy/detail/utf8.hpp>
#include <erlpy/python/context.hpp>
#include <erlpy/python/detail/array.hpp>
#include <erlpy/python/detail/record.hpp>
#include <erlpy/python/exception.hpp>

namespace erlpy::python {

struct sink_options {
  bool keep_atoms = false;  // atoms become erlang.Atom instead of str
};

// What becomes of an element: where it must be hashable (keys of a dict, elements of a set), lists become
// tuples and sets frozensets, at every depth.
enum class element_use : std::uint8_t { value, key };

template <element_use Use>
class basic_sink {
 public:
  using value_type = ref;
  static constexpr bool erlang_terms = false;

  class list_builder;
  class tuple_builder;
  class set_builder;
  class map_builder;
  class instance_builder;
  using builder_of_lists = std::conditional_t<Use == element_use::key, tuple_builder, list_builder>;

  // `where` outlives the sink.
  explicit basic_sink(context& where, sink_options options = {}) noexcept
      : context_(&where), options_(options) {}

  [[nodiscard]] ref none() const noexcept { return ref::borrow(Py_None); }
  [[nodiscard]] ref boolean(bool flag) const noexcept { return ref::borrow(flag ? Py_True : Py_False); }
  [[nodiscard]] ref integer(std::int64_t value) const { return checked(PyLong_FromLongLong(value)); }
  [[nodiscard]] ref big_integer(bool negative, bytes_view magnitude) const {
    return checked(compat::int_from_magnitude(
        negative, reinterpret_cast<const unsigned char*>(magnitude.data()), magnitude.size()));
  }
  [[nodiscard]] ref real(double value) const { return checked(PyFloat_FromDouble(value)); }

  // What C++ has and Erlang has not.
  [[nodiscard]] ref complex(double real, double imaginary) const {
    return checked(PyComplex_FromDoubles(real, imaginary));
  }

  [[nodiscard]] ref atom(std::string_view name) const {
    return options_.keep_atoms ? kept_atom(name) : text(name);
  }

  // An atom of a world where `key` stands for it: its name is asked for, with `make()` (-> std::string,
  // UTF-8), only if the atom has not been seen lately.
  template <class Make>
  [[nodiscard]] ref cached_atom(std::uintptr_t key, Make&& make) const {
    return context_->atoms().get(key, options_.keep_atoms, [&] { return atom(make()); });
  }

  [[nodiscard]] ref text(std::string_view utf8) const {
    return erlpy::detail::is_ascii(utf8) ? ascii(utf8) : decode(utf8);
  }

  [[nodiscard]] ref bytes(bytes_view data) const {
    return checked(PyBytes_FromStringAndSize(reinterpret_cast<const char*>(data.data()),
                                             static_cast<Py_ssize_t>(data.size())));
  }

  [[nodiscard]] ref binary(bytes_view data) const {
    const std::string_view utf8 = as_text(data);
    if (erlpy::detail::is_ascii(utf8)) return ascii(utf8);
    return erlpy::detail::is_valid_utf8(utf8) ? decode(utf8) : bytes(data);
  }

  template <class Fill>
  [[nodiscard]] ref bytes_from(std::size_t size, Fill&& fill) const {
    ref made = checked(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(size)));
    fill(std::span{reinterpret_cast<std::byte*>(PyBytes_AS_STRING(made.get())), size});
    return made;
  }

  // A read-only memoryview.
  [[nodiscard]] ref shared(const shared_bytes_ptr& data) const { return make_buffer(types(), data); }

  // A read-only numpy array, or without numpy a memoryview of that shape.
  [[nodiscard]] ref ndarray(std::string_view dtype, std::span<const std::int64_t> shape,
                            const shared_bytes_ptr& data) const {
    return detail::make_array(types(), dtype, shape, data);
  }
  template <class Fill>
  [[nodiscard]] ref ndarray(std::string_view dtype, std::span<const std::int64_t> shape, std::size_t size,
                            Fill&& fill) const {
    auto data = std::make_shared<detail::owned_bytes>(size);
    fill(data->room());
    return detail::make_array(types(), dtype, shape, std::move(data));
  }

  [[nodiscard]] ref opaque(const opaque_handle auto& handle) const {
    return make_term(types(), handle.kind(), handle.share());
  }
  [[nodiscard]] ref object(object_ref where) const { return context_->find(where); }

  [[nodiscard]] builder_of_lists list(std::size_t size) const { return builder_of_lists(*this, size); }
  [[nodiscard]] tuple_builder tuple(std::size_t size) const { return tuple_builder(*this, size); }
  [[nodiscard]] set_builder set(std::size_t) const { return set_builder(*this); }
  [[nodiscard]] map_builder map(std::size_t) const { return map_builder(*this); }

  // An instance of a class of this name, made for these fields, whose values are pushed in order. The names
  // live as long as the program.
  [[nodiscard]] instance_builder namedtuple(std::string_view name,
                                            std::span<const std::string_view> fields) const {
    return instance_builder(*this, detail::record_style::namedtuple, name, fields);
  }
  [[nodiscard]] instance_builder dataclass(std::string_view name,
                                           std::span<const std::string_view> fields) const {
    return instance_builder(*this, detail::record_style::dataclass, name, fields);
  }

 private:
  using key_sink = basic_sink<element_use::key>;

  [[nodiscard]] const erlang_types& types() const noexcept { return context_->home().types(); }

  [[nodiscard]] ref ascii(std::string_view text) const {
    if constexpr (Use == element_use::key) {
      if (text.size() > 1 && text.size() <= text_cache::longest)
        return context_->texts().get(text, [&] { return new_ascii(text); });
    }
    return new_ascii(text);
  }

  [[nodiscard]] static ref new_ascii(std::string_view text) {
    if (text.size() <= 1) return decode(text);  // CPython has these already
    ref made = checked(PyUnicode_New(static_cast<Py_ssize_t>(text.size()), 0x7F));
    std::memcpy(PyUnicode_1BYTE_DATA(made.get()), text.data(), text.size());
    return made;
  }

  [[nodiscard]] static ref decode(std::string_view utf8) {
    return checked(PyUnicode_DecodeUTF8(utf8.data(), static_cast<Py_ssize_t>(utf8.size()), "strict"));
  }

  [[nodiscard]] ref kept_atom(std::string_view name) const {
    const ref text = decode(name);
    return checked(PyObject_CallFunctionObjArgs(types().atom.get(), text.get(), nullptr));
  }

  context* context_;
  sink_options options_;
};

// Until it is complete, a list or tuple is hidden from the garbage collector, and so from gc.get_objects():
// other threads may run while it has empty places.
template <element_use Use>
class basic_sink<Use>::list_builder {
 public:
  list_builder(const basic_sink& sink, std::size_t size)
      : sink_(sink), list_(checked(PyList_New(static_cast<Py_ssize_t>(size)))) {
    PyObject_GC_UnTrack(list_.get());
  }

  [[nodiscard]] basic_sink& child() noexcept { return sink_; }
  void push(ref element) noexcept {
    assert(next_ < PyList_GET_SIZE(list_.get()));
    PyList_SET_ITEM(list_.get(), next_++, element.release());
  }
  [[nodiscard]] ref finish() noexcept {
    assert(next_ == PyList_GET_SIZE(list_.get()));
    PyObject_GC_Track(list_.get());
    return std::move(list_);
  }

 private:
  basic_sink sink_;
  ref list_;
  Py_ssize_t next_ = 0;
};

template <element_use Use>
class basic_sink<Use>::tuple_builder {
 public:
  tuple_builder(const basic_sink& sink, std::size_t size)
      : sink_(sink), tuple_(checked(PyTuple_New(static_cast<Py_ssize_t>(size)))) {
    if (size > 0) PyObject_GC_UnTrack(tuple_.get());  // the empty tuple is everybody's
  }

  [[nodiscard]] basic_sink& child() noexcept { return sink_; }
  void push(ref element) noexcept {
    assert(next_ < PyTuple_GET_SIZE(tuple_.get()));
    PyTuple_SET_ITEM(tuple_.get(), next_++, element.release());
  }
  [[nodiscard]] ref finish() noexcept {
    assert(next_ == PyTuple_GET_SIZE(tuple_.get()));
    if (next_ > 0) PyObject_GC_Track(tuple_.get());
    return std::move(tuple_);
  }

 private:
  basic_sink sink_;
  ref tuple_;
  Py_ssize_t next_ = 0;
};

template <element_use Use>
class basic_sink<Use>::instance_builder {
 public:
  instance_builder(const basic_sink& sink, detail::record_style style, std::string_view name,
                   std::span<const std::string_view> fields)
      : style_(style), class_(sink.context_->home().records().get(style, name, fields)),
        fields_(sink, fields.size()) {}

  [[nodiscard]] basic_sink& child() noexcept { return fields_.child(); }
  void push(ref field) noexcept { fields_.push(std::move(field)); }
  [[nodiscard]] ref finish() { return detail::make_instance(style_, class_, fields_.finish()); }

 private:
  detail::record_style style_;
  ref class_;
  tuple_builder fields_;
};

// Equal elements are one, as in every set.
template <element_use Use>
class basic_sink<Use>::set_builder {
 public:
  explicit set_builder(const basic_sink& sink)
      : elements_(*sink.context_, sink.options_),
        set_(checked(Use == element_use::key ? PyFrozenSet_New(nullptr) : PySet_New(nullptr))) {}

  [[nodiscard]] key_sink& child() noexcept { return elements_; }
  void push(ref element) { checked_status(PySet_Add(set_.get(), element.get())); }
  [[nodiscard]] ref finish() noexcept { return std::move(set_); }

 private:
  key_sink elements_;
  ref set_;
};

template <element_use Use>
class basic_sink<Use>::map_builder {
 public:
  explicit map_builder(const basic_sink& sink)
      : keys_(*sink.context_, sink.options_),
        values_(*sink.context_, sink.options_),
        dict_(checked(PyDict_New())) {}

  [[nodiscard]] key_sink& key() noexcept { return keys_; }
  [[nodiscard]] basic_sink<element_use::value>& value() noexcept { return values_; }

  // Errors: fault::value if an equal key was pushed before; a TypeError if the key has no hash; and what
  // __hash__ and __eq__ of user objects raise.
  void push(ref key, ref value) {
    const Py_ssize_t before = PyDict_GET_SIZE(dict_.get());
    checked_status(PyDict_SetItem(dict_.get(), key.get(), value.get()));
    if (PyDict_GET_SIZE(dict_.get()) == before) refuse_duplicate(key.get());
  }
  [[nodiscard]] ref finish() noexcept { return std::move(dict_); }

 private:
  [[noreturn]] static void refuse_duplicate(PyObject* key) {
    const ref shown = checked(PyObject_ASCII(key));
    const char* text = PyUnicode_AsUTF8(shown.get());
    if (text == nullptr) throw exception::fetch();
    throw conversion_error(fault::value,
                           "two keys of the map are the same key in Python: " + std::string(text));
  }

  key_sink keys_;
  basic_sink<element_use::value> values_;
  ref dict_;
};

using sink = basic_sink<element_use::value>;
static_assert(erlpy::sink<sink>);
static_assert(erlpy::sink<basic_sink<element_use::key>>);

}  // namespace erlpy::python

#endif
