%% Nodes that go down, in the midst of whatever is under way, and connections that break: an error, once, and
%% nothing after it.
-module(py_nodes_down_SUITE).
-compile([export_all, nowarn_export_all]).
-include_lib("stdlib/include/assert.hrl").

suite() -> [{timetrap, {minutes, 3}}].

all() ->
    [{group, stopped}, {group, killed}, {group, disconnected},
     connected_again, caller_is_gone_for_the_node, many_callers].

groups() ->
    Cases = [call, queued_call, calls_async, opening, next, take, fold, subscription, prefetch, idle_stream, to_list,
             closing],
    [{stopped, [], Cases}, {killed, [], Cases}, {disconnected, [], Cases}].

init_per_suite(Config) -> py_nodes_test:begin_suite(Config).
end_per_suite(Config) -> py_nodes_test:end_suite(Config).

init_per_group(Group, Config) -> [{how, Group} | Config].
end_per_group(_Group, _Config) -> ok.

down(stopped, Peer) -> py_nodes_test:stop(Peer);
down(killed, Peer) -> py_nodes_test:kill(Peer);
down(disconnected, {_, Node}) -> true = erlang:disconnect_node(Node), ok.

%% Use runs in a process that has nothing in its mailbox at the end. It gets the node, and a function that is
%% to be called when the node is to go down while the process waits for something.
with_node(Config, Use) ->
    Peer = {_, Node} = py_nodes_test:start(),
    How = proplists:get_value(how, Config, killed),
    Soon = fun() -> spawn(fun() -> timer:sleep(200), down(How, Peer) end) end,
    try
        py_test:in_process(fun() ->
            {ok, 1} = py:eval("1", #{}, #{node => Node}),
            Use(Node, Soon),
            py_nodes_test:empty(),
            %% This process goes on as ever.
            ?assertEqual({ok, 1}, py:eval("1"))
        end)
    after
        py_nodes_test:stop(Peer)
    end.

within(Seconds, Fun) ->
    {Time, Result} = py_test:elapsed(Fun),
    ?assert(Time < Seconds * 1000),
    Result.

down_error(Node) -> {error, {nodedown, Node}}.

open(Node, Code) ->
    {ok, Stream} = py_stream:open({eval, Code, #{}}, #{node => Node}),
    Stream.

slowly() -> "(__import__('time').sleep(0.05) or i for i in range(1000))".

call(Config) ->
    with_node(Config, fun(Node, Soon) ->
        Soon(),
        ?assertEqual(down_error(Node), within(5, fun() -> py:call(time, sleep, [30], #{}, #{node => Node}) end))
    end).

queued_call(Config) ->
    with_node(Config, fun(Node, Soon) ->
        Busy = [py:call_async(time, sleep, [30], #{}, #{node => Node}) || _ <- lists:seq(1, 8)],
        Soon(),
        ?assertEqual(down_error(Node), within(5, fun() -> py:eval("1", #{}, #{node => Node}) end)),
        ?assertEqual([down_error(Node)], lists:usort([py:await(Ref) || Ref <- Busy]))
    end).

calls_async(Config) ->
    with_node(Config, fun(Node, Soon) ->
        Refs = [py:call_async(time, sleep, [30], #{}, #{node => Node}) || _ <- lists:seq(1, 4)],
        Soon(),
        timer:sleep(1000),
        [Cancelled | Awaited] = Refs,
        ?assertEqual(ok, py:cancel(Cancelled)),
        ?assertEqual({error, cancelled}, py:await(Cancelled)),
        ?assertEqual([down_error(Node)], lists:usort([py:await(Ref) || Ref <- Awaited]))
    end).

opening(Config) ->
    with_node(Config, fun(Node, Soon) ->
        Soon(),
        Slow = {eval, "(__import__('time').sleep(30), iter([1]))[1]", #{}},
        ?assertEqual(down_error(Node), within(5, fun() -> py_stream:open(Slow, #{node => Node}) end))
    end).

next(Config) ->
    with_node(Config, fun(Node, Soon) ->
        Stream = open(Node, "(i or __import__('time').sleep(30) for i in [1, 0])"),
        {ok, 1} = py_stream:next(Stream),
        Soon(),
        ?assertEqual(down_error(Node), within(5, fun() -> py_stream:next(Stream) end))
    end).

take(Config) ->
    with_node(Config, fun(Node, Soon) ->
        Stream = open(Node, slowly()),
        Soon(),
        ?assertEqual(down_error(Node), within(5, fun() -> py_stream:take(Stream, 1000) end))
    end).

fold(Config) ->
    with_node(Config, fun(Node, Soon) ->
        Stream = open(Node, slowly()),
        Soon(),
        Self = self(),
        ?assertEqual(down_error(Node), within(5, fun() -> py_stream:foreach(fun(V) -> Self ! {v, V} end, Stream) end)),
        ?assert(length([receive {v, V} -> V end || _ <- [1, 2]]) =:= 2),
        rest()
    end).

rest() ->
    receive {v, _} -> rest() after 0 -> ok end.

subscription(Config) ->
    with_node(Config, fun(Node, Soon) ->
        Stream = open(Node, slowly()),
        {ok, Ref} = py_stream:subscribe(Stream, #{demand => 1000}),
        Soon(),
        {N, Reason} = pushed(Ref, 0),
        ?assert(N > 0),
        ?assertEqual({nodedown, Node}, Reason),
        timer:sleep(300)
    end).

pushed(Ref, N) ->
    receive
        {py_chunk, Ref, N} -> pushed(Ref, N + 1);
        {py_error, Ref, Reason} -> {N, Reason};
        {py_end, Ref} -> {N, ended}
    after 5000 ->
        {N, nothing_comes}
    end.

prefetch(Config) ->
    with_node(Config, fun(Node, Soon) ->
        {ok, Stream} = py_stream:open({eval, slowly(), #{}}, #{node => Node, prefetch => 5}),
        {ok, 0} = py_stream:next(Stream),
        Soon(),
        ?assertEqual(down_error(Node), within(5, fun() -> py_stream:to_list(Stream) end))
    end).

%% Nothing of it is under way when the node goes.
idle_stream(Config) ->
    with_node(Config, fun(Node, Soon) ->
        Streams = [open(Node, "range(10)") || _ <- lists:seq(1, 7)],
        [{ok, 0} = py_stream:next(S) || S <- Streams],
        Soon(),
        py_test:wait_until(fun() -> not lists:member(Node, nodes()) end, 5000),
        [A, B, C, D, E, F, G] = Streams,
        ?assertEqual(down_error(Node), py_stream:next(A)),
        ?assertEqual(down_error(Node), py_stream:take(B, 5)),
        ?assertEqual(down_error(Node), py_stream:to_list(C)),
        ?assertEqual(down_error(Node), py_stream:fold(fun(V, S) -> V + S end, 0, D)),
        ?assertEqual(down_error(Node), py_stream:subscribe(E, #{demand => 1})),
        ?assertEqual(down_error(Node), py_stream:send(F, 1)),
        ?assertEqual(ok, py_stream:close(G)),
        ?assertEqual(ok, py_stream:close(A))
    end).

to_list(Config) ->
    with_node(Config, fun(Node, Soon) ->
        Soon(),
        ?assertEqual(down_error(Node), within(5, fun() -> py:stream_eval(slowly(), #{}, #{node => Node}) end))
    end).

closing(Config) ->
    with_node(Config, fun(Node, Soon) ->
        ok = py:exec("import time\ndef stubborn():\n  try:\n    yield 1\n  finally:\n    time.sleep(4)",
                     #{node => Node}),
        {ok, Stream} = py_stream:open({call, '__main__', stubborn, [], #{}}, #{node => Node}),
        {ok, 1} = py_stream:next(Stream),
        Soon(),
        ?assertEqual(ok, within(3, fun() -> py_stream:close(Stream) end))
    end).

%% A broken connection ends what was under way; the next call makes a new one.
connected_again(_Config) ->
    Peer = {_, Node} = py_nodes_test:start(),
    py_test:in_process(fun() ->
        ok = py:exec("import threading\nv = 1", #{node => Node}),
        {ok, _} = py:eval("object()", #{}, #{node => Node}),
        Stream = open(Node, "range(10)"),
        {ok, 0} = py_stream:next(Stream),
        true = erlang:disconnect_node(Node),
        ?assertEqual({ok, 2}, py:eval("1 + 1", #{}, #{node => Node, timeout => 5000})),
        ?assertEqual({error, closed}, py_stream:next(Stream)),
        true = erlang:disconnect_node(Node),
        ?assertEqual({ok, 2}, py:await(py:call_async(builtins, abs, [-2], #{}, #{node => Node}))),
        true = erlang:disconnect_node(Node),
        ?assertEqual({ok, [0, 1]}, py:stream_eval("range(2)", #{}, #{node => Node})),
        py_nodes_test:empty()
    end),
    py_nodes_test:calm(Node),
    py_nodes_test:stop(Peer).

%% What the calls of a node are doing elsewhere ends with the connection.
caller_is_gone_for_the_node(_Config) ->
    Peer = {Control, Node} = py_nodes_test:start(),
    Pid = spawn(fun() ->
        {ok, _} = py:eval("object()", #{}, #{node => Node}),
        py:eval("[None for _ in iter(int, 1)]", #{}, #{node => Node}),
        receive stop -> ok end
    end),
    Busy = fun() ->
        {ok, #{workers := Workers, objects := Objects}} = peer:call(Control, py_pool, stats, [default]),
        {length([busy || #{state := busy} <- Workers]), Objects}
    end,
    py_test:wait_until(fun() -> Busy() =:= {1, 1} end, 5000),
    true = erlang:disconnect_node(Node),
    py_test:wait_until(fun() -> Busy() =:= {0, 0} end, 5000),
    exit(Pid, kill),
    py_nodes_test:stop(Peer).

many_callers(Config) ->
    with_node(Config, fun(Node, Soon) ->
        Callers = [spawn_monitor(fun() ->
                       Answer = py:call(time, sleep, [30], #{}, #{node => Node}),
                       exit({Answer, py_test:mailbox()})
                   end) || _ <- lists:seq(1, 200)],
        Soon(),
        [receive {'DOWN', Monitor, process, _, Reason} -> ?assertEqual({down_error(Node), []}, Reason) end
         || {_, Monitor} <- Callers]
    end).
