// The shape of errors in Erlang terms, for any sink: {Class, Message}, with frames {Class, Message,
// [{File, Line, Function}]}, in a map {Index, Reason}, or a reason of our own as an atom.
#ifndef ERLPY_REPLY_HPP
#define ERLPY_REPLY_HPP

#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <string_view>

#include <erlpy/data_model.hpp>
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

  [[nodiscard]] auto exception(const python::failure& failed) {
    return indexed([&] {
      auto& to = format_.sink();
      auto tuple = to.tuple(with_frames_ ? 3 : 2);
      tuple.push(format_.may_be_atom(failed.kind) ? to.atom(failed.kind) : to.text(failed.kind));
      tuple.push(characters(failed.message));
      if (with_frames_) tuple.push(frames(failed));
      return tuple.finish();
    });
  }

  [[nodiscard]] auto reason(std::string_view name) {
    return indexed([&] { return format_.sink().atom(name); });
  }

 private:
  template <class Write>
  [[nodiscard]] auto indexed(Write write) {
    if (!index_) return write();
    auto& to = format_.sink();
    auto tuple = to.tuple(2);
    tuple.push(to.integer(*index_));
    tuple.push(write());
    return tuple.finish();
  }

  // An Erlang string: the code points of valid UTF-8.
  [[nodiscard]] auto characters(std::string_view text) {
    auto& to = format_.sink();
    const auto starts_one = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; };
    std::size_t count = 0;
    for (const char c : text) count += starts_one(c) ? 1 : 0;
    auto list = to.list(count);
    for (std::size_t i = 0; i < text.size();) {
      const auto lead = static_cast<unsigned char>(text[i]);
      std::uint32_t point = lead < 0x80U   ? lead
                            : lead < 0xE0U ? lead & 0x1FU
                            : lead < 0xF0U ? lead & 0x0FU
                                           : lead & 0x07U;
      for (++i; i < text.size() && !starts_one(text[i]); ++i)
        point = (point << 6U) | (static_cast<unsigned char>(text[i]) & 0x3FU);
      list.push(to.integer(point));
    }
    return list.finish();
  }

  [[nodiscard]] auto frames(const python::failure& failed) {
    auto& to = format_.sink();
    auto list = to.list(failed.frames.size());
    for (const python::frame& each : failed.frames) list.push(frame(each));
    return list.finish();
  }

  // The builder ends before its value goes into another: builders nest.
  [[nodiscard]] auto frame(const python::frame& each) {
    auto& to = format_.sink();
    auto tuple = to.tuple(3);
    tuple.push(to.text(each.file));
    tuple.push(to.integer(each.line));
    tuple.push(to.text(each.function));
    return tuple.finish();
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
