// Short, readable text of encoded terms, for repr() of opaque terms and for error messages: as Erlang
// prints them, cut off after a few hundred characters.
#ifndef ERLPY_ETF_DETAIL_PRINT_HPP
#define ERLPY_ETF_DETAIL_PRINT_HPP

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <iomanip>
#include <locale>
#include <sstream>
#include <string>
#include <string_view>

#include <erlpy/data_model.hpp>
#include <erlpy/etf/detail/comparer.hpp>
#include <erlpy/etf/detail/identifier.hpp>
#include <erlpy/etf/detail/list_cursor.hpp>
#include <erlpy/etf/detail/number.hpp>
#include <erlpy/etf/term.hpp>

namespace erlpy::etf::detail {

class printer {
 public:
  [[nodiscard]] std::string take() && {
    if (full()) out_.resize(limit), out_ += "...";
    return std::move(out_);
  }

  // Appends the next term, which `in` passes.
  void next(reader& in) {
    if (full() || depth_ == levels) {
      (void)skip(in);
      out_ += "...";
      return;
    }
    ++depth_;
    switch (rank_of(in)) {
      case rank::number: number_text(in); break;
      case rank::atom: atom(in); break;
      case rank::reference:
      case rank::port:
      case rank::pid: identifier_text(in); break;
      case rank::fun: fun(in); break;
      case rank::tuple: parts("{", in, step(in), "}"); break;
      case rank::record: record(in); break;
      case rank::local: local(in); break;
      case rank::map: map(in); break;
      case rank::nil:
        (void)skip(in);
        out_ += "[]";
        break;
      case rank::list: list(in); break;
      case rank::bitstring: bitstring(in); break;
    }
    --depth_;
  }

 private:
  static constexpr std::size_t limit = 300;
  static constexpr unsigned levels = 8;

  [[nodiscard]] bool full() const noexcept { return out_.size() > limit; }

  void number_text(reader& in) {
    const number n = read_number(in);
    if (n.kind == number_kind::small) {
      out_ += std::to_string(n.integer);
    } else if (n.kind == number_kind::big) {
      out_ += n.negative ? "-16#" : "16#";
      for (std::size_t i = n.magnitude.size(); i-- > 0 && !full();)
        hex(std::to_integer<unsigned>(n.magnitude[i]), i + 1 != n.magnitude.size());
    } else {
      std::ostringstream text;
      text.imbue(std::locale::classic());
      text << std::setprecision(17) << n.real;
      out_ += text.str();
      if (text.str().find_first_of(".e") == std::string::npos) out_ += ".0";
    }
  }

  void hex(unsigned byte, bool pad) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    if (pad || byte > 15) out_ += digits[byte >> 4U];
    out_ += digits[byte & 15U];
  }

  void atom(reader& in) {
    atom_scratch scratch;
    const std::string_view text = read_atom(in, scratch);
    constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@";
    const bool bare = !text.empty() && text[0] >= 'a' && text[0] <= 'z' &&
                      text.find_first_not_of(plain) == std::string_view::npos;
    if (bare) {
      out_ += text;
      return;
    }
    out_ += '\'';
    for (const char c : text) {
      if (c == '\'' || c == '\\') out_ += '\\';
      out_ += c;
    }
    out_ += '\'';
  }

  void identifier_text(reader& in) {
    const rank kind = rank_of(in);
    identifier read;
    read_identifier(in, read);
    out_ += kind == rank::pid ? "#Pid<" : kind == rank::port ? "#Port<" : "#Ref<";
    out_ += read.node;
    if (kind == rank::reference) {
      for (std::size_t i = read.word_count; i-- > 0;) out_ += "." + std::to_string(read.words[i]);
    } else {
      out_ += "." + std::to_string(read.number);
      if (kind == rank::pid) out_ += "." + std::to_string(read.serial);
    }
    out_ += '>';
  }

  void fun(reader& in) {
    if (in.peek() == tag::export_fun) {
      in.skip(1);
      out_ += "fun ";
      next(in);
      out_ += ':';
      next(in);
      out_ += '/';
      next(in);
      return;
    }
    reader parts = in;
    (void)skip(in);
    parts.skip(1 + 4 + 1 + 16 + 4 + 4);
    out_ += "#Fun<";
    next(parts);
    out_ += '.';
    next(parts);
    out_ += '.';
    next(parts);
    out_ += '>';
  }

  void parts(std::string_view open, reader& in, std::uint64_t n, std::string_view close) {
    out_ += open;
    for (std::uint64_t i = 0; i < n; ++i) {
      if (i != 0) out_ += ',';
      next(in);
      if (full()) {
        while (++i < n) (void)skip(in);
      }
    }
    out_ += close;
  }

  void record(reader& in) {
    reader names = in;
    (void)step(in);
    names.skip(1);
    const std::uint64_t fields = names.u32();
    names.skip(1);
    out_ += '#';
    next(names);
    out_ += ':';
    next(names);
    out_ += '{';
    for (std::uint64_t i = 0; i < fields; ++i) {
      if (full()) {
        (void)skip(in);
        continue;
      }
      if (i != 0) out_ += ',';
      next(names);
      out_ += " = ";
      next(in);
    }
    out_ += '}';
  }

  void local(reader& in) { out_ += "#Local<" + std::to_string(skip(in).size()) + " bytes>"; }

  void map(reader& in) {
    out_ += "#{";
    const std::uint64_t n = step(in) / 2;
    for (std::uint64_t i = 0; i < n; ++i) {
      if (full()) {
        (void)skip(in);
        (void)skip(in);
        continue;
      }
      if (i != 0) out_ += ',';
      next(in);
      out_ += " => ";
      next(in);
    }
    out_ += '}';
  }

  void list(reader& in) {
    out_ += '[';
    list_cursor cursor(in);
    for (bool first = true; cursor.more(); first = false) {
      small_term room;
      reader element = cursor.element(room);
      if (full()) {
        (void)skip(element);
      } else {
        if (!first) out_ += ',';
        next(element);
      }
      cursor.pass(element);
    }
    if (!cursor.proper()) {
      out_ += '|';
      next(in);
    }
    out_ += ']';
  }

  void bitstring(reader& in) {
    const bits read = read_bits(in);
    const std::string_view text = as_text(read.bytes);
    const bool printable = read.count % 8 == 0 && erlpy::detail::is_valid_utf8(text) &&
                           std::ranges::none_of(text, [](char c) { return (c >= 0 && c < 32) || c == '"'; });
    if (printable && !text.empty()) {
      out_ += "<<\"";
      out_ += text.substr(0, limit);
      out_ += erlpy::detail::is_ascii(text) ? "\">>" : "\"/utf8>>";
      return;
    }
    out_ += "<<";
    for (std::size_t i = 0; i < text.size() && !full(); ++i) {
      if (i != 0) out_ += ',';
      const auto byte = static_cast<unsigned char>(text[i]);
      const auto rest = static_cast<unsigned>(read.count % 8);
      if (i + 1 == text.size() && rest != 0)
        out_ += std::to_string(byte >> (8U - rest)) + ":" + std::to_string(rest);
      else
        out_ += std::to_string(byte);
    }
    out_ += ">>";
  }

  std::string out_;
  unsigned depth_ = 0;
};

// Throws conversion_error (value) if the bytes are malformed.
[[nodiscard]] inline std::string print(term t) {
  printer to;
  reader in(t.bytes());
  to.next(in);
  return std::move(to).take();
}

}  // namespace erlpy::etf::detail

#endif
