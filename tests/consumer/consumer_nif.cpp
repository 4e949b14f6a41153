// A NIF library of somebody else's, on the library's NIF headers: encode/1 is term_to_binary/1 through the
// source of NIF terms and the sink of the External Term Format.
#include <erl_nif.h>

#include <cstring>
#include <exception>

#include <erlpy/etf/sink.hpp>
#include <erlpy/nif/source.hpp>

namespace {

ERL_NIF_TERM encode(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  try {
    const auto& names = *static_cast<erlpy::nif::atoms*>(enif_priv_data(env));
    const erlpy::nif::source_context context{names};
    erlpy::etf::sink to;
    static_cast<void>(erlpy::transcode(erlpy::nif::source(env, argv[0], context, {}), to));
    const erlpy::byte_buffer bytes = to.take();
    ERL_NIF_TERM answer;
    std::memcpy(enif_make_new_binary(env, bytes.size(), &answer), bytes.data(), bytes.size());
    return answer;
  } catch (const std::exception&) {
    return enif_make_badarg(env);
  }
}

int load(ErlNifEnv* env, void** data, ERL_NIF_TERM) {
  static const erlpy::nif::atoms names(env);
  *data = const_cast<erlpy::nif::atoms*>(&names);
  return 0;
}

ErlNifFunc functions[] = {{"encode", 1, encode, 0}};

}  // namespace

// The macro initialises what later versions of the header added by leaving it out.
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
ERL_NIF_INIT(consumer_nif, functions, load, nullptr, nullptr, nullptr)
