%% Cases that need a virtual machine of their own: see py_test:vm/2. Each prints
%% `passed' and halts; a crash of the VM shows in its exit status.
-module(py_vm_cases).
-export([exception_classes/0, halt_busy/0, stop_busy/0, reload/0, start_stop/0, start_alone/0]).

passed() ->
    io:format("passed~n"),
    halt(0).

exception_classes() ->
    ok = application:start(erlang_python),
    ok = py:exec("def throw(i): raise type('E%d' % i, (Exception,), {})('m')"),
    {error, {'E0', "m"}} = py:call('__main__', throw, [0]),
    Before = erlang:system_info(atom_count),
    [{error, {_, "m"}} = py:call('__main__', throw, [I]) || I <- lists:seq(1, 100000)],
    true = erlang:system_info(atom_count) - Before < 6000,
    {error, {<<"E100000">>, "m"}} = py:call('__main__', throw, [100000]),
    {error, {'E0', "m"}} = py:call('__main__', throw, [0]),
    passed().

%% Every worker in a Python loop, one more call queued at each.
busy() ->
    ok = application:start(erlang_python),
    [spawn(fun() -> py:exec("while True: pass", #{worker => N}) end) || N <- [1, 2, 3, 4], _ <- [1, 2]],
    timer:sleep(500).

halt_busy() ->
    busy(),
    passed().

stop_busy() ->
    busy(),
    io:format("passed~n"),
    init:stop().

start_alone() ->
    ok = application:start(erlang_python),
    {ok, 4.0} = py:call(math, sqrt, [16]),
    passed().

start_stop() ->
    [begin
         ok = application:start(erlang_python),
         ok = py:exec("import json, sqlite3\nv = 1"),
         {ok, 1} = py:eval("v"),
         {ok, _} = py:eval("object()"),
         [spawn(fun() -> py:call(time, sleep, [0.05]) end) || _ <- [1, 2, 3, 4, 5, 6]],
         ok = application:stop(erlang_python),
         {error, {no_pool, default}} = py:eval("v")
     end || _ <- lists:seq(1, 20)],
    passed().

%% The module is loaded again and purged twice while calls go on; objects and pools of before are of use after.
reload() ->
    ok = application:start(erlang_python),
    ok = py:exec("v = 1"),
    {ok, Object} = py:eval("[1, 2]. __iter__()"),
    Parent = self(),
    Callers = [spawn_monitor(fun() -> call_until_told(Parent, 0) end) || _ <- [1, 2, 3]],
    [begin
         {module, py_nif} = code:load_file(py_nif),
         timer:sleep(5),
         _ = code:purge(py_nif),
         _ = code:purge(py_nif)
     end || _ <- lists:seq(1, 30)],
    [Pid ! stop || {Pid, _} <- Callers],
    [receive {'DOWN', Monitor, process, _, {calls, N}} when N > 10 -> ok end || {_, Monitor} <- Callers],
    {ok, 1} = py:eval("v"),
    {ok, 1} = py:call(Object, '__next__', []),
    [forget_nif() || _ <- [1, 2, 3]],
    passed().

%% Deleted and purged, the library is unloaded under its own threads: the VM lives,
%% and a new start of the application is all that it takes.
forget_nif() ->
    spawn(fun() -> py:exec("while True: pass", #{worker => 1}) end),
    timer:sleep(20),
    true = code:delete(py_nif),
    _ = code:purge(py_nif),
    _ = code:purge(py_nif),
    {module, py_nif} = code:ensure_loaded(py_nif),
    ok = application:stop(erlang_python),
    ok = application:start(erlang_python),
    {ok, 4.0} = py:call(math, sqrt, [16]).

call_until_told(Parent, N) ->
    receive
        stop -> exit({calls, N})
    after 0 ->
        {ok, 4.0} = py:call(math, sqrt, [16]),
        {ok, [_]} = py:eval("[object()]"),
        call_until_told(Parent, N + 1)
    end.
