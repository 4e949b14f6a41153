%% Time-outs are on time, leave nothing behind, and the process goes on.
-module(py_timeout_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

%% How late an answer may be in a test, in milliseconds: the goal is 20, the rest is
%% for a machine that does other things too.
-define(SLACK, 150).

timeout_test_() ->
    py_test:cases(?MODULE, 120).

%% Other programs on the machine can hold any thread up for longer than that: one
%% attempt of five has to be on time, while each has to time out.
on_time(Timeout, Fun) ->
    on_time(Timeout, Fun, 5, []).

on_time(Timeout, _Fun, 0, Times) ->
    error({late, Timeout, Times});
on_time(Timeout, Fun, Attempts, Times) ->
    {Time, Result} = py_test:elapsed(Fun),
    ?assertEqual({error, timeout}, Result),
    ?assert(Time >= Timeout - 1),
    Time < Timeout + ?SLACK orelse on_time(Timeout, Fun, Attempts - 1, [Time | Times]).

soon(Fun) ->
    {Time, Result} = py_test:elapsed(Fun),
    ?assertEqual({ok, 2}, Result),
    ?assertMatch({_, true}, {Time, Time < 1000}).

case_python_loop() ->
    ok = py:exec("def spin():\n    while True: pass"),
    [begin
         on_time(Timeout, fun() -> py:call('__main__', spin, [], #{}, Timeout) end),
         soon(fun() -> py:eval("1 + 1") end)
     end || Timeout <- [0, 1, 50, 200]].

case_loop_in_exec_and_eval() ->
    ok = py:exec("pass"),
    on_time(100, fun() -> py:exec("while True: pass", 100) end),
    soon(fun() -> py:eval("1 + 1") end),
    on_time(100, fun() -> py:eval("[0 for _ in iter(int, 1)]", #{}, #{timeout => 100}) end),
    soon(fun() -> py:eval("1 + 1") end).

case_sleep() ->
    ok = py:exec("pass"),
    [begin
         on_time(100, fun() -> py:call(time, sleep, [60], #{}, 100) end),
         soon(fun() -> py:eval("1 + 1") end)
     end || _ <- [1, 2]].

case_async_sleep() ->
    ok = py:exec("import asyncio\nended = []\nasync def nap():\n    try:\n        await asyncio.sleep(60)\n"
                 "    finally:\n        ended.append(1)"),
    on_time(100, fun() -> py:call('__main__', nap, [], #{}, 100) end),
    soon(fun() -> py:eval("1 + 1") end),
    py_test:wait_until(fun() -> py:eval("ended") =:= {ok, [1]} end, 2000).

%% C code that keeps the GIL: callers get their time-outs all the same.
case_zz_gil_kept() ->
    case {py_test:isolation(), py_test:python()} of
        {process, _} -> gil_kept_by_a_process();
        {subinterpreter, Version} when Version >= {3, 12} -> own_gil_kept();
        _ -> gil_kept()
    end.

%% Nothing else is held up, and the thread is left behind.
own_gil_kept() ->
    not py_test:free_threaded() orelse throw({skip, "without a GIL a new interpreter waits for C code that does not look up (docs/pools.md)"}),
    on_time(50, fun() -> py:eval("sum(range(10**8 * 3))", #{}, #{worker => 1, timeout => 50}) end),
    [soon(fun() -> py:eval("1 + 1", #{}, #{worker => N}) end) || N <- [2, 3, 4]],
    soon(fun() -> py:eval("1 + 1", #{}, #{worker => 1}) end),
    {ok, #{gil_stalled := false, abandoned := 1, restarts := 1}} = py_pool:stats(default),
    ?assertEqual([], py_test:mailbox()).

%% Nothing else is held up, and the process is killed.
gil_kept_by_a_process() ->
    Long = "sum(range(10**10))",
    on_time(50, fun() -> py:eval(Long, #{}, #{worker => 1, timeout => 50}) end),
    [soon(fun() -> py:eval("1 + 1", #{}, #{worker => N}) end) || N <- [2, 3, 4]],
    soon(fun() -> py:eval("1 + 1", #{}, #{worker => 1}) end),
    {ok, #{gil_stalled := false, abandoned := 0, workers := [#{restarts := Restarts} | _]}} = py_pool:stats(default),
    ?assert(Restarts >= 1),
    ?assertEqual([], py_test:mailbox()).

gil_kept() ->
    not py_test:free_threaded() orelse throw({skip, "this Python has no GIL that C code could keep"}),
    Parent = self(),
    Holder = spawn_link(fun() -> Parent ! {self(), py:eval("sum(range(10**8 * 3))", #{}, 100)} end),
    timer:sleep(50),
    [on_time(50, fun() -> py:eval("1", #{}, 50) end) || _ <- lists:seq(1, 4)],
    py_test:wait_until(fun() -> {ok, #{gil_stalled := Stalled}} = py_pool:stats(default), Stalled end, 2000),
    ?assertEqual({error, timeout}, receive {Holder, Result} -> Result end),
    {ok, 2} = py:eval("1 + 1"),
    py_test:wait_until(fun() -> {ok, #{gil_stalled := Stalled}} = py_pool:stats(default), not Stalled end, 2000),
    ?assertEqual([], py_test:mailbox()).

case_timeout_is_seen_by_python() ->
    ok = py:exec("seen = []\ndef spin():\n    try:\n        while True:\n            x = 1\n            y = 2\n"
                 "    except BaseException as e:\n        seen.append((type(e).__module__, type(e).__name__, isinstance(e, Exception)))\n"
                 "        raise"),
    {error, timeout} = py:call('__main__', spin, [], #{}, 50),
    ?assertEqual({ok, [{<<"erlang">>, <<"Timeout">>, false}]}, py:eval("seen")).

%% What was not delivered to its own call never reaches the next.
case_late_exception_hits_nobody() ->
    ok = py:exec("def work(n):\n    for i in range(n): pass\n    return n"),
    [begin
         _ = py:call('__main__', work, [20000], #{}, 1),
         ?assertEqual({ok, 200}, py:call('__main__', work, [200]))
     end || _ <- lists:seq(1, 500)].

case_racing_timeouts_leave_an_empty_mailbox() ->
    Results = [py:call(time, sleep, [0.001], #{}, I rem 3) || I <- lists:seq(1, 1000)],
    ?assertEqual([], [R || R <- Results, R =/= {ok, none}, R =/= {error, timeout}]),
    ?assert(lists:member({error, timeout}, Results)),
    timer:sleep(300),
    ?assertEqual([], py_test:mailbox()),
    {ok, 2} = py:eval("1 + 1").

case_queued_calls_time_out() ->
    py_test:with_pool(#{num_workers => 1}, fun(Pool) ->
        spawn_link(fun() -> py:call(time, sleep, [1], #{}, #{pool => Pool}) end),
        timer:sleep(50),
        Mark = filename:join(py_test:tmp_dir(), "mark"),
        ok = file:write_file(Mark, ""),
        on_time(50, fun() -> py:call(os, remove, [list_to_binary(Mark)], #{}, #{pool => Pool, timeout => 50}) end),
        {ok, 2} = py:eval("1 + 1", #{}, #{pool => Pool}),
        ?assert(filelib:is_file(Mark))
    end).

case_default_timeout() ->
    py_test:with_pool(#{default_timeout => 100}, fun(Pool) ->
        on_time(100, fun() -> py:call(time, sleep, [1], #{}, #{pool => Pool}) end),
        ?assertEqual({ok, none}, py:call(time, sleep, [0.2], #{}, #{pool => Pool, timeout => infinity}))
    end).

case_dead_callers_job_is_cancelled() ->
    py_test:with_pool(#{num_workers => 1}, fun(Pool) ->
        Opts = #{pool => Pool},
        Waiting = fun(Count) ->
            py_test:wait_until(fun() ->
                {ok, #{queued := Queued, workers := [#{state := State}]}} = py_pool:stats(Pool),
                {Queued, State} =:= {Count, busy}
            end, 10000)
        end,
        {Caller, Monitor} = spawn_monitor(fun() -> py:exec("while True: pass", Opts) end),
        Waiting(0),
        Queued = spawn(fun() -> py:exec("leaked = True", Opts) end),
        Waiting(1),
        exit(Queued, kill),
        Waiting(0),
        exit(Caller, kill),
        receive {'DOWN', Monitor, process, Caller, killed} -> ok end,
        soon(fun() -> py:eval("1 + 1", #{}, Opts) end),
        ?assertEqual({ok, false}, py:eval("'leaked' in globals()", #{}, Opts))
    end).

%% A long mailbox costs a call nothing.
case_long_mailbox() ->
    {ok, 1} = py:eval("1"),
    Calls = fun() -> [{ok, 4.0} = py:call(math, sqrt, [16]) || _ <- lists:seq(1, 200)] end,
    {Empty, _} = py_test:elapsed(Calls),
    [self() ! {noise, I} || I <- lists:seq(1, 200000)],
    {Full, _} = py_test:elapsed(Calls),
    ?assert(Full < Empty + 300).
