// Arbitrary bytes as External Term Format: read into a world of its own and into the sink, compared, ordered,
// hashed, printed, taken apart. What is read must come back as the equal term, and the order of terms must be
// one.
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include <erlpy/etf.hpp>

#include "fuzz.hpp"

namespace {

namespace etf = erlpy::etf;
using erlpy::byte_buffer;
using erlpy::bytes_view;
using fuzz::attempt;
using fuzz::expect;

// Deep enough for every path; the sanitizers need much more stack than a program does.
constexpr erlpy::walk_limits limits{.max_depth = 300};

// A world that is not Erlang's: it looks at every byte that it is given, and keeps a sum.
class summing_sink {
 public:
  using value_type = std::size_t;
  static constexpr bool erlang_terms = false;

  class sequence {
   public:
    sequence(summing_sink& to, std::size_t n) : to_(to), announced_(n) {}
    summing_sink& child() { return to_; }
    summing_sink& key() { return to_; }
    summing_sink& value() { return to_; }
    void push(value_type part) {
      sum_ = sum_ * 31 + part;
      ++pushed_;
    }
    void push(value_type key, value_type value) { push(key * 7 + value); }
    value_type finish() {
      expect(pushed_ == announced_, "as many elements come as were announced");
      return sum_;
    }

   private:
    summing_sink& to_;
    value_type sum_ = 1;
    std::size_t announced_;
    std::size_t pushed_ = 0;
  };

  value_type none() { return 2; }
  value_type boolean(bool flag) { return flag ? 3 : 4; }
  value_type integer(std::int64_t value) { return static_cast<value_type>(value); }
  value_type big_integer(bool negative, bytes_view magnitude) {
    expect(magnitude.size() >= 8 && magnitude.back() != std::byte{0}, "a big integer is one");
    return sum(magnitude) + negative;
  }
  value_type real(double value) {
    expect(value - value == 0, "floats are finite");
    return 5;
  }
  value_type atom(std::string_view text) { return this->text(text); }
  value_type text(std::string_view text) {
    expect(erlpy::detail::is_valid_utf8(text), "text is UTF-8");
    return sum(erlpy::as_bytes(text));
  }
  value_type bytes(bytes_view bytes) { return sum(bytes); }
  value_type binary(bytes_view bytes) { return sum(bytes); }
  template <class Fill>
  value_type bytes_from(std::size_t n, Fill&& fill) {
    byte_buffer room(n);
    fill(std::span(room));
    return sum(room);
  }
  value_type shared(const erlpy::shared_bytes_ptr& bytes) { return sum(bytes->view()); }
  template <class Fill>
  value_type ndarray(std::string_view, std::span<const std::int64_t>, std::size_t n, Fill&& fill) {
    return bytes_from(n, fill);
  }
  value_type ndarray(std::string_view dtype, std::span<const std::int64_t> shape,
                     const erlpy::shared_bytes_ptr& bytes) {
    value_type total = text(dtype);
    for (const std::int64_t extent : shape) {
      expect(extent >= 0, "extents are not negative");
      total += static_cast<value_type>(extent);
    }
    return total + sum(bytes->view());
  }
  value_type opaque(const erlpy::opaque_handle auto& handle) {
    const erlpy::opaque_ptr kept = handle.share();
    byte_buffer offered;
    byte_buffer owned;
    handle.external(offered);
    kept->append_external(owned);
    expect(!owned.empty() && offered == owned, "an opaque term keeps its bytes");
    expect(kept->same_as(*handle.share()), "an opaque term is itself");
    return kept->hash() + kept->text().size();
  }
  value_type object(erlpy::object_ref object) { return object.owner + object.id; }
  sequence list(std::size_t n) { return {*this, n}; }
  sequence tuple(std::size_t n) { return {*this, n}; }
  sequence set(std::size_t n) { return {*this, n}; }
  sequence map(std::size_t n) { return {*this, n}; }

 private:
  static value_type sum(bytes_view bytes) {
    value_type total = bytes.size();
    for (const std::byte byte : bytes) total = total * 31 + std::to_integer<value_type>(byte);
    return total;
  }
};

byte_buffer reencoded(bytes_view bytes) {
  byte_buffer out;
  etf::sink to(out, limits);
  (void)erlpy::transcode(etf::source(bytes, limits), to);
  return out;
}

void take_apart(etf::term t) {
  (void)attempt([&] { return etf::integer_value(t); });
  (void)attempt([&] { return etf::atom_text(t); });
  (void)attempt([&] { return etf::is_atom(t, "ok"); });
  (void)attempt([&] { return etf::binary_bytes(t); });
  (void)attempt([&] { return etf::string_bytes(t); });
  std::vector<etf::term> parts;
  (void)attempt([&] { return etf::list_elements(t, parts); });
  std::vector<std::pair<etf::term, etf::term>> entries;
  (void)attempt([&] { return etf::map_entries(t, entries); });
}

// The order of the elements of a tuple among themselves.
void order(etf::term tuple) {
  constexpr std::size_t most = 5;
  std::vector<etf::term> parts;
  if (!attempt([&] { return etf::tuple_elements(tuple, parts); }).value_or(false)) return;
  if (parts.size() > most) parts.resize(most);
  std::array<std::array<std::optional<std::strong_ordering>, most>, most> found{};
  for (std::size_t i = 0; i < parts.size(); ++i)
    for (std::size_t k = 0; k < parts.size(); ++k) {
      found[i][k] = attempt([&] { return etf::compare(parts[i], parts[k], limits.max_depth); });
      if (attempt([&] { return etf::identical(parts[i], parts[k], limits.max_depth); }).value_or(false)) {
        expect(!found[i][k] || *found[i][k] == 0, "what is identical is equal");
        expect(etf::detail::hash_term(parts[i]) == etf::detail::hash_term(parts[k]),
               "what is identical has one hash");
      }
    }
  for (std::size_t i = 0; i < parts.size(); ++i)
    for (std::size_t k = 0; k < parts.size(); ++k) {
      if (!found[i][k] || !found[k][i]) continue;
      expect((*found[i][k] < 0) == (*found[k][i] > 0) && (*found[i][k] == 0) == (*found[k][i] == 0),
             "the order is the same from both sides");
      for (std::size_t m = 0; m < parts.size(); ++m)
        if (found[k][m] && found[i][m] && *found[i][k] <= 0 && *found[k][m] <= 0)
          expect(*found[i][m] <= 0, "the order is transitive");
    }
}

// Raw bytes as one term: nothing has shown yet that they are.
void look(bytes_view bytes) {
  const etf::term raw(bytes);
  take_apart(raw);
  (void)attempt([&] { return etf::detail::hash_term(raw); });
  (void)attempt([&] { return etf::detail::print(raw); });
  (void)attempt([&] { return etf::compare(raw, raw, limits.max_depth); });
  order(raw);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const bytes_view input = fuzz::as_view(data, size);
  look(input);
  (void)attempt([&] {
    summing_sink to;
    return erlpy::transcode(etf::source(input, limits), to);
  });

  const auto whole = attempt([&] { return etf::read_term(input); });
  if (whole) look(whole->bytes());
  const auto once = attempt([&] { return reencoded(input); });
  if (!once) return 0;
  const auto twice = attempt([&] { return reencoded(*once); });
  expect(twice.has_value(), "what was written can be read");
  expect(*once == *twice, "what was written is written so again");
  const auto after = attempt([&] { return etf::read_term(*once); });
  expect(after.has_value(), "what was written is one term");
  if (whole) {
    // Deeper than compare() goes is nothing that was written.
    expect(etf::identical(*whole, *after, 2 * limits.max_depth), "what is read is the term itself");
    expect(etf::detail::hash_term(*whole) == etf::detail::hash_term(*after), "it has the same hash");
    expect(etf::detail::print(*whole) == etf::detail::print(*after), "it is printed so again");
  }
  return 0;
}
