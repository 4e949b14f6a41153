%% The best node: which nodes run a pool, how busy they are, and what happens when the first choice refuses.
-module(py_nodes_any_SUITE).
-compile([export_all, nowarn_export_all]).
-include_lib("stdlib/include/assert.hrl").

suite() -> [{timetrap, {minutes, 3}}].

all() ->
    [own_node_first, alone, membership, every_function, a_burst_is_spread, loads_are_told, load_of_others_counts,
     overloaded_move_on, overloaded_everywhere, a_node_stops, a_node_is_killed_under_way,
     hung_connection_is_no_obstacle, bound_process, bound_calls_are_counted, bound_at_home,
     bound_node_goes_down, bound_is_not_moved,
     pool_stops_there, async_any, streams_any, killed_callers_are_forgotten, processes_of_this_are_killed, misuse].

init_per_suite(Config) ->
    case py_nodes_test:begin_suite(Config) of
        {skip, _} = Skip -> Skip;
        _ -> [{peers, [py_nodes_test:start() || _ <- [1, 2]]} | Config]
    end.

end_per_suite(Config) ->
    [py_nodes_test:stop(Peer) || Peer <- proplists:get_value(peers, Config)],
    py_nodes_test:end_suite(Config).

%% Three nodes, this one included, that know of each other.
on_nodes(Config, Fun) ->
    Nodes = [Node || {_, Node} <- proplists:get_value(peers, Config)],
    [pong = net_adm:ping(Node) || Node <- Nodes],
    known(default, [node() | Nodes]),
    [py_nodes_test:calm(Node) || Node <- [node() | Nodes]],
    told(default, [node() | Nodes]),
    py_test:in_process(fun() -> Fun(Nodes), py_nodes_test:empty() end).

known(Pool, Nodes) ->
    Sorted = lists:sort(Nodes),
    py_test:wait_until(fun() ->
        case lists:usort([node(Pid) || Pid <- pg:get_members(py_nodes:scope(), Pool)]) of
            Sorted -> true;
            Other -> Other
        end
    end, 5000).

%% Until nothing is known here to be busy.
told(Pool, Nodes) ->
    py_test:wait_until(fun() ->
        Rows = [Row || {{Name, Node}, UnderWay, Offset, _} = Row <- ets:tab2list(py_nodes),
                       Name =:= Pool, lists:member(Node, Nodes), UnderWay + Offset =/= 0],
        Rows =:= [] orelse Rows
    end, 8000).

%% Tells the nodes apart.
where() -> "__import__('os').getpid()".

pid_of(Node) -> list_to_integer(py_nodes_test:on(Node, os, getpid, [])).

%% Where so many calls get to, one after the other.
answers(N, Opts) ->
    lists:usort([py:eval(where(), #{}, Opts) || _ <- lists:seq(1, N)]).

%% A pool that runs nowhere but on these nodes.
with_pool(Nodes, Opts, Fun) ->
    Name = py_test:pool_name(),
    [{ok, _} = py_nodes_test:on(Node, py_pool, start, [Name, Opts]) || Node <- Nodes],
    known(Name, Nodes),
    try
        Fun(Name)
    after
        [py_nodes_test:on(node(Pid), py_pool, stop, [Name]) || Pid <- pg:get_members(py_nodes:scope(), Name)],
        known(Name, [])
    end.

%% One node more, which may be down at the end.
with_another(Fun) ->
    Extra = py_nodes_test:start(),
    try
        Fun(Extra)
    after
        py_nodes_test:stop(Extra)
    end.

own_node_first(Config) ->
    on_nodes(Config, fun(_Nodes) ->
        Here = pid_of(node()),
        ?assertEqual([{ok, Here}], answers(20, #{node => any}))
    end).

alone(Config) ->
    on_nodes(Config, fun(_Nodes) ->
        py_test:with_pool(#{num_workers => 1}, fun(Name) ->
            known(Name, [node()]),
            ?assertEqual({ok, 1}, py:eval("1", #{}, #{node => any, pool => Name}))
        end),
        Opts = #{node => any, pool => nowhere},
        ?assertEqual({error, {no_pool, nowhere}}, py:eval("1", #{}, Opts)),
        ?assertEqual({error, {no_pool, nowhere}}, py:await(py:call_async(m, f, [], #{}, Opts))),
        ?assertEqual({error, {no_pool, nowhere}}, py_stream:open({eval, "[]", #{}}, Opts)),
        ?assertEqual({error, {no_pool, nowhere}}, py:stream_eval("[]", #{}, Opts))
    end).

membership(Config) ->
    on_nodes(Config, fun([A, B]) ->
        with_pool([A], #{num_workers => 1}, fun(Name) ->
            There = pid_of(A),
            ?assertEqual([{ok, There}], answers(3, #{node => any, pool => Name})),
            {ok, _} = py_nodes_test:on(B, py_pool, start, [Name, #{num_workers => 1}]),
            known(Name, [A, B]),
            ok = py_nodes_test:on(A, py_pool, stop, [Name]),
            known(Name, [B]),
            Other = pid_of(B),
            ?assertEqual({ok, Other}, py:eval(where(), #{}, #{node => any, pool => Name}))
        end)
    end).

every_function(Config) ->
    on_nodes(Config, fun([A, B]) ->
        with_pool([A, B], #{num_workers => 2}, fun(Name) ->
            Opts = #{node => any, pool => Name},
            ?assertEqual({ok, 4.0}, py:call(math, sqrt, [16], #{}, Opts)),
            ?assertEqual({ok, [1.0, 2.0]}, py:map(math, sqrt, [[1], [4]], Opts)),
            ?assertEqual({ok, [0, 1, 2]}, py:stream_eval("range(3)", #{}, Opts)),
            ?assertEqual({ok, [0, 1]}, py:stream(builtins, range, [3], #{}, Opts#{limit => 2})),
            ?assertEqual({ok, 4.0}, py:await(py:call_async(math, sqrt, [16], #{}, Opts))),
            {ok, Stream} = py_stream:open({eval, "range(3)", #{}}, Opts),
            ?assertEqual({ok, 3}, py_stream:fold(fun(V, S) -> V + S end, 0, Stream)),
            ?assertMatch({error, {'ValueError', _}}, py:call(math, sqrt, [-1], #{}, Opts)),
            ok = py:exec("v = 5", Opts),
            ?assertEqual({ok, 5}, py:eval("v", #{}, Opts))
        end)
    end).

%% Twelve at once on three nodes with four workers each: none waits.
a_burst_is_spread(Config) ->
    on_nodes(Config, fun(Nodes) ->
        Self = self(),
        Slowly = "(__import__('time').sleep(0.5), " ++ where() ++ ")[1]",
        [spawn(fun() -> Self ! {on, py:eval(Slowly, #{}, #{node => any})} end) || _ <- lists:seq(1, 12)],
        Pids = [receive {on, {ok, Pid}} -> Pid end || _ <- lists:seq(1, 12)],
        Counts = [length([P || P <- Pids, P =:= pid_of(Node)]) || Node <- [node() | Nodes]],
        ?assertEqual([4, 4, 4], Counts)
    end).

%% What others do there is seen here.
loads_are_told(Config) ->
    on_nodes(Config, fun([A, B]) ->
        with_pool([A, B], #{num_workers => 4}, fun(Name) ->
            Rows = fun() -> [ets:lookup(py_nodes, {Name, N}) || N <- [A, B]] end,
            py_test:wait_until(fun() -> not lists:member([], Rows()) end, 8000),
            Busy = [spawn(fun() -> py_nodes_test:on(A, py, call, [time, sleep, [2], #{}, #{pool => Name}]) end)
                    || _ <- [1, 2]],
            py_test:wait_until(fun() ->
                [{_, 0, Load, 4}] = ets:lookup(py_nodes, {Name, A}),
                Load =:= 2 orelse Load
            end, 1000),
            ?assertMatch([{_, 0, 0, 4}], ets:lookup(py_nodes, {Name, B})),
            There = pid_of(B),
            ?assertEqual([{ok, There}], answers(10, #{node => any, pool => Name})),
            py_test:wait_until(fun() ->
                [{_, 0, Load, 4}] = ets:lookup(py_nodes, {Name, A}),
                Load =:= 0 orelse Load
            end, 4000),
            [exit(Pid, kill) || Pid <- Busy]
        end)
    end).

load_of_others_counts(Config) ->
    on_nodes(Config, fun(Nodes) ->
        %% This node is busy.
        Busy = [spawn(fun() -> py:call(time, sleep, [3]) end) || _ <- [1, 2, 3, 4]],
        timer:sleep(400),
        Here = pid_of(node()),
        Pids = [Pid || _ <- lists:seq(1, 20), {ok, Pid} <- [py:eval(where(), #{}, #{node => any})]],
        ?assertEqual(20, length(Pids)),
        ?assertNot(lists:member(Here, Pids)),
        ?assertEqual(lists:sort([pid_of(Node) || Node <- Nodes]), lists:usort(Pids)),
        [exit(Pid, kill) || Pid <- Busy]
    end).

overloaded_move_on(Config) ->
    on_nodes(Config, fun([A, B]) ->
        with_pool([A, B], #{num_workers => 1, max_queue => 1}, fun(Name) ->
            fill(A, Name),
            There = pid_of(B),
            [?assertEqual({ok, There}, py:eval(where(), #{}, #{node => any, pool => Name})) || _ <- lists:seq(1, 10)]
        end)
    end).

%% One call that runs and one that waits.
fill(Node, Name) ->
    fill(Node, Name, #{}).

fill(Node, Name, Opts) ->
    [begin
         spawn(fun() -> py_nodes_test:on(Node, py, call, [time, sleep, [2], #{}, Opts#{pool => Name}]) end),
         py_test:wait_until(fun() ->
             {ok, #{queued := Queued, workers := [#{state := State}]}} = py_nodes_test:on(Node, py_pool, stats, [Name]),
             {Queued, State} =:= {N, busy} orelse {Queued, State}
         end, 5000)
     end || N <- [0, 1]].

overloaded_everywhere(Config) ->
    on_nodes(Config, fun([A, B]) ->
        with_pool([A, B], #{num_workers => 1, max_queue => 1}, fun(Name) ->
            [fill(Node, Name) || Node <- [A, B]],
            Opts = #{node => any, pool => Name},
            ?assertEqual({error, overload}, py:eval("1", #{}, Opts)),
            ?assertEqual({error, overload}, py:await(py:call_async(math, sqrt, [1], #{}, Opts))),
            ?assertEqual({error, overload}, py_stream:open({eval, "[]", #{}}, Opts)),
            ?assertEqual({error, overload}, py:eval("1", #{}, #{node => A, pool => Name}))
        end)
    end).

a_node_stops(Config) ->
    on_nodes(Config, fun([A, B]) -> with_another(fun({_, C} = Extra) ->
        with_pool([A, B, C], #{num_workers => 1}, fun(Name) ->
            Callers = [spawn_monitor(fun() ->
                           exit(lists:usort([case py:eval("1", #{}, #{node => any, pool => Name}) of
                                                 {ok, 1} -> ok;
                                                 {error, {nodedown, C}} -> under_way
                                             end || _ <- lists:seq(1, 300)]))
                       end) || _ <- [1, 2, 3]],
            timer:sleep(50),
            py_nodes_test:stop(Extra),
            [receive {'DOWN', Monitor, process, _, Reason} -> ?assert(lists:member(ok, Reason)) end
             || {_, Monitor} <- Callers],
            known(Name, [A, B]),
            ?assertEqual({ok, 1}, py:eval("1", #{}, #{node => any, pool => Name}))
        end)
    end) end).

%% A call that had begun is not run again elsewhere.
a_node_is_killed_under_way(Config) ->
    on_nodes(Config, fun([A, _B]) -> with_another(fun({_, C} = Extra) ->
        Dir = py_test:tmp_dir(),
        with_pool([A, C], #{num_workers => 1}, fun(Name) ->
            Code = "(open(d + '/' + str(" ++ where() ++ "), 'w').close(), __import__('time').sleep(1))[1]",
            Args = [list_to_binary(Code), #{<<"d">> => list_to_binary(Dir)}],
            Refs = [py:call_async(builtins, eval, Args, #{}, #{node => any, pool => Name}) || _ <- [1, 2]],
            py_test:wait_until(fun() -> {ok, Files} = file:list_dir(Dir), length(Files) =:= 2 end, 5000),
            py_nodes_test:kill(Extra),
            ?assertEqual([{error, {nodedown, C}}, {ok, none}], lists:sort([py:await(Ref) || Ref <- Refs])),
            {ok, Files} = file:list_dir(Dir),
            ?assertEqual(2, length(Files))
        end)
    end) end).

%% A node that hangs gets the calls that were sent there no answer; it does not hold up the others.
hung_connection_is_no_obstacle(Config) ->
    on_nodes(Config, fun([A, _B]) -> with_another(fun({_, C} = Extra) ->
        with_pool([A, C], #{num_workers => 1}, fun(Name) ->
            {ok, 1} = py:eval("1", #{}, #{node => C, pool => Name}),
            Hung = py_nodes_test:suspend(Extra),
            Answers = [py_test:in_process(fun() ->
                           py:eval("1", #{}, #{node => any, pool => Name, timeout => 200})
                       end) || _ <- lists:seq(1, 10)],
            py_nodes_test:resume(Hung),
            ?assertEqual([], [Other || Other <- Answers, Other =/= {ok, 1}, Other =/= {error, timeout}]),
            ?assert(length([ok || {ok, 1} <- Answers]) > 0)
        end)
    end) end).

bound_process(Config) ->
    on_nodes(Config, fun([A, B]) ->
        with_pool([A, B], #{num_workers => 3}, fun(Name) ->
            Opts = #{node => any, pool => Name},
            ok = py:exec("import os, threading\ndef me(): return (os.getpid(), threading.get_ident())", Opts),
            {ok, Me} = py:call('__main__', me, [], #{}, Opts),
            Others = [spawn(fun() -> py:call(time, sleep, [1], #{}, Opts) end) || _ <- lists:seq(1, 3)],
            [?assertEqual({ok, Me}, py:call('__main__', me, [], #{}, Opts)) || _ <- lists:seq(1, 10)],
            ?assertEqual({ok, Me}, py:eval("me()", #{}, Opts)),
            ?assertEqual({ok, [Me]}, py:stream_eval("[me()]", #{}, Opts)),
            ?assertEqual({ok, Me}, py:await(py:call_async('__main__', me, [], #{}, Opts))),
            [exit(Pid, kill) || Pid <- Others]
        end)
    end).

%% Where somebody is bound, his calls are a load while they run, and no less than nothing after it.
bound_calls_are_counted(Config) ->
    on_nodes(Config, fun([A, _B]) ->
        with_pool([A], #{num_workers => 2}, fun(Name) ->
            Opts = #{node => any, pool => Name},
            UnderWay = fun() -> [{_, Count, _, _}] = ets:lookup(py_nodes, {Name, A}), Count end,
            ok = py:exec("from time import sleep\nv = 5", Opts#{worker => 1}),
            ?assertEqual(0, UnderWay()),
            Other = py:call_async(time, sleep, [2], #{}, Opts#{worker => 2}),
            [{ok, 5} = py:eval("v", #{}, Opts) || _ <- lists:seq(1, 20)],
            ?assertEqual(1, UnderWay()),
            Mine = py:call_async('__main__', sleep, [2], #{}, Opts),
            ?assertEqual(2, UnderWay()),
            [ok = py:cancel(Ref) || Ref <- [Other, Mine]],
            ?assertEqual(0, UnderWay())
        end)
    end).

%% A process that has defined something on this node stays here.
bound_at_home(Config) ->
    on_nodes(Config, fun(_Nodes) ->
        ok = py:exec("at_home = 1"),
        Busy = [spawn(fun() -> py:call(time, sleep, [1]) end) || _ <- [1, 2]],
        timer:sleep(300),
        ?assertEqual({ok, 1}, py:eval("at_home", #{}, #{node => any})),
        [exit(Pid, kill) || Pid <- Busy]
    end).

bound_node_goes_down(Config) ->
    on_nodes(Config, fun([A, _B]) -> with_another(fun({_, C} = Extra) ->
        with_pool([C], #{num_workers => 1}, fun(Name) ->
            Opts = #{node => any, pool => Name},
            ok = py:exec("v = 1", Opts),
            {ok, _} = py_nodes_test:on(A, py_pool, start, [Name, #{num_workers => 1}]),
            known(Name, [A, C]),
            ?assertEqual({ok, 1}, py:eval("v", #{}, Opts)),
            Ref = py:call_async('__main__', v, [], #{}, Opts),
            ?assertMatch({error, {'TypeError', _}}, py:await(Ref)),
            py_nodes_test:kill(Extra),
            known(Name, [A]),
            %% What it had defined is gone with the node.
            ?assertMatch({error, {'NameError', _}}, py:eval("v", #{}, Opts)),
            ok = py:exec("v = 2", Opts),
            ?assertEqual({ok, 2}, py:eval("v", #{}, Opts))
        end)
    end) end).

%% A bound process waits, or is refused, where it is.
bound_is_not_moved(Config) ->
    on_nodes(Config, fun([A, B]) ->
        with_pool([A], #{num_workers => 1, max_queue => 1}, fun(Name) ->
            Opts = #{node => any, pool => Name},
            ok = py:exec("v = 1", Opts),
            {ok, _} = py_nodes_test:on(B, py_pool, start, [Name, #{num_workers => 1}]),
            known(Name, [A, B]),
            fill(A, Name, #{worker => 1}),
            ?assertEqual({error, overload}, py:eval("v", #{}, Opts))
        end)
    end).

pool_stops_there(Config) ->
    on_nodes(Config, fun([A, B]) ->
        with_pool([A, B], #{num_workers => 1}, fun(Name) ->
            Opts = #{node => any, pool => Name},
            ok = py:exec("v = 1", Opts),
            {ok, Pid} = py:eval(where(), #{}, Opts),
            [Home] = [Node || Node <- [A, B], pid_of(Node) =:= Pid],
            ok = py_nodes_test:on(Home, py_pool, stop, [Name]),
            ?assertMatch({error, {'NameError', _}}, py:eval("v", #{}, Opts)),
            {ok, Other} = py:eval(where(), #{}, Opts),
            ?assertNotEqual(Pid, Other)
        end)
    end).

async_any(Config) ->
    on_nodes(Config, fun(_Nodes) ->
        Code = "(__import__('time').sleep(0.3), " ++ where() ++ ")[1]",
        Args = [list_to_binary(Code), #{}],
        Refs = [py:call_async(builtins, eval, Args, #{}, #{node => any}) || _ <- lists:seq(1, 12)],
        Pids = [begin {ok, Pid} = py:await(Ref), Pid end || Ref <- Refs],
        ?assertEqual(3, length(lists:usort(Pids))),
        Cancelled = [py:call_async(time, sleep, [5], #{}, #{node => any}) || _ <- lists:seq(1, 6)],
        [ok = py:cancel(Ref) || Ref <- Cancelled],
        ?assertEqual([{error, cancelled}], lists:usort([py:await(Ref) || Ref <- Cancelled])),
        py_test:badarg(fun() -> py:call_async(math, sqrt, [1], #{}, #{node => any, worker => 99}) end, 5, "worker 99")
    end).

streams_any(Config) ->
    on_nodes(Config, fun([A, B]) ->
        with_pool([A, B], #{num_workers => 1}, fun(Name) ->
            Opts = #{node => any, pool => Name},
            Owners = [spawn_monitor(fun() ->
                          {ok, Stream} = py_stream:open({eval, "range(10000)", #{}}, Opts),
                          {ok, 49995000} = py_stream:fold(fun(V, S) -> V + S end, 0, Stream)
                      end) || _ <- lists:seq(1, 6)],
            [receive {'DOWN', Monitor, process, _, Reason} -> ?assertEqual(normal, Reason) end
             || {_, Monitor} <- Owners]
        end),
        {ok, Here} = py_stream:open({eval, "range(3)", #{}}, #{node => any, timeout => 1000, prefetch => 2}),
        ?assertEqual({ok, [0, 1, 2]}, py_stream:to_list(Here))
    end).

%% A caller that is killed is not counted as a load for ever.
killed_callers_are_forgotten(Config) ->
    on_nodes(Config, fun([A, B] = Nodes) ->
        Callers = [spawn(fun() -> py:call(time, sleep, [3], #{}, #{node => any}) end) || _ <- lists:seq(1, 12)],
        timer:sleep(500),
        [exit(Pid, kill) || Pid <- Callers],
        [py_nodes_test:calm(Node) || Node <- Nodes],
        told(default, [node(), A, B])
    end).

%% pg's scope, what watches the loads, and their supervisor: each is back, and knows what it has to.
processes_of_this_are_killed(Config) ->
    on_nodes(Config, fun(Nodes) ->
        [begin
             Pid = whereis(Name),
             exit(Pid, kill),
             py_test:wait_until(fun() -> is_pid(whereis(Name)) andalso whereis(Name) =/= Pid end, 5000),
             ?assertEqual({ok, 1}, py:eval("1")),
             ?assertEqual({ok, 1}, py:eval("1", #{}, #{node => hd(Nodes)})),
             py_test:wait_until(fun() ->
                 Known = lists:usort([node(P) || P <- pg:get_members(py_nodes:scope(), default)]),
                 Known =:= lists:sort([node() | Nodes])
             end, 5000),
             ?assertEqual({ok, 1}, py:eval("1", #{}, #{node => any}))
         end || Name <- [py_nodes, py_nodes:scope(), py_nodes_sup]]
    end).

misuse(Config) ->
    on_nodes(Config, fun(_Nodes) ->
        py_test:badarg(fun() -> py:eval("1", #{}, #{node => any, worker => 99}) end, 3, "worker 99"),
        py_test:badarg(fun() -> py:eval("1", #{}, #{node => "any"}) end, 3, "node")
    end).
