// Buffers and arrays: bytes of every kind of owner, shapes, item types, numpy with and without numpy.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "python_fixture.hpp"

using namespace test;

namespace {

// Into memoryviews, whatever is installed: with numpy hidden from the sink's import.
class without_numpy {
 public:
  without_numpy() { run("import sys\nhidden = sys.modules.get('numpy')\nsys.modules['numpy'] = None"); }
  without_numpy(const without_numpy&) = delete;
  without_numpy& operator=(const without_numpy&) = delete;
  ~without_numpy() {
    run("if hidden is None: del sys.modules['numpy']\nelse: sys.modules['numpy'] = hidden");
  }
};

class text_bytes final : public erlpy::shared_bytes {
 public:
  explicit text_bytes(std::string text) : text_(std::move(text)) {}
  [[nodiscard]] erlpy::bytes_view view() const noexcept override { return erlpy::as_bytes(text_); }

 private:
  std::string text_;
};

[[nodiscard]] ref array(std::string_view dtype, std::vector<std::int64_t> shape, std::string bytes) {
  python::sink to(world::get().context());
  return to.ndarray(dtype, std::span<const std::int64_t>(shape),
                    std::make_shared<text_bytes>(std::move(bytes)));
}

[[nodiscard]] std::string array_failure(std::string_view dtype, std::vector<std::int64_t> shape,
                                        std::string bytes) {
  return failure([&] { const ref made = array(dtype, shape, bytes); });
}

const std::string six_shorts("\1\0\2\0\3\0\4\0\5\0\6\0", 12);

}  // namespace

TEST_CASE("buffers of bytes are bytes") {
  run("import array, ctypes\nview = memoryview(b'abcdef')");
  for (const char* expression :
       {"bytearray(b'abcdef')", "view", "memoryview(bytearray(b'abcdef'))", "view.cast('b')",
        "view.cast('c')", "array.array('B', b'abcdef')", "array.array('b', b'abcdef')",
        "memoryview(b'-a-b-c-d-e-f')[1::2]", "memoryview(b'fedcba')[::-1]"}) {
    CAPTURE(expression);
    let("copy", copy_of(py(expression)));
    INFO(repr(py("copy")));
    CHECK(truth("type(copy) is bytes and copy == b'abcdef'"));
  }
  for (const char* expression : {"bytearray()", "memoryview(b'')", "memoryview(b'abc')[3:]"}) {
    CAPTURE(expression);
    let("copy", copy_of(py(expression)));
    CHECK(truth("copy == b'' and type(copy) is bytes"));
  }
  // Large and mutable: copied all the same.
  run("big = bytearray(b'x' * 100000)");
  let("copy", copy_of(py("big")));
  run("big[0] = 0");
  CHECK(truth("type(copy) is bytes and copy == b'x' * 100000"));
}

TEST_CASE("a buffer of ours crosses back without a copy") {
  const auto data = std::make_shared<text_bytes>("shared");
  python::sink to(world::get().context());
  const ref view = to.shared(data);
  const ref back = copy_of(view);
  CHECK(PyMemoryView_GET_BUFFER(back.get())->buf == static_cast<const void*>(data->view().data()));
  let("view", view);
  let("copy", copy_of(py("view[1:]")));
  CHECK(truth("type(copy) is bytes and copy == b'hared'"));
  run("del view");
}

TEST_CASE("arrays without numpy are shaped views") {
  const without_numpy hide;
  let("a", array("<i2", {2, 3}, six_shorts));
  CHECK(truth(
      "type(a) is memoryview and a.readonly and a.shape == (2, 3) and a.itemsize == 2 and a.format == 'h'"));
  CHECK(truth("a.tolist() == [[1, 2, 3], [4, 5, 6]]"));
  let("a", array("i2", {6}, six_shorts));
  CHECK(truth("a.tolist() == [1, 2, 3, 4, 5, 6]"));
  let("a", array(">i2", {6}, six_shorts));
  CHECK(truth("a.format == '>h' and a.tobytes()[:2] == b'\\1\\0'"));
  let("a", array("|u1", {}, "x"));
  CHECK(truth("a.shape == () and a.tolist() == 120"));
  let("a", array("<f8", {0, 3}, ""));
  CHECK(truth("a.shape == (0, 3) and a.nbytes == 0"));

  CHECK(contains(array_failure("<i2", {2, 2}, six_shorts), "ValueError: "));
  CHECK(contains(array_failure("<i2", {2, 2}, six_shorts), "needs 8 bytes, the binary has 12"));
  CHECK(contains(array_failure("<i2", {-6}, six_shorts), "negative"));
  CHECK(contains(array_failure("<i2", {1LL << 62, 1LL << 62}, six_shorts), "larger than memory"));
  CHECK(contains(array_failure("<i2", {1LL << 62, 0, 1LL << 62}, ""), "larger than memory"));
  CHECK(contains(array_failure("<M8[ns]", {1}, "12345678"), "needs numpy"));
  CHECK(contains(array_failure("", {1}, "1"), "ValueError: "));
}

TEST_CASE("typed and shaped buffers are arrays, row-major") {
  run("import array, ctypes, struct");
  const without_numpy hide;
  const auto check = [](const char* expression, const char* expected) {
    CAPTURE(expression);
    let("copy", copy_of(py(expression)));
    INFO(repr(py("(copy.format, copy.shape, copy.tolist())")));
    let("expected", py(expected));
    CHECK(truth("(copy.format, copy.shape, copy.tolist()) == expected"));
  };
  check("array.array('d', [1.5, 2.5])", "('d', (2,), [1.5, 2.5])");
  check("array.array('f', [1.5])", "('f', (1,), [1.5])");
  check("array.array('i', [1, -2])", "('i', (2,), [1, -2])");
  check("array.array('L', [1, 2**63])", "('Q', (2,), [1, 2**63])");
  check("array.array('q', range(10000))", "('q', (10000,), list(range(10000)))");
  check("memoryview(array.array('h', [1, 2, 3, 4]))[::-2]", "('h', (2,), [4, 2])");
  check("memoryview(b'abcdef').cast('B', (2, 3))", "('B', (2, 3), [[97, 98, 99], [100, 101, 102]])");
  check("memoryview(b'\\0\\1').cast('?')", "('?', (2,), [False, True])");
  check("((ctypes.c_int * 2) * 2)((1, 2), (3, 4))", "('i', (2, 2), [[1, 2], [3, 4]])");
  check("ctypes.c_int(7)", "('i', (), 7)");
  check("array.array('d')", "('d', (0,), [])");
}

TEST_CASE("numpy arrays, there and back") {
  if (!has_numpy()) return;
  let("a", array("<i2", {2, 3}, six_shorts));
  CHECK(truth(
      "type(a) is numpy.ndarray and a.dtype == numpy.dtype('<i2') and a.tolist() == [[1, 2, 3], [4, 5, 6]]"));
  CHECK(truth("not a.flags.writeable"));
  CHECK(contains(raised("a.__setitem__(0, 1)"), "ValueError: "));
  CHECK(contains(raised("a.setflags(write=True)"), "ValueError: "));
  let("a", array("<f8", {0, 3}, ""));
  CHECK(truth("a.shape == (0, 3)"));
  let("a", array("<M8[s]", {1}, std::string(8, '\0')));
  CHECK(truth("a[0] == numpy.datetime64(0, 's')"));

  CHECK(contains(array_failure("<i2", {2, 2}, six_shorts), "needs 8 bytes, the binary has 12"));
  CHECK(contains(array_failure("no such type", {1}, "x"), "ValueError: ndarray: dtype no such type"));
  CHECK(contains(array_failure("O", {1}, "12345678"), "Python objects"));
  CHECK(contains(array_failure("<i2", {-6}, six_shorts), "negative"));
  CHECK(contains(array_failure("<i2", {1LL << 62, 1LL << 62}, six_shorts), "larger than memory"));

  for (const char* expression :
       {"numpy.arange(6, dtype='<f8').reshape(2, 3)", "numpy.arange(6, dtype='>f8').reshape(2, 3)",
        "numpy.arange(24, dtype='i4').reshape(2, 3, 4).T", "numpy.arange(10, dtype='u2')[::-3]",
        "numpy.array([1 + 2j])", "numpy.array([True, False])", "numpy.zeros((0, 5))", "numpy.float16([1.5])",
        "numpy.array(['ab', 'c'])", "numpy.array([b'ab', b'c'])",
        "numpy.array(['2020-01-01'], dtype='M8[D]')", "numpy.array([[1, 2]], dtype='m8[s]').T",
        "numpy.zeros((2, 2), dtype='u1')", "numpy.asfortranarray([[1, 2], [3, 4]])", "numpy.matrix([[1, 2]])",
        "numpy.broadcast_to(numpy.int64(7), (3, 2))"}) {
    CAPTURE(expression);
    let("original", py(expression));
    let("copy", copy_of(py("original")));
    INFO(repr(py("copy")));
    CHECK(truth(
        "isinstance(copy, numpy.ndarray) and copy.dtype == original.dtype and copy.shape == original.shape"));
    CHECK(truth("copy.tolist() == original.tolist() and copy.flags.c_contiguous"));
  }
  let("copy", copy_of(py("numpy.arange(3, dtype='u1')")));
  CHECK(truth("type(copy) is bytes and copy == b'\\0\\1\\2'"));
}

TEST_CASE("numpy scalars are numbers, arrays of objects stay objects") {
  if (!has_numpy()) return;
  for (const char* row :
       {"(numpy.int8(-3), -3)", "(numpy.uint64(2**64 - 1), 2**64 - 1)", "(numpy.float64(1.5), 1.5)",
        "(numpy.float32(0.5), 0.5)", "(numpy.float16(0.5), 0.5)", "(numpy.bool_(True), True)",
        "(numpy.longdouble(0.25), 0.25)", "(numpy.array(5), 5)", "(numpy.array(2.5), 2.5)",
        "(numpy.str_('x'), 'x')", "(numpy.bytes_(b'x'), b'x')"}) {
    CAPTURE(row);
    let("row", py(row));
    let("copy", copy_of(py("row[0]")));
    CHECK(truth("copy == row[1] and type(copy) is type(row[1])"));
  }
  run("things = numpy.array([object(), None], dtype=object)\nz = numpy.complex128(1j)");
  let("copy", copy_of(py("[things, z, memoryview(things)]")));
  CHECK(truth("copy[0] is things and copy[1] == 1j and type(copy[2]) is memoryview"));
  run("copy = None");
}

TEST_CASE("an array's bytes live as long as the array") {
  run("import gc");
  const auto data = std::make_shared<text_bytes>(six_shorts);
  python::sink to(world::get().context());
  const std::vector<std::int64_t> shape{6};
  let("a", to.ndarray("<i2", std::span<const std::int64_t>(shape), data));
  run("part = memoryview(a)[2:4]\ndel a");
  CHECK(data.use_count() > 1);
  CHECK(truth("part.tolist() == [3, 4]"));
  run("del part\ngc.collect()");
  CHECK(data.use_count() == 1);
}
