%% Worker processes live as long as their pool: none is left behind, however the pool
%% ends, and nothing of one that was stopped stays.
-module(py_process_life_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

life_test_() ->
    py_test:cases(?MODULE, 240).

%% A pool whose workers have a child of each kind: {Supervisor, OsPids}.
start(Name) ->
    {ok, Pool} = py_pool:start(Name, py_process_test:opts(#{num_workers => 2, preload => "
import os, subprocess, multiprocessing, time
pids = [os.getpid(), subprocess.Popen(['sleep', '300']).pid]
child = multiprocessing.get_context('fork').Process(target=time.sleep, args=(300,))
child.start()
pids.append(child.pid)
"})),
    {Pool, lists:append([os_pids(Name, N) || N <- [1, 2]])}.

os_pids(Name, Worker) ->
    {ok, [_, _, _] = Pids} = py:eval("pids", #{}, #{pool => Name, worker => Worker}),
    [?assertEqual({Pid, true}, {Pid, py_process_test:alive(Pid)}) || Pid <- Pids],
    Pids.

children(Sup, Id) ->
    [Pid || {Found, Pid, _, _} <- supervisor:which_children(Sup), Found =:= Id].

case_stop() ->
    Name = py_test:pool_name(),
    {_, Pids} = start(Name),
    {Time, ok} = py_test:elapsed(fun() -> py_pool:stop(Name) end),
    ?assert(Time < 2000),
    py_process_test:gone(Pids, 1000).

case_stop_while_all_are_busy() ->
    Name = py_test:pool_name(),
    {_, Pids} = start(Name),
    [spawn(fun() -> py:eval(Code, #{}, #{pool => Name, worker => N}) end)
     || {N, Code} <- [{1, "sum(range(10 ** 10))"}, {2, "time.sleep(60)"}, {2, "1"}]],
    timer:sleep(100),
    {Time, ok} = py_test:elapsed(fun() -> py_pool:stop(Name) end),
    ?assert(Time < 4000),
    py_process_test:gone(Pids, 1000).

case_application_stops() ->
    Name = py_test:pool_name(),
    {_, Pids} = start(Name),
    ok = application:stop(erlang_python),
    py_process_test:gone(Pids, 2000).

case_owner_killed() ->
    Name = py_test:pool_name(),
    {Pool, Pids} = start(Name),
    [Owner] = children(Pool, py_pool_owner),
    exit(Owner, kill),
    py_process_test:gone(Pids),
    py_test:wait_until(fun() -> py:eval("1", #{}, #{pool => Name, timeout => 1000}) =:= {ok, 1} end, 5000),
    New = lists:append([os_pids(Name, N) || N <- [1, 2]]),
    ?assertEqual([], [Pid || Pid <- New, lists:member(Pid, Pids)]),
    ok = py_pool:stop(Name),
    py_process_test:gone(New).

case_supervisor_killed() ->
    Name = py_test:pool_name(),
    {Pool, Pids} = start(Name),
    exit(Pool, kill),
    py_process_test:gone(Pids),
    ?assertEqual({ok, 2}, py:eval("1 + 1")).

case_whole_tree_killed() ->
    {_, Pids} = start(py_test:pool_name()),
    exit(whereis(erlang_python_sup), kill),
    py_process_test:gone(Pids),
    py_test:wait_until(fun() -> whereis(erlang_python_sup) =:= undefined end, 5000),
    py_test:start(),
    ?assertEqual({ok, 2}, py:eval("1 + 1")).

%% Calls go on, and a crash after that is seen to.
case_py_worker_killed() ->
    Name = py_test:pool_name(),
    {Pool, Pids} = start(Name),
    On = #{pool => Name, worker => 1},
    ok = py:exec("v = 1", On),
    Under = py:call_async(time, sleep, [0.5], #{}, On),
    [Workers] = children(Pool, py_worker_sup),
    [exit(Pid, kill) || {_, Pid, _, _} <- supervisor:which_children(Workers)],
    ?assertEqual({ok, none}, py:await(Under, 5000)),
    ?assertEqual({ok, 1}, py:eval("v", #{}, On)),
    timer:sleep(300),
    ?assertEqual({ok, 1}, py:eval("v", #{}, On)),
    ?assertEqual([], [Pid || Pid <- Pids, not py_process_test:alive(Pid)]),
    ?assertEqual({error, worker_crashed}, py:exec("os._exit(1)", On)),
    ?assertMatch({error, {'NameError', _}}, py:eval("v", #{}, On#{timeout => 5000})),
    New = lists:append([os_pids(Name, N) || N <- [1, 2]]),
    ok = py_pool:stop(Name),
    py_process_test:gone(Pids ++ New).

%% The VM is another, and is killed.
case_vm_killed() ->
    vm_dies(fun(OsPid) -> [] = os:cmd("kill -9 " ++ integer_to_list(OsPid)), ok end).

case_vm_killed_while_all_are_busy() ->
    vm_dies("[spawn(fun() -> py:eval(Code, #{}, #{pool => p, worker => N}) end)"
            " || {N, Code} <- [{1, \"sum(range(10 ** 10))\"}, {2, \"time.sleep(60)\"}]],",
            fun(OsPid) -> [] = os:cmd("kill -9 " ++ integer_to_list(OsPid)), ok end).

case_vm_stops() ->
    vm_dies(fun(OsPid) -> [] = os:cmd("kill -TERM " ++ integer_to_list(OsPid)), ok end).

case_vm_halts() ->
    vm_dies("spawn(fun() -> timer:sleep(1000), halt(0) end),", fun(_) -> ok end).

case_vm_dumps_a_core() ->
    vm_dies(fun(OsPid) -> [] = os:cmd("kill -SEGV " ++ integer_to_list(OsPid)), ok end).

vm_dies(Kill) ->
    vm_dies("", Kill).

%% Its virtual machine writes down which processes there are, then runs Before.
vm_dies(Before, Kill) ->
    File = filename:join(py_test:tmp_dir(), "pids"),
    Code = ["{ok, _} = application:ensure_all_started(erlang_python),"
            "{_, Pids} = py_process_life_tests:start(p),"
            "ok = file:write_file(\"", File, ".new\", io_lib:format(\"~p.\", [[list_to_integer(os:getpid()) | Pids]])),"
            "ok = file:rename(\"", File, ".new\", \"", File, "\"),", Before, "timer:sleep(60000)."],
    Parent = self(),
    spawn_link(fun() -> Parent ! {vm, try py_test:vm(lists:append(Code), 40000) catch error:Reason -> Reason end} end),
    py_test:wait_until(fun() -> filelib:is_regular(File) end, 20000),
    {ok, [[Vm | _] = Pids]} = file:consult(File),
    ok = Kill(Vm),
    receive {vm, {Status, _Output, _Time}} when is_integer(Status) -> ok; {vm, Other} -> error(Other) end,
    py_process_test:gone(Pids, 5000).

%% What a virtual machine of its own is needed for, as in py_lifecycle_SUITE.
case_lives_of_the_application() ->
    [begin
         Call = io_lib:format("ok = application:load(erlang_python),"
                              "ok = application:set_env(erlang_python, isolation, process), py_vm_cases:~s().", [Case]),
         {Status, Output, Time} = py_test:vm(lists:flatten(Call), 60000),
         ?assertMatch({Case, 0, {match, _}}, {Case, Status, re:run(Output, "passed")}),
         py_process_test:say("~s: ~b ms", [Case, Time])
     end || Case <- [start_alone, halt_busy, stop_busy, start_stop, reload]].

%% Nothing stays of pools that have gone: descriptors, directories, threads, processes.
case_fifty_pools() ->
    Round = fun() ->
        py_process_test:with_pool(#{num_workers => 2}, fun(Pool) ->
            [{ok, 2} = py:eval("1 + 1", #{}, #{pool => Pool, worker => N}) || N <- [1, 2]]
        end)
    end,
    [Round() || _ <- [1, 2, 3]],
    Before = held(),
    {Time, _} = py_test:elapsed(fun() -> [Round() || _ <- lists:seq(1, 50)] end),
    py_process_test:say("50 pools of two: ~b ms", [Time]),
    nothing_more_than(Before).

%% The same where each worker crashes once, and where none can start.
case_pools_that_fail() ->
    Crash = fun() ->
        py_process_test:with_pool(#{}, fun(Pool) ->
            {error, worker_crashed} = py:call(os, abort, [], #{}, #{pool => Pool}),
            {ok, 2} = py:eval("1 + 1", #{}, #{pool => Pool})
        end)
    end,
    Fail = fun() ->
        Opts = py_process_test:opts(#{num_workers => 2, preload => "import os\nos._exit(1)"}),
        {error, _} = py_pool:start(py_test:pool_name(), Opts)
    end,
    [Round() || Round <- [Crash, Fail]],
    Before = held(),
    [Round() || _ <- lists:seq(1, 10), Round <- [Crash, Fail]],
    nothing_more_than(Before).

nothing_more_than(Before) ->
    py_test:wait_until(fun() ->
        Now = held(),
        lists:all(fun({Key, Count}) -> Count =< maps:get(Key, Before) end, maps:to_list(Now)) orelse {Now, Before}
    end, 5000).

held() ->
    {ok, Descriptors} = file:list_dir("/proc/self/fd"),
    {ok, Threads} = file:list_dir("/proc/self/task"),
    #{descriptors => length(Descriptors), threads => length(Threads), processes => length(descendants()),
      ports => length(erlang:ports()), directories => length(filelib:wildcard(directories()))}.

directories() ->
    filename:join(os:getenv("TMPDIR", "/tmp"), "erlpy-*").

%% The programs that this VM has started: those whose forefather it is.
descendants() ->
    Parents = maps:from_list([Pair || Name <- filelib:wildcard("[0-9]*", "/proc"), Pair <- parent(Name)]),
    Me = list_to_integer(os:getpid()),
    [Pid || Pid <- maps:keys(Parents), descends(Pid, Me, Parents)].

parent(Name) ->
    case file:read_file(filename:join(["/proc", Name, "stat"])) of
        {ok, Stat} ->
            [_, Rest] = binary:split(Stat, <<") ">>),
            [_State, Parent | _] = binary:split(Rest, <<" ">>, [global]),
            [{list_to_integer(Name), binary_to_integer(Parent)}];
        {error, _} ->
            []
    end.

descends(Pid, Me, Parents) ->
    case Parents of
        #{Pid := Me} -> true;
        #{Pid := Parent} -> descends(Parent, Me, Parents);
        #{} -> false
    end.
