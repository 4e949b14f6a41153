%% Calls on another node: the answers, bindings, time-outs and errors are those of calls at home.
-module(py_nodes_call_SUITE).
-compile([export_all, nowarn_export_all]).
-include_lib("stdlib/include/assert.hrl").

suite() -> [{timetrap, {minutes, 2}}].

all() ->
    [{group, one_node}, {group, own_nodes}].

groups() ->
    [{one_node, [], [same_answers, traceback, values, big_values, terms_that_only_erlang_knows, many_callers,
                     binding, binding_ends_with_the_process, certain_worker, bad_arguments, other_pools,
                     default_timeout_is_of_the_pool_there, timeout, timeout_in_the_queue, late_answers,
                     async, async_in_flight, async_cancel, async_refused, own_node, agents_end, idle_agents,
                     killed_agent, unknown_nodes]},
     {own_nodes, [], [hung_node, no_application, application_stops, pool_stops, another_version]}].

init_per_suite(Config) -> py_nodes_test:begin_suite(Config).
end_per_suite(Config) -> py_nodes_test:end_suite(Config).

init_per_group(one_node, Config) -> [{peer, py_nodes_test:start()} | Config];
init_per_group(own_nodes, Config) -> Config.

end_per_group(one_node, Config) -> py_nodes_test:stop(proplists:get_value(peer, Config));
end_per_group(own_nodes, _Config) -> ok.

%% Each case in processes of its own, which leave nothing behind.
node_of(Config) ->
    {_, Node} = proplists:get_value(peer, Config),
    py_nodes_test:calm(Node),
    Node.

on_node(Config, Fun) ->
    Node = node_of(Config),
    py_test:in_process(fun() -> Fun(Node), py_nodes_test:empty() end),
    py_nodes_test:calm(Node).

same_answers(Config) ->
    on_node(Config, fun(Node) ->
        Ask = fun(Opts) ->
            [py:call(math, sqrt, [16], #{}, Opts),
             py:call("math", <<"pow">>, [2, 10], #{}, Opts),
             py:call(builtins, sorted, [[3, 1, 2]], #{reverse => true}, Opts),
             py:eval("x * y", #{x => 6, y => 7}, Opts),
             py:exec("import json\ndef double(x): return [x, x]", Opts),
             py:call('__main__', double, [<<"a">>], #{}, Opts),
             py:eval("double({'k': None})", #{}, Opts),
             py:map(math, sqrt, [[1], [4], [9]], Opts),
             py:map(math, sqrt, [[1], [-4], [9]], Opts),
             py:map('__main__', double, [[1]], Opts),
             py:await(py:call_async(math, sqrt, [16], #{}, Opts)),
             py:await(py:call_async(math, sqrt, [-1], #{}, Opts)),
             py:stream(builtins, range, [5], #{}, Opts),
             py:stream(builtins, enumerate, [["a", "b"]], #{start => 1}, Opts),
             py:stream_eval("(i * k for i in range(10**9))", #{k => 3}, Opts#{limit => 4}),
             py:stream_eval("range(3)", #{}, Opts#{limit => 0}),
             py:stream_eval("1 / 0", #{}, Opts),
             py:stream_eval("(1 / i for i in [2, 1, 0])", #{}, Opts),
             py:stream_eval("range(2500)", #{}, Opts),
             py:stream_eval("range(2500)", #{}, Opts#{limit => 2000}),
             py:stream_eval("range(2500)", #{}, Opts#{limit => 2001}),
             py:eval("type(x).__name__", #{x => some_atom}, Opts#{atoms => atom}),
             py:eval("1 +", #{}, Opts),
             py:exec("raise KeyError('k')", Opts),
             py:call(math, nothing, [], #{}, Opts),
             py:call(no_such_module, nothing, [], #{}, Opts)]
        end,
        ?assertEqual(py_test:in_process(fun() -> Ask(#{}) end), Ask(#{node => Node})),
        ?assertEqual(py_test:in_process(fun() -> Ask(#{timeout => 5000}) end), Ask(#{node => Node, timeout => 5000}))
    end).

traceback(Config) ->
    on_node(Config, fun(Node) ->
        Opts = #{node => Node, traceback => true},
        ok = py:exec("def inner(): raise ValueError('no')\ndef outer(): inner()", Opts),
        {error, {'ValueError', "no", Frames}} = py:call('__main__', outer, [], #{}, Opts),
        Functions = [iolist_to_binary(Function) || {_, _, Function} <- Frames],
        ?assertEqual([<<"inner">>, <<"outer">>], lists:sort(Functions)),
        ?assertMatch({error, {'ValueError', "no"}}, py:call('__main__', outer, [], #{}, #{node => Node}))
    end).

values(Config) ->
    on_node(Config, fun(Node) ->
        [?assertEqual({ok, Value}, py:eval("v", #{v => Value}, #{node => Node}))
         || Value <- [1, -1, 1 bsl 200, 1.5, true, none, <<"text">>, <<255, 0>>, [], [1, [2, [3]]], {}, {1, {2}},
                      #{<<"a">> => [#{}]}, <<"grüße"/utf8>>, self(), [self()], lists:seq(1, 1000)]],
        ?assertEqual({ok, <<"bytes">>}, py:eval("type(v).__name__", #{v => py:bytes(<<"a">>)}, #{node => Node})),
        ?assertEqual({ok, <<"memoryview">>},
                     py:eval("type(v).__name__", #{v => py:buffer(<<"a">>)}, #{node => Node}))
    end).

big_values(Config) ->
    on_node(Config, fun(Node) ->
        Binary = binary:copy(<<0, 255, "0123456789abcd">>, 2 bsl 20),
        ?assertEqual({ok, Binary}, py:eval("v", #{v => Binary}, #{node => Node, timeout => 30000})),
        List = [{I, integer_to_binary(I)} || I <- lists:seq(1, 100000)],
        ?assertEqual({ok, List}, py:eval("v", #{v => List}, #{node => Node, timeout => 30000})),
        ?assertEqual({ok, 33554432}, py:eval("len(v)", #{v => Binary}, #{node => Node}))
    end).

terms_that_only_erlang_knows(Config) ->
    on_node(Config, fun(Node) ->
        Mine = [make_ref(), fun lists:map/2, <<1:3>>, [a | b]],
        {ok, Back} = py:eval("v", #{v => Mine}, #{node => Node}),
        ?assertEqual(Mine, Back)
    end).

many_callers(Config) ->
    on_node(Config, fun(Node) ->
        Callers = [spawn_monitor(fun() ->
                       [{ok, N} = py:eval("n", #{n => N}, #{node => Node}) || N <- lists:seq(1, 20)],
                       [] = py_test:mailbox()
                   end) || _ <- lists:seq(1, 100)],
        [receive {'DOWN', Monitor, process, _, Reason} -> ?assertEqual(normal, Reason) end || {_, Monitor} <- Callers]
    end).

%% Binding ----------------------------------------------------------------------

binding(Config) ->
    on_node(Config, fun(Node) ->
        Opts = #{node => Node},
        ok = py:exec("import threading\nbound = 1", Opts),
        ?assertEqual({ok, 1}, py:eval("bound", #{}, Opts)),
        ?assertMatch({error, {'NameError', _}}, py:eval("bound")),
        ?assertEqual(1, length(lists:usort([py:eval("threading.get_ident()", #{}, Opts) || _ <- lists:seq(1, 20)]))),
        ?assertEqual({ok, [1, 1]}, py:stream_eval("[bound] * 2", #{}, Opts)),
        {ok, Stream} = py_stream:open({eval, "iter([bound])", #{}}, Opts),
        ?assertEqual({ok, 1}, py_stream:next(Stream)),
        ?assertMatch({done, _}, py_stream:next(Stream)),
        %% Bound at home as well, to another namespace.
        ok = py:exec("bound = 2"),
        ?assertEqual([{ok, 2}, {ok, 1}], [py:eval("bound"), py:eval("bound", #{}, Opts)])
    end).

binding_ends_with_the_process(Config) ->
    on_node(Config, fun(Node) ->
        Workers = [py_test:in_process(fun() ->
                       ok = py:exec("import threading", #{node => Node}),
                       py:eval("threading.get_ident()", #{}, #{node => Node})
                   end) || _ <- lists:seq(1, 8)],
        ?assert(length(lists:usort(Workers)) > 1)
    end).

certain_worker(Config) ->
    on_node(Config, fun(Node) ->
        Ident = "__import__('threading').get_ident()",
        On = [py:eval(Ident, #{}, #{node => Node, worker => W}) || W <- [1, 2, 3, 4], _ <- [1, 2]],
        ?assertEqual(4, length(lists:usort(On))),
        ?assertEqual(1, length(lists:usort(lists:sublist(On, 2)))),
        ?assertEqual({ok, 4.0}, py:await(py:call_async(math, sqrt, [16], #{}, #{node => Node, worker => 2})))
    end).

bad_arguments(Config) ->
    on_node(Config, fun(Node) ->
        [py_test:badarg(Fun, Position, "node")
         || Bad <- [17, "a@b", <<"a@b">>, {Node}, [Node]],
            {Position, Fun} <- [{5, fun() -> py:call(math, sqrt, [1], #{}, #{node => Bad}) end},
                                {3, fun() -> py:eval("1", #{}, #{node => Bad}) end},
                                {2, fun() -> py:exec("1", #{node => Bad}) end},
                                {4, fun() -> py:map(math, sqrt, [[1]], #{node => Bad}) end},
                                {5, fun() -> py:call_async(math, sqrt, [1], #{}, #{node => Bad}) end},
                                {5, fun() -> py:stream(math, sqrt, [1], #{}, #{node => Bad}) end},
                                {3, fun() -> py:stream_eval("1", #{}, #{node => Bad}) end},
                                {2, fun() -> py_stream:open({eval, "1", #{}}, #{node => Bad}) end}]],
        Opts = #{node => Node, worker => 99},
        [py_test:badarg(Fun, Position, "worker 99")
         || {Position, Fun} <- [{5, fun() -> py:call(math, sqrt, [1], #{}, Opts) end},
                                {3, fun() -> py:eval("1", #{}, Opts) end},
                                {2, fun() -> py:exec("1", Opts) end},
                                {5, fun() -> py:call_async(math, sqrt, [1], #{}, Opts) end},
                                {3, fun() -> py:stream_eval("1", #{}, Opts) end},
                                {2, fun() -> py_stream:open({eval, "1", #{}}, Opts) end}]],
        py_test:badarg(fun() -> py:eval("1", #{}, #{node => Node, tiemout => 1}) end, 3, "tiemout"),
        py_test:badarg(fun() -> py:eval(1, #{}, #{node => Node}) end, 1, "Code")
    end).

other_pools(Config) ->
    on_node(Config, fun(Node) ->
        ?assertEqual({error, {no_pool, elsewhere}}, py:eval("1", #{}, #{node => Node, pool => elsewhere})),
        {ok, _} = py_nodes_test:on(Node, py_pool, start, [elsewhere, #{num_workers => 1}]),
        ?assertEqual({ok, 1}, py:eval("1", #{}, #{node => Node, pool => elsewhere})),
        ok = py:exec("here = 1", #{node => Node, pool => elsewhere}),
        ?assertEqual({ok, 1}, py:eval("here", #{}, #{node => Node, pool => elsewhere})),
        ?assertMatch({error, {'NameError', _}}, py:eval("here", #{}, #{node => Node})),
        ok = py_nodes_test:on(Node, py_pool, stop, [elsewhere]),
        ?assertEqual({error, {no_pool, elsewhere}}, py:eval("1", #{}, #{node => Node, pool => elsewhere})),
        ?assertEqual({error, {no_pool, elsewhere}},
                     py_stream:open({eval, "1", #{}}, #{node => Node, pool => elsewhere})),
        ?assertEqual({ok, 1}, py:eval("1", #{}, #{node => Node}))
    end).

default_timeout_is_of_the_pool_there(Config) ->
    on_node(Config, fun(Node) ->
        {ok, _} = py_nodes_test:on(Node, py_pool, start, [hasty, #{num_workers => 1, default_timeout => 200}]),
        Opts = #{node => Node, pool => hasty},
        {ok, 1} = py:eval("1", #{}, #{node => Node}),
        [begin
             {Time, Answer} = py_test:elapsed(Ask),
             ?assertEqual({error, timeout}, Answer),
             ?assert(Time >= 190 andalso Time < 600)
         end || Ask <- [fun() -> py:call(time, sleep, [1], #{}, Opts) end,
                        fun() -> py:await(py:call_async(time, sleep, [1], #{}, Opts)) end,
                        fun() -> py:stream_eval("(__import__('time').sleep(1) for _ in [1])", #{}, Opts) end]],
        ok = py_nodes_test:on(Node, py_pool, stop, [hasty])
    end).

%% Time -------------------------------------------------------------------------

timeout(Config) ->
    on_node(Config, fun(Node) ->
        {ok, 1} = py:eval("1", #{}, #{node => Node}),
        #{timeouts := Before} = py_nodes_test:stats(Node),
        Endless = "[None for _ in iter(int, 1)]",
        [begin
             {Time, Answer} = py_test:elapsed(fun() -> py:eval(Endless, #{}, #{node => Node, timeout => T}) end),
             ?assertEqual({error, timeout}, Answer),
             ?assert(Time >= T andalso Time < T + 100)
         end || T <- [50, 200]],
        ?assertEqual({error, timeout}, py:eval("1", #{}, #{node => Node, timeout => 0})),
        %% The jobs there have been given up, too.
        py_test:wait_until(fun() -> maps:get(timeouts, py_nodes_test:stats(Node)) >= Before + 2 end, 3000)
    end).

timeout_in_the_queue(Config) ->
    on_node(Config, fun(Node) ->
        ok = py:exec("ran = []", #{node => Node, worker => 1}),
        Ref = py:call_async(time, sleep, [0.5], #{}, #{node => Node, worker => 1}),
        ?assertEqual({error, timeout}, py:exec("ran.append(1)", #{node => Node, worker => 1, timeout => 50})),
        ?assertEqual({ok, none}, py:await(Ref)),
        ?assertEqual({ok, []}, py:eval("ran", #{}, #{node => Node, worker => 1}))
    end).

%% The answer is made at about the time at which the caller gives up: it gets one of the two, and nothing else ever.
late_answers(Config) ->
    on_node(Config, fun(Node) ->
        Sleep = fun() -> py:eval("__import__('time').sleep(0.02)", #{}, #{node => Node, timeout => 20}) end,
        Answers = [Sleep() || _ <- lists:seq(1, 100)],
        ?assertEqual([], [Other || Other <- Answers, Other =/= {ok, none}, Other =/= {error, timeout}]),
        timer:sleep(300),
        py_nodes_test:empty()
    end).

hung_node(_Config) ->
    Peer = {_, Node} = py_nodes_test:start(),
    py_test:in_process(fun() ->
        {ok, 1} = py:eval("1", #{}, #{node => Node}),
        {ok, Stream} = py_stream:open({eval, "iter(range(10))", #{}}, #{node => Node, timeout => 100}),
        Hung = py_nodes_test:suspend(Peer),
        try
            Big = binary:copy(<<"x">>, 16 bsl 20),
            [begin
                 {Time, Answer} = py_test:elapsed(Ask),
                 ?assertEqual({error, timeout}, Answer),
                 ?assert(Time < 400)
             end || Ask <- [fun() -> py:eval("1", #{}, #{node => Node, timeout => 100}) end,
                            fun() -> py:eval("len(b)", #{b => Big}, #{node => Node, timeout => 100}) end,
                            %% The connection's buffer is full by now.
                            fun() -> py:eval("len(b)", #{b => Big}, #{node => Node, timeout => 100}) end,
                            fun() -> py:await(py:call_async(math, sqrt, [1], #{}, #{node => Node, timeout => 100})) end,
                            fun() -> py_stream:next(Stream) end,
                            fun() -> py_stream:open({eval, "[]", #{}}, #{node => Node, timeout => 100}) end,
                            %% Somebody who has no agent there.
                            fun() -> py_test:in_process(fun() ->
                                py:eval("1", #{}, #{node => Node, timeout => 100})
                            end) end]]
        after
            py_nodes_test:resume(Hung)
        end,
        timer:sleep(500),
        py_nodes_test:empty(),
        ?assertEqual({ok, 1}, py:eval("1", #{}, #{node => Node, timeout => 5000})),
        ?assertEqual({error, closed}, py_stream:next(Stream)),
        py_nodes_test:empty()
    end),
    py_nodes_test:calm(Node),
    py_nodes_test:stop(Peer).

%% Asynchronous calls -----------------------------------------------------------

async(Config) ->
    on_node(Config, fun(Node) ->
        Refs = [py:call_async(builtins, abs, [-N], #{}, #{node => Node}) || N <- lists:seq(1, 200)],
        ?assertEqual([{ok, N} || N <- lists:seq(1, 200)], [py:await(Ref) || Ref <- Refs]),
        Slow = py:call_async(time, sleep, [1], #{}, #{node => Node}),
        ?assertEqual({error, timeout}, py:await(Slow, 20)),
        ?assertEqual({error, timeout}, py:await(Slow)),
        Answered = py:call_async(builtins, abs, [-1], #{}, #{node => Node}),
        ?assertEqual({ok, 1}, py:await(Answered, 5000)),
        py_test:badarg(fun() -> py:await(Answered) end, 1, "Ref")
    end).

async_in_flight(Config) ->
    on_node(Config, fun(Node) ->
        {Time, _} = py_test:elapsed(fun() ->
            Refs = [py:call_async(time, sleep, [0.3], #{}, #{node => Node}) || _ <- [1, 2, 3, 4]],
            ?assertEqual([{ok, none}], lists:usort([py:await(Ref) || Ref <- Refs]))
        end),
        ?assert(Time < 1000)
    end).

async_cancel(Config) ->
    on_node(Config, fun(Node) ->
        Endless = py:call_async(builtins, sum, [[1]], #{}, #{node => Node}),
        ?assertEqual({ok, 1}, py:await(Endless)),
        ok = py:exec("def spin():\n  while True: pass", #{node => Node}),
        Ref = py:call_async('__main__', spin, [], #{}, #{node => Node}),
        timer:sleep(50),
        ?assertEqual(ok, py:cancel(Ref)),
        ?assertEqual(ok, py:cancel(Ref)),
        ?assertEqual({error, cancelled}, py:await(Ref)),
        %% The worker is free again.
        ?assertEqual({ok, 3}, py:eval("1 + 2", #{}, #{node => Node, timeout => 3000})),
        Done = py:call_async(builtins, abs, [-1], #{}, #{node => Node}),
        timer:sleep(100),
        ?assertEqual(ok, py:cancel(Done)),
        ?assertEqual({error, cancelled}, py:await(Done))
    end).

async_refused(Config) ->
    on_node(Config, fun(Node) ->
        Await = fun(Opts) -> py:await(py:call_async(m, f, [], #{}, Opts)) end,
        ?assertEqual({error, {no_pool, nowhere}}, Await(#{node => Node, pool => nowhere})),
        ?assertEqual({error, {nodedown, 'no@127.0.0.1'}}, Await(#{node => 'no@127.0.0.1'}))
    end).

own_node(_Config) ->
    py_test:in_process(fun() ->
        ok = py:exec("own = 1"),
        ?assertEqual({ok, 1}, py:eval("own", #{}, #{node => node()})),
        py_nodes_test:empty()
    end).

%% Processes --------------------------------------------------------------------

agents_end(Config) ->
    Node = node_of(Config),
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

unknown_nodes(Config) ->
    on_node(Config, fun(_Node) ->
        [?assertEqual({error, {nodedown, Name}}, Ask(#{node => Name}))
         || Name <- ['nobody@127.0.0.1', nobody, '', 'a@b@c'],
            Ask <- [fun(Opts) -> py:call(math, sqrt, [1], #{}, Opts) end,
                    fun(Opts) -> py:exec("1", Opts) end,
                    fun(Opts) -> py:map(math, sqrt, [[1]], Opts) end,
                    fun(Opts) -> py:stream_eval("[]", #{}, Opts) end,
                    fun(Opts) -> py_stream:open({eval, "[]", #{}}, Opts) end]]
    end).

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
