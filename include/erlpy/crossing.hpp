// Names that both ends of a crossing agree on: the atoms with a meaning of their own and the tagged
// tuples of the crossing table (docs/types.md). Sources and sinks of Erlang terms share them.
#ifndef ERLPY_CROSSING_HPP
#define ERLPY_CROSSING_HPP

#include <array>
#include <string_view>

namespace erlpy::crossing {

inline constexpr std::string_view true_atom = "true";
inline constexpr std::string_view false_atom = "false";
inline constexpr std::string_view none_atom = "none";
// Atoms that mean None outside Erlang.
inline constexpr std::array<std::string_view, 3> none_atoms = {"none", "nil", "undefined"};

// Floats that Erlang does not have.
inline constexpr std::string_view nan_atom = "nan";
inline constexpr std::string_view infinity_atom = "infinity";
inline constexpr std::string_view neg_infinity_atom = "neg_infinity";

// {'$bytes', Bin}, {'$buffer', Bin}, {'$ndarray', Dtype, Shape, Bin}
inline constexpr std::string_view bytes_tag = "$bytes";
inline constexpr std::string_view buffer_tag = "$buffer";
inline constexpr std::string_view ndarray_tag = "$ndarray";

// Between two ends of this library that say so (etf::bytes_form::tagged): {'$real', Bin} and {'$complex',
// Bin}, floats of 64 bits, big-endian; {'$set', List}; {'$namedtuple', Name, Fields, Values} and
// {'$dataclass', ...}, an instance of a class of that name.
inline constexpr std::string_view real_tag = "$real";
inline constexpr std::string_view complex_tag = "$complex";
inline constexpr std::string_view set_tag = "$set";
inline constexpr std::string_view namedtuple_tag = "$namedtuple";
inline constexpr std::string_view dataclass_tag = "$dataclass";

// {py_object, Ref} and {generator, Ref}. Where there is no BEAM to make a Ref (External Term
// Format), Ref is the tuple {'$object', Owner, Id} of two non-negative integers.
inline constexpr std::string_view object_tag = "py_object";
inline constexpr std::string_view generator_tag = "generator";
inline constexpr std::string_view object_id_tag = "$object";

inline constexpr std::size_t max_atom_characters = 255;

}  // namespace erlpy::crossing

#endif
