%% Supervises the pools of the application's own: `default', and those that
%% py_pool:start/2 adds. A pool restarts its own parts; one that fails beyond its
%% own bound is given up, and takes no other with it.
-module(py_pools_sup).
-behaviour(supervisor).

-include_lib("kernel/include/logger.hrl").

-export([start_link/0, new_table/0, names/0, start_pool/2, stop_pool/1, start_one/2, init/1]).

%% {Name, py_pool_sup:config(), Supervisor :: pid()} of each pool that was started. It
%% outlives this supervisor, whose successor starts them anew.
-define(TABLE, ?MODULE).

%% No bound that pools reach together: each has its own. What counts here are
%% supervisors of pools that were killed.
-define(INTENSITY, 1000).

-spec start_link() -> supervisor:startlink_ret().
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

%% The calling process owns it.
-spec new_table() -> ok.
new_table() ->
    ?TABLE = ets:new(?TABLE, [named_table, public]),
    ok.

%% Of the pools that were started, and not stopped.
-spec names() -> [atom()].
names() ->
    try
        [Name || {Name, _, _} <- ets:tab2list(?TABLE)]
    catch
        error:badarg -> []  % the application is not running
    end.

%% The caller waits for the workers, not the supervisor: others may start and
%% stop pools meanwhile.
-spec start_pool(atom(), map()) -> {ok, pid()} | {error, term()}.
start_pool(Name, Opts) ->
    case py_pool_sup:config(Opts) of
        {ok, Config} -> start_child(Name, child(Name, Config));
        {error, Reason} -> {error, Reason}
    end.

%% One that ends by itself is not started again: its first start has failed, or it
%% was given up.
child(Name, Config) ->
    #{id => {py_pool, Name},
      start => {?MODULE, start_one, [Name, Config]},
      restart => transient,
      type => supervisor,
      shutdown => infinity}.

start_child(Name, Child) ->
    try supervisor:start_child(?MODULE, Child) of
        {ok, Pid} when is_pid(Pid) ->
            started(Name, Pid);
        {error, already_present} ->
            forget(Name, ets:lookup(?TABLE, Name)),
            start_child(Name, Child);
        %% A supervisor tells the child with the reason.
        {error, {Reason, Failed}} when element(1, Failed) =:= child -> {error, Reason};
        {error, Reason} -> {error, Reason}
    catch
        exit:{_, {gen_server, call, _}} -> {error, {not_started, erlang_python}}
    end.

started(Name, Pid) ->
    Result = try
                 py_pool_owner:await_start(py_pool_sup:owner(Pid))
             catch
                 exit:_ -> {error, stopped}
             end,
    case Result of
        ok ->
            {ok, Pid};
        {error, stopped} ->
            {error, {no_pool, Name}};
        {error, Reason} ->
            py_pool_sup:await_end(Pid),
            forget(Name, [Row || {_, _, Found} = Row <- ets:lookup(?TABLE, Name), Found =:= Pid]),
            {error, Reason}
    end.

%% What is left of a pool that has ended; of one that was started meanwhile, nothing.
forget(Name, Rows) ->
    lists:foreach(fun(Row) -> ets:delete_object(?TABLE, Row) end, Rows),
    _ = supervisor:delete_child(?MODULE, {py_pool, Name}),
    ok.

%% Ends a pool that start_pool/2 added. The caller waits for it, the supervisor does not.
-spec stop_pool(atom()) -> ok | {error, not_found}.
stop_pool(Name) ->
    try
        Rows = ets:lookup(?TABLE, Name),
        Found = [Name || {_, _, Pid} <- Rows, is_process_alive(Pid)],
        _ = [ok = py_pool_owner:await_stop(Name) || Found =/= []],
        case supervisor:terminate_child(?MODULE, {py_pool, Name}) of
            ok when Found =/= [] -> forget(Name, Rows);
            ok -> forget(Name, Rows), {error, not_found};
            {error, _} -> {error, not_found}
        end
    catch
        error:badarg -> {error, not_found};
        exit:{_, {gen_server, call, _}} -> {error, not_found}
    end.

%% By the supervisor. A pool that was there, and cannot be started again, is given up
%% without an error: supervisors try again what fails, until they end themselves.
-spec start_one(atom(), py_pool_sup:config()) -> {ok, pid()} | ignore | {error, term()}.
start_one(Name, Config) ->
    case {py_pool_sup:start_async(Name, Config), ets:member(?TABLE, Name)} of
        {{ok, Pid}, _} ->
            true = ets:insert(?TABLE, {Name, Config, Pid}),
            {ok, Pid};
        {{error, Reason}, true} ->
            ?LOG_ERROR("python pool ~ts cannot be started again: ~0tp", [Name, Reason]),
            ignore;
        {{error, Reason}, false} ->
            {error, Reason}
    end.

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    {ok, {#{strategy => one_for_one, intensity => ?INTENSITY, period => 10},
          [child(Name, Config) || {Name, Config, _} <- ets:tab2list(?TABLE)]}}.
