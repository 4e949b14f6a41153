%% Pools whose workers have an interpreter each.
-module(py_subinterpreter_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

subinterpreter_test_() ->
    py_test:cases(?MODULE, 120).

with_pool(Opts, Fun) ->
    py_test:with_pool(Opts#{isolation => subinterpreter}, Fun).

own_gil() ->
    py_test:python() >= {3, 12}.

case_module_state_is_a_workers_own() ->
    with_pool(#{num_workers => 2}, fun(Pool) ->
        On = fun(Worker) -> #{pool => Pool, worker => Worker} end,
        ok = py:exec("import json, sys\njson.mark = 1\nsys.mark = 1\nsys.path.append('there')", On(1)),
        Marks = "(hasattr(__import__('json'), 'mark'), hasattr(__import__('sys'), 'mark'), "
                "'there' in __import__('sys').path)",
        ?assertEqual({ok, {true, true, true}}, py:eval(Marks, #{}, On(1))),
        ?assertEqual({ok, {false, false, false}}, py:eval(Marks, #{}, On(2))),
        ?assertEqual({ok, {false, false, false}}, py:eval(Marks, #{}, #{pool => default}))
    end).

case_stats() ->
    with_pool(#{num_workers => 1}, fun(Pool) ->
        {ok, #{parallel := Parallel, leaked_interpreters := Leaked}} = py_pool:stats(Pool),
        ?assertEqual(own_gil() orelse py_test:free_threaded(), Parallel),
        ?assert(is_integer(Leaked))
    end),
    py_test:with_pool(#{num_workers => 1, isolation => shared}, fun(Pool) ->
        {ok, #{parallel := Parallel}} = py_pool:stats(Pool),
        {ok, Free} = py:eval("not getattr(__import__('sys'), '_is_gil_enabled', lambda: True)()", #{}, #{pool => Pool}),
        ?assertEqual(Free, Parallel)
    end).

%% Each of many calls at once is answered, and two that compute do not keep a third waiting.
case_computing_workers_share() ->
    with_pool(#{num_workers => 3}, fun(Pool) ->
        Spin = "[0 for _ in iter(lambda: t() < end, False)] is None",
        [py:call_async(builtins, eval, [list_to_binary(Spin), Names], #{}, #{pool => Pool, worker => Worker})
         || Worker <- [1, 2],
            {ok, Names} <- [py:eval("{'t': __import__('time').monotonic, "
                                    "'end': __import__('time').monotonic() + 2}", #{}, #{pool => Pool, worker => Worker})]],
        timer:sleep(100),
        {Time, Answers} = py_test:elapsed(fun() ->
            [py:eval("1 + 1", #{}, #{pool => Pool, worker => 3}) || _ <- lists:seq(1, 10)]
        end),
        ?assertEqual(lists:duplicate(10, {ok, 2}), Answers),
        ?assert(Time < 1000)
    end).

case_a_replacement_has_an_empty_namespace() ->
    Preload = "import os\nloads = globals().get('loads', 0) + 1",
    with_pool(#{num_workers => 1, preload => Preload}, fun(Pool) ->
        On = #{pool => Pool},
        ok = py:exec("import sys\nsys.mark = 1\nmine = 1", On),
        {ok, Object} = py:eval("iter([1, 2])", #{}, On),
        {ok, Stream} = py_stream:open({eval, "iter(range(10))", #{}}, On),
        {ok, 0} = py_stream:next(Stream),
        {error, timeout} = py:call(time, sleep, [1], #{}, On#{timeout => 50}),
        ?assertEqual({ok, 1}, py:eval("loads", #{}, On#{timeout => 5000})),
        ?assertEqual({ok, false}, py:eval("hasattr(__import__('sys'), 'mark')", #{}, On)),
        ?assertMatch({error, {'NameError', _}}, py:eval("mine", #{}, On)),
        ?assertEqual({error, object_gone}, py:call(Object, '__next__', [])),
        ?assertEqual({error, object_gone}, py:eval("o", #{o => Object}, On)),
        ?assertEqual({error, worker_replaced}, py_stream:next(Stream)),
        {ok, New} = py:eval("iter([3])", #{}, On),
        %% The thread that was given up comes back, and takes nothing along.
        py_test:wait_until(fun() -> {ok, #{abandoned := N}} = py_pool:stats(Pool), N =:= 0 end, 5000),
        ?assertEqual({ok, 3}, py:call(New, '__next__', [])),
        ?assertMatch({ok, #{restarts := 1, leaked_interpreters := _}}, py_pool:stats(Pool))
    end).

case_objects_stay_in_their_interpreter() ->
    with_pool(#{num_workers => 2}, fun(Pool) ->
        {ok, Object} = py:eval("iter([1])", #{}, #{pool => Pool, worker => 1}),
        {ok, Other} = py:eval("iter([1])", #{}, #{pool => Pool, worker => 2}),
        ?assertEqual({ok, 1}, py:call(Object, '__next__', [])),
        ?assertMatch({error, _}, py:call(Object, '__eq__', [Other])),
        ?assertMatch({error, _}, py:eval("[a, b]", #{a => Object, b => Other}, #{pool => Pool})),
        ?assertEqual({ok, 1}, py:call(Other, '__next__', []))
    end).

%% C code that never gives the GIL up. With a GIL of its own the worker stalls nobody, and is replaced.
case_c_code_that_keeps_the_gil() ->
    not py_test:free_threaded() orelse throw({skip, "without a GIL a new interpreter waits for C code that does not look up (docs/pools.md)"}),
    with_pool(#{num_workers => 2, grace => 100, max_abandoned => 1}, fun(Pool) ->
        On = #{pool => Pool, worker => 1},
        {Time, Answer} = py_test:elapsed(fun() ->
            py:eval("sum(range(3 * 10**8))", #{}, On#{timeout => 100})
        end),
        ?assertEqual({error, timeout}, Answer),
        ?assert(Time < 1000),
        case own_gil() of
            true ->
                ?assertEqual({ok, 2}, py:eval("1 + 1", #{}, #{pool => Pool, worker => 2, timeout => 1000})),
                ?assertEqual({ok, 3}, py:eval("1 + 2", #{}, On#{timeout => 2000})),
                ?assertMatch({ok, #{restarts := 1, abandoned := 1}}, py_pool:stats(Pool)),
                %% No more than max_abandoned.
                {error, timeout} = py:eval("sum(range(3 * 10**8))", #{}, On#{timeout => 100}),
                py_test:wait_until(fun() -> py:eval("1", #{}, On#{timeout => 1000}) =:= {error, overload} end, 3000),
                ?assertEqual({ok, 2}, py:eval("1 + 1", #{}, #{pool => Pool, worker => 2, timeout => 1000})),
                py_test:wait_until(fun() -> py:eval("1 + 2", #{}, On#{timeout => 60000}) =:= {ok, 3} end, 60000);
            false ->
                ?assertEqual({ok, 2}, py:eval("1 + 1", #{}, On)),
                ?assertMatch({ok, #{restarts := 0}}, py_pool:stats(Pool))
        end
    end).

case_an_extension_that_refuses() ->
    with_pool(#{num_workers => 2}, fun(Pool) ->
        Import = fun(Module, Worker) ->
            py:call(importlib, import_module, [Module], #{}, #{pool => Pool, worker => Worker})
        end,
        Refused = case py_test:python() of
            {3, 12} -> ["_decimal", "_datetime", "_ctypes"];
            _ -> []
        end,
        [begin
             {error, {'ImportError', Message}} = Import(list_to_binary(Module), Worker),
             ?assertEqual("module " ++ Module ++ " does not support loading in subinterpreters", Message)
         end || Module <- Refused, Worker <- [1, 2, 1]],
        ?assertEqual({ok, <<"0.125">>}, py:eval("str(__import__('decimal').Decimal(1) / 8)", #{}, #{pool => Pool}))
    end).

%% Where numpy refuses, an array is a memoryview of that shape.
case_numpy() ->
    with_pool(#{num_workers => 2}, fun(Pool) ->
        Array = py:ndarray(<<"<f8">>, {2, 1}, << <<F:64/little-float>> || F <- [1.0, 2.0] >>),
        [begin
             On = #{pool => Pool, worker => Worker},
             Kind = case py:call(importlib, import_module, [numpy], #{}, On) of
                 {ok, _} -> <<"ndarray">>;
                 {error, {'ModuleNotFoundError', _}} -> <<"memoryview">>;
                 {error, {'ImportError', _}} -> <<"memoryview">>
             end,
             Kind =:= <<"ndarray">> andalso ?assert(own_gil()),
             ?assertEqual({ok, {Kind, {2, 1}, [[1.0], [2.0]]}},
                          py:eval("(type(v).__name__, v.shape, v.tolist())", #{v => Array}, On))
         end || Worker <- [1, 2, 1]]
    end).

case_threads_of_its_own_leak_an_interpreter() ->
    Leaked = fun(Pool) -> {ok, #{leaked_interpreters := N}} = py_pool:stats(Pool), N end,
    Before = Leaked(default),
    [begin
         Name = py_test:pool_name(),
         {ok, _} = py_pool:start(Name, #{num_workers => 1, isolation => subinterpreter}),
         ok = py:exec("import threading\nthreading.Thread(target=threading.Event().wait, daemon=" ++ Daemon ++ ").start()",
                      #{pool => Name}),
         ok = py_pool:stop(Name)
     end || Daemon <- ["True", "False"]],
    py_test:wait_until(fun() -> Leaked(default) =:= Before + 2 end, 10000),
    ?assertEqual({ok, 2}, py:eval("1 + 1")).

%% What a pool leaves behind: nothing, also of the threads of executors and of streams that wait.
case_pools_come_and_go() ->
    {ok, #{leaked_interpreters := Before}} = py_pool:stats(default),
    [begin
         Name = py_test:pool_name(),
         {ok, _} = py_pool:start(Name, #{num_workers => 2, isolation => subinterpreter}),
         ok = py:exec("import asyncio\nasync def threaded():\n    return await asyncio.to_thread(len, 'abc')\n"
                      "async def forever():\n    while True:\n        yield 1\n        await asyncio.sleep(10)",
                      #{pool => Name}),
         py_test:python() >= {3, 9} andalso
             ?assertEqual({ok, 3}, py:call('__main__', threaded, [], #{}, #{pool => Name})),
         {ok, Stream} = py_stream:open({call, '__main__', forever, [], #{}}, #{pool => Name}),
         {ok, 1} = py_stream:next(Stream),
         ok = py_pool:stop(Name)
     end || _ <- lists:seq(1, 15)],
    timer:sleep(2000),
    ?assertMatch({ok, #{leaked_interpreters := Before}}, py_pool:stats(default)),
    py_test:wait_until(fun() -> interpreters() =< interpreters_of_default() end, 10000).

interpreters_of_default() ->
    case py_test:isolation() of subinterpreter -> 5; _ -> 1 end + leaked().

leaked() ->
    {ok, #{leaked_interpreters := N}} = py_pool:stats(default),
    N.

%% As Python itself counts them.
interpreters() ->
    ok = py:exec("try:\n    import _interpreters as i\nexcept ImportError:\n    import _xxsubinterpreters as i"),
    {ok, N} = py:eval("len(i.list_all())"),
    N.

%% A binary that shares memory with an interpreter outlives it.
case_bytes_outlive_the_pool() ->
    Name = py_test:pool_name(),
    {ok, _} = py_pool:start(Name, #{num_workers => 1, isolation => subinterpreter}),
    {ok, Bytes} = py:eval("b'0123456789' * 100000", #{}, #{pool => Name}),
    ok = py_pool:stop(Name),
    timer:sleep(300),
    ?assertEqual(erlang:md5(binary:copy(<<"0123456789">>, 100000)), erlang:md5(Bytes)).

case_a_preload_that_raises() ->
    ?assertMatch({error, {'ZeroDivisionError', _}},
                 py_pool:start(py_test:pool_name(), #{num_workers => 2, isolation => subinterpreter, preload => "1 / 0"})).
