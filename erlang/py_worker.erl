%% One worker of a pool, as the supervision tree sees it. The native worker (a
%% thread with its Python namespace) outlives this process: a restarted py_worker
%% adopts it, and starts a new one only where the old one has ended.
-module(py_worker).
-behaviour(gen_server).

-include("py_pool.hrl").
-include_lib("kernel/include/logger.hrl").

-export([start_link/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-record(state, {pool :: py_nif:pool(), name :: atom(), index :: pos_integer()}).

%% Returns when the worker is ready: its preload has run.
-spec start_link(atom(), pos_integer()) -> {ok, pid()} | ignore | {error, term()}.
start_link(Name, Index) ->
    gen_server:start_link(?MODULE, {Name, Index}, []).

-spec init({atom(), pos_integer()}) -> {ok, #state{}} | {stop, {shutdown, term()}}.
init({Name, Index}) ->
    case py_pool_owner:lookup(Name) of
        #py_pool{native = Native, owner = Owner} ->
            start_worker(Owner, #state{pool = Native, name = Name, index = Index});
        undefined ->
            {stop, {shutdown, {no_pool, Name}}}
    end.

%% A preload may take as long as it likes, but not longer than the pool lives.
start_worker(Owner, #state{pool = Pool, name = Name, index = Index} = State) ->
    Monitor = erlang:monitor(process, Owner),
    case py_nif:pool_start_worker(Pool, Index) of
        ok ->
            receive
                {py_worker, Pool, Index, ready} ->
                    erlang:demonitor(Monitor, [flush]),
                    {ok, State};
                {py_worker, Pool, Index, {failed, Reason}} ->
                    {stop, {shutdown, Reason}};
                {'DOWN', Monitor, process, Owner, _Reason} ->
                    {stop, {shutdown, {no_pool, Name}}}
            end;
        {error, stopped} ->
            {stop, {shutdown, {no_pool, Name}}}
    end.

-spec handle_call(term(), {pid(), term()}, #state{}) -> {noreply, #state{}}.
handle_call(_Request, _From, State) ->
    {noreply, State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_Request, State) ->
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, term(), #state{}}.
handle_info({py_worker, Pool, Index, Event}, #state{pool = Pool, name = Name, index = Index} = State) ->
    case Event of
        replaced ->
            ?LOG_NOTICE("python worker ~b of pool ~ts did not end in time, and was replaced", [Index, Name]),
            {noreply, State};
        stopped ->
            {stop, {shutdown, stopped}, State};
        {failed, Reason} ->
            {stop, {failed, Reason}, State};
        _ ->
            {noreply, State}
    end;
handle_info(_Message, State) ->
    {noreply, State}.
