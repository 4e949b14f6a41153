// Classes made for structs of C++: namedtuples and dataclasses, one for each struct in an interpreter.
#ifndef ERLPY_PYTHON_DETAIL_RECORD_HPP
#define ERLPY_PYTHON_DETAIL_RECORD_HPP

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <erlpy/python/exception.hpp>
#include <erlpy/python/ref.hpp>

namespace erlpy::python::detail {

enum class record_style : std::uint8_t { namedtuple, dataclass };

// Used attached to the interpreter, on any of its threads.
class record_classes {
 public:
  record_classes() = default;
  record_classes(const record_classes&) = delete;
  record_classes& operator=(const record_classes&) = delete;

  // The class of this name and these fields, made at its first use. The names are told by where they are:
  // they live as long as the program.
  // Errors: python::exception (a field whose name Python does not allow).
  [[nodiscard]] ref get(record_style style, std::string_view name, std::span<const std::string_view> fields) {
    if (ref found = find(style, name, fields)) return found;
    // Not under the lock: it runs Python.
    ref made = make(style, name, fields);
    const std::lock_guard lock(mutex_);
    if (ref found = find_locked(style, name, fields)) return found;  // another thread was first
    known_.push_back({style, fields.data(), std::string(name), made});
    return made;
  }

  // Lets go of all of them.
  void clear() noexcept {
    std::vector<entry> gone;
    const std::lock_guard lock(mutex_);
    gone.swap(known_);
  }

 private:
  struct entry {
    record_style style;
    const std::string_view* fields;
    std::string name;
    ref made;
  };

  [[nodiscard]] ref find(record_style style, std::string_view name,
                         std::span<const std::string_view> fields) {
    const std::lock_guard lock(mutex_);
    return find_locked(style, name, fields);
  }
  [[nodiscard]] ref find_locked(record_style style, std::string_view name,
                                std::span<const std::string_view> fields) const {
    for (const entry& one : known_)
      if (one.style == style && one.fields == fields.data() && one.name == name) return one.made;
    return {};
  }

  [[nodiscard]] static ref text(std::string_view utf8) {
    return checked(PyUnicode_DecodeUTF8(utf8.data(), static_cast<Py_ssize_t>(utf8.size()), "strict"));
  }

  [[nodiscard]] static ref make(record_style style, std::string_view name,
                                std::span<const std::string_view> fields) {
    const bool tuple = style == record_style::namedtuple;
    const ref names = checked(PyTuple_New(static_cast<Py_ssize_t>(fields.size())));
    for (std::size_t i = 0; i < fields.size(); ++i)
      PyTuple_SET_ITEM(names.get(), static_cast<Py_ssize_t>(i), text(fields[i]).release());
    const ref module = checked(PyImport_ImportModule(tuple ? "collections" : "dataclasses"));
    const ref maker = checked(PyObject_GetAttrString(module.get(), tuple ? "namedtuple" : "make_dataclass"));
    const ref own_name = text(name);
    return checked(PyObject_CallFunctionObjArgs(maker.get(), own_name.get(), names.get(), nullptr));
  }

  std::mutex mutex_;
  std::vector<entry> known_;
};

// An instance of such a class, from the tuple of its fields.
[[nodiscard]] inline ref make_instance(record_style style, const ref& made, const ref& fields) {
  if (style == record_style::dataclass) return checked(PyObject_CallObject(made.get(), fields.get()));
  const ref arguments = checked(PyTuple_Pack(1, fields.get()));
  return checked(PyTuple_Type.tp_new(reinterpret_cast<PyTypeObject*>(made.get()), arguments.get(), nullptr));
}

}  // namespace erlpy::python::detail

#endif
