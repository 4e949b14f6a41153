%% Which nodes run a pool, and how busy they are: what `#{node => any}' goes by.
%%
%% Membership is pg's, in a scope of our own: the owner of each pool joins the group of the pool's name, and
%% callers read pg's table. The loads are in a table here, which callers read and count in themselves; this
%% process is on no call's way.
%%
%% What it costs: while there are other nodes, each node looks at its pools ten times a second, and tells every
%% other one what changed, in one message for all of its pools; what did not change is told every five
%% seconds. With N nodes that are busy all the time, each gets 10 (N - 1) small messages a second. From 100
%% nodes on the time between two looks grows with N, so that nobody gets more than about 1,000 a second: at
%% 500 nodes the loads are up to half a second old. A choice looks at 32 nodes at most.
-module(py_nodes).
-behaviour(gen_server).

-include("py_pool.hrl").

-export([start_link/0, scope/0, join/2, choose/2, begun/2, ended/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-define(SCOPE, erlang_python_pg).
%% The group of the processes of this module; names of pools are atoms.
-define(EVERYBODY, {?MODULE, everybody}).
%% Rows are {{Pool, Node}, UnderWay, Offset, Workers}: UnderWay are the calls from here through `any', Offset
%% what that node had to do besides when it last told. Their sum is its load as far as it can be known here.
%% What it told may be from before the latest calls got there, so that UnderWay may rightly be more. Only when it
%% tells everything, that is not believed any more: a call whose caller was killed is counted off by nobody.
-define(TABLE, ?MODULE).
-define(UNDER_WAY, 2).
-define(OFFSET, 3).
-define(WORKERS, 4).
%% Milliseconds between two looks at the pools, at least, and between two tellings of everything.
-define(LOOK, 100).
-define(TELL_ALL, 5000).
%% Among this many, picked at random, the least loaded is close enough to the least loaded of all.
-define(MAX_COMPARED, 32).

%% `pools': those of this node, by their owners' monitors. `told': what the others know.
-record(state, {pools = #{} :: #{reference() => atom()},
                told = #{} :: #{atom() => load()},
                told_all :: integer(),
                looking = false :: boolean()}).

-type load() :: {Jobs :: non_neg_integer(), Workers :: pos_integer()}.

-spec start_link() -> {ok, pid()} | ignore | {error, term()}.
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% pg's scope.
-spec scope() -> atom().
scope() ->
    ?SCOPE.

%% By the owner of a pool, as it starts. It leaves as it ends, however it does.
-spec join(Pool :: atom(), Owner :: pid()) -> ok.
join(Pool, Owner) ->
    gen_server:cast(?MODULE, {join, Pool, Owner}).

%% The node to send a call to, without those in Tried: this one while it has an idle worker, which nobody needs to
%% be told; else the least loaded. Of nodes that all choose the least loaded by what they were told, all choose the
%% same: with calls that are short against the time between two tellings that is worse than chance
%% (docs/scale.md), and this keeps it to what overflows. The call counts there until ended/2.
-spec choose(Pool :: atom(), Tried :: [node()]) -> {ok, node()} | none.
choose(Pool, Tried) ->
    case lists:usort(members(Pool)) -- Tried of
        [] -> none;
        [Node] -> chosen(Pool, Node);
        Nodes ->
            case lists:member(node(), Nodes) andalso takes_place(Pool) of
                true -> {ok, node()};
                false -> chosen(Pool, least_of(some(Nodes), Pool))
            end
    end.

chosen(Pool, Node) ->
    ok = begun(Pool, Node),
    {ok, Node}.

%% Of several at the same moment no more than there are workers.
takes_place(Pool) ->
    Key = {Pool, node()},
    case measured(Pool) of
        {ok, {Jobs, Workers}} when Jobs < Workers ->
            count(Key, {?UNDER_WAY, 1}) =< Workers orelse begin ok = ended(Pool, node()), false end;
        _ ->
            false
    end.

members(Group) ->
    try
        [node(Pid) || Pid <- pg:get_members(?SCOPE, Group)]
    catch
        error:badarg -> []  % the application is not running
    end.

%% From a place that differs from choice to choice: two that are equally good are equally often chosen.
some(Nodes) ->
    {Back, Front} = lists:split(erlang:phash2(make_ref(), length(Nodes)), Nodes),
    Turned = Front ++ Back,
    case lists:member(node(), Nodes) of
        true -> [node() | lists:sublist(lists:delete(node(), Turned), ?MAX_COMPARED - 1)];
        false -> lists:sublist(Turned, ?MAX_COMPARED)
    end.

least_of([First | Nodes], Pool) ->
    {_, Least} = lists:foldl(fun(Node, {Load, _} = Best) ->
                                     case load(Pool, Node) of
                                         Less when Less < Load -> {Less, Node};
                                         _ -> Best
                                     end
                             end, {load(Pool, First), First}, Nodes),
    Least.

%% Jobs for each worker.
load(Pool, Node) ->
    try ets:lookup(?TABLE, {Pool, Node}) of
        [{_, UnderWay, Offset, Workers}] -> max(0, UnderWay + Offset) / Workers;
        [] -> 0.0
    catch
        error:badarg -> 0.0
    end.

%% A call through `any' goes to a node that was not chosen for it: the process stays there.
-spec begun(Pool :: atom(), node()) -> ok.
begun(Pool, Node) ->
    _ = count({Pool, Node}, {?UNDER_WAY, 1}),
    ok.

%% A call through `any' has ended. One that was not believed any more has been counted off before.
-spec ended(Pool :: atom(), node()) -> ok.
ended(Pool, Node) ->
    _ = count({Pool, Node}, {?UNDER_WAY, -1, 0, 0}),
    ok.

%% How many there are now.
count(Key, Change) ->
    try
        ets:update_counter(?TABLE, Key, Change, {Key, 0, 0, 1})
    catch
        error:badarg -> 0
    end.

-spec init([]) -> {ok, #state{}}.
init([]) ->
    ?TABLE = ets:new(?TABLE, [named_table, public, {write_concurrency, true}, {read_concurrency, true}]),
    ok = net_kernel:monitor_nodes(true),
    ok = pg:join(?SCOPE, ?EVERYBODY, self()),
    %% With those that were there before this process.
    State = lists:foldl(fun(#py_pool{name = Name, owner = Owner}, Joined) -> joined(Name, Owner, Joined) end,
                        #state{told_all = now_ms() - ?TELL_ALL}, py_pool_owner:published()),
    {ok, look_later(State)}.

%% pg keeps what joined before this process restarted.
joined(Name, Owner, #state{pools = Pools} = State) ->
    Monitor = erlang:monitor(process, Owner),
    ok = case lists:member(Owner, pg:get_local_members(?SCOPE, Name)) of
             true -> ok;
             false -> pg:join(?SCOPE, Name, Owner)
         end,
    State#state{pools = Pools#{Monitor => Name}}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, {error, unknown_call}, #state{}}.
handle_call(_Request, _From, State) ->
    {reply, {error, unknown_call}, State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast({join, Name, Owner}, State) ->
    %% One that started while this process did is known already.
    case lists:member(Owner, pg:get_local_members(?SCOPE, Name)) of
        true -> {noreply, State};
        false -> {noreply, joined(Name, Owner, State)}
    end;
handle_cast(_Request, State) ->
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info(look, State) ->
    {noreply, look(State#state{looking = false})};
handle_info({py_load, Node, What, Loads}, State) ->
    lists:foreach(fun({Name, Load}) -> note({Name, Node}, Load, What) end, Loads),
    {noreply, State};
handle_info({'DOWN', Monitor, process, _, _}, #state{pools = Pools, told = Told} = State) ->
    case maps:take(Monitor, Pools) of
        {Name, Left} ->
            true = ets:delete(?TABLE, {Name, node()}),
            {noreply, State#state{pools = Left, told = maps:remove(Name, Told)}};
        error ->
            {noreply, State}
    end;
handle_info({nodeup, _Node}, State) ->
    {noreply, look_later(State#state{told = #{}})};
handle_info({nodedown, Node}, State) ->
    true = ets:match_delete(?TABLE, {{'_', Node}, '_', '_', '_'}),
    {noreply, State};
handle_info(_Message, State) ->
    {noreply, State}.

%% Without other nodes there is nobody to tell, and nothing to choose among.
look_later(#state{looking = false} = State) ->
    case nodes() of
        [] ->
            State;
        Others ->
            _ = erlang:send_after(max(?LOOK, length(Others)), self(), look),
            State#state{looking = true}
    end;
look_later(State) ->
    State.

look(#state{pools = Pools, told = Told, told_all = At} = State) ->
    Now = now_ms(),
    Loads = maps:from_list([{Name, Load} || Name <- maps:values(Pools), {ok, Load} <- [measured(Name)]]),
    case Now - At >= ?TELL_ALL of
        true ->
            tell(maps:to_list(Loads), all),
            forget_others(),
            look_later(State#state{told = Loads, told_all = Now});
        false ->
            tell([Entry || {Name, Load} = Entry <- maps:to_list(Loads), maps:find(Name, Told) =/= {ok, Load}], changed),
            look_later(State#state{told = Loads})
    end.

measured(Name) ->
    case py_pool:stats(Name) of
        {ok, #{queued := Queued, workers := Workers}} ->
            Busy = length([busy || #{state := Worker} <- Workers, Worker =:= busy orelse Worker =:= stuck]),
            {ok, {Queued + Busy, max(1, length(Workers))}};
        {error, _} = Error ->
            Error
    end.

note(Key, {Jobs, Workers}, What) ->
    case ets:lookup(?TABLE, Key) of
        [{_, UnderWay, _, _}] ->
            _ = ets:update_element(?TABLE, Key, [{?OFFSET, max(0, Jobs - UnderWay)}, {?WORKERS, Workers}]),
            %% Callers count at the same time.
            _ = What =:= all andalso UnderWay > Jobs
                andalso ets:update_counter(?TABLE, Key, {?UNDER_WAY, Jobs - UnderWay}),
            ok;
        [] ->
            true = ets:insert(?TABLE, {Key, 0, Jobs, Workers}),
            ok
    end.

%% This node too. One that does not take the message now is told again.
tell([], _What) ->
    ok;
tell(Loads, What) ->
    lists:foreach(fun(Node) ->
                          _ = erlang:send({?MODULE, Node}, {py_load, node(), What, Loads}, [noconnect, nosuspend])
                  end, members(?EVERYBODY)).

%% Rows of pools that have stopped on nodes that go on.
forget_others() ->
    Names = lists:usort([Name || [Name] <- ets:match(?TABLE, {{'$1', '_'}, '_', '_', '_'})]),
    lists:foreach(fun(Name) ->
                          Nodes = [Node || [Node] <- ets:match(?TABLE, {{Name, '$1'}, '_', '_', '_'})],
                          [true = ets:delete(?TABLE, {Name, Node}) || Node <- Nodes -- members(Name)]
                  end, Names).

now_ms() ->
    erlang:monotonic_time(millisecond).
