%% Stands on the caller's node for the caller's agent on another one: it starts the agent, and ends when the
%% agent does, for the same reason. The caller monitors this process instead of the agent, because signals to
%% another node, as a monitor is, may hold their sender up while the connection is busy or the node hangs.
%% No call goes through it, only word of calls that were given up, where the caller cannot send it at once. It
%% ends with the caller, and the agent ends with it.
-module(py_remote_link).

-export([start/3, init/3]).

%% As py_agent's.
-define(VERSION, 1).

%% For the calling process. Within the time: the link and the agent, and the default timeout of the pool.
-spec start(node(), Wanted :: {pool, atom()} | none, timeout()) ->
          {ok, Link :: pid(), Agent :: pid(), DefaultTimeout :: timeout()} | {error, py:reason()}.
start(Node, Wanted, Timeout) ->
    Link = proc_lib:spawn(?MODULE, init, [self(), Node, Wanted]),
    Alias = erlang:monitor(process, Link, [{alias, reply_demonitor}]),
    Link ! {py_answer_to, Alias},
    receive
        {py_link, Alias, {ok, Agent, Default}} -> {ok, Link, Agent, Default};
        {py_link, Alias, {error, _} = Error} -> Error;
        {'DOWN', Alias, process, _, _Killed} -> {error, cancelled}
    after Timeout ->
        true = exit(Link, kill),
        true = erlang:demonitor(Alias, [flush]),
        receive {py_link, Alias, _} -> ok after 0 -> ok end,
        {error, timeout}
    end.

-spec init(Caller :: pid(), node(), {pool, atom()} | none) -> ok.
init(Caller, Node, Wanted) ->
    Monitor = erlang:monitor(process, Caller),
    receive
        {py_answer_to, Alias} -> start_agent(Monitor, Alias, Node, Wanted);
        {'DOWN', Monitor, process, _, _} -> ok
    end.

start_agent(Monitor, Alias, Node, Wanted) ->
    case agent(Node, Wanted) of
        {ok, Agent, _Default} = Started ->
            _ = erlang:monitor(process, Agent),
            Alias ! {py_link, Alias, Started},
            wait(Monitor, Agent);
        {error, _} = Error ->
            Alias ! {py_link, Alias, Error},
            ok
    end.

wait(Monitor, Agent) ->
    receive
        {'DOWN', Monitor, process, _, _} -> ok;
        {'DOWN', _, process, Agent, {shutdown, _} = Reason} -> exit(Reason);
        {'DOWN', _, process, Agent, noconnection} -> exit({shutdown, noconnection});
        {'DOWN', _, process, Agent, _Failed} -> exit({shutdown, killed});
        %% Small, and needs no answer: the caller goes on where this may wait for the connection.
        {py_tell, Message} -> Agent ! Message, wait(Monitor, Agent);
        _Other -> wait(Monitor, Agent)
    end.

%% erpc: no process stands between the callers of a node. It connects the nodes.
agent(Node, Wanted) ->
    try erpc:call(Node, py_agent, start, [?VERSION, self(), Wanted]) of
        {ok, _Agent, _Default} = Started -> Started;
        {error, {no_pool, _}} = Error -> Error;
        _ -> {error, incompatible(Node)}
    catch
        error:{erpc, notsup} -> {error, incompatible(Node)};
        error:{erpc, _} -> {error, {nodedown, Node}};
        error:{exception, undef, _} -> {error, {no_pool, pool_of(Wanted)}};
        error:{exception, _, _} -> {error, incompatible(Node)};
        exit:_ -> {error, cancelled}
    end.

pool_of({pool, Name}) -> Name;
pool_of(none) -> default.

incompatible(Node) ->
    Text = io_lib:format("node ~ts runs a version of erlang_python that is too far from this one", [Node]),
    {'RuntimeError', lists:flatten(Text)}.
