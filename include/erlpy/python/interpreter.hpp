// What the library keeps for one interpreter: the types of our `erlang` module, the support functions
// written in Python, and the books of objects that other worlds hold.
//
// Made and destroyed by a thread that is attached to it. Nothing here is global: a program may have
// many interpreters, and each has its own.
#ifndef ERLPY_PYTHON_INTERPRETER_HPP
#define ERLPY_PYTHON_INTERPRETER_HPP

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>

#include <erlpy/python/detail/record.hpp>
#include <erlpy/python/drop_queue.hpp>
#include <erlpy/python/erlang_module.hpp>
#include <erlpy/python/exception.hpp>
#include <erlpy/python/object_table.hpp>
#include <erlpy/python/support.hpp>

namespace erlpy::python {

class interpreter {
 public:
  // Attached to the interpreter: makes the `erlang` module and puts it into sys.modules.
  // `wake` is called from any thread when objects wait to be released there.
  explicit interpreter(std::function<void()> wake)
      : state_(PyThreadState_Get()->interp),
        drops_(std::make_shared<drop_queue>(std::move(wake))),
        types_(install_erlang_module()),
        support_(load_support()) {
    const ref done = checked(PyObject_CallObject(support_.flush_lines.get(), nullptr));
  }
  interpreter(const interpreter&) = delete;
  interpreter& operator=(const interpreter&) = delete;
  ~interpreter() = default;

  // Any thread: whether its threads run Python code at the same time, as far as note_gil() has seen.
  [[nodiscard]] bool parallel() const noexcept { return parallel_.load(std::memory_order_relaxed); }
  // Attached, now and then: an extension may have turned the GIL of a free-threaded build on.
  void note_gil() noexcept {
    if constexpr (compat::free_threaded) parallel_.store(!compat::gil_in_force(), std::memory_order_relaxed);
  }

  // What thread states are made for.
  [[nodiscard]] PyInterpreterState* state() const noexcept { return state_; }

  [[nodiscard]] const erlang_types& types() const noexcept { return types_; }
  [[nodiscard]] const support& helpers() const noexcept { return support_; }
  [[nodiscard]] detail::record_classes& records() noexcept { return records_; }
  [[nodiscard]] const std::shared_ptr<drop_queue>& drops() const noexcept { return drops_; }

  // Attached, when nobody uses it any more: lets go of its objects, so that the interpreter may end before
  // the last owner of this goes.
  void close() noexcept {
    types_ = {};
    support_ = {};
    records_.clear();
  }

  // The tables of the slots whose workers live in this interpreter.
  void add(const std::shared_ptr<object_table>& table) {
    const std::lock_guard lock(mutex_);
    tables_[table->owner()] = table;
  }
  void remove(std::uint64_t owner) {
    const std::lock_guard lock(mutex_);
    tables_.erase(owner);
  }

  // The object that `where` names, if it lives in this interpreter. Attached.
  // Errors: fault::object_gone (it was released, or its worker ended).
  [[nodiscard]] ref find(object_ref where) {
    std::shared_ptr<object_table> table;
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = tables_.find(where.owner); found != tables_.end()) table = found->second.lock();
    }
    if (!table) {
      throw conversion_error(fault::object_gone,
                             "the object's worker is gone, or it lives in another interpreter");
    }
    return table->find(where.id);
  }

 private:
  PyInterpreterState* state_;
  std::shared_ptr<drop_queue> drops_;
  erlang_types types_;
  support support_;
  detail::record_classes records_;
  std::atomic<bool> parallel_{false};
  std::mutex mutex_;
  std::unordered_map<std::uint64_t, std::weak_ptr<object_table>> tables_;
};

}  // namespace erlpy::python

#endif
