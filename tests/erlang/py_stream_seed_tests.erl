%% The examples of the guide on streaming, literally; what is left to the reader there
%% is filled in.
-module(py_stream_seed_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

guide_test_() ->
    py_stream_test:cases(?MODULE).

%% Generator expressions ----------------------------------------------------------

case_squares() ->
    {ok, Squares} = py:stream_eval(<<"(x**2 for x in range(10))">>),
    ?assertEqual([0,1,4,9,16,25,36,49,64,81], Squares).

case_uppercase() ->
    {ok, Upper} = py:stream_eval(<<"(c.upper() for c in 'hello')">>),
    ?assertEqual([<<"H">>,<<"E">>,<<"L">>,<<"L">>,<<"O">>], Upper).

case_filtered() ->
    {ok, Evens} = py:stream_eval(<<"(x for x in range(20) if x % 2 == 0)">>),
    ?assertEqual([0,2,4,6,8,10,12,14,16,18], Evens).

%% Iterator objects -----------------------------------------------------------------

case_range() ->
    {ok, Numbers} = py:stream_eval(<<"iter(range(5))">>),
    ?assertEqual([0,1,2,3,4], Numbers).

case_items_of_a_dictionary() ->
    {ok, Items} = py:stream_eval(<<"iter({'a': 1, 'b': 2}.items())">>),
    ?assertEqual([{<<"a">>, 1}, {<<"b">>, 2}], Items).

%% Generator functions --------------------------------------------------------------

case_a_function_of_exec() ->
    ok = py:exec(<<"
def fibonacci(n):
    a, b = 0, 1
    for _ in range(n):
        yield a
        a, b = b, a + b
">>),
    {ok, Fib} = py:stream('__main__', fibonacci, [10]),
    ?assertEqual([0,1,1,2,3,5,8,13,21,34], Fib),
    %% A process stays with the worker of its definitions.
    [{ok, Fib} = py:stream('__main__', fibonacci, [10]) || _ <- lists:seq(1, 20)].

case_inline_with_lambda_and_walrus() ->
    {ok, Fib} = py:stream_eval(<<"(lambda: ((fib := [0, 1]), [fib.append(fib[-1] + fib[-2]) for _ in range(8)], iter(fib))[-1])()">>),
    ?assertEqual([0,1,1,2,3,5,8,13,21,34], Fib).

%% It needs nothing of a worker: every one of them knows it, for any process.
case_inline_on_every_worker() ->
    Code = <<"(lambda: ((fib := [0, 1]), [fib.append(fib[-1] + fib[-2]) for _ in range(8)], iter(fib))[-1])()">>,
    [?assertEqual({ok, [0,1,1,2,3,5,8,13,21,34]},
                  py_test:in_process(fun() -> py:stream_eval(Code, #{}, #{worker => Worker}) end))
     || Worker <- [1, 2, 3, 4]].

%% The protocol -----------------------------------------------------------------------

case_the_messages() ->
    Ref = make_ref(),
    ok = py_pool:request({stream_eval, Ref, self(), <<"(1 / x for x in (1, 2, 0))">>, #{}}),
    receive {py_chunk, Ref, 1.0} -> ok end,
    receive {py_chunk, Ref, 0.5} -> ok end,
    receive {py_error, Ref, Error} -> ?assertMatch({'ZeroDivisionError', _}, Error) end,
    Other = make_ref(),
    ok = py_pool:request({stream_eval, Other, self(), <<"iter('')">>, #{}}),
    receive {py_end, Other} -> ok end,
    ?assertEqual([], py_test:mailbox()).

start_stream(Code) ->
    Ref = make_ref(),
    py_pool:request({stream_eval, Ref, self(), Code, #{}}),
    process_stream(Ref).

process_stream(Ref) ->
    receive
        {py_chunk, Ref, Value} ->
            io:format("Got: ~p~n", [Value]),
            process_stream(Ref);
        {py_end, Ref} ->
            io:format("Done~n");
        {py_error, Ref, Error} ->
            io:format("Error: ~p~n", [Error])
    after 30000 ->
        io:format("Timeout~n")
    end.

case_the_custom_consumer() ->
    ?assertEqual("Got: 0\nGot: 1\nGot: 4\nDone\n", printed(fun() -> start_stream(<<"(x**2 for x in range(3))">>) end)),
    ?assertEqual("Done\n", printed(fun() -> start_stream(<<"iter([])">>) end)),
    ?assertEqual("Got: 1\nError: {'KeyError',\"2\"}\n", printed(fun() -> start_stream(<<"({1: 1}[x] for x in (1, 2))">>) end)),
    ?assertEqual("Error: {'TypeError',\"'int' object is not iterable\"}\n", printed(fun() -> start_stream(<<"7">>) end)),
    Many = printed(fun() -> start_stream(<<"range(5000)">>) end),
    ?assertEqual(lists:flatten([[io_lib:format("Got: ~b~n", [N]) || N <- lists:seq(0, 4999)], "Done\n"]), Many),
    ?assertEqual([], py_test:mailbox()).

%% One after the other, in one process.
case_the_custom_consumer_again_and_again() ->
    Printed = printed(fun() -> [start_stream(<<"'ab'">>) || _ <- [1, 2, 3]] end),
    ?assertEqual("Got: <<\"a\">>\nGot: <<\"b\">>\nDone\nGot: <<\"a\">>\nGot: <<\"b\">>\nDone\n"
                 "Got: <<\"a\">>\nGot: <<\"b\">>\nDone\n", Printed).

%% What Fun prints.
printed(Fun) ->
    Leader = group_leader(),
    Printer = spawn_link(fun() -> print([]) end),
    group_leader(Printer, self()),
    try Fun() after group_leader(Leader, self()) end,
    Printer ! {printed, self()},
    receive {printed, Text} -> Text end.

print(Said) ->
    receive
        {io_request, From, Tag, {put_chars, _Encoding, Text}} ->
            From ! {io_reply, Tag, ok},
            print([Said, Text]);
        {io_request, From, Tag, {put_chars, _Encoding, Module, Function, Args}} ->
            From ! {io_reply, Tag, ok},
            print([Said, apply(Module, Function, Args)]);
        {printed, To} ->
            To ! {printed, unicode:characters_to_list(Said)}
    end.

%% Use cases ---------------------------------------------------------------------------

case_lines_of_a_file() ->
    Dir = py_test:tmp_dir(),
    Module = filename:join(Dir, "mymodule.py"),
    Data = unicode:characters_to_binary(filename:join(Dir, "data.txt")),
    ok = file:write_file(Module, "def read_lines(path):\n    with open(path) as f:\n        for line in f:\n"
                                 "            yield line.strip()\n"),
    ok = file:write_file(Data, "one\ntwo\nthree\n"),
    ok = py:exec([<<"import sys; sys.path.insert(0, '">>, Dir, <<"')">>]),
    {ok, Lines} = py:stream(mymodule, read_lines, [Data]),
    Results = [process_line(L) || L <- Lines],
    ?assertEqual([3, 3, 5], Results),
    ok = file:del_dir_r(Dir).

process_line(Line) ->
    byte_size(Line).

counter() ->
    ok = py:exec(<<"
def counter():
    n = 0
    while True:
        yield n
        n += 1
">>).

case_the_first_100_of_infinitely_many() ->
    counter(),
    First = lists:seq(0, 99),
    ?assertEqual({ok, First}, py:stream('__main__', counter, [], #{}, #{limit => 100})),
    {ok, Stream} = py_stream:open({call, '__main__', counter, [], #{}}),
    ?assertEqual({ok, First}, py_stream:take(Stream, 100)),
    ok = py_stream:close(Stream).

case_limits() ->
    counter(),
    [?assertEqual({ok, lists:seq(0, Limit - 1)}, py:stream('__main__', counter, [], #{}, #{limit => Limit}))
     || Limit <- [0, 1, 2, 1000, 30000]],
    ?assertEqual({ok, [7, 7]}, py:stream_eval("iter(lambda: v, None)", #{v => 7}, #{limit => 2})),
    %% A limit that is not reached is none.
    ?assertEqual({ok, [0, 1]}, py:stream_eval("range(2)", #{}, #{limit => 3})),
    ?assertEqual({ok, [0, 1]}, py:stream_eval("range(2)", #{}, #{limit => 2})),
    %% What comes after the limit is not looked at.
    ?assertMatch({ok, [1.0]}, py:stream_eval("(1 / x for x in (1, 0))", #{}, #{limit => 1})),
    ?assertMatch({error, {'ZeroDivisionError', _}}, py:stream_eval("(1 / x for x in (1, 0))", #{}, #{limit => 2})).

case_batches() ->
    ok = py:exec(<<"
def batches(data, size):
    for i in range(0, len(data), size):
        yield data[i:i+size]
">>),
    ?assertEqual({ok, [[1, 2], [3, 4], [5]]}, py:stream('__main__', batches, [[1, 2, 3, 4, 5], 2])),
    ?assertEqual({ok, [[1, 2, 3], [4, 5]]}, py:stream('__main__', batches, [[1, 2, 3, 4, 5]], #{size => 3})).

case_a_bare_timeout() ->
    ?assertEqual({ok, [0, 1, 2]}, py:stream_eval("range(3)", #{}, 5000)),
    ?assertEqual({ok, [0, 1, 2]}, py:stream(builtins, range, [3], #{}, 5000)),
    ?assertEqual({error, timeout}, py:stream_eval("(x for x in iter(int, 1) if x)", #{}, 100)).
