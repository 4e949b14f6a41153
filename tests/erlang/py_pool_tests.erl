%% Pools: in the application's tree or the user's own, and what they survive.
-module(py_pool_tests).
-behaviour(supervisor).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

pool_test_() ->
    py_test:cases(?MODULE).

init(Specs) ->
    {ok, {#{}, Specs}}.

case_start_and_stop() ->
    Name = py_test:pool_name(),
    {ok, Pid} = py_pool:start(Name, #{num_workers => 2}),
    ?assert(is_process_alive(Pid)),
    ?assertMatch({error, {already_started, _}}, py_pool:start(Name, #{})),
    ?assertEqual({ok, 4.0}, py:call(math, sqrt, [16], #{}, #{pool => Name})),
    {ok, #{workers := [_, _]}} = py_pool:stats(Name),
    ok = py_pool:stop(Name),
    ?assertNot(is_process_alive(Pid)),
    ?assertEqual({error, {no_pool, Name}}, py_pool:stop(Name)),
    {ok, _} = py_pool:start(Name, #{num_workers => 1}),
    ?assertEqual({ok, 4.0}, py:call(math, sqrt, [16], #{}, #{pool => Name})),
    ok = py_pool:stop(Name).

case_default_is_supervised() ->
    ?assertEqual({error, supervised}, py_pool:stop(default)),
    ?assertMatch({error, {already_started, _}}, py_pool:start(default, #{})).

case_in_a_supervisor_of_the_users_own() ->
    Name = py_test:pool_name(),
    {ok, Sup} = supervisor:start_link(?MODULE, [py_pool:child_spec(Name, #{num_workers => 1})]),
    ?assertEqual({ok, 2}, py:eval("1 + 1", #{}, #{pool => Name})),
    ?assertEqual({error, supervised}, py_pool:stop(Name)),
    unlink(Sup),
    exit(Sup, shutdown),
    py_test:wait_until(fun() -> py:eval("1", #{}, #{pool => Name}) =:= {error, {no_pool, Name}} end, 5000).

case_bad_option_in_a_supervisor() ->
    process_flag(trap_exit, true),
    Spec = py_pool:child_spec(py_test:pool_name(), #{num_workers => none}),
    {error, Reason} = supervisor:start_link(?MODULE, [Spec]),
    ?assertEqual({bad_option, num_workers, none}, py_pool_sup:root_cause(Reason)).

case_many_workers_start_fast() ->
    {Time, ok} = py_test:elapsed(fun() -> py_test:with_pool(#{num_workers => 32}, fun(_) -> ok end) end),
    ?assert(Time < 5000).

case_preload_runs_on_every_worker() ->
    py_test:with_pool(#{num_workers => 3, preload => ["import json\n", <<"loaded = 1">>]}, fun(Pool) ->
        [?assertEqual({ok, 1}, py:eval("loaded", #{}, #{pool => Pool, worker => N})) || N <- [1, 2, 3]]
    end).

case_python_path() ->
    Dir = py_test:tmp_dir(),
    ok = file:write_file(filename:join(Dir, "erlpy_path_probe.py"), "here = 1\ndef get(): return here\n"),
    py_test:with_pool(#{num_workers => 1, python_path => [Dir]}, fun(Pool) ->
        ?assertEqual({ok, 1}, py:call(erlpy_path_probe, get, [], #{}, #{pool => Pool}))
    end).

children(Sup, Id) ->
    [Pid || {Found, Pid, _, _} <- supervisor:which_children(Sup), Found =:= Id].

workers(Pool) ->
    [Workers] = children(Pool, py_worker_sup),
    [Pid || {_, Pid, _, _} <- supervisor:which_children(Workers)].

%% The native worker and its namespace outlive the process that looks after it.
case_killed_worker_process() ->
    Name = py_test:pool_name(),
    {ok, Pool} = py_pool:start(Name, #{num_workers => 1}),
    ok = py:exec("v = 1", #{pool => Name}),
    [Worker] = workers(Pool),
    exit(Worker, kill),
    ?assertEqual({ok, 1}, py:eval("v", #{}, #{pool => Name})),
    py_test:wait_until(fun() -> [Pid] = workers(Pool), is_pid(Pid) andalso Pid =/= Worker end, 2000),
    ?assertEqual({ok, 1}, py:eval("v", #{}, #{pool => Name})),
    ok = py_pool:stop(Name).

case_killed_owner() ->
    Name = py_test:pool_name(),
    {ok, Pool} = py_pool:start(Name, #{num_workers => 2}),
    {ok, Object} = py:eval("object()", #{}, #{pool => Name}),
    ok = py:exec("v = 1", #{pool => Name}),
    [Owner] = children(Pool, py_pool_owner),
    exit(Owner, kill),
    py_test:wait_until(fun() -> children(Pool, py_pool_owner) =/= [Owner] end, 5000),
    py_test:wait_until(fun() -> py:eval("1", #{}, #{pool => Name}) =:= {ok, 1} end, 5000),
    ?assertMatch({error, {'NameError', _}}, py:eval("v", #{}, #{pool => Name})),
    ?assertEqual({error, object_gone}, py:call(Object, '__repr__', [])),
    ok = py_pool:stop(Name).

case_stop_answers_what_was_under_way() ->
    Name = py_test:pool_name(),
    {ok, _} = py_pool:start(Name, #{num_workers => 1}),
    Parent = self(),
    [spawn_link(fun() -> Parent ! {answer, py:call(time, sleep, [30], #{}, #{pool => Name})} end) || _ <- [1, 2, 3]],
    timer:sleep(100),
    {Time, ok} = py_test:elapsed(fun() -> py_pool:stop(Name) end),
    ?assert(Time < 4000),
    [receive {answer, Answer} -> ?assertEqual({error, {no_pool, Name}}, Answer) end || _ <- [1, 2, 3]].

case_stats() ->
    py_test:with_pool(#{num_workers => 2}, fun(Pool) ->
        [{ok, _} = py:eval("1", #{}, #{pool => Pool}) || _ <- lists:seq(1, 10)],
        {error, _} = py:eval("1/0", #{}, #{pool => Pool}),
        {error, timeout} = py:eval("__import__('time').sleep(0.2)", #{}, #{pool => Pool, timeout => 20}),
        {ok, Stats} = py_pool:stats(Pool),
        ?assertMatch(#{calls := Calls, errors := Errors, timeouts := 1, overloads := 0, gil_stalled := false,
                       workers := [#{index := 1}, #{index := 2}]}
                         when Calls >= 11 andalso Errors >= 1, Stats)
    end).

case_defaults_are_in_the_app_file() ->
    {ok, Env} = application:get_key(erlang_python, env),
    %% The fixture has set the isolation.
    Defaults = (py_opts:defaults())#{isolation := py_test:isolation()},
    ?assertEqual(shared, maps:get(isolation, py_opts:defaults())),
    ?assertEqual(Defaults, maps:without([included_applications], maps:from_list(Env))),
    ?assertMatch({ok, #{max_abandoned := 7, python := <<>>, num_workers := 7}}, py_opts:pool(#{num_workers => 7})).

case_environment_is_checked() ->
    ok = application:stop(erlang_python),
    ok = application:set_env(erlang_python, grace, soon),
    try
        {error, Reason} = application:start(erlang_python),
        ?assertMatch({{bad_option, grace, soon}, _}, Reason)
    after
        application:set_env(erlang_python, grace, 100)
    end,
    ok = application:start(erlang_python).

%% A pool whose preload takes its time holds up no other pool.
case_slow_preload() ->
    [Slow, Quick] = [py_test:pool_name(), py_test:pool_name()],
    Parent = self(),
    spawn_link(fun() ->
        Parent ! {slow, py_pool:start(Slow, #{num_workers => 1, preload => "while True:\n    x = 1\n    y = 2"})}
    end),
    timer:sleep(200),
    {ok, _} = py_pool:start(Quick, #{num_workers => 1}),
    ?assertEqual({ok, 2}, py:eval("1 + 1", #{}, #{pool => Quick})),
    ok = py_pool:stop(Quick),
    ok = py_pool:stop(Slow),
    ?assertEqual({slow, {error, {no_pool, Slow}}}, receive {slow, _} = Answer -> Answer after 5000 -> silent end),
    %% The thread has left its loop: nobody else's calls are slowed down by it.
    ?assertEqual({ok, 2}, py:eval("1 + 1")).

%% Two pools of one name, one after the other: a thread that the first left behind
%% shares nothing with the second.
case_same_name_again() ->
    Name = py_test:pool_name(),
    {ok, _} = py_pool:start(Name, #{num_workers => 1}),
    On = #{pool => Name},
    ok = py:exec("left = 1", On),
    _ = py:call_async(time, sleep, [3], #{}, On#{worker => 1}),
    timer:sleep(100),
    ok = py_pool:stop(Name),
    {ok, _} = py_pool:start(Name, #{num_workers => 1}),
    ?assertMatch({error, {'NameError', _}}, py:eval("left", #{}, On)),
    ok = py:exec("class C: pass", On),
    timer:sleep(3000),
    ?assertMatch({ok, _}, py:eval("__import__('pickle').dumps(C())", #{}, On)),
    ok = py_pool:stop(Name).

%% A pool that fails to start leaves nothing behind, even if nobody waits any more.
case_failed_start_without_its_starter() ->
    Name = py_test:pool_name(),
    Starter = spawn(fun() ->
        py_pool:start(Name, #{num_workers => 1, preload => "import time\ntime.sleep(0.6)\n1 / 0"})
    end),
    timer:sleep(200),
    exit(Starter, kill),
    py_test:wait_until(fun() -> element(1, py_pool:start(Name, #{num_workers => 1})) =:= ok end, 5000),
    ?assertEqual({ok, 2}, py:eval("1 + 1", #{}, #{pool => Name})),
    ok = py_pool:stop(Name).

case_name_with_a_nul() ->
    {ok, _} = py_pool:start('a\0b', #{num_workers => 2}),
    On = #{pool => 'a\0b'},
    ok = py:exec("x = 1", On#{worker => 1}),
    ?assertMatch({error, {'NameError', _}}, py:eval("x", #{}, On#{worker => 2})),
    ok = py_pool:stop('a\0b').

case_killed_beyond_recovery() ->
    Name = py_test:pool_name(),
    {ok, Pool} = py_pool:start(Name, #{num_workers => 1}),
    kill_owners(Pool),
    ?assertEqual({error, {no_pool, Name}}, py_pool:stats(Name)),
    ?assertEqual({error, {no_pool, Name}}, py_pool:stop(Name)),
    ?assertMatch({error, {no_pool, Name}}, py:eval("1", #{}, #{pool => Name})).

kill_owners(Pool) ->
    try children(Pool, py_pool_owner) of
        [Owner] when is_pid(Owner) -> exit(Owner, kill), timer:sleep(20), kill_owners(Pool);
        _ -> timer:sleep(20), kill_owners(Pool)
    catch
        exit:_ -> ok
    end.
