%% Supervises the pools that py_pool:start/2 adds. A pool restarts its own parts;
%% one that fails beyond its own bound is given up, and takes no other with it.
-module(py_pools_sup).
-behaviour(supervisor).

-export([start_link/0, start_pool/2, stop_pool/1, init/1]).

-spec start_link() -> supervisor:startlink_ret().
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

%% The caller waits for the workers, not the supervisor: others may start and
%% stop pools meanwhile.
-spec start_pool(atom(), map()) -> {ok, pid()} | {error, term()}.
start_pool(Name, Opts) ->
    case py_pool_sup:config(Opts) of
        {ok, Config} -> start_child(Name, Opts, Config);
        {error, Reason} -> {error, Reason}
    end.

start_child(Name, Opts, Config) ->
    Spec = (py_pool:child_spec(Name, Opts))#{restart => temporary,
                                             start => {py_pool_sup, start_async, [Name, Config]}},
    try supervisor:start_child(?MODULE, Spec) of
        {ok, Pid} when is_pid(Pid) -> started(Name, Pid);
        %% A supervisor tells the child with the reason.
        {error, {Reason, Child}} when element(1, Child) =:= child -> {error, Reason};
        {error, Reason} -> {error, Reason}
    catch
        exit:{noproc, _} -> {error, {not_started, erlang_python}}
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
            {error, Reason}
    end.

%% Ends a pool that start_pool/2 added.
-spec stop_pool(atom()) -> ok | {error, not_found}.
stop_pool(Name) ->
    try supervisor:terminate_child(?MODULE, {py_pool, Name}) of
        ok -> ok;
        {error, _} -> {error, not_found}
    catch
        exit:{noproc, _} -> {error, not_found}
    end.

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    {ok, {#{strategy => one_for_one}, []}}.
