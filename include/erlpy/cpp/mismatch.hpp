// The error of a value that is not what the C++ type takes: it says where, and what was there instead.
#ifndef ERLPY_CPP_MISMATCH_HPP
#define ERLPY_CPP_MISMATCH_HPP

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include <erlpy/error.hpp>

namespace erlpy::cpp {

// what() is "rows[3].score: expected float, got str"; at the root there is no path before the problem.
class mismatch : public conversion_error {
 public:
  mismatch(fault kind, const std::string& problem) : conversion_error(kind, problem), text_(problem) {}

  [[nodiscard]] const char* what() const noexcept override { return text_.c_str() + skipped(); }

  // Where in the value: "rows[3].score", "" at the root.
  [[nodiscard]] std::string_view path() const noexcept {
    return std::string_view(text_).substr(skipped(), path_size_ - skipped());
  }
  // What is wrong there: "expected float, got str".
  [[nodiscard]] std::string_view problem() const noexcept {
    return std::string_view(text_).substr(path_size_ == 0 ? 0 : path_size_ + separator.size());
  }

  // For builders, as the error passes them: the place is inside this element ("[3]", ".score").
  void inside(std::string_view step) {
    if (path_size_ == 0) text_.insert(0, separator);
    text_.insert(0, step);
    path_size_ += step.size();
  }

 private:
  static constexpr std::string_view separator = ": ";

  // The path of a field of the root begins with its name.
  [[nodiscard]] std::size_t skipped() const noexcept {
    return path_size_ > 0 && text_.front() == '.' ? 1 : 0;
  }

  std::string text_;
  std::size_t path_size_ = 0;
};

namespace detail {

// Runs an action; a mismatch in it is inside the place that `step()` (-> std::string) names.
// (A part of each loop over elements: as a call of its own it would cost more than most elements.)
template <class Action, class Step>
[[gnu::always_inline]] inline decltype(auto) at_place(Action&& action, Step&& step) {
  try {
    return std::forward<Action>(action)();
  } catch (mismatch& wrong) {
    wrong.inside(std::forward<Step>(step)());
    throw;
  }
}

[[nodiscard]] inline std::string index_step(std::size_t index) { return '[' + std::to_string(index) + ']'; }

[[nodiscard]] inline std::string in_quotes(std::string_view text) {
  std::string out = "'";
  out.append(text).push_back('\'');
  return out;
}

}  // namespace detail

}  // namespace erlpy::cpp

#endif
