%% The crossing table from Python to Erlang, row by row.
-module(py_to_erlang_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

to_erlang_test_() ->
    py_test:cases(?MODULE).

equal(Expected, Code) ->
    ?assertEqual({Code, {ok, Expected}}, {Code, py:eval(Code)}).

refused(Class, Code) ->
    ?assertMatch({Code, {error, {Class, _}}}, {Code, py:eval(Code)}).

case_int() ->
    [equal(N, integer_to_list(N))
     || Bits <- [0, 1, 8, 29, 30, 31, 58, 59, 60, 61, 62, 63, 64, 65, 128, 1000],
        Near <- [-1, 0, 1], N <- [(1 bsl Bits) + Near, -(1 bsl Bits) + Near]].

case_int_past_the_limit() ->
    case py_test:otp() >= 27 of
        true -> refused('OverflowError', "1 << 20000000");
        false -> ok
    end.

case_float() ->
    equal([1.5, 5.0e-324, nan, infinity, neg_infinity],
          "[1.5, 5e-324, float('nan'), float('inf'), -float('inf')]"),
    {ok, Zero} = py:eval("-0.0"),
    ?assertEqual(<<16#80, 0:56>>, <<Zero/float>>).

case_constants() ->
    equal([true, false, none], "[True, False, None]").

case_str() ->
    equal(<<"abc">>, "'abc'"),
    equal(<<>>, "''"),
    equal(<<"a", 0, "b">>, "'a' + chr(0) + 'b'"),
    equal(<<16#E9/utf8, 16#4E2D/utf8, 16#1F600/utf8>>, "chr(0xe9) + chr(0x4e2d) + chr(0x1f600)"),
    refused('UnicodeEncodeError', "chr(0xd800)"),
    refused('UnicodeEncodeError', "{'a': [chr(0xdfff)]}").

case_bytes() ->
    equal([<<"a", 0>>, <<255>>, <<"x">>, <<"yz">>, <<"cd">>],
          "[b'a' + bytes(1), bytes([255]), bytearray(b'x'), memoryview(b'yz'), memoryview(b'abcd')[2:]]"),
    [begin
         equal(binary:copy(<<"ab">>, Size div 2), io_lib:format("b'ab' * ~b", [Size div 2])),
         equal(binary:copy(<<"ab">>, Size div 2), io_lib:format("bytearray(b'ab' * ~b)", [Size div 2]))
     end || Size <- [60, 64, 66, 65534, 65536, 65538, 1000000]],
    equal(<<"024">>, "memoryview(b'01234')[::2]").

%% A term's bytes must never change.
case_mutable_bytes_are_copied() ->
    ok = py:exec(<<"b = bytearray(b'x' * 100000)\nv = memoryview(b).toreadonly()">>),
    {ok, Bytes} = py:eval(<<"b">>),
    {ok, View} = py:eval(<<"v">>),
    ok = py:exec(<<"b[:] = b'y' * 100000">>),
    Expected = binary:copy(<<"x">>, 100000),
    ?assertEqual(Expected, Bytes),
    ?assertEqual(Expected, View).

case_list_and_tuple() ->
    equal([1, [2, []], {3, {}}], "[1, [2, []], (3, ())]"),
    equal({1, 2}, "__import__('collections').namedtuple('P', 'x y')(1, 2)").

case_dict() ->
    equal(#{}, "{}"),
    equal(#{<<"a">> => 1, 2 => [], {3} => none}, "{'a': 1, 2: [], (3,): None}"),
    equal(maps:from_list([{I, -I} || I <- lists:seq(0, 999)]), "{i: -i for i in range(1000)}"),
    equal(#{<<"a">> => 1}, "__import__('collections').OrderedDict(a=1)"),
    equal(#{<<"a">> => 2}, "__import__('collections').Counter('aa')"),
    refused('ValueError', "{'a': 1, b'a': 2}"),
    refused('ValueError', "{**{i: i for i in range(100)}, 'a': 1, b'a': 2}"),
    equal(#{1 => 2}, "__import__('types').MappingProxyType({1: 2}).copy()").

case_dataclass() ->
    ok = py:exec(<<"
from dataclasses import dataclass
@dataclass
class Point:
    x: int
    y: list
@dataclass
class Line:
    a: Point
">>),
    equal(#{<<"a">> => #{<<"x">> => 1, <<"y">> => [2]}}, "Line(Point(1, [2]))").

case_set() ->
    equal([1, 2, 3, <<"a">>, <<"b">>], "{'b', 3, 'a', 1, 2}"),
    equal([], "frozenset()"),
    equal([none, true, {1}, <<"x">>], "frozenset([True, None, 'x', (1,)])"),
    equal(ordsets:from_list([0.5, 1, 10, 2.5]), "{10, 2.5, 1, 0.5}"),
    equal(lists:seq(0, 999), "set(range(999, -1, -1))").

case_enum() ->
    ok = py:exec(<<"
import enum
class Colour(enum.Enum):
    RED = 'r'
    BLUE = (1, 2)
class Level(enum.IntEnum):
    HIGH = 3
">>),
    equal([<<"r">>, {1, 2}, 3], "[Colour.RED, Colour.BLUE, Level.HIGH]").

case_buffers() ->
    equal(<<"ab">>, "__import__('array').array('B', b'ab')"),
    Doubles = << <<F:64/native-float>> || F <- [1.0, 2.0] >>,
    case erlang:system_info(wordsize) of
        8 -> equal({'$ndarray', <<"<f8">>, {2}, Doubles}, "__import__('array').array('d', [1, 2])")
    end.

case_numpy() ->
    case py_test:has_numpy() of
        true -> numpy();
        false -> ok
    end.

numpy() ->
    ok = py:exec(<<"import numpy as np">>),
    equal([1, 2.5, 3], "[np.int64(1), np.float64(2.5), np.uint8(3)]"),
    equal(1.5, "np.float32(1.5)"),
    equal({'$ndarray', <<"<f8">>, {2, 2}, << <<F:64/little-float>> || F <- [1.0, 2.0, 3.0, 4.0] >>},
          "np.array([[1.0, 2.0], [3.0, 4.0]])"),
    equal({'$ndarray', <<"<i4">>, {3}, <<1:32/little, 2:32/little, 3:32/little>>}, "np.array([1, 2, 3], '<i4')"),
    equal({'$ndarray', <<"<i2">>, {2, 2}, <<0:16/little, 3:16/little, 1:16/little, 4:16/little>>},
          "np.arange(6, dtype='<i2').reshape(2, 3).T[:2]"),
    equal(<<"abc">>, "np.frombuffer(b'abc', 'u1')"),
    {ok, {'$ndarray', _, {2, 3}, _} = Array} = py:eval("np.arange(6.0).reshape(2, 3)"),
    ?assertEqual({ok, true}, py:eval("(a == np.arange(6.0).reshape(2, 3)).all().item()", #{a => Array})).

case_own_types() ->
    equal(foo, "__import__('erlang').Atom('foo')"),
    equal([true, none], "[__import__('erlang').Atom('true'), __import__('erlang').Atom('none')]"),
    ?assertEqual({ok, #{self() => {self()}}}, py:eval("{p: (p,)}", #{p => self()})).

case_generators() ->
    ?assertMatch({ok, {generator, _}}, py:eval("(i for i in [])")),
    ok = py:exec(<<"
async def agen():
    yield 1
def gen():
    yield 1
">>),
    ?assertMatch({ok, {generator, _}}, py:call('__main__', gen, [])),
    ?assertMatch({ok, [{generator, _}, {generator, _}]}, py:eval("[gen(), agen()]")).

case_awaitables() ->
    ok = py:exec(<<"
import asyncio
async def later(x):
    await asyncio.sleep(0.01)
    return x * 2
async def fails():
    raise KeyError('k')
class Custom:
    def __await__(self):
        return later(21).__await__()
">>),
    ?assertEqual({ok, 42}, py:call('__main__', later, [21])),
    equal(<<"abab">>, "later('ab')"),
    equal(42, "Custom()"),
    refused('KeyError', "fails()"),
    ?assertMatch({ok, [{py_object, _}]}, py:eval("[later(1)]")).

case_other_objects() ->
    [?assertMatch({ok, {py_object, _}}, py:eval(Code))
     || Code <- ["object()", "iter([1])", "range(3)", "1j", "len", "str", "__import__('decimal').Decimal(1)"]],
    ?assertMatch({ok, [{py_object, _}, {py_object, _}]}, py:eval("[object(), object()]")).

case_structure_that_contains_itself() ->
    ok = py:exec(<<"l = []\nl.append(l)\nd = {}\nd['d'] = [d]\nt = ([],)\nt[0].append(t)\nshared = []">>),
    refused('ValueError', "l"),
    refused('ValueError', "d"),
    refused('ValueError', "t"),
    equal([[], [], {[]}], "[shared, shared, (shared,)]").

case_subclasses_follow_their_base() ->
    ok = py:exec(<<"
class I(int): pass
class F(float): pass
class S(str): pass
class B(bytes): pass
class L(list):
    def __iter__(self): raise RuntimeError('not asked')
class T(tuple): pass
class D(dict): pass
">>),
    equal([1, 1.5, <<"s">>, <<"b">>, {1}, #{1 => 2}], "[I(1), F(1.5), S('s'), B(b'b'), T([1]), D({1: 2})]"),
    %% With or without asking __iter__: an answer, and the worker lives.
    _ = py:eval("L([1, 2])"),
    equal(2, "1 + 1").

%% Conversion runs user code in places.
case_user_code_in_conversion() ->
    ok = py:exec(<<"
from dataclasses import dataclass
@dataclass
class Raises:
    x: int
    def __getattribute__(self, name):
        if name == 'x': raise OSError('x')
        return object.__getattribute__(self, name)
@dataclass
class Shrinks:
    x: int
    def __getattribute__(self, name):
        if name == 'x': victim.clear()
        return object.__getattribute__(self, name)
r = Raises.__new__(Raises)
victim = []
victim.extend([Shrinks(1)] + list(range(1000)))
table = {}
table.update({0: Shrinks(1), **{i: [i] for i in range(1, 1000)}})
">>),
    refused('OSError', "[r]"),
    _ = py:eval("victim"),
    ok = py:exec(<<"victim = table">>),
    _ = py:eval("table"),
    equal(2, "1 + 1").
