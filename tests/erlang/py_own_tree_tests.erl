%% Pools in a supervision tree of the user's own behave as OTP's own children do.
-module(py_own_tree_tests).
-behaviour(supervisor).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

-define(KINDS, [shared, subinterpreter, process]).

own_tree_test_() ->
    py_test:cases(?MODULE, 120).

init({Flags, Specs}) ->
    {ok, {Flags, Specs}}.

start(Flags, Specs) ->
    supervisor:start_link(?MODULE, {Flags, Specs}).

%% {Milliseconds, Reason}
stop(Sup) ->
    unlink(Sup),
    Monitor = erlang:monitor(process, Sup),
    exit(Sup, shutdown),
    py_test:elapsed(fun() -> receive {'DOWN', Monitor, process, Sup, Reason} -> Reason end end).

pool_supervisor(Sup, Name) ->
    {_, Pid, supervisor, _} = lists:keyfind({py_pool, Name}, 1, supervisor:which_children(Sup)),
    Pid.

serves(Name) ->
    {ok, 2} =:= py:eval("1 + 1", #{}, #{pool => Name, timeout => 5000}).

case_a_killed_pool_comes_back() ->
    process_flag(trap_exit, true),
    [begin
         Name = py_test:pool_name(),
         {ok, Sup} = start(#{}, [py_pool:child_spec(Name, #{isolation => Kind, num_workers => 2})]),
         {ok, Object} = py:eval("object()", #{}, #{pool => Name}),
         Old = pool_supervisor(Sup, Name),
         exit(Old, kill),
         py_test:wait_until(fun() -> pool_supervisor(Sup, Name) =/= Old andalso serves(Name) end, 8000),
         ?assertEqual({error, object_gone}, py:call(Object, '__repr__', [])),
         ?assertEqual({error, supervised}, py_pool:stop(Name)),
         {_, shutdown} = stop(Sup),
         ?assertEqual({error, {no_pool, Name}}, py_pool:stats(Name))
     end || Kind <- ?KINDS].

%% The name of one that is just ending is waited for, not refused: busy workers take the grace to end.
case_started_again_while_the_old_one_ends() ->
    process_flag(trap_exit, true),
    [begin
         Name = py_test:pool_name(),
         Spec = py_pool:child_spec(Name, #{isolation => Kind, num_workers => 1}),
         {ok, Sup} = start(#{}, [Spec]),
         Call = py:call_async(time, sleep, [3], #{}, #{pool => Name}),
         timer:sleep(100),
         exit(Sup, kill),
         receive {'EXIT', Sup, killed} -> ok end,
         {ok, Again} = start(#{}, [Spec]),
         ?assert(serves(Name)),
         ?assertMatch({error, _}, py:await(Call, 5000)),
         {_, shutdown} = stop(Again)
     end || Kind <- ?KINDS].

%% What is beyond the intensity of the user's supervisor ends that, and nothing else.
case_restart_intensity() ->
    process_flag(trap_exit, true),
    Name = py_test:pool_name(),
    {ok, Sup} = start(#{intensity => 1, period => 60}, [py_pool:child_spec(Name, #{num_workers => 1})]),
    Old = pool_supervisor(Sup, Name),
    exit(Old, kill),
    py_test:wait_until(fun() -> pool_supervisor(Sup, Name) =/= Old end, 8000),
    exit(pool_supervisor(Sup, Name), kill),
    receive {'EXIT', Sup, Reason} -> ?assertEqual(shutdown, Reason) after 8000 -> error(still_there) end,
    %% What was killed leaves its children to end by themselves.
    py_test:wait_until(fun() -> py_pool:stats(Name) =:= {error, {no_pool, Name}} end, 4000),
    ?assertEqual({ok, 2}, py:eval("1 + 1")),
    {ok, _} = py_pool:start(Name, #{num_workers => 1}),
    ok = py_pool:stop(Name).

%% A pool that gives up is restarted by its supervisor, which says why it cannot.
case_a_pool_that_cannot_go_on() ->
    process_flag(trap_exit, true),
    Name = py_test:pool_name(),
    File = filename:join(py_test:tmp_dir(), "broken"),
    Preload = ["import os, time\nif os.path.exists('", File, "'): 1 / 0"],
    {ok, Sup} = start(#{}, [py_pool:child_spec(Name, #{isolation => process, num_workers => 1, preload => Preload})]),
    ok = file:write_file(File, ""),
    ?assertEqual({error, worker_crashed}, py:call(os, '_exit', [1], #{}, #{pool => Name})),
    receive {'EXIT', Sup, Reason} -> ?assertEqual(shutdown, Reason) after 30000 -> error(still_there) end,
    ?assertEqual({error, {no_pool, Name}}, py:eval("1", #{}, #{pool => Name})).

case_a_start_that_fails() ->
    process_flag(trap_exit, true),
    [begin
         Name = py_test:pool_name(),
         {error, {shutdown, {failed_to_start_child, {py_pool, Name}, Reason}}} =
             start(#{}, [py_pool:child_spec(Name, Opts)]),
         ?assertMatch({_, true}, {Reason, Expected(Reason)}),
         ?assertEqual({error, {no_pool, Name}}, py_pool:stats(Name))
     end || {Opts, Expected} <- [{#{preload => "raise ValueError('boom')"}, fun(R) -> R =:= {'ValueError', "boom"} end},
                                 {#{num_workers => 0}, fun(R) -> R =:= {bad_option, num_workers, 0} end},
                                 {#{python => "/no/such/python"}, fun(R) -> element(1, R) =:= 'RuntimeError' end}]],
    ?assertEqual({ok, 2}, py:eval("1 + 1")).

%% The last that was started is the first to end: it can use the pool until then.
case_order_of_shutdown() ->
    process_flag(trap_exit, true),
    [First, Second] = [py_test:pool_name(), py_test:pool_name()],
    Test = self(),
    Client = #{id => client, start => {?MODULE, start_client, [[First, Second], Test]}, shutdown => 10000},
    {ok, Sup} = start(#{}, [py_pool:child_spec(First, #{num_workers => 1}),
                            py_pool:child_spec(Second, #{num_workers => 1, isolation => process}), Client]),
    {_, shutdown} = stop(Sup),
    ?assertEqual([{First, {ok, 4.0}}, {Second, {ok, 4.0}}], receive {client_ended, Answers} -> Answers after 0 -> none end),
    ?assertEqual([{error, {no_pool, Name}} || Name <- [First, Second]], [py_pool:stats(Name) || Name <- [First, Second]]).

start_client(Pools, Test) ->
    {ok, spawn_link(fun() ->
        process_flag(trap_exit, true),
        receive
            {'EXIT', _, shutdown} ->
                Test ! {client_ended, [{Pool, py:call(math, sqrt, [16], #{}, #{pool => Pool})} || Pool <- Pools]}
        end
    end)}.

%% However busy its workers are, and with whatever, a pool has ended within its grace and about two seconds.
case_the_time_to_stop_is_bounded() ->
    process_flag(trap_exit, true),
    [begin
         Name = py_test:pool_name(),
         {ok, Sup} = start(#{}, [py_pool:child_spec(Name, #{isolation => Kind, num_workers => 2, grace => 100})]),
         Calls = [py:call_async(Mod, Fun, Args, #{}, #{pool => Name, worker => N})
                  || {Mod, Fun, Args, N} <- [{time, sleep, [5], 1}, {time, sleep, [5], 1},
                                             {builtins, exec, [<<"while True: pass">>, #{}], 2}]],
         timer:sleep(200),
         {Time, shutdown} = stop(Sup),
         ?assertMatch({_, true}, {{Kind, Time}, Time < 4000}),
         [?assertEqual({error, {no_pool, Name}}, py:await(Call, 2000)) || Call <- Calls]
     end || Kind <- ?KINDS].
