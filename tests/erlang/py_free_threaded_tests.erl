%% What a free-threaded Python (3.13t and later) gives: workers of one interpreter that run at the same time.
-module(py_free_threaded_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

free_threaded_test_() ->
    py_test:cases(?MODULE, 120).

needs_free_threads() ->
    py_test:free_threaded() orelse throw({skip, "this Python has a GIL; scripts/matrix freethreaded has none"}).

%% Neither our own module nor what the library imports turns the GIL on again.
case_no_worker_has_a_gil() ->
    needs_free_threads(),
    Ask = <<"(__import__('erlang'), __import__('asyncio'), __import__('sys')._is_gil_enabled())[2]">>,
    {ok, #{workers := Workers}} = py_pool:stats(default),
    [?assertEqual({ok, false}, py:eval(Ask, #{}, #{worker => N})) || N <- lists:seq(1, length(Workers))],
    {ok, 1} = py:eval(<<"__import__('asyncio').sleep(0, 1)">>),
    {ok, [1]} = py:stream_eval(<<"iter([1])">>),
    ?assertEqual({ok, false}, py:eval(Ask)),
    {ok, #{parallel := Parallel}} = py_pool:stats(default),
    ?assert(Parallel).

%% Each of two spins until the other is there. With a GIL that nobody is made to give up, the first would
%% spin alone until its time is over.
case_two_workers_run_at_once() ->
    needs_free_threads(),
    ok = py:exec("import sys, types\nshared = types.ModuleType('meeting')\nshared.here = [False, False]\n"
                 "sys.modules['meeting'] = shared\nusual = sys.getswitchinterval()\nsys.setswitchinterval(600)"),
    Meet = <<"[m.here.__setitem__(me, True) or "
             "any(m.here[1 - me] for _ in iter(int, 1)) for m in [__import__('meeting')]]">>,
    Parent = self(),
    Run = fun(Me, Worker) ->
        spawn_link(fun() -> Parent ! {Me, py:eval(Meet, #{me => Me}, #{worker => Worker, timeout => 20000})} end)
    end,
    _ = [Run(0, 1), Run(1, 2)],
    Met = [receive {Me, Result} -> Result end || Me <- [0, 1]],
    ok = py:exec("sys.setswitchinterval(usual)"),
    ?assertEqual([{ok, [true]}, {ok, [true]}], Met).

%% C code that never looks at its thread's signals holds up its own worker alone, which is replaced.
case_c_code_holds_up_nobody() ->
    needs_free_threads(),
    py_test:with_pool(#{num_workers => 2}, fun(Pool) ->
        Parent = self(),
        Opts = #{pool => Pool, worker => 1, timeout => 100},
        spawn_link(fun() -> Parent ! {stuck, py:eval("sum(range(10**8))", #{}, Opts)} end),
        timer:sleep(50),
        {ok, 2} = py:eval("1 + 1", #{}, #{pool => Pool, worker => 2, timeout => 1000}),
        ?assertEqual({error, timeout}, receive {stuck, Result} -> Result end),
        {ok, 2} = py:eval("1 + 1", #{}, Opts#{timeout => 5000}),
        {ok, #{gil_stalled := Stalled, workers := [#{restarts := Restarts}, _]}} = py_pool:stats(Pool),
        ?assertEqual({false, 1}, {Stalled, Restarts})
    end).
