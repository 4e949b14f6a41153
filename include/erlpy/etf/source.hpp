// The source over the External Term Format: one encoded term, reported to any sink.
//
// Into a sink of Erlang terms everything passes as it is; into any other world the crossing table
// applies (docs/types.md). Bytes may be hostile: whatever is malformed or cut off is a
// conversion_error that names its place, nothing is allocated for a length before its bytes are there,
// and nesting is bounded by walk_limits::max_depth.
#ifndef ERLPY_ETF_SOURCE_HPP
#define ERLPY_ETF_SOURCE_HPP

#include <cstddef>
#include <utility>

#include <erlpy/data_model.hpp>
#include <erlpy/etf/detail/inflate.hpp>
#include <erlpy/etf/detail/reader.hpp>
#include <erlpy/etf/detail/walker.hpp>
#include <erlpy/etf/tags.hpp>
#include <erlpy/etf/term.hpp>

namespace erlpy::etf {

class source {
 public:
  // `payload` is one term, with or without the leading version byte, and must stay valid while the
  // source is used. `owner`, if given, owns those bytes: what {'$buffer', Bin} and {'$ndarray', ...}
  // hand out then shares it, and is a copy otherwise. A compressed term is decompressed here; that
  // throws conversion_error (value) if it is damaged or the build has no zlib.
  explicit source(bytes_view payload, walk_limits limits = {}, shared_bytes_ptr owner = nullptr,
                  bytes_form form = bytes_form::plain)
      : payload_(payload), limits_(limits), owner_(std::move(owner)), form_(form) {
    if (payload_.empty() || payload_.front() != version_byte) return;
    payload_ = payload_.subspan(1);
    base_ = 1;
    if (payload_.empty() || payload_.front() != std::byte{static_cast<unsigned char>(tag::compressed)})
      return;
    detail::reader in(payload_.subspan(1), 2);
    owner_ = detail::inflate_term(in);
    payload_ = owner_->view();
    base_ = 0;
  }

  explicit source(term t, walk_limits limits = {}, shared_bytes_ptr owner = nullptr,
                  bytes_form form = bytes_form::plain)
      : payload_(t.bytes()), limits_(limits), owner_(std::move(owner)), form_(form) {}

  // Reports the term and returns what the sink built; may be called any number of times. Throws
  // conversion_error, `value` for bytes that are not exactly one term (places in a compressed term are
  // counted after decompression), `recursion` and `cancelled` as walk_limits say; and what `to` throws.
  template <erlpy::sink To>
  typename To::value_type walk(To& to) const {
    detail::walker walker(detail::reader(payload_, base_), limits_, owner_, form_);
    auto built = walker.value(to);
    if (!walker.position().done()) walker.position().fail("bytes after the term");
    return built;
  }

 private:
  bytes_view payload_;
  walk_limits limits_;
  shared_bytes_ptr owner_;
  bytes_form form_ = bytes_form::plain;
  std::size_t base_ = 0;
};

static_assert(erlpy::source<source>);

}  // namespace erlpy::etf

#endif
