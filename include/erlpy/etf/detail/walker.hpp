// The walk over an encoded term: what etf::source does. A term is reported to the sink as it is read;
// nothing is kept but the reading position.
#ifndef ERLPY_ETF_DETAIL_WALKER_HPP
#define ERLPY_ETF_DETAIL_WALKER_HPP

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <erlpy/crossing.hpp>
#include <erlpy/data_model.hpp>
#include <erlpy/detail/utf8.hpp>
#include <erlpy/etf/detail/exact.hpp>
#include <erlpy/etf/detail/number.hpp>
#include <erlpy/etf/detail/owners.hpp>
#include <erlpy/etf/detail/reader.hpp>
#include <erlpy/etf/detail/skip.hpp>
#include <erlpy/etf/detail/tagged.hpp>
#include <erlpy/etf/opaque.hpp>

namespace erlpy::etf::detail {

// A sink that throws whatever an improper list holds: such a list need not be known before it is read.
template <class S>
concept refuses_improper_lists = requires {
  requires S::refuses_improper_lists;
};

// One walk. `owner`, if given, owns the bytes that `in` reads. The functions for containers are kept
// out of line: what they need on the stack would else be paid by every level of nesting.
class walker {
 public:
  walker(reader in, const walk_limits& limits, const shared_bytes_ptr& owner, bytes_form form) noexcept
      : in_(in), guard_(limits), owner_(owner), form_(form) {}

  // Reports the next term.
  template <erlpy::sink To>
  typename To::value_type value(To& to) {
    const std::size_t begin = in_.position();
    const auto t = static_cast<tag>(in_.u8());
    switch (t) {
      case tag::small_integer: return to.integer(in_.u8());
      case tag::integer: return to.integer(static_cast<std::int32_t>(in_.u32()));
      case tag::small_big: return big_integer(to, false);
      case tag::large_big: return big_integer(to, true);
      case tag::new_float: return to.real(read_float(in_));
      case tag::old_float: return to.real(read_old_float(in_));
      case tag::atom:
      case tag::small_atom:
      case tag::atom_utf8:
      case tag::small_atom_utf8: in_.rewind(begin); return atom(to);
      case tag::binary: return binary(to, in_.take(in_.u32()));
      case tag::nil: return sequence(to.list(0), 0);
      case tag::string: return string(to);
      case tag::list: return list(to, begin);
      case tag::small_tuple: return tuple(to, in_.u8());
      case tag::large_tuple: return tuple(to, in_.u32());
      case tag::map: return map(to, in_.u32());
      case tag::bit_binary: return bits(to, begin);
      case tag::pid:
      case tag::new_pid: return opaque(to, opaque_kind::pid, begin);
      case tag::port:
      case tag::new_port:
      case tag::v4_port: return opaque(to, opaque_kind::port, begin);
      case tag::reference:
      case tag::new_reference:
      case tag::newer_reference: return opaque(to, opaque_kind::reference, begin);
      case tag::new_fun:
      case tag::export_fun: return opaque(to, opaque_kind::fun, begin);
      case tag::native_record: return opaque(to, opaque_kind::record, begin);
      case tag::local: return opaque(to, opaque_kind::local, begin);
      default: break;
    }
    in_.rewind(begin);
    unknown_tag(in_.offset(), t);
  }

  [[nodiscard]] const reader& position() const noexcept { return in_; }

 private:
  // As value(); what elements mostly are is told without a call.
  template <class To>
  typename To::value_type element(To& to) {
    switch (in_.peek()) {
      case tag::integer: return to.integer(static_cast<std::int32_t>(in_.tagged<4>()));
      case tag::binary: return binary(to, in_.take(in_.tagged<4>()));
      case tag::small_integer: return to.integer(static_cast<std::int64_t>(in_.tagged<1>()));
      case tag::new_float: return to.real(read_tagged_float(in_));
      default: return value(to);
    }
  }

  template <class To>
  typename To::value_type binary(To& to, bytes_view bytes) {
    if (form_ == bytes_form::tagged && erlpy::detail::is_valid_utf8(as_text(bytes)))
      return to.text(as_text(bytes));
    return to.binary(bytes);
  }

  template <class To>
  typename To::value_type big_integer(To& to, bool large) {
    const number n = read_big(in_, large);
    return n.kind == number_kind::small ? to.integer(n.integer) : to.big_integer(n.negative, n.magnitude);
  }

  template <class To>
  [[gnu::noinline]] typename To::value_type atom(To& to) {
    atom_scratch scratch;
    const std::string_view text = read_atom(in_, scratch);
    if constexpr (!To::erlang_terms) {
      if (text == crossing::true_atom) return to.boolean(true);
      if (text == crossing::false_atom) return to.boolean(false);
      if (std::ranges::find(crossing::none_atoms, text) != crossing::none_atoms.end()) return to.none();
    }
    return to.atom(text);
  }

  template <class Builder>
  [[gnu::noinline]] auto sequence(Builder builder, std::uint64_t length) {
    const walk_guard::level inside(guard_);
    for (; length > 0; --length) {
      guard_.tick();
      --owed_;
      push_element(builder, [&](auto& child) { return element(child); });
    }
    return builder.finish();
  }

  template <class To>
  [[gnu::noinline]] typename To::value_type string(To& to) {
    const walk_guard::level inside(guard_);
    const bytes_view elements = in_.take(in_.u16());
    auto builder = to.list(elements.size());
    for (const std::byte element : elements) {
      guard_.tick();
      push_element(builder,
                   [element](auto& child) { return child.integer(std::to_integer<std::int64_t>(element)); });
    }
    return builder.finish();
  }

  template <class To>
  [[gnu::noinline]] typename To::value_type list(To& to, std::size_t begin) {
    if constexpr (!refuses_improper_lists<To>)
      if (is_improper(begin)) return opaque(to, opaque_kind::improper_list, begin);
    const std::uint64_t length = in_.u32();
    owe(length + 1);
    auto built = sequence(to.list(static_cast<std::size_t>(length)), length);
    if constexpr (refuses_improper_lists<To>)
      if (in_.peek() != tag::nil) return opaque(to, opaque_kind::improper_list, begin);
    in_.skip(1);
    --owed_;
    return built;
  }

  template <class To>
  typename To::value_type tuple(To& to, std::uint64_t arity) {
    owe(arity);
    if constexpr (!To::erlang_terms) {
      if (form_ == bytes_form::tagged) {
        if (const exact_kind found = match_exact(in_, arity); found != exact_kind::none)
          return exact_value(to, arity, found);
      }
      if (may_be_tagged(in_, arity) && match_tagged(in_, arity) != tagged_kind::none)
        return tagged_value(to, arity);
    } else {
      // An object is one in every world.
      if (arity == 2 && may_be_tagged(in_, arity) && match_tagged(in_, arity) == tagged_kind::object)
        return tagged_value(to, arity);
    }
    return sequence(to.tuple(static_cast<std::size_t>(arity)), arity);
  }

  // A list, as a set: what is written as one is proper, and no STRING.
  template <class To>
  typename To::value_type set(To& to) {
    if (in_.peek() == tag::nil) {
      in_.skip(1);
      return sequence(to.set(0), 0);
    }
    if (in_.u8() != static_cast<std::uint8_t>(tag::list)) in_.fail("a set that is not a list");
    const std::uint64_t length = in_.u32();
    owe(length + 1);
    auto built = sequence(to.set(static_cast<std::size_t>(length)), length);
    if (in_.u8() != static_cast<std::uint8_t>(tag::nil)) in_.fail("a set that is an improper list");
    --owed_;
    return built;
  }

  template <class To>
  [[gnu::noinline]] typename To::value_type exact_value(To& to, std::uint64_t arity, exact_kind found) {
    owed_ -= arity;
    (void)skip(in_);  // the tag
    if (found == exact_kind::real) {
      in_.skip(1 + 4);
      return to.real(std::bit_cast<double>(in_.u64()));
    }
    if (found == exact_kind::set) return set(to);
    if (found == exact_kind::complex) {
      in_.skip(1 + 4);
      const auto real = std::bit_cast<double>(in_.u64());
      const auto imaginary = std::bit_cast<double>(in_.u64());
      if constexpr (requires { to.complex(real, imaginary); }) return to.complex(real, imaginary);
      auto parts = to.tuple(2);
      push_element(parts, [&](auto& child) { return child.real(real); });
      push_element(parts, [&](auto& child) { return child.real(imaginary); });
      return parts.finish();
    }
    const std::string_view name = read_text(in_);
    std::vector<std::string_view> fields(instance_size(in_));
    for (std::string_view& each : fields) each = read_text(in_);
    if (instance_size(in_) != fields.size()) in_.fail("an instance with more or fewer values than fields");
    owe(fields.size());
    if constexpr (requires { to.namedtuple(name, fields); }) {
      if (found == exact_kind::namedtuple) return sequence(to.namedtuple(name, fields), fields.size());
      return sequence(to.dataclass(name, fields), fields.size());
    }
    const walk_guard::level inside(guard_);
    auto map = to.map(fields.size());
    for (const std::string_view each : fields) {
      guard_.tick();
      push_entry(
          map, [&](auto& child) { return child.text(each); }, [&](auto& child) { return value(child); });
    }
    return map.finish();
  }

  template <class To>
  [[gnu::noinline]] typename To::value_type tagged_value(To& to, std::uint64_t arity) {
    tagged found;
    read_tagged(in_, arity, found);
    owed_ -= arity;
    switch (found.kind) {
      case tagged_kind::bytes: return to.bytes(found.data);
      case tagged_kind::buffer: return to.shared(share_bytes(owner_, found.data));
      case tagged_kind::ndarray:
        return to.ndarray(found.dtype, std::span<const std::int64_t>(found.shape.data(), found.dimensions),
                          share_bytes(owner_, found.data));
      default: return to.object(found.object);
    }
  }

  template <class To>
  [[gnu::noinline]] typename To::value_type map(To& to, std::uint64_t size) {
    owe(2 * size);
    const walk_guard::level inside(guard_);
    auto builder = to.map(static_cast<std::size_t>(size));
    for (; size > 0; --size) {
      guard_.tick();
      const auto next = [&](auto& child) {
        --owed_;
        return element(child);
      };
      push_entry(builder, next, next);
    }
    return builder.finish();
  }

  // Eight bits in its last byte are a binary, though no Erlang writes one so.
  template <class To>
  [[gnu::noinline]] typename To::value_type bits(To& to, std::size_t begin) {
    reader ahead = in_;
    const std::size_t size = ahead.u32();
    if (size == 0 || ahead.u8() != 8) return opaque(to, opaque_kind::bitstring, begin);
    in_ = ahead;
    return binary(to, in_.take(size));
  }

  template <class To>
  [[gnu::noinline]] typename To::value_type opaque(To& to, opaque_kind kind, std::size_t begin) {
    in_.rewind(begin);
    const std::size_t offset = in_.offset();
    const bool fun = in_.peek() == tag::new_fun;
    const bytes_view external = skip(in_);
    if (fun) check_fun(external, offset);
    return to.opaque(opaque_view(kind, external));
  }

  static void check_fun(bytes_view external, std::size_t offset) {
    reader in(external, offset);
    in.skip(1);
    if (in.u32() != external.size() - 1) fail_at(offset, "a fun whose size is wrong");
  }

  // A list is improper if a term other than [] follows its elements: known only at its end, so that the
  // outermost list is looked through once, with all that is nested in it.
  [[nodiscard]] bool is_improper(std::size_t begin) {
    if (begin >= searched_) {
      reader from = in_;
      from.rewind(begin);
      improper_.clear();
      find_improper_lists(from, improper_, searched_);
    }
    return !improper_.empty() && std::ranges::binary_search(improper_, begin);
  }

  // So many terms follow, each of them a byte at least, before those that the open containers wait for.
  // A container is announced to the sink only if all of them can be there: else nested headers, each of
  // which claims the same bytes, would make it take memory for each.
  void owe(std::uint64_t terms) {
    in_.need_items(owed_ + terms, 1);
    owed_ += terms;
  }

  reader in_;
  std::uint64_t owed_ = 0;
  walk_guard guard_;
  const shared_bytes_ptr& owner_;
  bytes_form form_;
  std::vector<std::size_t> improper_;
  std::size_t searched_ = 0;
};

}  // namespace erlpy::etf::detail

#endif
