// The shape of errors in Erlang terms, for any sink: {Class, Message}, with frames {Class, Message,
// [{File, Line, Function}]}, in a map {Index, Reason}, or a reason of our own as an atom.
#ifndef ERLPY_REPLY_HPP
#define ERLPY_REPLY_HPP

#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <erlpy/cpp/tuple.hpp>
#include <erlpy/data_model.hpp>
#include <erlpy/detail/utf8.hpp>
#include <erlpy/error_values.hpp>
#include <erlpy/python/exception.hpp>
#include <erlpy/python/failure.hpp>
#include <erlpy/python/fork.hpp>

namespace erlpy {

template <class Format>
class reply_writer {
 public:
  // `index`: which of many calls failed.
  reply_writer(Format& format, bool with_frames, std::optional<std::int64_t> index)
      : format_(format), with_frames_(with_frames), index_(index) {}

  [[nodiscard]] auto exception(python::failure failed) {
    // Messages of C++ exceptions may be in any encoding.
    erlpy::detail::make_valid_utf8(failed.kind);
    erlpy::detail::make_valid_utf8(failed.message);
    error_class kind = std::move(failed.kind);
    if (const auto& name = std::get<std::string>(kind); format_.may_be_atom(name)) kind = cpp::atom{name};
    cpp::charlist message{std::move(failed.message)};
    if (with_frames_) {
      return write(traced_error_value{std::move(kind), std::move(message), std::move(failed.frames)});
    }
    return write(error_value{std::move(kind), std::move(message)});
  }

  [[nodiscard]] auto reason(std::string_view name) { return write(cpp::atom{std::string(name)}); }

 private:
  template <class Reason>
  [[nodiscard]] auto write(Reason reason) {
    auto& to = format_.sink();
    if (!index_) return transcode(cpp::source(reason), to);
    const std::pair indexed(*index_, std::move(reason));
    return transcode(cpp::source(indexed), to);
  }

  Format& format_;
  bool with_frames_;
  std::optional<std::int64_t> index_;
};

// Inside a catch block: the reason of what was thrown, where no Python runs.
template <class Format>
[[nodiscard]] auto reason_of_conversion(Format& format, std::optional<std::int64_t> index) {
  reply_writer writer(format, false, index);
  try {
    throw;
  } catch (const conversion_error& failed) {
    if (failed.kind() == fault::object_gone || failed.kind() == fault::cancelled)
      return writer.reason(exception_name(failed.kind()));
    return writer.exception({std::string(exception_name(failed.kind())), failed.what(), {}});
  } catch (const std::bad_alloc&) {
    return writer.exception({"MemoryError", "out of memory while a value was converted", {}});
  } catch (const std::exception& other) {
    return writer.exception({"SystemError", other.what(), {}});
  }
}

// Inside a catch block, attached: the reason of what was thrown, in a format that is at its answer. Python
// exceptions are described here, before they are destroyed. A child that user code forked ends here.
template <class Format>
[[nodiscard]] auto reason_of_current(Format& format, const python::interpreter& home, bool with_frames,
                                     std::optional<std::int64_t> index) {
  try {
    throw;
  } catch (const python::exception& raised) {
    if (python::in_forked_child()) python::end_forked_child(&raised);
    return reply_writer(format, with_frames, index).exception(python::describe(home, raised, with_frames));
  } catch (...) {
    if (python::in_forked_child()) python::end_forked_child(nullptr);
    return reason_of_conversion(format, index);
  }
}

}  // namespace erlpy

#endif
