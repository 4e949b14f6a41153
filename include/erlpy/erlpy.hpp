// Everything of the library that needs no BEAM: values between worlds, Python, streams, pools of workers,
// the operations on them, and their typed face for C++ programs. A NIF includes <erlpy/nif/...> besides.
#ifndef ERLPY_ERLPY_HPP
#define ERLPY_ERLPY_HPP

#include <erlpy/bridge.hpp>
#include <erlpy/cpp.hpp>
#include <erlpy/data_model.hpp>
#include <erlpy/etf.hpp>
#include <erlpy/interpreter_pool.hpp>
#include <erlpy/pool/process_pool.hpp>
#include <erlpy/pool/thread_pool.hpp>
#include <erlpy/process/program.hpp>
#include <erlpy/python/runtime.hpp>
#include <erlpy/python/sink.hpp>
#include <erlpy/python/source.hpp>
#include <erlpy/stepped_stream.hpp>
#include <erlpy/stream/generator.hpp>
#include <erlpy/stream/iterate.hpp>
#include <erlpy/stream/iterate_async.hpp>
#include <erlpy/stream/signals.hpp>

#endif
