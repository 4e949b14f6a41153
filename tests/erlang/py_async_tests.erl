%% call_async, await, cancel, and map.
-module(py_async_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

async_test_() ->
    py_test:cases(?MODULE).

is_over(Ref) ->
    py_test:badarg(fun() -> py:await(Ref) end, 1, "Ref"),
    ?assertEqual([], py_test:mailbox()).

case_answers_in_any_order() ->
    Refs = [{I, py:call_async(operator, mul, [I, I])} || I <- lists:seq(1, 100)],
    [?assertEqual({ok, I * I}, py:await(Ref)) || {I, Ref} <- lists:reverse(Refs)],
    [is_over(Ref) || {_, Ref} <- Refs].

case_keywords_and_options() ->
    ?assertEqual({ok, #{<<"a">> => 1}}, py:await(py:call_async(builtins, dict, [], #{a => 1}))),
    Ref = py:call_async(builtins, dict, [], #{a => x}, #{worker => 2, atoms => atom}),
    ?assertEqual({ok, #{a => x}}, py:await(Ref)),
    ?assert(is_reference(Ref)).

case_errors() ->
    ?assertMatch({error, {'ZeroDivisionError', _}}, py:await(py:call_async(operator, truediv, [1, 0]))),
    Traced = py:await(py:call_async(operator, truediv, [1, 0], #{}, #{traceback => true})),
    ?assertMatch({error, {'ZeroDivisionError', _, _}}, Traced),
    ?assertEqual({error, {no_pool, nowhere}}, py:await(py:call_async(math, sqrt, [1], #{}, #{pool => nowhere}))).

case_they_run_side_by_side() ->
    {Time, _} = py_test:elapsed(fun() ->
        Refs = [py:call_async(time, sleep, [0.3]) || _ <- [1, 2, 3, 4]],
        [{ok, none} = py:await(Ref) || Ref <- Refs]
    end),
    ?assert(Time < 1000).

case_await_times_out() ->
    Ref = py:call_async(time, sleep, [5]),
    {Time, Result} = py_test:elapsed(fun() -> py:await(Ref, 50) end),
    ?assertEqual({error, timeout}, Result),
    ?assert(Time < 250),
    ?assertEqual({error, timeout}, py:await(Ref)),
    ?assertEqual({error, timeout}, py:await(Ref, 1000)),
    ?assertEqual([], py_test:mailbox()).

case_timeout_of_the_call() ->
    Ref = py:call_async(time, sleep, [5], #{}, 100),
    timer:sleep(60),
    {Time, Result} = py_test:elapsed(fun() -> py:await(Ref) end),
    ?assertEqual({error, timeout}, Result),
    ?assert(Time < 190).

case_await_with_zero() ->
    Done = py:call_async(math, sqrt, [4]),
    py_test:wait_until(fun() -> py_test:mailbox() =/= [] end, 2000),
    ?assertEqual({ok, 2.0}, py:await(Done, 0)),
    ?assertEqual({error, timeout}, py:await(py:call_async(time, sleep, [1]), 0)),
    ?assertEqual([], py_test:mailbox()).

case_cancel() ->
    ok = py:exec("ran = []\nimport time\ndef slow():\n    while True: time.sleep(0.01)"),
    Ref = py:call_async('__main__', slow, []),
    timer:sleep(50),
    ?assertEqual(ok, py:cancel(Ref)),
    ?assertEqual({error, cancelled}, py:await(Ref)),
    {Time, {ok, 2}} = py_test:elapsed(fun() -> py:eval("1 + 1") end),
    ?assert(Time < 500),
    ?assertEqual([], py_test:mailbox()).

case_cancel_while_queued() ->
    ok = py:exec("ran = []\nimport time"),
    Busy = py:call_async(time, sleep, [0.2]),
    Ref = py:call_async('__main__', '__setattr__', [<<"ran">>, 1]),
    ok = py:cancel(Ref),
    {ok, none} = py:await(Busy),
    ?assertEqual({ok, []}, py:eval("ran")),
    ?assertEqual({error, cancelled}, py:await(Ref)).

case_cancel_twice_and_after_the_answer() ->
    Ref = py:call_async(math, sqrt, [4]),
    py_test:wait_until(fun() -> py_test:mailbox() =/= [] end, 2000),
    ?assertEqual(ok, py:cancel(Ref)),
    ?assertEqual([], py_test:mailbox()),
    ?assertEqual(ok, py:cancel(Ref)),
    ?assertEqual({error, cancelled}, py:await(Ref)),
    Awaited = py:call_async(math, sqrt, [4]),
    {ok, 2.0} = py:await(Awaited),
    ?assertEqual(ok, py:cancel(Awaited)).

case_racing_cancels_leave_nothing() ->
    [begin
         Ref = py:call_async(math, sqrt, [4]),
         I rem 3 =:= 0 andalso erlang:yield(),
         I rem 7 =:= 0 andalso timer:sleep(0),
         ok = py:cancel(Ref)
     end || I <- lists:seq(1, 3000)],
    timer:sleep(200),
    ?assertEqual([], py_test:mailbox()),
    ?assertEqual([], [Key || {{'$py_async', _} = Key, _} <- get()]).

case_cancel_of_what_never_started() ->
    Ref = py:call_async(math, sqrt, [1], #{}, #{pool => nowhere}),
    ok = py:cancel(Ref),
    ?assertEqual({error, cancelled}, py:await(Ref)).

case_only_the_caller_awaits() ->
    Ref = py:call_async(time, sleep, [0.2]),
    py_test:in_process(fun() ->
        is_over(Ref),
        py_test:badarg(fun() -> py:cancel(Ref) end, 1, "Ref")
    end),
    ?assertEqual({ok, none}, py:await(Ref)).

case_no_reference_of_ours() ->
    py_test:badarg(fun() -> py:await(make_ref()) end, 1, "Ref"),
    py_test:badarg(fun() -> py:cancel(make_ref()) end, 1, "Ref"),
    py_test:badarg(fun() -> py:await(hello) end, 1, "Ref"),
    py_test:badarg(fun() -> py:await(make_ref(), later) end, 2, "Timeout").

case_awaiting_what_a_stopped_pool_had() ->
    Name = py_test:pool_name(),
    {ok, _} = py_pool:start(Name, #{num_workers => 1}),
    Refs = [py:call_async(time, sleep, [0.5], #{}, #{pool => Name}) || _ <- lists:seq(1, 3)],
    ok = py_pool:stop(Name),
    Answers = [py:await(Ref, 5000) || Ref <- Refs],
    ?assertEqual([], [A || A <- Answers, A =/= {error, {no_pool, Name}}, A =/= {ok, none}]),
    ?assertEqual({error, {no_pool, Name}}, lists:last(Answers)).

%% map -------------------------------------------------------------------------

case_map() ->
    ?assertEqual({ok, [2.0, 3.0, 4.0]}, py:map(math, sqrt, [[4], [9], [16]])),
    ?assertEqual({ok, []}, py:map(math, sqrt, [])),
    ?assertEqual({ok, [3, 7]}, py:map("operator", <<"add">>, [[1, 2], [3, 4]], 1000)),
    ?assertEqual({ok, lists:seq(1, 100000)}, py:map(builtins, int, [[I] || I <- lists:seq(1, 100000)])).

case_map_stops_at_the_first_error() ->
    ok = py:exec("ran = []\ndef f(x):\n    ran.append(x)\n    return 1 / x"),
    ?assertMatch({error, {2, {'ZeroDivisionError', "division by zero"}}}, py:map('__main__', f, [[1], [0], [2]])),
    ?assertEqual({ok, [1, 0]}, py:eval("ran")),
    ?assertMatch({error, {1, {'TypeError', _}}}, py:map('__main__', f, [[], [1]])).

case_map_times_out_as_one() ->
    ?assertEqual({error, timeout}, py:map(time, sleep, [[0.05] || _ <- lists:seq(1, 100)], 120)),
    ?assertEqual({error, {no_pool, nowhere}}, py:map(time, sleep, [[1]], #{pool => nowhere})).

case_map_on_an_object() ->
    {ok, Object} = py:eval("__import__('collections').deque()"),
    ?assertEqual({ok, [none, none]}, py:map(Object, append, [[1], [2]])),
    ?assertEqual({ok, 2}, py:call(Object, '__len__', [])).
