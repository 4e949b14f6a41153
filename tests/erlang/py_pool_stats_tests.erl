%% What py_pool:stats/1 says: each key in each kind of pool, and that reading it while
%% the pool works neither disturbs nor miscounts.
-module(py_pool_stats_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

-define(KINDS, [shared, subinterpreter, process]).

stats_test_() ->
    py_test:cases(?MODULE, 120).

%% Fun(Kind, Pool, Read) for a pool of each kind.
in_each_kind(Opts, Fun) ->
    [py_test:with_pool(Opts#{isolation => Kind}, fun(Pool) ->
         Fun(Kind, Pool, fun(Key) -> {ok, Stats} = py_pool:stats(Pool), maps:get(Key, Stats) end)
     end) || Kind <- ?KINDS].

%% Of the only worker.
worker(Key, Read) ->
    [Worker] = Read(workers),
    maps:get(Key, Worker).

becomes(Kind, Fun, Expected) ->
    try
        py_test:wait_until(fun() -> case Fun() of Expected -> true; Other -> Other end end, 5000)
    catch
        error:{never_true, Last} -> error({Kind, {expected, Expected}, {last, Last}})
    end.

case_the_keys() ->
    in_each_kind(#{num_workers => 2}, fun(Kind, Pool, _) ->
        {ok, Stats} = py_pool:stats(Pool),
        ?assertEqual({Kind, [abandoned, busy_us, calls, errors, gil_stalled, leaked_interpreters, objects, overloads,
                             parallel, queued, restarts, streams, timeouts, workers]}, {Kind, lists:sort(maps:keys(Stats))}),
        #{workers := [First, Second]} = Stats,
        ?assertEqual([busy_us, calls, errors, index, objects, queued, restarts, state, streams],
                     lists:sort(maps:keys(First))),
        ?assertEqual([1, 2], [maps:get(index, Worker) || Worker <- [First, Second]]),
        %% A pool that has done nothing yet.
        ?assertEqual({Kind, [0]}, {Kind, lists:usort([Count || {Key, Count} <- maps:to_list(Stats), is_integer(Count),
                                                               Key =/= leaked_interpreters])}),
        ?assertEqual([idle, idle], [maps:get(state, Worker) || Worker <- [First, Second]])
    end).

case_idle_and_busy() ->
    in_each_kind(#{num_workers => 1}, fun(Kind, Pool, Read) ->
        ?assertEqual(idle, worker(state, Read)),
        Call = py:call_async(time, sleep, [0.3], #{}, #{pool => Pool}),
        becomes(Kind, fun() -> worker(state, Read) end, busy),
        {ok, none} = py:await(Call),
        becomes(Kind, fun() -> worker(state, Read) end, idle)
    end).

case_starting() ->
    [begin
         Name = py_test:pool_name(),
         Parent = self(),
         spawn_link(fun() ->
             Parent ! py_pool:start(Name, #{isolation => Kind, num_workers => 1, preload => "import time\ntime.sleep(0.7)"})
         end),
         becomes(Kind, fun() ->
             case py_pool:stats(Name) of
                 {ok, #{workers := [#{state := State}]}} -> State;
                 {error, {no_pool, Name}} -> none
             end
         end, starting),
         receive {ok, _} -> ok after 10000 -> error(not_started) end,
         {ok, #{workers := [#{state := idle}]}} = py_pool:stats(Name),
         ok = py_pool:stop(Name)
     end || Kind <- ?KINDS].

%% Where nothing more may be given up; a process is killed instead.
case_stuck() ->
    in_each_kind(#{num_workers => 1, max_abandoned => 0, grace => 20}, fun(Kind, Pool, Read) ->
        Long = case Kind of process -> 30; _ -> 3 end,
        {error, timeout} = py:call(time, sleep, [Long], #{}, #{pool => Pool, timeout => 300}),
        case Kind of
            process -> becomes(Kind, fun() -> Read(restarts) end, 1);
            _ -> becomes(Kind, fun() -> worker(state, Read) end, stuck)
        end,
        becomes(Kind, fun() -> worker(state, Read) end, idle),
        ?assertEqual({Kind, 0}, {Kind, Read(abandoned)})
    end).

%% A process that ended before it did anything is not launched again at once.
case_starting_again() ->
    File = filename:join(py_test:tmp_dir(), "pid"),
    Preload = ["import os\nwith open('", File, "', 'w') as f: f.write(str(os.getpid()))"],
    py_test:with_pool(#{isolation => process, num_workers => 1, preload => Preload}, fun(Pool) ->
        {ok, Pid} = file:read_file(File),
        _ = os:cmd("kill -9 " ++ binary_to_list(Pid)),
        State = fun() -> {ok, #{workers := [#{state := State}]}} = py_pool:stats(Pool), State end,
        becomes(process, State, starting),
        becomes(process, State, idle),
        ?assertMatch({ok, #{restarts := 1}}, py_pool:stats(Pool))
    end).

case_queued() ->
    in_each_kind(#{num_workers => 1}, fun(Kind, Pool, Read) ->
        Calls = [py:call_async(time, sleep, [0.4], #{}, #{pool => Pool}) || _ <- [1, 2, 3, 4]],
        becomes(Kind, fun() -> {worker(state, Read), Read(queued), worker(queued, Read)} end, {busy, 3, 0}),
        Bound = [py:call_async(time, sleep, [0.4], #{}, #{pool => Pool, worker => 1}) || _ <- [1, 2]],
        ?assertEqual({Kind, 2}, {Kind, worker(queued, Read)}),
        [{ok, none} = py:await(Call) || Call <- Calls ++ Bound],
        ?assertEqual({Kind, 0, 0}, {Kind, Read(queued), worker(queued, Read)})
    end).

case_calls_and_errors() ->
    in_each_kind(#{num_workers => 2}, fun(Kind, Pool, Read) ->
        On = #{pool => Pool},
        [{ok, _} = py:eval("1", #{}, On) || _ <- lists:seq(1, 10)],
        [{error, _} = py:eval("1 / 0", #{}, On) || _ <- [1, 2, 3]],
        [{error, _} = py:call(no_such_module, f, [], #{}, On) || _ <- [1, 2]],
        ok = py:exec("x = 1", On),
        becomes(Kind, fun() -> {Read(calls), Read(errors)} end, {16, 5}),
        ?assertEqual({Kind, 16, 5}, {Kind, lists:sum([Calls || #{calls := Calls} <- Read(workers)]),
                                     lists:sum([Errors || #{errors := Errors} <- Read(workers)])})
    end).

case_busy_us() ->
    in_each_kind(#{num_workers => 1}, fun(Kind, Pool, Read) ->
        [{ok, none} = py:call(time, sleep, [0.05], #{}, #{pool => Pool}) || _ <- [1, 2, 3, 4]],
        becomes(Kind, fun() -> Read(busy_us) >= 200000 end, true),
        Busy = Read(busy_us),
        ?assertMatch({_, true}, {{Kind, Busy}, Busy < 2000000}),
        timer:sleep(100),
        ?assertEqual({Kind, Busy}, {Kind, Read(busy_us)}),
        ?assertEqual(Busy, worker(busy_us, Read))
    end).

case_timeouts() ->
    in_each_kind(#{num_workers => 1}, fun(Kind, Pool, Read) ->
        [{error, timeout} = py:exec("while True: pass", #{pool => Pool, timeout => 20}) || _ <- [1, 2, 3]],
        Cancelled = py:call_async(time, sleep, [0.2], #{}, #{pool => Pool}),
        ok = py:cancel(Cancelled),
        ?assertEqual({Kind, 3}, {Kind, Read(timeouts)})
    end).

case_overloads() ->
    in_each_kind(#{num_workers => 1, max_queue => 2}, fun(Kind, Pool, Read) ->
        Calls = [py:call_async(time, sleep, [0.05], #{}, #{pool => Pool}) || _ <- lists:seq(1, 10)],
        Answers = [py:await(Call) || Call <- Calls],
        Refused = length([refused || {error, overload} <- Answers]),
        ?assertMatch({_, N} when N >= 7, {Kind, Refused}),
        ?assertEqual({Kind, Refused, 10 - Refused}, {Kind, Read(overloads), Read(calls)})
    end).

case_restarts_and_abandoned() ->
    in_each_kind(#{num_workers => 1}, fun(Kind, Pool, Read) ->
        Long = case Kind of process -> 30; _ -> 3 end,
        {error, timeout} = py:call(time, sleep, [Long], #{}, #{pool => Pool, timeout => 300}),
        becomes(Kind, fun() -> {Read(restarts), worker(restarts, Read)} end, {1, 1}),
        %% A process is killed: nothing of it is left.
        ?assertEqual({Kind, case Kind of process -> 0; _ -> 1 end}, {Kind, Read(abandoned)}),
        becomes(Kind, fun() -> Read(abandoned) end, 0),
        ?assertEqual({Kind, 1}, {Kind, Read(restarts)})
    end).

%% Seen where one interpreter has one GIL, once a call is to be interrupted.
case_gil_stalled() ->
    Code = <<"sum(range(5 * 10**7))">>,
    in_each_kind(#{num_workers => 2, grace => 20}, fun(Kind, Pool, Read) ->
        ?assertEqual({Kind, false}, {Kind, Read(gil_stalled)}),
        {error, timeout} = py:eval(Code, #{}, #{pool => Pool, timeout => 30}),
        case Kind =:= process orelse Read(parallel) of
            true ->
                timer:sleep(100),
                ?assertEqual({Kind, false}, {Kind, Read(gil_stalled)});
            false ->
                becomes(Kind, fun() -> Read(gil_stalled) end, true)
        end,
        ?assertEqual({ok, 2}, py:eval("1 + 1", #{}, #{pool => Pool, timeout => 30000})),
        becomes(Kind, fun() -> Read(gil_stalled) end, false)
    end).

case_streams() ->
    in_each_kind(#{num_workers => 1}, fun(Kind, Pool, Read) ->
        Streams = [begin
                       {ok, Stream} = py_stream:open({eval, "iter(range(100))", #{}}, #{pool => Pool}),
                       {ok, 0} = py_stream:next(Stream),
                       Stream
                   end || _ <- [1, 2, 3]],
        ?assertEqual({Kind, 3, 3}, {Kind, Read(streams), worker(streams, Read)}),
        [ok = py_stream:close(Stream) || Stream <- Streams],
        becomes(Kind, fun() -> {Read(streams), worker(streams, Read)} end, {0, 0})
    end).

case_objects() ->
    in_each_kind(#{num_workers => 1}, fun(Kind, Pool, Read) ->
        {ok, Objects} = py:eval("[object() for _ in range(5)]", #{}, #{pool => Pool}),
        ?assertEqual({Kind, 5, 5}, {Kind, Read(objects), worker(objects, Read)}),
        ok = py:release(hd(Objects)),
        becomes(Kind, fun() -> Read(objects) end, 4),
        [ok = py:release(Object) || Object <- tl(Objects)],
        becomes(Kind, fun() -> Read(objects) end, 0)
    end).

case_parallel() ->
    FreeThreaded = py_test:free_threaded(),
    Python = py_test:python(),
    in_each_kind(#{num_workers => 1}, fun(Kind, Pool, Read) ->
        {ok, _} = py:eval("1", #{}, #{pool => Pool}),
        Expected = case Kind of
                       process -> true;
                       shared -> FreeThreaded;
                       subinterpreter -> FreeThreaded orelse Python >= {3, 12}
                   end,
        ?assertEqual({Kind, Expected}, {Kind, Read(parallel)})
    end).

%% An interpreter that must not be ended, because a thread of its own goes on.
case_leaked_interpreters() ->
    Leaked = fun() -> {ok, #{leaked_interpreters := Count}} = py_pool:stats(default), Count end,
    Before = Leaked(),
    py_test:with_pool(#{isolation => subinterpreter, num_workers => 1}, fun(_) -> ok end),
    Code = "import threading, time\n"
           "threading.Thread(target=time.sleep, args=(20,), name='goes on').start()",
    py_test:with_pool(#{isolation => subinterpreter, num_workers => 1}, fun(Pool) -> ok = py:exec(Code, #{pool => Pool}) end),
    case py_test:isolation() of
        process -> ?assertEqual(0, Leaked());  % those of a worker process would be its own
        _ -> becomes(subinterpreter, fun() -> Leaked() - Before end, 1)
    end,
    py_test:with_pool(#{isolation => process, num_workers => 1}, fun(Pool) ->
        ?assertMatch({ok, #{leaked_interpreters := 0}}, py_pool:stats(Pool))
    end).

%% Read as fast as can be while the pool is at work: no call is miscounted, and what only grows does.
case_read_under_load() ->
    in_each_kind(#{num_workers => 2}, fun(Kind, Pool, _) ->
        Reader = spawn_monitor(fun() -> read(Pool, #{calls => 0, errors => 0, busy_us => 0}, 0) end),
        Callers = [spawn_monitor(fun() ->
                       [case N rem 4 of
                            0 -> {error, {'ZeroDivisionError', _}} = py:eval("1 / 0", #{}, #{pool => Pool});
                            _ -> {ok, 4.0} = py:call(math, sqrt, [16], #{}, #{pool => Pool})
                        end || N <- lists:seq(1, 400)]
                   end) || _ <- lists:seq(1, 8)],
        [receive {'DOWN', Monitor, process, _, Reason} -> ?assertEqual(normal, Reason) end || {_, Monitor} <- Callers],
        {Pid, Monitor} = Reader,
        Pid ! stop,
        Reads = receive {'DOWN', Monitor, process, _, {reads, Count}} -> Count;
                        {'DOWN', Monitor, process, _, Failed} -> error(Failed) end,
        ?assert(Reads > 10),
        becomes(Kind, fun() ->
            {ok, #{calls := Calls, errors := Errors, queued := Queued, workers := Workers}} = py_pool:stats(Pool),
            {Calls, Errors, Queued, lists:sum([C || #{calls := C} <- Workers])}
        end, {3200, 800, 0, 3200})
    end).

read(Pool, Before, Count) ->
    {ok, #{workers := Workers} = Stats} = py_pool:stats(Pool),
    [true = maps:get(Key, Stats) >= maps:get(Key, Before) || Key <- [calls, errors, busy_us]],
    true = maps:get(errors, Stats) =< maps:get(calls, Stats),
    [true = maps:get(Key, Stats) =:= lists:sum([maps:get(Key, Worker) || Worker <- Workers])
     || Key <- [calls, errors, busy_us, restarts, objects, streams]],
    receive
        stop -> exit({reads, Count + 1})
    after 0 ->
        read(Pool, Stats, Count + 1)
    end.
