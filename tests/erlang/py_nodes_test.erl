%% What the tests of several nodes share: this VM as a node on loopback, others started from it, and looks at
%% what is going on there.
-module(py_nodes_test).

-export([begin_suite/1, begin_with_node/1, end_suite/1, on_node/2]).
-export([start/0, start/1, start_bare/0, stop/1, kill/1, suspend/1, resume/1]).
-export([on/4, stats/1, calm/1, agents/1, empty/0]).

%% For init_per_suite/1: this VM is a node, and runs the application.
begin_suite(Config) ->
    case code:which(peer) of
        non_existing ->
            {skip, "nodes are started with peer, which OTP has from 25 on"};
        _ ->
            ok = distributed(),
            _ = py_test:start(),
            Config
    end.

%% The same, with another node for on_node/2.
begin_with_node(Config) ->
    case begin_suite(Config) of
        {skip, _} = Skip -> Skip;
        _ -> [{peer, start()} | Config]
    end.

end_suite(Config) ->
    [stop(Peer) || {peer, Peer} <- Config],
    _ = py_test:stop(ok),
    ok = net_kernel:stop().

%% Fun gets the node of the suite, in a process of its own, which leaves nothing behind there or here.
on_node(Config, Fun) ->
    {_, Node} = proplists:get_value(peer, Config),
    calm(Node),
    py_test:in_process(fun() -> Fun(Node), empty() end),
    calm(Node).

distributed() ->
    Epmd = filename:join([code:root_dir(), "erts-" ++ erlang:system_info(version), "bin", "epmd"]),
    _ = os:cmd(Epmd ++ " -daemon"),
    {ok, _} = net_kernel:start([list_to_atom(name() ++ "@127.0.0.1"), longnames]),
    ok.

name() ->
    lists:flatten(io_lib:format("erlpy_~s_~b", [os:getpid(), erlang:unique_integer([positive])])).

%% A node that runs the application, with this environment: {Peer, Node}.
start() ->
    start(#{}).

start(Env) ->
    {Peer, Node} = start_node(["-pa" | [filename:absname(Dir) || Dir <- code:get_path(), Dir =/= "."]]),
    [ok = peer:call(Peer, application, set_env, [erlang_python, Key, Value]) || {Key, Value} <- maps:to_list(Env)],
    ok = peer:call(Peer, application, start, [erlang_python]),
    {Peer, Node}.

%% One that does not know the application.
start_bare() ->
    start_node([]).

%% It is controlled through its standard input and output: that works without a connection of the nodes.
start_node(Args) ->
    {ok, Peer, Node} = peer:start(#{name => name(), host => "127.0.0.1", longnames => true,
                                    connection => standard_io,
                                    args => ["-setcookie", atom_to_list(erlang:get_cookie()) | Args]}),
    pong = net_adm:ping(Node),
    {Peer, Node}.

stop({Peer, _Node}) ->
    try
        peer:stop(Peer)
    catch
        exit:_ -> ok  % it was killed
    end.

%% As the operating system does it when it runs out of memory.
kill({_Peer, Node}) ->
    signal("KILL", Node).

%% Held up, with its connections open: returns what resume/1 takes.
suspend({_Peer, Node}) ->
    Pid = on(Node, os, getpid, []),
    _ = os:cmd("kill -STOP " ++ Pid),
    Pid.

resume(Pid) ->
    _ = os:cmd("kill -CONT " ++ Pid),
    ok.

signal(Signal, Node) ->
    _ = os:cmd("kill -" ++ Signal ++ " " ++ on(Node, os, getpid, [])),
    ok.

on(Node, Module, Function, Args) ->
    erpc:call(Node, Module, Function, Args, 10000).

stats(Node) ->
    {ok, Stats} = on(Node, py_pool, stats, [default]),
    Stats.

%% Until no call runs there, and nothing is held or open for anybody.
calm(Node) ->
    py_test:wait_until(fun() ->
        #{queued := Queued, objects := Objects, streams := Streams, workers := Workers} = stats(Node),
        Busy = length([busy || #{state := busy} <- Workers]),
        Left = {Queued, Busy, Objects, Streams, length(agents(Node))},
        case Left of {0, 0, 0, 0, 0} -> true; _ -> Left end
    end, 10000).

%% The processes there that act for others.
agents(Node) ->
    [Pid || Pid <- on(Node, erlang, processes, []),
            {dictionary, Entries} <- [on(Node, erlang, process_info, [Pid, dictionary])],
            {py_agent, init, 1} =:= proplists:get_value('$initial_call', Entries)].

%% Nothing came that was not taken.
empty() ->
    [] = py_test:mailbox(),
    ok.
