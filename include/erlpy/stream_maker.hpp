// What a format of the bridge needs of its host to answer with a stream.
#ifndef ERLPY_STREAM_MAKER_HPP
#define ERLPY_STREAM_MAKER_HPP

#include <erlpy/error.hpp>
#include <erlpy/python/ref.hpp>

namespace erlpy {

// Makes streams, one for each request that opens one. Called on the worker, attached. Opened: what the host's
// other side knows a stream by.
template <class Opened>
class stream_maker {
 public:
  stream_maker() = default;
  stream_maker(const stream_maker&) = delete;
  stream_maker& operator=(const stream_maker&) = delete;
  virtual ~stream_maker() = default;

  // Opens a stream over the object. Errors: what that raises.
  [[nodiscard]] virtual Opened make_stream(const python::ref& iterable) = 0;
};

// The same by who may be null, where the request opens none: then erlpy::error.
template <class Opened>
[[nodiscard]] Opened make_stream(stream_maker<Opened>* by, const python::ref& iterable) {
  if (by == nullptr) throw error("no stream can be opened here");
  return by->make_stream(iterable);
}

}  // namespace erlpy

#endif
