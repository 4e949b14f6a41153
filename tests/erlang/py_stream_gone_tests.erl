%% Streams whose pool stops or whose worker is replaced: their owner is told, and their `finally' blocks run,
%% but for those of a worker process that was killed.
-module(py_stream_gone_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

-import(py_stream_ends_test, [define/1, source/1, noted/1, notes/0, open/2, open/3, nothing_left/0]).

gone_test_() ->
    py_stream_test:cases(?MODULE, 120).

%% The pool stops -----------------------------------------------------------------------

%% The `finally' of the pool's stream runs once, on its thread.
in_pool(Fun) ->
    in_pool(Fun, fun(Notes, Thread) ->
        py_test:wait_until(fun() -> noted(Notes) =/= [] end, 3000),
        ?assertEqual([Thread], noted(Notes))
    end).

in_pool(Fun, Ran) ->
    py_test:with_pool(#{num_workers => 1}, fun(Pool) ->
        Opts = #{pool => Pool},
        Notes = notes(),
        ok = py:exec(source(Notes), Opts),
        {ok, Thread} = py:eval("threading.get_ident()", #{}, Opts),
        Result = Fun(Pool, fun(Kind, KwArgs) -> open(Kind, KwArgs, Opts) end),
        Ran(Notes, Thread),
        ?assertEqual([], py_test:mailbox()),
        Result
    end).

case_the_pool_stops_when_suspended() ->
    [in_pool(fun(Pool, Open) ->
        Stream = Open(Kind, #{}),
        {ok, 0} = py_stream:next(Stream),
        ok = py_pool:stop(Pool),
        ?assertEqual({error, {no_pool, Pool}}, py_stream:next(Stream)),
        ?assertMatch({error, _}, py_stream:next(Stream)),
        ?assertMatch({error, _}, py_stream:take(Stream, 3)),
        ?assertEqual(ok, py_stream:close(Stream))
     end) || Kind <- [guarded, aguarded]].

case_the_pool_stops_when_subscribed() ->
    [in_pool(fun(Pool, Open) ->
        Stream = Open(Kind, #{}),
        {ok, Ref} = py_stream:subscribe(Stream, #{demand => 2}),
        [receive {py_chunk, Ref, N} -> ok end || N <- [0, 1]],
        ok = py_pool:stop(Pool),
        receive {py_error, Ref, Reason} -> ?assertEqual({no_pool, Pool}, Reason) after 3000 -> error(not_told) end,
        ?assertEqual(ok, py_stream:close(Stream))
     end) || Kind <- [guarded, aguarded]].

case_the_pool_stops_in_the_middle_of_a_step() ->
    [in_pool(fun(Pool, Open) ->
        spawn(fun() -> timer:sleep(100), py_pool:stop(Pool) end),
        Stream = Open(Kind, #{stuck_at => 0}),
        {Time, Result} = py_test:elapsed(fun() -> How(Stream) end),
        ?assertEqual({error, {no_pool, Pool}}, Result),
        ?assert(Time < 2000)
     end) || Kind <- [guarded, aguarded],
             How <- [fun py_stream:next/1, fun(S) -> py_stream:take(S, 3) end, fun py_stream:to_list/1,
                     fun(S) -> py_stream:foreach(fun(_) -> ok end, S) end]].

case_the_application_stops() ->
    Notes = notes(),
    define(Notes),
    Stream = open(guarded, #{}),
    {ok, 0} = py_stream:next(Stream),
    ok = application:stop(erlang_python),
    ok = application:start(erlang_python),
    ?assertEqual({error, {no_pool, default}}, py_stream:next(Stream)),
    ?assertMatch([_], noted(Notes)),
    nothing_left().

%% The worker is replaced -----------------------------------------------------------------

%% As in_pool/1. A worker process is killed: then no `finally' runs.
in_replaced_pool(Fun) ->
    case py_test:isolation() of
        process -> in_pool(Fun, fun(Notes, _Thread) -> timer:sleep(100), ?assertEqual([], noted(Notes)) end);
        _ -> in_pool(Fun)
    end.

%% Another call hangs where nothing can interrupt it, and gives the GIL up meanwhile.
replaced(Pool, Seconds) ->
    {error, timeout} = py:call(time, sleep, [Seconds], #{}, #{pool => Pool, timeout => 50}),
    py_test:wait_until(fun() -> {ok, #{restarts := Restarts}} = py_pool:stats(Pool), Restarts =:= 1 end, 3000).

case_the_worker_is_replaced() ->
    [in_replaced_pool(fun(Pool, Open) ->
        Stream = Open(Kind, #{}),
        {ok, 0} = py_stream:next(Stream),
        replaced(Pool, 1),
        ?assertEqual({error, worker_replaced}, py_stream:next(Stream)),
        ?assertEqual({error, closed}, py_stream:next(Stream)),
        ?assertEqual(ok, py_stream:close(Stream)),
        ?assertEqual({ok, 2}, py:eval("1 + 1", #{}, #{pool => Pool})),
        py_test:wait_until(fun() -> {ok, #{streams := N}} = py_pool:stats(Pool), N =:= 0 end, 3000)
     end) || Kind <- [guarded, aguarded]].

case_the_worker_of_a_subscription_is_replaced() ->
    [in_replaced_pool(fun(Pool, Open) ->
        Stream = Open(Kind, #{}),
        {ok, Ref} = py_stream:subscribe(Stream, #{demand => 1}),
        receive {py_chunk, Ref, 0} -> ok end,
        replaced(Pool, 1),
        receive {py_error, Ref, Reason} -> ?assertEqual(worker_replaced, Reason) after 3000 -> error(not_told) end,
        ?assertEqual(ok, py_stream:close(Stream)),
        py_test:wait_until(fun() -> {ok, #{streams := N}} = py_pool:stats(Pool), N =:= 0 end, 3000)
     end) || Kind <- [guarded, aguarded]].

%% The stream itself hangs.
case_a_step_that_hangs_replaces_its_worker() ->
    in_replaced_pool(fun(Pool, Open) ->
        Stream = Open(guarded, #{hang => 1}),
        {ok, 0} = py_stream:next(Stream),
        ?assertEqual({error, timeout}, py_stream:next(Stream, 50)),
        ?assertEqual({error, closed}, py_stream:next(Stream)),
        {Time, Answer} = py_test:elapsed(fun() -> py:eval("1 + 1", #{}, #{pool => Pool}) end),
        ?assertEqual({ok, 2}, Answer),
        ?assert(Time < 900),
        {ok, #{restarts := 1}} = py_pool:stats(Pool)
    end).
