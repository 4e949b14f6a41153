%% What acts on another node for callers here: it ends when it is not needed, its end is noticed, and where it
%% cannot be the error says why.
-module(py_nodes_agent_SUITE).
-compile([export_all, nowarn_export_all]).
-include_lib("stdlib/include/assert.hrl").

-import(py_nodes_test, [on_node/2]).

suite() -> [{timetrap, {minutes, 2}}].

all() ->
    [agents_end, killed_agent, killed_link, idle_agents, no_application, application_stops, pool_stops,
     another_version].

init_per_suite(Config) -> py_nodes_test:begin_with_node(Config).
end_per_suite(Config) -> py_nodes_test:end_suite(Config).

agents_end(Config) ->
    {_, Node} = proplists:get_value(peer, Config),
    py_nodes_test:calm(Node),
    Pid = spawn(fun() ->
        {ok, 1} = py:eval("1", #{}, #{node => Node}),
        ok = py:exec("v = 1", #{node => Node}),
        receive stop -> ok end
    end),
    py_test:wait_until(fun() -> length(py_nodes_test:agents(Node)) =:= 1 end, 5000),
    exit(Pid, kill),
    py_test:wait_until(fun() -> py_nodes_test:agents(Node) =:= [] end, 5000).

killed_agent(Config) ->
    on_node(Config, fun(Node) ->
        Ref = py:call_async(time, sleep, [10], #{}, #{node => Node}),
        py_test:wait_until(fun() -> length(py_nodes_test:agents(Node)) =:= 1 end, 5000),
        [exit(Agent, kill) || Agent <- py_nodes_test:agents(Node)],
        ?assertEqual({error, cancelled}, py:await(Ref)),
        ?assertEqual({ok, 1}, py:eval("1", #{}, #{node => Node}))
    end).

%% While its other end does not answer: who waits for the first word from there is told.
killed_link(_Config) ->
    Peer = {_, Node} = py_nodes_test:start(),
    py_test:in_process(fun() ->
        Hung = py_nodes_test:suspend(Peer),
        {Caller, Monitor} = spawn_monitor(fun() -> exit({py:eval("1", #{}, #{node => Node}), py_test:mailbox()}) end),
        try
            py_test:wait_until(fun() -> [] =/= links() end, 5000),
            [exit(Link, kill) || Link <- links()],
            receive
                {'DOWN', Monitor, process, Caller, Answer} -> ?assertEqual({{error, cancelled}, []}, Answer)
            after 5000 ->
                error(not_told)
            end
        after
            exit(Caller, kill),
            py_nodes_test:resume(Hung)
        end
    end),
    py_nodes_test:calm(Node),
    py_nodes_test:stop(Peer).

%% The processes here that stand for agents.
links() ->
    [Pid || Pid <- processes(), {dictionary, Entries} <- [process_info(Pid, dictionary)],
            {py_remote_link, init, 3} =:= proplists:get_value('$initial_call', Entries)].

%% An agent that has been idle for long has ended; its caller need not know. One that a binding lives in stays.
idle_agents(Config) ->
    on_node(Config, fun(Node) ->
        {ok, 1} = py:eval("1", #{}, #{node => Node}),
        idle(Node, 0),
        ?assertEqual({ok, 2}, py:eval("2", #{}, #{node => Node})),
        idle(Node, 0),
        ?assertEqual({ok, 3}, py:await(py:call_async(builtins, abs, [-3], #{}, #{node => Node}))),
        idle(Node, 0),
        ?assertEqual({ok, [4]}, py:stream_eval("[4]", #{}, #{node => Node})),
        {ok, Object} = py:eval("object()", #{}, #{node => Node}),
        idle(Node, 1),
        ?assertMatch({ok, _}, py:call(Object, '__repr__', [])),
        ok = py:release(Object),
        ok = py:exec("v = 5", #{node => Node}),
        idle(Node, 1),
        ?assertEqual({ok, 5}, py:eval("v", #{}, #{node => Node}))
    end).

%% Makes the time pass for the agents there, of which Left are left then.
idle(Node, Left) ->
    [begin
         Agent ! timeout,
         State = py_nodes_test:on(Node, sys, get_state, [Agent]),
         [Timer] = [Field || Field <- tuple_to_list(State), is_reference(Field),
                             is_integer(py_nodes_test:on(Node, erlang, read_timer, [Field]))],
         Agent ! {timeout, Timer, idle}
     end || Agent <- py_nodes_test:agents(Node)],
    py_test:wait_until(fun() -> length(py_nodes_test:agents(Node)) =:= Left end, 3000).

no_application(_Config) ->
    Peer = {_, Node} = py_nodes_test:start_bare(),
    py_test:in_process(fun() ->
        ?assertEqual({error, {no_pool, default}}, py:eval("1", #{}, #{node => Node})),
        ?assertEqual({error, {no_pool, p}}, py:eval("1", #{}, #{node => Node, pool => p})),
        ?assertEqual({error, {no_pool, default}}, py_stream:open({eval, "[]", #{}}, #{node => Node})),
        %% The code, but nothing running.
        ok = erpc:call(Node, code, add_pathsa, [code:get_path()]),
        ?assertEqual({error, {no_pool, default}}, py:eval("1", #{}, #{node => Node})),
        ok = erpc:call(Node, application, start, [erlang_python]),
        ?assertEqual({ok, 1}, py:eval("1", #{}, #{node => Node})),
        py_nodes_test:empty()
    end),
    py_nodes_test:stop(Peer).

application_stops(_Config) ->
    Peer = {_, Node} = py_nodes_test:start(),
    py_test:in_process(fun() ->
        ok = py:exec("v = 1", #{node => Node}),
        {ok, Stream} = py_stream:open({eval, "iter([1, 2])", #{}}, #{node => Node}),
        {ok, 1} = py_stream:next(Stream),
        Ref = py:call_async(time, sleep, [10], #{}, #{node => Node}),
        timer:sleep(100),
        ok = erpc:call(Node, application, stop, [erlang_python]),
        ?assertEqual({error, {no_pool, default}}, py:await(Ref)),
        ?assertEqual({error, {no_pool, default}}, py_stream:next(Stream)),
        ?assertEqual({error, {no_pool, default}}, py:eval("v", #{}, #{node => Node})),
        ok = erpc:call(Node, application, start, [erlang_python]),
        ?assertEqual({ok, 2}, py:eval("1 + 1", #{}, #{node => Node})),
        ?assertEqual({error, closed}, py_stream:next(Stream)),
        py_nodes_test:empty()
    end),
    py_nodes_test:calm(Node),
    py_nodes_test:stop(Peer).

pool_stops(_Config) ->
    Peer = {_, Node} = py_nodes_test:start(),
    {ok, _} = py_nodes_test:on(Node, py_pool, start, [p, #{num_workers => 1}]),
    py_test:in_process(fun() ->
        Ref = py:call_async(time, sleep, [10], #{}, #{node => Node, pool => p}),
        Queued = py:call_async(time, sleep, [10], #{}, #{node => Node, pool => p}),
        timer:sleep(100),
        ok = py_nodes_test:on(Node, py_pool, stop, [p]),
        ?assertEqual({error, {no_pool, p}}, py:await(Ref)),
        ?assertEqual({error, {no_pool, p}}, py:await(Queued)),
        py_nodes_test:empty()
    end),
    py_nodes_test:stop(Peer).

%% A node whose agents speak another version says so.
another_version(_Config) ->
    Peer = {_, Node} = py_nodes_test:start_bare(),
    Clause = "start(_, _, _) -> {error, {version, 99}}.",
    Source = [begin {ok, Tokens, _} = erl_scan:string(Line), {ok, Form} = erl_parse:parse_form(Tokens), Form end
              || Line <- ["-module(py_agent).", "-export([start/3]).", Clause]],
    {ok, py_agent, Code} = compile:forms(Source),
    {module, py_agent} = py_nodes_test:on(Node, code, load_binary, [py_agent, "py_agent.beam", Code]),
    py_test:in_process(fun() ->
        {error, {'RuntimeError', Text}} = py:eval("1", #{}, #{node => Node}),
        ?assertNotEqual(nomatch, string:find(Text, "version")),
        py_nodes_test:empty()
    end),
    py_nodes_test:stop(Peer).
