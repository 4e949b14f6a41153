// The first Python object that a term names, whatever its size: not for a normal scheduler.
#ifndef ERLPY_NIF_OBJECT_SEARCH_HPP
#define ERLPY_NIF_OBJECT_SEARCH_HPP

#include <erl_nif.h>

#include <cstddef>
#include <vector>

#include <erlpy/nif/object.hpp>

namespace erlpy::nif {

// Null if there is none. Iterative: no nesting uses up the stack. Throws std::bad_alloc.
[[nodiscard]] inline const object_resource* find_object(ErlNifEnv* env, ERL_NIF_TERM root,
                                                        const object_lookup& lookup) {
  std::vector<ERL_NIF_TERM> open{root};
  while (!open.empty()) {
    ERL_NIF_TERM term = open.back();
    open.pop_back();
    switch (enif_term_type(env, term)) {
      case ERL_NIF_TERM_TYPE_LIST: {
        ERL_NIF_TERM head;
        while (enif_get_list_cell(env, term, &head, &term)) open.push_back(head);
        break;
      }
      case ERL_NIF_TERM_TYPE_TUPLE: {
        int arity = 0;
        const ERL_NIF_TERM* elements = nullptr;
        if (enif_get_tuple(env, term, &arity, &elements)) open.insert(open.end(), elements, elements + arity);
        break;
      }
      case ERL_NIF_TERM_TYPE_MAP: {
        ErlNifMapIterator pairs;
        if (!enif_map_iterator_create(env, term, &pairs, ERL_NIF_MAP_ITERATOR_FIRST)) break;
        ERL_NIF_TERM key;
        ERL_NIF_TERM value;
        for (; enif_map_iterator_get_pair(env, &pairs, &key, &value); enif_map_iterator_next(env, &pairs)) {
          open.push_back(key);
          open.push_back(value);
        }
        enif_map_iterator_destroy(env, &pairs);
        break;
      }
      case ERL_NIF_TERM_TYPE_REFERENCE:
        if (const object_resource* const found = lookup.find(env, term)) return found;
        break;
      default: break;
    }
  }
  return nullptr;
}

}  // namespace erlpy::nif

#endif
