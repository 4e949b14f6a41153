// The External Term Format, Erlang's own encoding of terms: a source over bytes, a sink into bytes, and
// terms compared, ordered and looked into without a BEAM.
#ifndef ERLPY_ETF_HPP
#define ERLPY_ETF_HPP

#include <erlpy/etf/compare.hpp>
#include <erlpy/etf/opaque.hpp>
#include <erlpy/etf/sink.hpp>
#include <erlpy/etf/source.hpp>
#include <erlpy/etf/tags.hpp>
#include <erlpy/etf/term.hpp>

#endif
