// Terms in the External Term Format as a format of the bridge: what a worker process reads requests from, and
// builds answers in. An answer is the rest of a frame.
#ifndef ERLPY_PROCESS_FORMAT_HPP
#define ERLPY_PROCESS_FORMAT_HPP

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <erlpy/bridge.hpp>
#include <erlpy/crossing.hpp>
#include <erlpy/etf.hpp>
#include <erlpy/pool/frame.hpp>
#include <erlpy/stream_maker.hpp>

namespace erlpy::process {

class format {
 public:
  using term = etf::term;

  // `owner` has the bytes of the request's terms; the answer is written to `out`, which begin_answer()
  // begins. `streams` gives their numbers; null where the request opens none.
  format(shared_bytes_ptr owner, pool::outgoing_frame& out, std::uint64_t id,
         stream_maker<std::uint64_t>* streams = nullptr, etf::bytes_form form = etf::bytes_form::plain)
      : owner_(std::move(owner)), out_(out), id_(id), streams_(streams), form_(form) {}

  [[nodiscard]] bool is_object(const term& candidate) const {
    std::vector<term> parts;
    return etf::tuple_elements(candidate, parts) && parts.size() == 2 &&
           (etf::is_atom(parts[0], crossing::object_tag) || etf::is_atom(parts[0], crossing::generator_tag));
  }

  [[nodiscard]] python::ref name(const term& from, python::context&) const {
    if (const auto atom = etf::atom_text(from)) return python::make_str(*atom);
    return python::make_str(text(from));
  }

  [[nodiscard]] std::string_view text(const term& from) const {
    const auto bytes = etf::binary_bytes(from);
    if (!bytes) throw conversion_error(fault::type, "expected a binary");
    return {reinterpret_cast<const char*>(bytes->data()), bytes->size()};
  }

  [[nodiscard]] etf::source source(const term& from, walk_limits limits) const {
    return etf::source(from, limits, owner_, form_);
  }

  // What was written of an answer before is gone.
  void begin_answer() {
    out_.begin(pool::frame_kind::answer, id_);
    sink_.emplace(out_.bytes(), walk_limits{}, form_);
  }
  [[nodiscard]] etf::sink& sink() noexcept { return *sink_; }

  [[nodiscard]] etf::sink::value_type stream(const python::ref& iterable) {
    return sink_->integer(static_cast<std::int64_t>(make_stream(streams_, iterable)));
  }

  // The pool decides: its VM has the table of atoms.
  [[nodiscard]] static bool may_be_atom(std::string_view) noexcept { return false; }

 private:
  shared_bytes_ptr owner_;
  pool::outgoing_frame& out_;
  std::uint64_t id_;
  stream_maker<std::uint64_t>* streams_;
  etf::bytes_form form_;
  std::optional<etf::sink> sink_;
};

static_assert(term_format<format>);

// A request in a frame: how it reads there. The other half is nif::write_request.
[[nodiscard]] inline request<etf::term> read_request(pool::frame_reader& from) {
  request<etf::term> asked;
  const auto what = from.get<std::uint8_t>();
  if (what > static_cast<std::uint8_t>(operation::tracemalloc_stop)) throw error("no such operation");
  asked.what = static_cast<operation>(what);
  const auto flags = from.get<std::uint8_t>();
  asked.traceback = (flags & request_flags::traceback) != 0;
  asked.keep_atoms = (flags & request_flags::keep_atoms) != 0;
  asked.as_stream = (flags & request_flags::as_stream) != 0;
  asked.exact_bytes = (flags & request_flags::exact_bytes) != 0;
  asked.number = from.get<std::int64_t>();
  etf::detail::reader in(from.rest());
  for (etf::term* const each :
       {&asked.target, &asked.function, &asked.code, &asked.arguments, &asked.keywords})
    *each = etf::term(etf::detail::skip(in));
  return asked;
}

}  // namespace erlpy::process

#endif
