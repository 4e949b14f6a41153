%% Whatever process of the application is killed, the rest goes on, and what belonged to
%% it comes back; a pool that cannot go on is given up alone.
-module(py_supervision_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

%% How long what was killed may take to come back, in milliseconds.
-define(BACK, 8000).
-define(KINDS, [shared, subinterpreter, process]).

supervision_test_() ->
    py_test:cases(?MODULE, 240).

%% The tree, as it is found at run time, so that nothing of it is forgotten --------------

%% {Ids from the top, pid} of each process below a supervisor.
tree(Sup, Path) ->
    lists:append([[{Path ++ [Id], Pid} | case Type of
                                             supervisor -> tree(Pid, Path ++ [Id]);
                                             worker -> []
                                         end]
                  || {Id, Pid, Type, _} <- supervisor:which_children(Sup), is_pid(Pid)]).

at(Path) ->
    try lists:foldl(fun(Id, Sup) ->
                            {_, Pid, _, _} = lists:keyfind(Id, 1, supervisor:which_children(Sup)),
                            Pid
                    end, whereis(erlang_python_sup), Path)
    catch
        _:_ -> gone
    end.

case_each_process_is_killed() ->
    Pools = [{Kind, py_test:pool_name()} || Kind <- ?KINDS],
    %% Threads that earlier tests have left behind end first.
    py_test:wait_until(fun() -> length([W || <<"erlpy-", _/binary>> = W <- element(1, population()),
                                             W =:= <<"erlpy-worker\n">> orelse W =:= <<"erlpy-process\n">>]) =:= 4
                       end, 30000),
    [{ok, _} = py_pool:start(Pool, #{isolation => Kind, num_workers => 2, preload => "import time\nloaded = 1"})
     || {Kind, Pool} <- Pools],
    Names = [default | [Pool || {_, Pool} <- Pools]],
    [served(Pool) || Pool <- Names],
    Before = population(),
    Paths = [Path || {Path, _} <- tree(erlang_python_sup, [])],
    ?assert(length(Paths) >= 5 + length(Names) * 5),
    [killed(Path, Names, Before) || Path <- Paths],
    [ok = py_pool:stop(Pool) || {_, Pool} <- Pools].

killed(Path, Names, Before) ->
    Old = at(Path),
    ?assertMatch({_, true}, {Path, is_pid(Old)}),
    Hit = [Name || Name <- Names, concerns(Path, Name)],
    Objects = [begin {ok, Object} = py:eval("object()", #{}, #{pool => Name}), Object end || Name <- Hit],
    Others = [prober(Name) || Name <- Names -- Hit],
    UnderWay = [py:call_async(time, sleep, [0.2], #{}, #{pool => Name, worker => N})
                || Name <- Hit, N <- [1, 1, 2]],
    exit(Old, kill),
    [?assertMatch({Path, true}, {Path, is_answer(py:await(Ref, ?BACK))}) || Ref <- UnderWay],
    py_test:wait_until(fun() -> is_pid(at(Path)) andalso at(Path) =/= Old end, ?BACK),
    [served(Name) || Name <- Names],
    [probed(Path, Other) || Other <- Others],
    %% Held by the worker, where that has survived; else gone for good.
    [?assertMatch({Path, true}, {Path, case py:call(Object, '__repr__', [], #{}, 2000) of
                                           {ok, _} -> true;
                                           {error, object_gone} -> true;
                                           Other -> Other
                                       end}) || Object <- Objects],
    [ok = py:release(Object) || Object <- Objects],
    [?assertMatch({_, true}, {Name, is_pid(whereis(list_to_atom("py_pool_" ++ atom_to_list(Name))))}) || Name <- Names],
    py_test:wait_until(fun() -> same(Before, population()) end, ?BACK),
    py_test:wait_until(fun() -> [] =:= [Name || Name <- Names, held(Name) =/= 0] end, ?BACK),
    ?assertEqual({Path, []}, {Path, py_test:mailbox()}).

%% Whether killing what is at a path takes a pool's processes away.
concerns([py_pools_sup], _Name) -> true;
concerns([py_pools_sup, {py_pool, Name} | _], Name) -> true;
concerns(_Path, _Name) -> false.

is_answer({ok, none}) -> true;
is_answer({error, {no_pool, _}}) -> true;
is_answer({error, worker_crashed}) -> true;
is_answer(Other) -> Other.

%% Until then a pool that comes back may be unknown, and nothing else.
served(Name) ->
    py_test:wait_until(fun() ->
        case py:eval("1 + 1", #{}, #{pool => Name, timeout => ?BACK}) of
            {ok, 2} -> true;
            {error, {no_pool, Name}} = Gone -> Gone
        end
    end, ?BACK),
    Name =:= default orelse
        ?assertEqual({ok, 1}, py:eval("loaded", #{}, #{pool => Name, worker => 2, timeout => ?BACK})).

held(Name) ->
    {ok, #{objects := Objects}} = py_pool:stats(Name),
    Objects.

%% One that nothing happens to serves on, and at once.
prober(Name) ->
    {Name, spawn_monitor(fun() -> probe(Name, 0) end)}.

probe(Name, Count) ->
    receive
        stop when Count > 0 -> exit({probed, Count})
    after 2 ->
        {ok, 4.0} = py:call(math, sqrt, [16], #{}, #{pool => Name, timeout => 2000}),
        probe(Name, Count + 1)
    end.

probed(Path, {Name, {Pid, Monitor}}) ->
    Pid ! stop,
    receive
        {'DOWN', Monitor, process, Pid, Reason} -> ?assertMatch({_, _, {probed, _}}, {Path, Name, Reason})
    end.

%% Threads of ours in this VM by their names, and worker processes that it has started.
population() ->
    {lists:sort([Name || File <- filelib:wildcard("/proc/self/task/*/comm"),
                         {ok, <<"erlpy", _/binary>> = Name} <- [file:read_file(File)]]),
     length(worker_processes())}.

%% A thread more or less that is about to end, or to begin, is looked at again.
same(Before, Now) when Before =:= Now -> true;
same(Before, Now) -> {before, Before, now, Now}.

%% A port's program is a child of erl_child_setup, which is the VM's.
worker_processes() ->
    Parents = [{list_to_integer(Pid), Name, list_to_integer(Parent)}
               || File <- filelib:wildcard("/proc/[0-9]*/stat"),
                  {ok, Stat} <- [file:read_file(File)],
                  {match, [Pid, Name, State, Parent]} <-
                      [re:run(Stat, "^([0-9]+) \\((.*)\\) (.) ([0-9]+)", [{capture, all_but_first, list}])],
                  State =/= "Z"],
    Mine = list_to_integer(os:getpid()),
    Setups = [Pid || {Pid, "erl_child_setup", Parent} <- Parents, Parent =:= Mine],
    [Pid || {Pid, "erlpy_worker" ++ _, Parent} <- Parents, lists:member(Parent, Setups)].

%% A name of somebody else that looks like a pool's means nothing to who starts again.
case_a_process_with_a_name_like_a_pool() ->
    Other = spawn_link(fun() -> receive stop -> ok end end),
    true = register(list_to_atom("py_pool_" ++ integer_to_list(erlang:unique_integer([positive]))), Other),
    Nodes = whereis(py_nodes),
    exit(Nodes, kill),
    py_test:wait_until(fun() -> is_pid(whereis(py_nodes)) andalso whereis(py_nodes) =/= Nodes end, ?BACK),
    timer:sleep(200),
    ?assertEqual([node()], lists:usort([node(Pid) || Pid <- pg:get_members(py_nodes:scope(), default)])),
    ?assertEqual({ok, 2}, py:eval("1 + 1")),
    Other ! stop.

%% The whole ----------------------------------------------------------------------------

%% That ends the application, and leaves nothing behind.
case_the_top_supervisor_is_killed() ->
    Pool = py_test:pool_name(),
    {ok, _} = py_pool:start(Pool, #{isolation => process, num_workers => 2}),
    Call = py:call_async(time, sleep, [30], #{}, #{pool => Pool}),
    Names = [Name || Name <- registered(), lists:prefix("py_pool_", atom_to_list(Name))],
    exit(whereis(erlang_python_sup), kill),
    ?assertMatch({error, _}, py:await(Call, ?BACK)),
    py_test:wait_until(fun() -> not lists:keymember(erlang_python, 1, application:which_applications()) end, ?BACK),
    py_test:wait_until(fun() -> [] =:= [Name || Name <- Names, whereis(Name) =/= undefined] end, ?BACK),
    py_test:wait_until(fun() -> worker_processes() =:= [] end, ?BACK),
    ?assertEqual({error, {no_pool, default}}, py:eval("1")),
    ?assertEqual({error, {no_pool, Pool}}, py_pool:stats(Pool)),
    ?assertEqual({error, {not_started, erlang_python}}, py_pool:start(Pool, #{})),
    ok = application:start(erlang_python),
    ?assertEqual({ok, 2}, py:eval("1 + 1")),
    ?assertEqual({error, {no_pool, Pool}}, py_pool:stats(Pool)).

%% Many busy pools take no longer to stop than one.
case_the_application_stops_in_time() ->
    [begin
         {ok, _} = py_pool:start(Name, #{isolation => Kind, num_workers => 1}),
         spawn(fun() -> py:call(time, sleep, [6], #{}, #{pool => Name}) end)
     end || Kind <- ?KINDS, Name <- [py_test:pool_name(), py_test:pool_name()]],
    Call = py:call_async(time, sleep, [6]),
    timer:sleep(300),
    {Time, ok} = py_test:elapsed(fun() -> application:stop(erlang_python) end),
    ?assertMatch({_, true}, {Time, Time < 4500}),
    ?assertEqual({error, {no_pool, default}}, py:await(Call)),
    ?assertEqual([], worker_processes()),
    ok = application:start(erlang_python),
    ?assertEqual({ok, 2}, py:eval("1 + 1")).

%% The generator is closed with the relay that owned it; other relays go on.
case_a_relay_is_killed() ->
    ok = py:exec("
def numbers():
    n = 0
    while True:
        yield n
        n += 1
"),
    {ok, Generator} = py:call('__main__', numbers, []),
    [Killed, Other] = [make_ref(), make_ref()],
    Consumers = [spawn(fun() -> timer:sleep(infinity) end) || _ <- [1, 2]],
    [ok = py_pool:request({stream_eval, Ref, Pid, "numbers()", #{}})
     || {Ref, Pid} <- lists:zip([Killed, Other], Consumers)],
    py_test:wait_until(fun() -> length(supervisor:which_children(py_relay_sup)) =:= 2 end, ?BACK),
    py_test:wait_until(fun() -> streams() =:= 2 end, ?BACK),
    [{_, Relay, _, _} | _] = supervisor:which_children(py_relay_sup),
    exit(Relay, kill),
    py_test:wait_until(fun() -> streams() =:= 1 end, ?BACK),
    ?assertMatch([_], supervisor:which_children(py_relay_sup)),
    ?assertEqual({ok, 0}, py:call(Generator, '__next__', [])),
    [exit(Pid, kill) || Pid <- Consumers],
    py_test:wait_until(fun() -> streams() =:= 0 end, ?BACK).

streams() ->
    {ok, #{streams := Streams}} = py_pool:stats(default),
    Streams.

%% Preload and replacements ---------------------------------------------------------------

%% A worker that had to be replaced has run it again.
case_preload_runs_in_replacements() ->
    [preload_in_replacement(Kind) || Kind <- ?KINDS].

preload_in_replacement(Kind) ->
    File = filename:join(py_test:tmp_dir(), "runs"),
    Preload = ["import time\nwith open('", File, "', 'a') as f: f.write('x')\nloaded = 1\n"],
    py_test:with_pool(#{isolation => Kind, num_workers => 1, preload => Preload}, fun(Pool) ->
        On = #{pool => Pool, worker => 1},
        ?assertEqual({ok, <<"x">>}, file:read_file(File)),
        ?assertEqual({error, timeout}, py:eval("time.sleep(4)", #{}, On#{timeout => 500})),
        ?assertEqual({Kind, {ok, 1}}, {Kind, py:eval("loaded", #{}, On#{timeout => ?BACK})}),
        ?assertMatch({ok, #{restarts := 1}}, py_pool:stats(Pool)),
        ?assertEqual({Kind, {ok, <<"xx">>}}, {Kind, file:read_file(File)})
    end).

%% A call that always crashes its worker costs that worker, as often as it is made.
case_a_call_that_always_crashes() ->
    ok = application:stop(erlang_python),
    ok = application:set_env(erlang_python, isolation, process),
    ok = application:start(erlang_python),
    {ok, _} = py_pool:start(beside, #{num_workers => 1}),
    Prober = prober(beside),
    [?assertEqual({error, worker_crashed}, py:call(os, '_exit', [1], #{}, ?BACK)) || _ <- lists:seq(1, 40)],
    probed(crash, Prober),
    ?assertEqual({ok, 2}, py:eval("1 + 1", #{}, ?BACK)),
    {ok, #{restarts := Restarts}} = py_pool:stats(default),
    ?assert(Restarts >= 36).

%% The pool is given up; the application, and the other pools, go on. It can be started anew.
case_a_preload_that_fails_in_replacements() ->
    [given_up(Kind) || Kind <- ?KINDS].

given_up(Kind) ->
    File = filename:join(py_test:tmp_dir(), "broken"),
    ok = application:stop(erlang_python),
    ok = application:set_env(erlang_python, isolation, Kind),
    ok = application:set_env(erlang_python, preload, ["import os, time\nif os.path.exists('", File, "'): 1 / 0"]),
    try
        ok = application:start(erlang_python),
        {ok, _} = py_pool:start(beside, #{num_workers => 1, preload => ""}),
        Prober = prober(beside),
        ok = file:write_file(File, ""),
        ?assertMatch({error, _}, py:eval("time.sleep(4)", #{}, #{worker => 1, timeout => 500})),
        py_test:wait_until(fun() -> at([py_pools_sup, {py_pool, default}]) =:= undefined end, 30000),
        probed(Kind, Prober),
        ?assertMatch({_, _, _}, lists:keyfind(erlang_python, 1, application:which_applications())),
        ?assertEqual({error, {no_pool, default}}, py:eval("1")),
        ?assertEqual({error, {no_pool, default}}, py_pool:stop(default)),
        ?assertMatch({error, {'ZeroDivisionError', _}}, py_pool:start(default, #{})),
        ok = file:delete(File),
        {ok, _} = py_pool:start(default, #{}),
        ?assertEqual({ok, 2}, py:eval("1 + 1")),
        ?assertEqual({error, supervised}, py_pool:stop(default))
    after
        application:set_env(erlang_python, preload, <<>>),
        application:set_env(erlang_python, isolation, py_test:isolation())
    end.

%% A pool hears of the end of its parent after others did, where that had many links. Until then it answers as
%% if it stayed, and still it does not stand in its successor's way.
case_a_pool_whose_parent_was_killed_gives_its_name_up() ->
    process_flag(trap_exit, true),
    Name = py_test:pool_name(),
    [begin
         First = parent(Name, 5000),
         ?assertMatch({started, {ok, _}}, receive {First, One} -> {started, One} end),
         exit(First, kill),
         receive {'EXIT', First, killed} -> ok end,
         Second = parent(Name, 0),
         ?assertMatch({Round, {ok, _}}, receive {Second, Two} -> {Round, Two} end),
         unlink(Second),
         exit(Second, kill),
         py_test:wait_until(fun() -> whereis(list_to_atom("py_pool_" ++ atom_to_list(Name))) =:= undefined end, ?BACK)
     end || Round <- lists:seq(1, 30)].

%% A process that has a pool, and so many other links.
parent(Name, Links) ->
    Self = self(),
    spawn_link(fun() ->
                       process_flag(trap_exit, true),
                       _ = [spawn_link(fun() -> receive after infinity -> ok end end) || _ <- lists:seq(1, Links)],
                       Self ! {self(), py_pool_sup:start_link(Name, #{num_workers => 1})},
                       receive stop -> ok end
               end).
