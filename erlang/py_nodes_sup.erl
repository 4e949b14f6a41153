%% pg's scope and what relies on it: when the scope restarts, its members are put into it again.
-module(py_nodes_sup).
-behaviour(supervisor).

-export([start_link/0, init/1]).

%% How long what has a name that is needed here may take to end, in milliseconds.
-define(END, 2000).

-spec start_link() -> supervisor:startlink_ret().
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    ok = lists:foreach(fun await_end/1, [py_nodes:scope(), py_nodes]),
    Flags = #{strategy => rest_for_one, intensity => 3, period => 10},
    Scope = #{id => pg, start => {pg, start_link, [py_nodes:scope()]}},
    Nodes = #{id => py_nodes, start => {py_nodes, start_link, []}},
    {ok, {Flags, [Scope, Nodes]}}.

%% The children of a supervisor that was killed end by themselves, but may still be at it when
%% the next one starts. To find their names taken would be an error, which is tried again at
%% once, and so often that the application ends.
await_end(Name) ->
    case whereis(Name) of
        undefined ->
            ok;
        Pid ->
            Monitor = erlang:monitor(process, Pid),
            receive
                {'DOWN', Monitor, process, Pid, _} -> ok
            after ?END ->
                erlang:demonitor(Monitor, [flush]),
                ok
            end
    end.
