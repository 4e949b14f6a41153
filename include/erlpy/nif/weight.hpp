// How much work it is to copy a term, found out with bounded work; and by the way, which Python object it
// names.
#ifndef ERLPY_NIF_WEIGHT_HPP
#define ERLPY_NIF_WEIGHT_HPP

#include <erl_nif.h>

#include <array>
#include <cstddef>

namespace erlpy::nif {

// Nodes that a normal scheduler looks at and copies: some tens of microseconds.
inline constexpr std::size_t light_weight = 2'000;

// Counts the nodes of a term, iteratively, until `limit` is reached: returns the count, or `limit`.
// A binary that is copied counts one for each 64 bytes; a big one is shared, but weighs on whoever
// keeps it, so it counts the same. A list's cells are counted as they are walked, so that the work is
// bounded by the limit for any term.
class weigher {
 public:
  weigher(ErlNifEnv* env, std::size_t limit) noexcept : env_(env), limit_(limit) {}
  // Notes the first tuple of two whose first element is one of these atoms.
  weigher(ErlNifEnv* env, std::size_t limit, ERL_NIF_TERM py_object, ERL_NIF_TERM generator) noexcept
      : env_(env), limit_(limit), tags_{py_object, generator} {}

  [[nodiscard]] std::size_t weigh(ERL_NIF_TERM root) noexcept {
    push(root);
    while (depth_ > 0 && count_ < limit_) step(stack_[--depth_]);
    return count_ < limit_ ? count_ : limit_;
  }

  // After weigh(): the second element of that tuple; 0 if there was none before the limit.
  [[nodiscard]] ERL_NIF_TERM noted() const noexcept { return noted_; }

 private:
  static constexpr std::size_t capacity = 256;

  // A term that is wide beyond the stack counts as heavy: more is not worth knowing.
  void push(ERL_NIF_TERM term) noexcept {
    if (depth_ == capacity) {
      count_ = limit_;
    } else {
      stack_[depth_++] = term;
    }
  }

  void step(ERL_NIF_TERM term) noexcept {
    ++count_;
    switch (enif_term_type(env_, term)) {
      case ERL_NIF_TERM_TYPE_LIST: return step_list(term);
      case ERL_NIF_TERM_TYPE_TUPLE: return step_tuple(term);
      case ERL_NIF_TERM_TYPE_MAP: return step_map(term);
      case ERL_NIF_TERM_TYPE_BITSTRING: return step_binary(term);
      case ERL_NIF_TERM_TYPE_FUN:
        count_ = limit_;  // its environment cannot be looked into
        return;
      case ERL_NIF_TERM_TYPE_INTEGER: return step_integer(term);
      default: return;
    }
  }

  // Heads that are leaves are counted in place; the first that is not waits together with the tail.
  void step_list(ERL_NIF_TERM list) noexcept {
    ERL_NIF_TERM head;
    ERL_NIF_TERM tail;
    while (count_ < limit_ && enif_get_list_cell(env_, list, &head, &tail)) {
      ++count_;
      if (!is_leaf(head)) {
        push(tail);
        push(head);
        return;
      }
      list = tail;
    }
  }

  void step_tuple(ERL_NIF_TERM tuple) noexcept {
    int arity = 0;
    const ERL_NIF_TERM* elements = nullptr;
    if (!enif_get_tuple(env_, tuple, &arity, &elements)) return;
    if (arity == 2 && noted_ == 0 && (elements[0] == tags_[0] || elements[0] == tags_[1]))
      noted_ = elements[1];
    for (int i = 0; i < arity && count_ < limit_; ++i) {
      if (is_leaf(elements[i])) {
        ++count_;
      } else {
        push(elements[i]);
      }
    }
  }

  void step_map(ERL_NIF_TERM map) noexcept {
    std::size_t size = 0;
    ErlNifMapIterator iterator;
    if (!enif_get_map_size(env_, map, &size)) return;
    if (count_ + 2 * size >= limit_) {
      count_ = limit_;
      return;
    }
    if (!enif_map_iterator_create(env_, map, &iterator, ERL_NIF_MAP_ITERATOR_FIRST)) return;
    ERL_NIF_TERM key;
    ERL_NIF_TERM value;
    while (enif_map_iterator_get_pair(env_, &iterator, &key, &value)) {
      push(key);
      push(value);
      enif_map_iterator_next(env_, &iterator);
    }
    enif_map_iterator_destroy(env_, &iterator);
  }

  void step_binary(ERL_NIF_TERM term) noexcept {
    ErlNifBinary binary;
    if (enif_inspect_binary(env_, term, &binary)) count_ += binary.size / 64;
  }

  void step_integer(ERL_NIF_TERM term) noexcept {
    if (!is_word(term)) count_ = limit_;  // nor can its size be told
  }

  [[nodiscard]] bool is_leaf(ERL_NIF_TERM term) const noexcept {
    switch (enif_term_type(env_, term)) {
      case ERL_NIF_TERM_TYPE_ATOM:
      case ERL_NIF_TERM_TYPE_FLOAT:
      case ERL_NIF_TERM_TYPE_PID:
      case ERL_NIF_TERM_TYPE_PORT:
      case ERL_NIF_TERM_TYPE_REFERENCE: return true;
      case ERL_NIF_TERM_TYPE_INTEGER: return is_word(term);
      default: return false;
    }
  }

  [[nodiscard]] bool is_word(ERL_NIF_TERM term) const noexcept {
    ErlNifSInt64 with_sign;
    ErlNifUInt64 without;
    return enif_get_int64(env_, term, &with_sign) != 0 || enif_get_uint64(env_, term, &without) != 0;
  }

  ErlNifEnv* env_;
  std::size_t limit_;
  std::array<ERL_NIF_TERM, 2> tags_{};  // 0 is no term
  ERL_NIF_TERM noted_ = 0;
  std::size_t count_ = 0;
  std::size_t depth_ = 0;
  std::array<ERL_NIF_TERM, capacity> stack_;
};

}  // namespace erlpy::nif

#endif
