// NIF terms as a format of the bridge: requests are read from, and answers built in, one
// process-independent environment that then goes to the receiver as the message's own.
#ifndef ERLPY_NIF_FORMAT_HPP
#define ERLPY_NIF_FORMAT_HPP

#include <erl_nif.h>

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include <erlpy/bridge.hpp>
#include <erlpy/detail/utf8.hpp>
#include <erlpy/nif/atom_text.hpp>
#include <erlpy/nif/context.hpp>
#include <erlpy/nif/sink.hpp>
#include <erlpy/nif/source.hpp>
#include <erlpy/stream_maker.hpp>

namespace erlpy::nif {

// Which exception names may become atoms: those that are atoms already, and 4,096 more in the life of
// the VM. Atoms are never collected, and Python can make classes without end.
class atom_budget {
 public:
  [[nodiscard]] bool admit(ErlNifEnv* env, std::string_view name) {
    if (name.empty() || erlpy::detail::count_code_points(name) > crossing::max_atom_characters) return false;
    const std::lock_guard lock(mutex_);
    if (admitted_.contains(std::string(name))) return true;
    ERL_NIF_TERM existing;
    if (erlpy::detail::is_ascii(name) &&
        enif_make_existing_atom_len(env, name.data(), name.size(), &existing, ERL_NIF_LATIN1))
      return true;
    if (admitted_.size() >= limit) return false;
    admitted_.emplace(name);
    return true;
  }

 private:
  static constexpr std::size_t limit = 4096;

  std::mutex mutex_;
  std::unordered_set<std::string> admitted_;
};

class format {
 public:
  using term = ERL_NIF_TERM;

  // `clear_before_answer`: the request's terms leave the environment at begin_answer(), so that they do
  // not travel with the message.
  // `streams` makes handles in `env`; null where the request opens none.
  format(ErlNifEnv* env, const source_context& sources, sink_context& sinks, atom_budget& budget,
         bool clear_before_answer, stream_maker<ERL_NIF_TERM>* streams = nullptr)
      : env_(env),
        sources_(sources),
        sinks_(sinks),
        budget_(budget),
        clear_(clear_before_answer),
        streams_(streams) {}

  [[nodiscard]] bool is_object(const term& candidate) const noexcept {
    int arity = 0;
    const ERL_NIF_TERM* elements = nullptr;
    return enif_get_tuple(env_, candidate, &arity, &elements) != 0 && arity == 2 &&
           (elements[0] == sources_.names.py_object || elements[0] == sources_.names.generator);
  }

  [[nodiscard]] python::ref name(const term& from, python::context& context) const {
    if (!enif_is_atom(env_, from)) return python::make_str(text(from));
    return context.atoms().get(static_cast<std::uintptr_t>(from), false, [&] {
      atom_buffer buffer;
      return python::make_str(atom_text(env_, from, buffer));
    });
  }

  [[nodiscard]] std::string_view text(const term& from) const {
    ErlNifBinary binary;
    if (!enif_inspect_binary(env_, from, &binary)) throw conversion_error(fault::type, "expected a binary");
    return as_text(view_of(binary));
  }

  [[nodiscard]] nif::source source(const term& from, walk_limits limits) const {
    return {env_, from, sources_, limits};
  }

  void begin_answer() {
    if (clear_) enif_clear_env(env_);
    sink_.emplace(env_, sinks_);
  }

  [[nodiscard]] nif::sink& sink() noexcept { return *sink_; }

  [[nodiscard]] term stream(const python::ref& iterable) { return make_stream(streams_, iterable); }

  [[nodiscard]] bool may_be_atom(std::string_view name) { return budget_.admit(env_, name); }

 private:
  ErlNifEnv* env_;
  const source_context& sources_;
  sink_context& sinks_;
  atom_budget& budget_;
  bool clear_;
  stream_maker<ERL_NIF_TERM>* streams_;
  std::optional<nif::sink> sink_;
};

static_assert(term_format<format>);

}  // namespace erlpy::nif

#endif
