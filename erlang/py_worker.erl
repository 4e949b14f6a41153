%% One worker of a pool, as the supervision tree sees it. The native worker (a
%% thread with its Python namespace, or a process of its own) outlives this
%% process: a restarted py_worker adopts it, and starts a new one only where the
%% old one has ended.
%%
%% Of isolation `process' it starts the worker's processes, one after the other,
%% and hears how they end. Its port is for that alone: killing this process ends none.
-module(py_worker).
-behaviour(gen_server).

-include("py_pool.hrl").
-include_lib("kernel/include/logger.hrl").

-export([start_link/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

%% From a failed start to the next, in milliseconds.
-define(PAUSE, 200).

-record(state, {pool :: py_nif:pool(),
                owner :: pid(),
                name :: atom(),
                index :: pos_integer(),
                program :: file:filename_all() | none,
                %% of the process that was launched last, and what it was told
                port :: {port(), Said :: binary()} | undefined}).

%% Returns at once: a preload may take its time, and must not hold a supervisor up.
%% The pool's owner is told when the worker is ready.
-spec start_link(atom(), pos_integer()) -> {ok, pid()} | ignore | {error, term()}.
start_link(Name, Index) ->
    gen_server:start_link(?MODULE, {Name, Index}, []).

-spec init({atom(), pos_integer()}) -> {ok, #state{}} | {stop, {shutdown, term()}}.
init({Name, Index}) ->
    ok = py_pool_sup:label({?MODULE, Name, Index}),
    case py_pool_owner:lookup(Name) of
        #py_pool{native = Native, owner = Owner, program = Program} ->
            case py_nif:pool_start_worker(Native, Index) of
                ok ->
                    {ok, #state{pool = Native, owner = Owner, name = Name, index = Index, program = Program}};
                {error, stopped} -> {stop, {shutdown, {no_pool, Name}}}
            end;
        undefined ->
            {stop, {shutdown, {no_pool, Name}}}
    end.

-spec handle_call(term(), {pid(), term()}, #state{}) -> {noreply, #state{}}.
handle_call(_Request, _From, State) ->
    {noreply, State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_Request, State) ->
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, {shutdown | failed, term()}, #state{}}.
handle_info({py_worker, Pool, Index, Event},
            #state{pool = Pool, owner = Owner, name = Name, index = Index} = State) ->
    case Event of
        ready ->
            py_pool_owner:worker_started(Owner, Index),
            {noreply, State};
        replaced ->
            ?LOG_NOTICE("python worker ~b of pool ~ts did not end in time, and was replaced", [Index, Name]),
            {noreply, State};
        {launch, Said} ->
            {noreply, launch(Said, State)};
        {crashed, Why} ->
            ?LOG_WARNING("python worker ~b of pool ~ts crashed (~ts), and is started again", [Index, Name, Why]),
            {noreply, State};
        {failed, Reason} ->
            case py_pool_owner:worker_failed(Owner, Reason) of
                first -> {stop, {shutdown, Reason}, State};
                %% Not at once: what is missing, descriptors or a file, may be there again in a moment.
                later -> _ = erlang:send_after(?PAUSE, self(), {give_up, Reason}), {noreply, State}
            end
    end;
handle_info({give_up, Reason}, State) ->
    {stop, {failed, Reason}, State};
handle_info({Port, {exit_status, Status}}, #state{port = {Port, Said}} = State) ->
    {noreply, ended(Said, py_program:describe(Status), State#state{port = undefined})};
handle_info({Port, {exit_status, Status}}, #state{name = Name, index = Index} = State) when is_port(Port) ->
    ?LOG_INFO("a process of python worker ~b of pool ~ts ~ts", [Index, Name, py_program:describe(Status)]),
    {noreply, State};
handle_info(_Message, State) ->
    {noreply, State}.

launch(Said, #state{program = Program} = State) ->
    case py_program:start(Program, Said) of
        {ok, Port} -> State#state{port = {Port, Said}};
        {error, Why} -> ended(Said, Why, State)
    end.

%% Of interest to the native side as long as the process was not ready.
ended(Said, How, #state{pool = Pool, name = Name, index = Index} = State) ->
    ?LOG_INFO("the process of python worker ~b of pool ~ts ~ts", [Index, Name, How]),
    try
        ok = py_nif:pool_process_ended(Pool, Index, Said, How)
    catch
        error:badarg -> ok  % the NIF's module was loaded anew, and knows nothing of this pool
    end,
    State.
