%% Owns a native pool: makes it, publishes it for callers, and stops it. The
%% native side ends the pool by itself should this process be killed.
-module(py_pool_owner).
-behaviour(gen_server).

-include("py_pool.hrl").

-export([start_link/2, lookup/1, published/0, stop_time/1, worker_started/2, worker_failed/2]).
-export([await_start/1, stop_soon/1, await_stop/1, stale/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

%% How long the reason of a failed start is kept for the starter, in milliseconds.
-define(REASON_TIME, 1000).

%% `starting' are the workers that have not said yet how their first start went;
%% then `started' is how it went, and nobody waits any more.
-record(state, {pool :: #py_pool{},
                grace :: non_neg_integer(),
                stop_by = later :: later | Milliseconds :: integer(),
                stopping = [] :: [{pid(), term()}],
                starting :: [pos_integer()],
                started = ok :: ok | {error, term()},
                waiting = [] :: [{pid(), term()}]}).

%% The registered name is what keeps pool names unique in the VM.
-spec start_link(atom(), py_pool_sup:config()) -> {ok, pid()} | ignore | {error, term()}.
start_link(Name, Config) ->
    Registered = list_to_atom("py_pool_" ++ atom_to_list(Name)),
    case gen_server:start_link({local, Registered}, ?MODULE, {Name, Config}, []) of
        {error, {already_started, Other}} = Taken ->
            case has_ended(Other) of
                true -> start_link(Name, Config);
                false -> Taken
            end;
        Started ->
            Started
    end.

%% Whether the name is free after all. A pool whose supervisor was killed, or is ending,
%% keeps its name until it has ended: that is waited for, stop_time/1 at most.
has_ended(Other) ->
    case process_info(Other, dictionary) of
        undefined ->
            true;
        {dictionary, Dictionary} ->
            case {lists:keyfind('$initial_call', 1, Dictionary), lists:keyfind('$ancestors', 1, Dictionary)} of
                {{_, {?MODULE, init, 1}}, {_, [Supervisor | _]}} when Supervisor =/= self() ->
                    has_ended(Other, Supervisor);
                _ ->
                    false
            end
    end.

%% A supervisor that is ending answers nothing. One whose parent was killed may answer, as long as it has not
%% heard of that, and ends then.
has_ended(Other, Supervisor) ->
    try supervisor:count_children(Supervisor) of
        _ -> is_orphan(Supervisor) andalso await_end(Other)
    catch
        exit:_ -> await_end(Other)
    end.

is_orphan(Supervisor) ->
    try process_info(Supervisor, parent) of
        {parent, Parent} when node(Parent) =:= node() -> not is_process_alive(Parent);
        {parent, _} -> false;
        undefined -> true
    catch
        error:badarg -> false  % before OTP 25
    end.

await_end(Process) ->
    Monitor = erlang:monitor(process, Process),
    receive
        {'DOWN', Monitor, process, Process, _} -> true
    end.

%% Without a process in the way: what is found may have stopped meanwhile.
-spec lookup(atom()) -> #py_pool{} | undefined.
lookup(Name) ->
    persistent_term:get({py_pool, Name}, undefined).

%% All pools of this VM.
-spec published() -> [#py_pool{}].
published() ->
    [Pool || {{py_pool, _Name}, #py_pool{} = Pool} <- persistent_term:get()].

%% By a py_worker: its native worker is ready.
-spec worker_started(Owner :: pid(), pos_integer()) -> ok.
worker_started(Owner, Index) ->
    gen_server:cast(Owner, {worker_started, Index}).

%% By a py_worker: its native worker did not start. `first': with the pool, which
%% then does not start either; `later': it is for the supervisor to try again.
-spec worker_failed(Owner :: pid(), Reason :: term()) -> first | later.
worker_failed(Owner, Reason) ->
    try
        gen_server:call(Owner, {worker_failed, Reason}, infinity)
    catch
        exit:_ -> first  % the pool ends already
    end.

%% Returns when all workers have started, or one has failed to: with its reason.
-spec await_start(Owner :: pid()) -> ok | {error, term()}.
await_start(Owner) ->
    try
        gen_server:call(Owner, await_start, infinity)
    catch
        exit:_ -> {error, stopped}
    end.

%% Begins to end the native pool, as terminate/2 does: so many end side by side. The owner
%% itself stays for its supervisor to end.
-spec stop_soon(atom()) -> ok.
stop_soon(Name) ->
    case lookup(Name) of
        #py_pool{owner = Owner} -> gen_server:cast(Owner, stop_soon);
        undefined -> ok
    end.

%% The same, and returns when that is done, so that its supervisor need not wait for it.
-spec await_stop(atom()) -> ok.
await_stop(Name) ->
    case lookup(Name) of
        #py_pool{owner = Owner} ->
            try
                gen_server:call(Owner, stop, infinity)
            catch
                exit:_ -> ok  % it has ended
            end;
        undefined ->
            ok
    end.

%% By who found that the native side does not know this pool any more.
-spec stale(Owner :: pid()) -> ok.
stale(Owner) ->
    gen_server:cast(Owner, stale).

%% The longest that ending the native pool is waited for, in milliseconds: the
%% threads that can end do so within the grace time and a little.
-spec stop_time(non_neg_integer()) -> pos_integer().
stop_time(Grace) ->
    Grace + 2000.

-spec init({atom(), py_pool_sup:config()}) -> {ok, #state{}} | {stop, {shutdown, term()}}.
init({Name, Config}) ->
    process_flag(trap_exit, true),
    #{num_workers := Size, default_timeout := Default, grace := Grace, program := Program} = Config,
    case py_nif:pool_new(Name, maps:put(name, Name, native(Config))) of
        {ok, Native} ->
            %% All begin to start now, side by side; each py_worker adopts its own. Processes
            %% are for their py_worker to start.
            _ = [py_nif:pool_start_worker(Native, Index) || Program =:= none, Index <- lists:seq(1, Size)],
            Pool = #py_pool{native = Native,
                            name = Name,
                            incarnation = erlang:unique_integer(),
                            size = Size,
                            default_timeout = Default,
                            program = Program,
                            owner = self()},
            persistent_term:put({py_pool, Name}, Pool),
            ok = py_nodes:join(Name, self()),
            {ok, #state{pool = Pool, grace = Grace, starting = lists:seq(1, Size)}};
        {error, Reason} ->
            {stop, {shutdown, Reason}}
    end.

native(#{memory_limit := infinity} = Config) -> native(Config#{memory_limit := 0});
%% A time is in seconds there.
native(#{grace := Grace} = Config) -> maps:without([default_timeout, program], Config#{grace := Grace / 1000}).

-spec handle_call(term(), {pid(), term()}, #state{}) ->
          {noreply, #state{}} | {reply, ok | first | later, #state{}} | {stop, {shutdown, term()}, #state{}}.
handle_call(await_start, _From, #state{starting = [], started = ok} = State) ->
    {reply, ok, State};
handle_call(await_start, From, #state{starting = [], waiting = Waiting} = State) ->
    failed(State#state{waiting = [From | Waiting]});
handle_call(await_start, From, #state{waiting = Waiting} = State) ->
    {noreply, State#state{waiting = [From | Waiting]}};
%% A preload that stopping has interrupted.
handle_call({worker_failed, _Reason}, _From, #state{stop_by = By} = State) when By =/= later ->
    {reply, first, State};
handle_call({worker_failed, _Reason}, _From, #state{starting = [], started = ok} = State) ->
    {reply, later, State};
handle_call({worker_failed, _Reason}, _From, #state{starting = []} = State) ->
    {reply, first, State};
handle_call({worker_failed, Reason}, From, State) ->
    gen_server:reply(From, first),
    failed(State#state{starting = [], started = {error, Reason}});
handle_call(stop, From, State) ->
    #state{stop_by = By, stopping = Stopping, waiting = Waiting} = Begun = begin_to_stop(State),
    lists:foreach(fun(Starter) -> gen_server:reply(Starter, {error, stopped}) end, Waiting),
    _ = erlang:send_after(max(0, By - erlang:monotonic_time(millisecond)), self(), stop_time_over),
    {noreply, Begun#state{stopping = [From | Stopping], waiting = []}};
handle_call(_Request, _From, State) ->
    {noreply, State}.

%% Ends the pool, which ends with this process (it is `significant'), as soon as
%% the starter has the reason; one that never asks for it is not waited for long.
failed(#state{waiting = []} = State) ->
    _ = erlang:send_after(?REASON_TIME, self(), not_asked),
    {noreply, State};
failed(#state{started = {error, Reason}} = State) ->
    {stop, {shutdown, Reason}, answer(State)}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}} | {stop, stale, #state{}}.
handle_cast({worker_started, Index}, #state{starting = Starting} = State) ->
    {noreply, answer(State#state{starting = lists:delete(Index, Starting)})};
handle_cast(stop_soon, State) ->
    {noreply, begin_to_stop(State)};
handle_cast(stale, State) ->
    {stop, stale, State};
handle_cast(_Request, State) ->
    {noreply, State}.

answer(#state{starting = [], started = Started, waiting = Waiting} = State) ->
    lists:foreach(fun(From) -> gen_server:reply(From, Started) end, Waiting),
    State#state{waiting = []};
answer(State) ->
    State.

begin_to_stop(#state{pool = #py_pool{native = Native, name = Name}, grace = Grace, stop_by = later} = State) ->
    _ = persistent_term:erase({py_pool, Name}),
    %% badarg: the NIF's module was deleted and loaded anew, and the library then
    %% knows nothing of the pools before.
    Wait = try py_nif:pool_stop(Native) of
               ok -> stop_time(Grace)
           catch
               error:badarg -> 0
           end,
    State#state{stop_by = erlang:monotonic_time(millisecond) + Wait};
begin_to_stop(State) ->
    State.

-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, term(), #state{}}.
handle_info({py_pool_stopped, Native}, #state{pool = #py_pool{native = Native}, stop_by = later} = State) ->
    {stop, pool_stopped, State};
handle_info({py_pool_stopped, Native}, #state{pool = #py_pool{native = Native}} = State) ->
    {noreply, stopped(State#state{stop_by = erlang:monotonic_time(millisecond)})};
handle_info(stop_time_over, State) ->
    {noreply, stopped(State)};
handle_info(not_asked, #state{started = {error, Reason}} = State) ->
    {stop, {shutdown, Reason}, State};
handle_info(_Message, State) ->
    {noreply, State}.

stopped(#state{stopping = Stopping} = State) ->
    lists:foreach(fun(From) -> gen_server:reply(From, ok) end, Stopping),
    State#state{stopping = []}.

-spec terminate(term(), #state{}) -> ok.
terminate(_Reason, #state{pool = #py_pool{native = Native}} = State) ->
    #state{stop_by = By} = begin_to_stop(State),
    receive
        {py_pool_stopped, Native} -> ok
    after max(0, By - erlang:monotonic_time(millisecond)) ->
        ok
    end.
