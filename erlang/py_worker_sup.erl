%% The workers of one pool.
-module(py_worker_sup).
-behaviour(supervisor).

-export([start_link/2, init/1]).

-spec start_link(atom(), pos_integer()) -> supervisor:startlink_ret().
start_link(Name, Size) ->
    supervisor:start_link(?MODULE, {Name, Size}).

-spec init({atom(), pos_integer()}) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init({Name, Size}) ->
    ok = py_pool_sup:label({?MODULE, Name}),
    Flags = #{strategy => one_for_one, intensity => 5 + Size, period => 10},
    Workers = [#{id => {py_worker, Index},
                 start => {py_worker, start_link, [Name, Index]},
                 %% One that could not start with its pool is not tried again: the pool ends.
                 restart => transient,
                 shutdown => 1000}
               || Index <- lists:seq(1, Size)],
    {ok, {Flags, Workers}}.
