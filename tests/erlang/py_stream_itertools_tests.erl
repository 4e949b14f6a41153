%% Streams composed with itertools, in Python and across: generators that Erlang holds
%% go back to Python as arguments.
-module(py_stream_itertools_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

-import(py_stream_test, [open/2, open_eval/1, open_eval/2, rest/1, value/1]).

itertools_test_() ->
    py_stream_test:cases(?MODULE).

%% A generator that notes what it has made.
define() ->
    ok = py:exec("
import itertools as it

made = []

def counting(n):
    for i in range(n):
        made.append(i)
        yield i
    return 'counted to %d' % n
").

counting(N) ->
    {ok, {generator, _} = Generator} = py:call('__main__', counting, [N]),
    Generator.

case_chain() ->
    define(),
    {ok, Stream} = py_stream:open({call, itertools, chain, [counting(2), [<<"x">>, <<"y">>], {}, counting(3)], #{}}),
    ?assertEqual({ok, [0, 1, <<"x">>]}, py_stream:take(Stream, 3)),
    ?assertEqual([0, 1], value("made")),
    ?assertEqual({[<<"y">>, 0, 1, 2], {done, none}}, rest(Stream)).

case_chain_from_iterable() ->
    define(),
    Stream = open_eval("it.chain.from_iterable(range(n) for n in counting(1000))"),
    ?assertEqual({ok, [0, 0, 1, 0, 1, 2]}, py_stream:take(Stream, 6)),
    ?assertEqual([0, 1, 2, 3], value("made")),
    ok = py_stream:close(Stream).

case_islice() ->
    define(),
    ?assertEqual({[10, 13, 16, 19], {done, none}}, rest(open_eval("it.islice(it.count(), 10, 20, 3)"))),
    ?assertEqual({[0, 1, 2], {done, none}}, rest(open_eval("it.islice(counting(1000), 3)"))),
    ?assertEqual([0, 1, 2], value("made")),
    ?assertEqual({[], {done, none}}, rest(open_eval("it.islice(counting(10), 0)"))).

case_takewhile_and_dropwhile() ->
    define(),
    ?assertEqual({[0, 1, 2], {done, none}}, rest(open_eval("it.takewhile(lambda x: x < 3, counting(1000))"))),
    ?assertEqual([0, 1, 2, 3], value("made")),
    ?assertMatch({[7, 8, 9], {done, _}}, rest(open_eval("it.dropwhile(lambda x: x < 7, counting(10))"))),
    Window = open_eval("it.takewhile(lambda x: x < hi, it.dropwhile(lambda x: x < lo, it.count()))",
                       #{lo => 5, hi => 8}),
    ?assertEqual({[5, 6, 7], {done, none}}, rest(Window)).

case_groupby() ->
    define(),
    Words = [<<"ant">>, <<"ape">>, <<"bee">>, <<"cat">>, <<"cow">>, <<"ass">>],
    Stream = open_eval("((key, list(group)) for key, group in it.groupby(words, key=lambda w: w[0]))",
                       #{words => Words}),
    ?assertEqual({[{<<"a">>, [<<"ant">>, <<"ape">>]}, {<<"b">>, [<<"bee">>]}, {<<"c">>, [<<"cat">>, <<"cow">>]},
                   {<<"a">>, [<<"ass">>]}], {done, none}}, rest(Stream)).

%% The groups themselves: iterators on the same source, each good until the next is asked for.
case_groups_as_streams() ->
    define(),
    Groups = open_eval("it.groupby(counting(9), key=lambda n: n // 3)"),
    {ok, {0, {py_object, _} = First}} = py_stream:next(Groups),
    {ok, Values} = py_stream:open(First),
    ?assertEqual({ok, [0, 1]}, py_stream:take(Values, 2)),
    ?assertEqual([0, 1], value("made")),
    ?assertEqual({[2], {done, none}}, rest(Values)),
    {ok, {1, Second}} = py_stream:next(Groups),
    {ok, {2, Third}} = py_stream:next(Groups),
    ?assertEqual({ok, []}, py:call(builtins, list, [Second])),
    ?assertEqual({ok, [6, 7, 8]}, py:call(builtins, list, [Third])),
    ?assertEqual({done, none}, py_stream:next(Groups)).

case_tee() ->
    define(),
    {ok, {{py_object, _} = A, {py_object, _} = B}} = py:call(itertools, tee, [counting(6)]),
    {ok, Ahead} = py_stream:open(A),
    {ok, Behind} = py_stream:open(B),
    ?assertEqual({ok, [0, 1, 2, 3]}, py_stream:take(Ahead, 4)),
    ?assertEqual({ok, [0, 1]}, py_stream:take(Behind, 2)),
    ?assertEqual([0, 1, 2, 3], value("made")),
    ?assertEqual({[4, 5], {done, none}}, rest(Ahead)),
    ?assertEqual({[2, 3, 4, 5], {done, none}}, rest(Behind)),
    ?assertEqual([0, 1, 2, 3, 4, 5], value("made")).

case_tee_in_one_pipeline() ->
    define(),
    ok = py:exec("def pairs(source):\n    a, b = it.tee(source)\n    next(b, None)\n    yield from zip(a, b)"),
    ?assertEqual({[{0, 1}, {1, 2}, {2, 3}], {done, none}}, rest(open(pairs, [counting(4)]))).

case_batched() ->
    define(),
    py_stream_test:batched(),
    Stream = open_eval("batched(counting(10), 4)"),
    ?assertEqual({ok, {0, 1, 2, 3}}, py_stream:next(Stream)),
    ?assertEqual(4, value("len(made)")),
    ?assertEqual({[{4, 5, 6, 7}, {8, 9}], {done, none}}, rest(Stream)),
    ?assertEqual({[], {done, none}}, rest(open_eval("batched([], 4)"))).

%% Filter, flatten and batch what is decoded as it is asked for.
case_pipeline() ->
    py_stream_test:batched(),
    ok = py:exec("
import itertools as it, json
read = 0

def events(lines):
    global read
    for line in lines:
        read += 1
        yield json.loads(line)

def pipeline(size):
    lines = ('{\"valid\": %s, \"items\": [%d, %d]}' % ('true' if n % 3 else 'false', n, -n) for n in it.count())
    clean = (event for event in events(lines) if event['valid'])
    flat = it.chain.from_iterable(event['items'] for event in clean)
    return batched(flat, size)
"),
    Stream = open(pipeline, [4]),
    ?assertEqual(0, value("read")),
    ?assertEqual({ok, {1, -1, 2, -2}}, py_stream:next(Stream)),
    ?assertEqual(3, value("read")),
    ?assertEqual({ok, [{4, -4, 5, -5}, {7, -7, 8, -8}]}, py_stream:take(Stream, 2)),
    ?assertEqual(9, value("read")),
    ok = py_stream:close(Stream).

%% Some of them pass on what a generator under them returned, as they do in Python.
case_other_builtins() ->
    define(),
    [?assertMatch({Code, {Values, {done, _}}}, {Code, rest(open_eval(Code))})
     || {Code, Values} <- [{"zip(counting(3), 'abc')", [{0, <<"a">>}, {1, <<"b">>}, {2, <<"c">>}]},
                           {"enumerate('ab', 1)", [{1, <<"a">>}, {2, <<"b">>}]},
                           {"map(lambda x: x * 2, counting(3))", [0, 2, 4]},
                           {"filter(None, [0, 1, '', 'x'])", [1, <<"x">>]},
                           {"reversed([1, 2, 3])", [3, 2, 1]},
                           {"it.accumulate([1, 2, 3, 4])", [1, 3, 6, 10]},
                           {"it.starmap(pow, [(2, 3), (3, 2)])", [8, 9]},
                           {"it.zip_longest([1], [2, 3])", [{1, 2}, {none, 3}]},
                           {"it.product('ab', [1])", [{<<"a">>, 1}, {<<"b">>, 1}]},
                           {"it.permutations([1, 2])", [{1, 2}, {2, 1}]},
                           {"it.repeat('x', 2)", [<<"x">>, <<"x">>]}]],
    Cycle = open_eval("it.cycle([1, 2, 3])"),
    ?assertEqual({ok, [1, 2, 3, 1, 2, 3, 1]}, py_stream:take(Cycle, 7)),
    ok = py_stream:close(Cycle).

%% Handed back ----------------------------------------------------------------------

case_islice_of_a_generator_and_then_the_rest() ->
    define(),
    Generator = counting(12),
    {ok, Head} = py_stream:open({call, itertools, islice, [Generator, 5], #{}}),
    ?assertEqual({[0, 1, 2, 3, 4], {done, none}}, rest(Head)),
    ?assertEqual([0, 1, 2, 3, 4], value("made")),
    ?assertEqual({ok, [5, 6]}, py:eval("list(it.islice(gen, 2))", #{gen => Generator})),
    {ok, Rest} = py_stream:open(Generator),
    ?assertEqual({[7, 8, 9, 10, 11], {done, <<"counted to 12">>}}, rest(Rest)).

case_a_stream_and_calls_share_the_generator() ->
    define(),
    Generator = counting(10),
    {ok, Stream} = py_stream:open(Generator),
    ?assertEqual({ok, [0, 1]}, py_stream:take(Stream, 2)),
    ?assertEqual({ok, 2}, py:call(builtins, next, [Generator])),
    ?assertEqual({ok, 3}, py_stream:next(Stream)),
    ?assertEqual({ok, 4}, py:call(Generator, '__next__', [])),
    ?assertEqual({ok, [5, 6, 7, 8, 9]}, py:call(builtins, list, [Generator])),
    ?assertEqual({done, none}, py_stream:next(Stream)).

%% One of the two is closed, and with it the generator that both are on.
case_closing_the_stream_closes_the_generator() ->
    define(),
    Generator = counting(10),
    {ok, Stream} = py_stream:open(Generator),
    {ok, 0} = py_stream:next(Stream),
    ok = py_stream:close(Stream),
    ?assertEqual({ok, []}, py:call(builtins, list, [Generator])),
    ?assertEqual({ok, none}, py:eval("gen.gi_frame", #{gen => Generator})).

case_an_iterator_object() ->
    define(),
    {ok, {py_object, _} = Object} = py:call(itertools, islice, [counting(10), 2, 8, 2]),
    {ok, Stream} = py_stream:open(Object),
    ?assertEqual({[2, 4, 6], {done, none}}, rest(Stream)).

%% Several generators held by Erlang, wired together by Python.
case_generators_as_elements_of_arguments() ->
    define(),
    Stream = open_eval("(x for g in gens for x in g)", #{gens => [counting(2), counting(3)]}),
    ?assertEqual({[0, 1, 0, 1, 2], {done, none}}, rest(Stream)),
    Merged = open_eval("__import__('heapq').merge(a, b)", #{a => counting(3), b => counting(4)}),
    ?assertEqual({[0, 0, 1, 1, 2, 2, 3], {done, none}}, rest(Merged)).

%% What a stream yields can be streams itself.
case_a_generator_of_generators() ->
    define(),
    ok = py:exec("def row(i):\n    for j in counting(3):\n        yield i * 10 + j"),
    Outer = open_eval("(row(i) for i in range(2))"),
    {ok, [{generator, _} = A, {generator, _} = B]} = py_stream:take(Outer, 2),
    {ok, StreamB} = py_stream:open(B),
    {ok, StreamA} = py_stream:open(A),
    ?assertEqual({done, none}, py_stream:next(Outer)),
    ?assertEqual({ok, 0}, py_stream:next(StreamA)),
    ?assertEqual({[10, 11, 12], {done, none}}, rest(StreamB)),
    ?assertEqual({[1, 2], {done, none}}, rest(StreamA)).
