%% pg's scope and what relies on it: when the scope restarts, its members are put into it again.
-module(py_nodes_sup).
-behaviour(supervisor).

-export([start_link/0, init/1]).

-spec start_link() -> {ok, pid()} | {error, term()}.
start_link() ->
    case supervisor:start_link({local, ?MODULE}, ?MODULE, []) of
        {ok, Pid} -> {ok, Pid};
        {error, Reason} -> {error, Reason};
        ignore -> {error, ignore}
    end.

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    Flags = #{strategy => rest_for_one, intensity => 3, period => 10},
    Scope = #{id => pg, start => {pg, start_link, [py_nodes:scope()]}},
    Nodes = #{id => py_nodes, start => {py_nodes, start_link, []}},
    {ok, {Flags, [Scope, Nodes]}}.
