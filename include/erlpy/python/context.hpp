// What a conversion on one worker thread needs: its interpreter, where to hold objects, and the caches.
//
// One context belongs to one thread, so its caches need no lock, with or without a GIL.
#ifndef ERLPY_PYTHON_CONTEXT_HPP
#define ERLPY_PYTHON_CONTEXT_HPP

#include <memory>
#include <utility>

#include <erlpy/python/caches.hpp>
#include <erlpy/python/interpreter.hpp>
#include <erlpy/python/object_table.hpp>

namespace erlpy::python {

class context {
 public:
  context(std::shared_ptr<interpreter> home, std::shared_ptr<object_table> objects)
      : home_(std::move(home)), objects_(std::move(objects)) {}

  [[nodiscard]] interpreter& home() const noexcept { return *home_; }
  [[nodiscard]] object_table& objects() const noexcept { return *objects_; }
  [[nodiscard]] const std::shared_ptr<object_table>& objects_ptr() const noexcept { return objects_; }
  [[nodiscard]] text_cache& texts() noexcept { return texts_; }
  [[nodiscard]] atom_cache& atoms() noexcept { return atoms_; }

  // The object that `where` names: one of this slot's own, or of another slot of the interpreter.
  [[nodiscard]] ref find(object_ref where) {
    return where.owner == objects_->owner() ? objects_->find(where.id) : home_->find(where);
  }

 private:
  std::shared_ptr<interpreter> home_;
  std::shared_ptr<object_table> objects_;
  text_cache texts_;
  atom_cache atoms_;
};

}  // namespace erlpy::python

#endif
