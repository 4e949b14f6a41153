%% Generators that are spoken to: send and throw.
-module(py_stream_send_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

-import(py_stream_test, [open/2, open_eval/1, rest/1, value/1]).

send_test_() ->
    py_stream_test:cases(?MODULE).

%% send: the ball goes back and forth ---------------------------------------------

averages() ->
    ok = py:exec("
def averages():
    total, count, average = 0, 0, None
    while True:
        number = yield average
        if number is None:
            return {'count': count, 'average': average}
        total += number
        count += 1
        average = total / count
").

case_send() ->
    averages(),
    Stream = open(averages, []),
    ?assertEqual({ok, none}, py_stream:next(Stream)),
    ?assertEqual({ok, 10.0}, py_stream:send(Stream, 10)),
    ?assertEqual({ok, 15.0}, py_stream:send(Stream, 20)),
    ?assertEqual({ok, 7.0}, py_stream:send(Stream, -9)),
    ?assertEqual({done, #{<<"count">> => 3, <<"average">> => 7.0}}, py_stream:next(Stream)),
    ?assertEqual({error, closed}, py_stream:send(Stream, 1)).

case_send_before_the_first_next() ->
    averages(),
    Stream = open(averages, []),
    ?assertEqual({error, {'TypeError', "can't send non-None value to a just-started generator"}},
                 py_stream:send(Stream, 10)),
    ?assertEqual({ok, none}, py_stream:send(Stream, none)),
    ?assertEqual({ok, 10.0}, py_stream:send(Stream, 10)),
    ok = py_stream:close(Stream).

case_sent_values_are_converted() ->
    ok = py:exec("def echo():\n    got = yield 'ready'\n"
                 "    while True:\n        got = yield (type(got).__name__, got)"),
    Stream = open(echo, []),
    {ok, <<"ready">>} = py_stream:next(Stream),
    [?assertEqual({ok, {Type, Back}}, py_stream:send(Stream, Value))
     || {Value, Type, Back} <- [{1, <<"int">>, 1}, {<<"t">>, <<"str">>, <<"t">>}, {[1, 2.5], <<"list">>, [1, 2.5]},
                                {#{a => 1}, <<"dict">>, #{<<"a">> => 1}}, {none, <<"NoneType">>, none},
                                {{1}, <<"tuple">>, {1}}, {1 bsl 80, <<"int">>, 1 bsl 80}]],
    ?assertEqual({ok, {<<"NoneType">>, none}}, py_stream:next(Stream)),
    ?assertEqual({ok, [{<<"NoneType">>, none}, {<<"NoneType">>, none}]}, py_stream:take(Stream, 2)),
    ?assertEqual({ok, {<<"str">>, <<"still here">>}}, py_stream:send(Stream, <<"still here">>)),
    ok = py_stream:close(Stream).

%% A plain iterator takes nothing, and loses nothing by being asked.
case_send_to_a_plain_iterator() ->
    Stream = open_eval("iter([1, 2])"),
    ?assertMatch({error, {'TypeError', _}}, py_stream:send(Stream, 1)),
    ?assertMatch({error, {'TypeError', _}}, py_stream:throw(Stream, 'ValueError', "no")),
    ?assertEqual({[1, 2], {done, none}}, rest(Stream)).

%% Tasks that give way to one another, with Erlang as their scheduler.
case_coroutines_at_their_own_pace() ->
    ok = py:exec("
trace = []

def worker(name, amount):
    for i in range(amount):
        command = yield (name, i)
        trace.append((name, i, command))
    return name + ' is done'
"),
    Tasks = [open(worker, [Name, Amount]) || {Name, Amount} <- [{<<"a">>, 1}, {<<"b">>, 3}, {<<"c">>, 2}]],
    [{ok, {_, 0}} = py_stream:next(Task) || Task <- Tasks],
    ?assertEqual([<<"a is done">>, <<"c is done">>, <<"b is done">>], round_robin(Tasks, [], 0)),
    ?assertEqual([{<<"a">>, 0, 0}, {<<"b">>, 0, 1}, {<<"c">>, 0, 2}, {<<"b">>, 1, 3}, {<<"c">>, 1, 4}, {<<"b">>, 2, 5}],
                 value("trace")).

round_robin([], Results, _) ->
    lists:reverse(Results);
round_robin([Task | Others], Results, Turn) ->
    case py_stream:send(Task, Turn) of
        {ok, _} -> round_robin(Others ++ [Task], Results, Turn + 1);
        {done, Result} -> round_robin(Others, [Result | Results], Turn + 1)
    end.

%% throw --------------------------------------------------------------------------

catching() ->
    ok = py:exec("
class Impatient(Exception):
    pass

events = []

def catching():
    n = 0
    try:
        while True:
            try:
                yield n
                n += 1
            except (ValueError, Impatient) as e:
                events.append((type(e).__name__, str(e)))
                yield 'caught ' + str(e)
            except LookupError as e:
                return 'gave up: ' + e.args[0]
    finally:
        events.append('finally')
").

case_throw_is_caught() ->
    catching(),
    Stream = open(catching, []),
    {ok, 0} = py_stream:next(Stream),
    ?assertEqual({ok, <<"caught one">>}, py_stream:throw(Stream, 'ValueError', <<"one">>)),
    ?assertEqual({ok, 0}, py_stream:next(Stream)),
    ?assertEqual({ok, <<"caught two">>}, py_stream:throw(Stream, "ValueError", "two")),
    ok = py_stream:close(Stream).

case_throw_and_go_on() ->
    catching(),
    Stream = open(catching, []),
    {ok, [0, 1, 2]} = py_stream:take(Stream, 3),
    ?assertEqual({ok, <<"caught wait">>}, py_stream:throw(Stream, <<"ValueError">>, "wait")),
    ?assertEqual({ok, [2, 3]}, py_stream:take(Stream, 2)),
    ?assertEqual({ok, <<"caught mine">>}, py_stream:throw(Stream, 'Impatient', "mine")),
    ?assertEqual([{<<"ValueError">>, <<"wait">>}, {<<"Impatient">>, <<"mine">>}], value("events")),
    ok = py_stream:close(Stream),
    ?assertEqual(<<"finally">>, value("events[-1]")).

case_throw_that_ends_it() ->
    catching(),
    Returning = open(catching, []),
    {ok, 0} = py_stream:next(Returning),
    ?assertEqual({done, <<"gave up: enough">>}, py_stream:throw(Returning, 'KeyError', "enough")),
    ?assertEqual({error, closed}, py_stream:next(Returning)),
    ?assertEqual([<<"finally">>], value("events")),
    Failing = open(catching, []),
    {ok, 0} = py_stream:next(Failing),
    ?assertEqual({error, {'OSError', "disk full"}}, py_stream:throw(Failing, 'OSError', "disk full")),
    ?assertEqual({error, closed}, py_stream:next(Failing)),
    ?assertEqual([<<"finally">>, <<"finally">>], value("events")).

case_throw_of_a_class_in_a_module() ->
    ok = py:exec("import json\ndef parse():\n    try:\n        yield 1\n"
                 "    except __import__('queue').Empty as e:\n        yield type(e).__name__ + ': ' + str(e)"),
    Stream = open(parse, []),
    {ok, 1} = py_stream:next(Stream),
    ?assertEqual({ok, <<"Empty: nothing">>}, py_stream:throw(Stream, "queue.Empty", "nothing")),
    ?assertEqual({done, none}, py_stream:next(Stream)).

%% A generator that has not begun has nothing that could catch.
case_throw_before_the_first_next() ->
    catching(),
    Stream = open(catching, []),
    ?assertEqual({error, {'ValueError', "early"}}, py_stream:throw(Stream, 'ValueError', "early")),
    ?assertEqual({error, closed}, py_stream:next(Stream)),
    ?assertEqual([], value("events")).

case_throw_of_what_is_no_exception() ->
    catching(),
    Stream = open(catching, []),
    {ok, 0} = py_stream:next(Stream),
    [?assertMatch({error, {_, _}}, py_stream:throw(Stream, Class, "x"))
     || Class <- ["NoSuchError", "no_such_module.Error", 'int', "json.loads"]],
    ?assertEqual({ok, 1}, py_stream:next(Stream)),
    ok = py_stream:close(Stream).
