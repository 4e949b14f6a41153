// The name of a type as its own code has it, without namespaces and template arguments, known at compile
// time: what a record or a Python class made for it is called.
#ifndef ERLPY_CPP_TYPE_NAME_HPP
#define ERLPY_CPP_TYPE_NAME_HPP

#include <cstddef>
#include <string_view>

namespace erlpy::cpp::detail {

template <class T>
[[nodiscard]] constexpr std::string_view signature() noexcept {
  return __PRETTY_FUNCTION__;
}

template <class T>
[[nodiscard]] constexpr std::string_view type_name() noexcept {
  // What surrounds the name is the same for every type: it is measured with one whose name is known.
  constexpr std::string_view probe = "double";
  constexpr std::string_view around = signature<double>();
  constexpr std::size_t before = around.find(probe);
  constexpr std::size_t after = around.size() - before - probe.size();
  std::string_view name = signature<T>();
  name.remove_prefix(before);
  name.remove_suffix(after);
  if (!name.empty() && name.back() == '>') {
    std::size_t at = name.size();
    std::size_t open = 0;
    do {
      --at;
      if (name[at] == '>') ++open;
      if (name[at] == '<') --open;
    } while (open > 0 && at > 0);
    name = name.substr(0, at);
  }
  const std::size_t scope = name.rfind("::");
  return scope == std::string_view::npos ? name : name.substr(scope + 2);
}

}  // namespace erlpy::cpp::detail

#endif
