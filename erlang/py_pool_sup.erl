%% One pool: its owner, then its workers. When the owner restarts, the native
%% pool is a new one, and the workers are started anew on it.
-module(py_pool_sup).
-behaviour(supervisor).

-export([start_link/2, config/1, start_async/2, await_end/1, owner/1, root_cause/1, label/1, init/1]).

-export_type([config/0]).

%% py_opts:pool(), and the program of worker processes.
-type config() :: #{program := file:filename_all() | none, atom() => term()}.

%% Returns when all workers are ready. Fails with the reason itself: a bad option,
%% or what a worker's start or its preload answered, rather than with a
%% supervisor's account of it.
-spec start_link(atom(), map()) -> {ok, pid()} | {error, term()}.
start_link(Name, Opts) ->
    case config(Opts) of
        {ok, Config} -> start_ready(Name, Config);
        {error, Reason} -> {error, Reason}
    end.

start_ready(Name, Config) ->
    case start_async(Name, Config) of
        {ok, Pid} ->
            case py_pool_owner:await_start(owner(Pid)) of
                ok ->
                    {ok, Pid};
                {error, Reason} ->
                    await_end(Pid),
                    {error, Reason}
            end;
        {error, Reason} ->
            {error, Reason}
    end.

%% The options, complete and checked. May take its time: an interpreter is asked for its version.
-spec config(map()) -> {ok, config()} | {error, term()}.
config(Opts) ->
    case py_opts:pool(Opts) of
        {ok, #{isolation := process, python := Python} = Config} ->
            case py_program:find(Python) of
                {ok, Program} -> {ok, Config#{program => Program}};
                {error, Reason} -> {error, Reason}
            end;
        {ok, #{python := Python} = Config} ->
            case py_program:check(Python) of
                ok -> {ok, Config#{program => none}};
                {error, Reason} -> {error, Reason}
            end;
        {error, Reason} ->
            {error, Reason}
    end.

%% Returns when the workers begin to start; py_pool_owner:await_start/1 says more.
-spec start_async(atom(), config()) -> {ok, pid()} | {error, term()}.
start_async(Name, Config) ->
    case supervisor:start_link(?MODULE, {Name, Config}) of
        {ok, Pid} -> {ok, Pid};
        {error, Reason} -> {error, root_cause(Reason)};
        ignore -> {error, ignore}
    end.

%% The owner that the pool supervised by Pid has now.
-spec owner(pid()) -> pid().
owner(Pid) ->
    {py_pool_owner, Owner, worker, _} = lists:keyfind(py_pool_owner, 1, supervisor:which_children(Pid)),
    Owner.

%% A pool whose start has failed ends by itself.
-spec await_end(pid()) -> ok.
await_end(Pid) ->
    Monitor = erlang:monitor(process, Pid),
    receive
        {'DOWN', Monitor, process, Pid, _} -> ok
    end,
    unlink(Pid),
    receive
        {'EXIT', Pid, _} -> ok
    after 0 ->
        ok
    end.

%% The innermost reason of a start that failed somewhere down a supervision tree.
-spec root_cause(term()) -> term().
root_cause({shutdown, Reason}) -> root_cause(Reason);
root_cause({failed_to_start_child, _Id, Reason}) -> root_cause(Reason);
root_cause(Reason) -> Reason.

%% What observer shows of the calling process where it has no name; from OTP 27 on.
-spec label(term()) -> ok.
label(Label) ->
    _ = erlang:function_exported(proc_lib, set_label, 1) andalso apply(proc_lib, set_label, [Label]),
    ok.

-spec init({atom(), config()}) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init({Name, #{grace := Grace, num_workers := Size} = Config}) ->
    ok = label({?MODULE, Name}),
    Flags = #{strategy => rest_for_one, intensity => 3, period => 10, auto_shutdown => any_significant},
    Owner = #{id => py_pool_owner,
              start => {py_pool_owner, start_link, [Name, Config]},
              %% It ends by itself only when the pool's first start has failed.
              restart => transient,
              significant => true,
              shutdown => py_pool_owner:stop_time(Grace) + 1000},
    Workers = #{id => py_worker_sup,
                start => {py_worker_sup, start_link, [Name, Size]},
                type => supervisor,
                shutdown => infinity},
    {ok, {Flags, [Owner, Workers]}}.
