// The Python module `erlang`, as Python code meets it, and the terms and buffers that C++ puts there.
#include <cstddef>
#include <memory>
#include <string>

#include "python_fixture.hpp"

using namespace test;

namespace {

// A term of a little world of its own: equal when named alike.
class named_term final : public erlpy::opaque_term {
 public:
  named_term(erlpy::opaque_kind kind, std::string name, int& alive)
      : kind_(kind), name_(std::move(name)), alive_(alive) {
    ++alive_;
  }
  ~named_term() override { --alive_; }
  [[nodiscard]] erlpy::opaque_kind kind() const noexcept override { return kind_; }
  [[nodiscard]] bool same_as(const erlpy::opaque_term& other) const override {
    return other.kind() == kind_ && other.text() == name_;
  }
  [[nodiscard]] std::size_t hash() const noexcept override {
    return name_ == "minus one" ? static_cast<std::size_t>(-1) : std::hash<std::string>{}(name_);
  }
  void append_external(erlpy::byte_buffer& out) const override {
    for (const char c : name_) out.push_back(static_cast<std::byte>(c));
  }
  [[nodiscard]] std::string text() const override { return name_; }

 private:
  erlpy::opaque_kind kind_;
  std::string name_;
  int& alive_;
};

class text_bytes final : public erlpy::shared_bytes {
 public:
  text_bytes(std::string text, int& alive) : text_(std::move(text)), alive_(alive) { ++alive_; }
  ~text_bytes() override { --alive_; }
  [[nodiscard]] erlpy::bytes_view view() const noexcept override { return erlpy::as_bytes(text_); }

 private:
  std::string text_;
  int& alive_;
};

[[nodiscard]] ref make(erlpy::opaque_kind kind, const char* name, int& alive) {
  return python::make_term(world::get().types(), kind, std::make_shared<named_term>(kind, name, alive));
}

}  // namespace

TEST_CASE("import erlang finds the module and its types") {
  world::get();
  run("import erlang, importlib.util");
  CHECK(truth("issubclass(erlang.Pid, erlang.Term)"));
  CHECK(truth("issubclass(erlang.Atom, str)"));
  CHECK(truth("issubclass(erlang.Timeout, BaseException) and not issubclass(erlang.Timeout, Exception)"));
  CHECK(truth("erlang.__name__ == 'erlang' and importlib.util.find_spec('erlang').name == 'erlang'"));
  CHECK(
      truth("{t.__module__ for t in (erlang.Pid, erlang.Term, erlang.Atom, erlang.Timeout)} == {'erlang'}"));
}

TEST_CASE("erlang.Atom is a str with a repr of its own") {
  world::get();
  run("import erlang, pickle, copy");
  CHECK(truth("erlang.Atom('ok') == 'ok' and hash(erlang.Atom('ok')) == hash('ok')"));
  CHECK(truth("repr(erlang.Atom('o\\'k')) == 'erlang.Atom(\"o\\'k\")'"));
  CHECK(truth("str(erlang.Atom('ok')) == 'ok' and type(str(erlang.Atom('ok'))) is str"));
  CHECK(truth("not hasattr(erlang.Atom('ok'), '__dict__')"));
  CHECK(truth("type(pickle.loads(pickle.dumps(erlang.Atom('ok')))) is erlang.Atom"));
  CHECK(truth("type(copy.deepcopy([erlang.Atom('ok')])[0]) is erlang.Atom"));
  CHECK(truth("len(erlang.Atom('\\u20ac' * 255)) == 255"));
  CHECK(raised("erlang.Atom('a' * 256)") == "ValueError: an atom has at most 255 characters, this has 256");
}

TEST_CASE("terms compare, hash and print as Erlang says, and cannot be made in Python") {
  int alive = 0;
  {
    let("pid", make(erlpy::opaque_kind::pid, "<0.1.0>", alive));
    let("same", make(erlpy::opaque_kind::pid, "<0.1.0>", alive));
    let("other", make(erlpy::opaque_kind::pid, "<0.2.0>", alive));
    let("fun", make(erlpy::opaque_kind::fun, "minus one", alive));
  }
  run("import erlang, copy, pickle");
  CHECK(alive == 4);
  CHECK(truth("type(pid) is erlang.Pid and type(fun) is erlang.Term and isinstance(pid, erlang.Term)"));
  CHECK(truth("pid == same and not pid != same and pid != other and not pid == other"));
  CHECK(truth("pid != fun and pid != '<0.1.0>' and not pid == None"));
  CHECK(truth("hash(pid) == hash(same) and {pid: 1}[same] == 1 and len({pid, same, other, fun}) == 3"));
  CHECK(truth("hash(fun) == -2"));
  CHECK(truth("repr(pid) == '<erlang.Pid <0.1.0>>' and str(fun) == '<erlang.Term minus one>'"));
  CHECK(truth("copy.copy(pid) is pid and copy.deepcopy({'p': [pid]})['p'][0] is pid"));
  for (const char* expression :
       {"erlang.Pid()", "erlang.Term(1)", "object.__new__(erlang.Term)", "pid < other", "pickle.dumps(pid)",
        "type(pid)()", "type('T', (erlang.Term,), {})()"}) {
    CAPTURE(expression);
    CHECK(contains(raised(expression), "TypeError: "));
  }
  CHECK(raised("erlang.Pid()") ==
        "TypeError: erlang.Pid cannot be made in Python: it only comes from Erlang");
  CHECK(python::term_of(world::get().types(), py("pid").get())->text() == "<0.1.0>");
  CHECK(python::term_of(world::get().types(), py("'pid'").get()) == nullptr);
  run("del pid, same, other, fun");
  CHECK(alive == 0);
}

TEST_CASE("a buffer is read-only, lives as long as its views, and is known again") {
  int alive = 0;
  const auto& types = world::get().types();
  const auto data = [&](std::string text) { return std::make_shared<text_bytes>(std::move(text), alive); };
  let("view", python::make_buffer(types, data("hello")));
  CHECK(
      truth("type(view) is memoryview and view.readonly and bytes(view) == b'hello' and view.format == 'B'"));
  CHECK(contains(raised("view.__setitem__(0, 1)"), "TypeError: "));
  CHECK(python::buffer_of(types, py("view").get())->view().size() == 5);
  CHECK(python::buffer_of(types, py("view[:]").get()) != nullptr);
  CHECK(python::buffer_of(types, py("view[1:]").get()) == nullptr);
  CHECK(python::buffer_of(types, py("view[::-1]").get()) == nullptr);
  CHECK(python::buffer_of(types, py("view.cast('b')").get()) == nullptr);
  CHECK(python::buffer_of(types, py("memoryview(b'hello')").get()) == nullptr);

  run("part = view[1:3]\ndel view");
  CHECK(alive == 1);
  CHECK(truth("bytes(part) == b'el'"));
  run("del part");
  CHECK(alive == 0);

  let("view", python::make_buffer(types, data("")));
  CHECK(truth("len(view) == 0 and bytes(view) == b'' and bytes(memoryview(view)) == b''"));
  CHECK(python::buffer_of(types, py("view").get()) != nullptr);
  run("del view");
  CHECK(alive == 0);
}

TEST_CASE("an interpreter has one module, and a module of another maker gives way") {
  world::get();
  run("import sys, types, erlang\nfirst = erlang");
  CHECK(python::install_erlang_module().pid.get() == world::get().types().pid.get());
  CHECK(truth("sys.modules['erlang'] is first"));
  for (const char* const other : {"types.ModuleType('erlang')", "types.SimpleNamespace(Term=int)", "None"}) {
    run(std::string("sys.modules['erlang'] = ") + other);
    CHECK(python::install_erlang_module().pid.get() != world::get().types().pid.get());
    CHECK(truth("sys.modules['erlang'] is not first and sys.modules['erlang'].Pid is not first.Pid"));
  }
  run("sys.modules['erlang'] = first");
}

TEST_CASE("each sub-interpreter has types of its own") {
  world::get();
  PyThreadState* const main = PyThreadState_Get();
  PyThreadState* const sub = Py_NewInterpreter();
  REQUIRE(sub != nullptr);
  PyObject* sub_pid = nullptr;
  bool imports = false;
  {
    const python::erlang_types types = python::install_erlang_module();
    sub_pid = types.pid.get();
    imports = PyRun_SimpleString("import erlang\nassert erlang.Atom('x') == 'x'") == 0;
  }
  Py_EndInterpreter(sub);
  PyThreadState_Swap(main);
  CHECK(imports);
  CHECK(sub_pid != world::get().types().pid.get());
}
