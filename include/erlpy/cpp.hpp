// C++ values as sources and sinks: every type that crosses. Neither Python nor a BEAM is needed here.
#ifndef ERLPY_CPP_HPP
#define ERLPY_CPP_HPP

#include <erlpy/cpp/aggregate.hpp>
#include <erlpy/cpp/any_value.hpp>
#include <erlpy/cpp/bytes.hpp>
#include <erlpy/cpp/caster.hpp>
#include <erlpy/cpp/charlist.hpp>
#include <erlpy/cpp/chrono.hpp>
#include <erlpy/cpp/complex.hpp>
#include <erlpy/cpp/erlang.hpp>
#include <erlpy/cpp/field_names.hpp>
#include <erlpy/cpp/kinds.hpp>
#include <erlpy/cpp/mapping.hpp>
#include <erlpy/cpp/mismatch.hpp>
#include <erlpy/cpp/optional.hpp>
#include <erlpy/cpp/record.hpp>
#include <erlpy/cpp/refusing.hpp>
#include <erlpy/cpp/scalar.hpp>
#include <erlpy/cpp/sequence.hpp>
#include <erlpy/cpp/text.hpp>
#include <erlpy/cpp/through.hpp>
#include <erlpy/cpp/tuple.hpp>
#include <erlpy/cpp/variant.hpp>

#endif
