%% Generators as Python programmers use them: pulled value by value, without an end, closed half way, and with a
%% value to return.
-module(py_stream_generator_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

-import(py_stream_test, [open/2, open_eval/1, open_eval/2, rest/1, value/1]).

generator_test_() ->
    py_stream_test:cases(?MODULE).

%% Candy ------------------------------------------------------------------------

candy() ->
    ok = py:exec("
bucket = ['bar', 'gum', 'toffee', 'lollipop']
handed = []

def give_candy(kids=None):
    for piece in bucket:
        handed.append(piece)
        yield piece
    return 'the bucket is empty'

def dump_all_candy():
    return list(bucket)
").

case_a_call_gives_a_generator_and_runs_nothing() ->
    candy(),
    {ok, {generator, _} = Candy} = py:call('__main__', give_candy, []),
    ?assertEqual([], value("handed")),
    {ok, Stream} = py_stream:open(Candy),
    ?assertEqual([], value("handed")),
    ?assertEqual({ok, <<"bar">>}, py_stream:next(Stream)),
    ?assertEqual([<<"bar">>], value("handed")),
    ?assertEqual({ok, [<<"bar">>, <<"gum">>, <<"toffee">>, <<"lollipop">>]}, py:call('__main__', dump_all_candy, [])).

case_one_by_one_to_the_return_value() ->
    candy(),
    Stream = open(give_candy, []),
    [?assertEqual({ok, Piece}, py_stream:next(Stream)) || Piece <- value("bucket")],
    ?assertEqual({done, <<"the bucket is empty">>}, py_stream:next(Stream)),
    ?assertEqual({error, closed}, py_stream:next(Stream)).

%% One piece, then a loop over what is left.
case_next_and_then_the_rest() ->
    candy(),
    Stream = open(give_candy, []),
    {ok, <<"bar">>} = py_stream:next(Stream),
    ?assertEqual(ok, py_stream:foreach(fun(Piece) -> self() ! {got, Piece} end, Stream)),
    ?assertEqual([{got, <<"gum">>}, {got, <<"toffee">>}, {got, <<"lollipop">>}], py_test:mailbox()),
    ?assertEqual({error, closed}, py_stream:next(Stream)).

case_a_function_with_keywords() ->
    candy(),
    {ok, Stream} = py_stream:open({call, '__main__', give_candy, [], #{kids => 3}}),
    ?assertEqual({ok, [<<"bar">>, <<"gum">>]}, py_stream:take(Stream, 2)),
    ?assertEqual([<<"bar">>, <<"gum">>], value("handed")),
    ok = py_stream:close(Stream).

%% What a list gives, it gives again; a generator is over once.
case_a_generator_is_consumed_once() ->
    candy(),
    {ok, Candy} = py:call('__main__', give_candy, []),
    {ok, First} = py_stream:open(Candy),
    {[_, _, _, _], {done, <<"the bucket is empty">>}} = rest(First),
    {ok, Second} = py_stream:open(Candy),
    ?assertEqual({[], {done, none}}, rest(Second)),
    [?assertEqual({ok, [1, 2]}, py_stream:to_list(open_eval("xs", #{xs => [1, 2]}))) || _ <- [1, 2]].

%% Return values ----------------------------------------------------------------

case_what_return_gave() ->
    ok = py:exec("
def returning(values, result):
    yield from values
    return result

def delegating(values):
    inner = yield from returning(values, len(values))
    yield 'inner gave %d' % inner
    return {'inner': inner}
"),
    [?assertEqual({[1], {done, Result}}, rest(open(returning, [[1], Result])))
     || Result <- [none, 0, <<"text">>, {1, <<"b">>}, [1, [2]], #{<<"k">> => 1.5}]],
    ?assertEqual({done, 7}, py_stream:next(open(returning, [[], 7]))),
    Empty = open(returning, [[], 7]),
    ?assertEqual({ok, []}, py_stream:take(Empty, 3)),
    ?assertEqual({done, 7}, py_stream:next(Empty)),
    ?assertEqual({[1, 2, <<"inner gave 2">>], {done, #{<<"inner">> => 2}}}, rest(open(delegating, [[1, 2]]))),
    ?assertEqual({[0, 1], {done, none}}, rest(open_eval("(x for x in range(2))"))).

%% Without an end ----------------------------------------------------------------

case_fibonacci() ->
    ok = py:exec("
steps = 0

def fibonacci():
    global steps
    a, b = 0, 1
    while True:
        steps += 1
        yield a
        a, b = b, a + b
"),
    Stream = open(fibonacci, []),
    ?assertEqual({ok, [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]}, py_stream:take(Stream, 10)),
    ?assertEqual({ok, 55}, py_stream:next(Stream)),
    ?assertEqual(11, value("steps")),
    {ok, More} = py_stream:take(Stream, 290),
    ?assertEqual(222232244629420445529739893461909967206666939096499764990979600, lists:last(More)),
    ?assertEqual(301, value("steps")),
    ok = py_stream:close(Stream),
    ?assertEqual({error, closed}, py_stream:take(Stream, 1)).

case_random_numbers_without_an_end() ->
    ok = py:exec("import random\ndef dice(seed):\n    source = random.Random(seed)\n"
                 "    while True:\n        yield source.randint(1, 6)"),
    A = open(dice, [2024]),
    B = open(dice, [2024]),
    {ok, Thrown} = py_stream:take(A, 10000),
    ?assertEqual([1, 2, 3, 4, 5, 6], lists:usort(Thrown)),
    InParts = [element(2, py_stream:take(B, N)) || N <- [1, 9, 990, 9000]],
    ?assertEqual(Thrown, lists:append(InParts)).

%% The numbers of a data stream, processed as they come.
case_number_generator() ->
    ok = py:exec("def number_generator(n):\n    i = 0\n    while i < n:\n        yield i\n        i += 1"),
    ?assertEqual({ok, lists:seq(0, 9)}, py_stream:to_list(open(number_generator, [10]))),
    ?assertEqual({ok, []}, py_stream:to_list(open(number_generator, [0]))),
    ?assertEqual({ok, 4999950000}, py_stream:fold(fun(N, Sum) -> N + Sum end, 0, open(number_generator, [100000]))),
    ?assertEqual({[0, 1, 2], {done, none}}, rest(open(number_generator, [3]))).

case_squares_by_function_and_by_expression() ->
    ok = py:exec("def squares(xs):\n    for x in xs:\n        yield x * x"),
    ?assertEqual({ok, [1, 4, 9]}, py_stream:to_list(open(squares, [[1, 2, 3]]))),
    ?assertEqual({ok, [1, 4, 9]}, py_stream:to_list(open_eval("(x * x for x in xs)", #{xs => [1, 2, 3]}))).

case_a_billion_without_a_list() ->
    Stream = open_eval("(i for i in range(1_000_000_000))"),
    ?assertEqual({ok, [0, 1, 2]}, py_stream:take(Stream, 3)),
    ok = py_stream:close(Stream).

%% close --------------------------------------------------------------------------

case_close_runs_finally_before_it_returns() ->
    ok = py:exec("
import threading
log = [threading.get_ident()]

def guarded():
    try:
        yield 1
        yield 2
    except GeneratorExit:
        log.append('exit')
        raise
    finally:
        log.append(threading.get_ident())
"),
    Stream = open(guarded, []),
    {ok, 1} = py_stream:next(Stream),
    ?assertEqual(ok, py_stream:close(Stream)),
    [Thread, Exit, Finally] = value("log"),
    ?assertEqual({<<"exit">>, Thread}, {Exit, Finally}),
    ?assertEqual(ok, py_stream:close(Stream)),
    ?assertEqual(3, value("len(log)")),
    ?assertEqual({error, closed}, py_stream:next(Stream)),
    Unstarted = open(guarded, []),
    ?assertEqual(ok, py_stream:close(Unstarted)),
    ?assertEqual(3, value("len(log)")).

case_a_with_block_ends() ->
    ok = py:exec("
import contextlib
state = []

@contextlib.contextmanager
def resource(name):
    state.append('open ' + name)
    try:
        yield name
    finally:
        state.append('close ' + name)

def reading():
    with resource('a'), resource('b') as b:
        for i in range(100):
            yield b, i
"),
    Stream = open(reading, []),
    {ok, [{<<"b">>, 0}, {<<"b">>, 1}]} = py_stream:take(Stream, 2),
    ?assertEqual([<<"open a">>, <<"open b">>], value("state")),
    ok = py_stream:close(Stream),
    ?assertEqual([<<"open a">>, <<"open b">>, <<"close b">>, <<"close a">>], value("state")).

%% A close in the middle of a demand may interrupt a step, never the finally block.
case_close_interrupts_no_finally() ->
    ok = py:exec("
import itertools, time
log = []

def slow_to_leave():
    try:
        yield from itertools.count()
    finally:
        for i in range(100):
            time.sleep(0.0001)
        log.append('left')
"),
    [begin
         Stream = open(slow_to_leave, []),
         {ok, Ref} = py_stream:subscribe(Stream, #{demand => 1000000}),
         receive {py_chunk, Ref, 0} -> ok end,
         ok = py_stream:close(Stream)
     end || _ <- lists:seq(1, 20)],
    ?assertEqual(20, value("len(log)")).

%% Generators that resist: a yield while it is closed, an error in its finally.
case_close_of_one_that_resists() ->
    ok = py:exec("
import sys
sys.unraisablehook = lambda what: seen.append(type(what.exc_value).__name__)
seen = []

def stubborn():
    while True:
        try:
            yield 1
        except GeneratorExit:
            seen.append('asked')
            yield 2
            return

def broken():
    try:
        yield 1
    finally:
        raise KeyError('in finally')
"),
    [begin
         Stream = open(Fun, []),
         {ok, 1} = py_stream:next(Stream),
         ?assertEqual(ok, py_stream:close(Stream)),
         ?assertEqual({error, closed}, py_stream:next(Stream))
     end || Fun <- [stubborn, broken]],
    ?assert(lists:member(<<"asked">>, value("seen"))),
    ok = py:exec("sys.unraisablehook = sys.__unraisablehook__").

%% Errors -------------------------------------------------------------------------

case_an_error_after_some_values() ->
    ok = py:exec("def failing(n):\n    for i in range(n):\n        yield i\n    raise ValueError('after %d' % n)"),
    Stream = open(failing, [3]),
    ?assertEqual({ok, [0, 1]}, py_stream:take(Stream, 2)),
    ?assertEqual({ok, [2]}, py_stream:take(Stream, 5)),
    ?assertEqual({error, {'ValueError', "after 3"}}, py_stream:next(Stream)),
    ?assertEqual({error, closed}, py_stream:next(Stream)),
    ?assertEqual({error, {'ValueError', "after 0"}}, py_stream:next(open(failing, [0]))),
    ?assertEqual({error, {'ValueError', "after 2"}}, py_stream:to_list(open(failing, [2]))).

%% PEP 479: a StopIteration that escapes is no end.
case_stop_iteration_from_within() ->
    ok = py:exec("def leaking():\n    yield 1\n    next(iter([]))\n    yield 2"),
    ?assertEqual({[1], {error, {'RuntimeError', "generator raised StopIteration"}}}, rest(open(leaking, []))).

case_a_value_that_does_not_cross() ->
    ok = py:exec("def odd():\n    loop = []\n    loop.append(loop)\n    try:\n        yield 1\n        yield loop\n"
                 "    finally:\n        ended.append(1)\nended = []"),
    ?assertMatch({[1], {error, {'ValueError', _}}}, rest(open(odd, []))),
    py_test:wait_until(fun() -> value("ended") =:= [1] end, 3000).

%% An error mid-stream after values that were committed downstream.
case_a_fold_that_throws_closes() ->
    ok = py:exec("ended = []\ndef guarded():\n    try:\n        yield from range(1000)\n"
                 "    finally:\n        ended.append(1)"),
    ?assertThrow(enough, py_stream:foreach(fun(5) -> throw(enough); (_) -> ok end, open(guarded, []))),
    py_test:wait_until(fun() -> value("ended") =:= [1] end, 3000),
    ?assertError(function_clause, py_stream:fold(fun(N, none) when N < 3 -> none end, none, open(guarded, []))),
    py_test:wait_until(fun() -> value("ended") =:= [1, 1] end, 3000).
