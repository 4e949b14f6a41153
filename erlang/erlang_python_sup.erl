%% The top supervisor: what is known of other nodes, the pools, and the relays of
%% py_pool:request/1.
-module(erlang_python_sup).
-behaviour(supervisor).

-export([start_link/0, init/1]).

-spec start_link() -> supervisor:startlink_ret().
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    ok = py_pools_sup:new_table(),
    Flags = #{strategy => one_for_one, intensity => 3, period => 10},
    Pools = #{id => py_pools_sup,
              start => {py_pools_sup, start_link, []},
              type => supervisor,
              shutdown => infinity},
    Relays = #{id => py_relay_sup,
               start => {py_relay_sup, start_link, []},
               type => supervisor,
               shutdown => infinity},
    Nodes = #{id => py_nodes_sup,
              start => {py_nodes_sup, start_link, []},
              type => supervisor,
              shutdown => infinity},
    %% Who waits for an answer that a relay brings is told that the pool has stopped: relays end last.
    {ok, {Flags, [Nodes, Relays, Pools]}}.
