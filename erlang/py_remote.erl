%% Calls to other nodes, the caller's side: which node a call goes to. py_remote_agent has what happens then.
%%
%% With `any' the node is chosen anew for each call (py_nodes), until the process defines something: then it
%% stays where that is. What a node refuses (overload, no such pool, not reachable) the next one gets. What may
%% have begun is never begun again.
-module(py_remote).

-export([run/3, open/4, start/3, await/3, cancel/2]).
-export_type([place/0, entry/0]).

-type place() :: node() | any.

%% What py_job keeps of a call of call_async that comes through here. Agent: `here' if it is this node's own.
-type entry() :: {remote, Deadline :: infinity | integer(), Agent :: here | py_remote_agent:agent(),
                  Counted :: none | {Pool :: atom(), node()}}.

%% Of what was run, or was begun (with what to keep of it), or was not.
-type result() :: {ok, term()} | {error, term()} | {ok, reference(), entry()} | {refused, term()}.

%% In the process dictionary: #{PoolName => Node}, where the process has defined something.
-define(HOME, '$py_home').

%% The answer, as of py_job:run/1. Throws what py_job:route/2 throws.
-spec run(py_nif:op(), place(), py_opts:local()) -> {ok, term()} | {error, py:reason()}.
run(Op, Place, Call) ->
    answer(at(Place, call, Op, Call)).

%% Opens a stream: what is its handle, and the time of its steps.
-spec open(py_nif:op(), Prefetch :: non_neg_integer(), place(), py_opts:local()) ->
          {ok, py_nif:stream() | {remote, py_remote_agent:agent(), Id :: reference(), Owner :: pid()}, timeout()}
        | {error, py:reason()}.
open(Op, Prefetch, Place, {Name, _, Wanted, _} = Call) ->
    case answer(at(Place, {stream, Prefetch}, Op, Call)) of
        {ok, {py_stream, Id, Host}} ->
            {Agent, Default} = py_remote_agent:known(node(Host), Name),
            {ok, {remote, Agent, Id, self()}, step_time(Wanted, Default)};
        {ok, Handle} ->
            {ok, Handle, step_time(Wanted, py_job:default_timeout(Name))};
        {error, _} = Error ->
            Error
    end.

step_time(default, Default) -> Default;
step_time(Timeout, _Default) -> Timeout.

-spec answer(result()) -> {ok, term()} | {error, term()}.
answer({refused, {badarg, _} = Misuse}) -> throw(Misuse);
answer({refused, Reason}) -> {error, Reason};
answer(Answer) -> Answer.

%% Places -----------------------------------------------------------------------

at(Place, What, Op, Call) ->
    Since = now_ms(),
    Objects = py_remote_objects:in(Op),
    Try = fun(Node) -> once(Node, What, Op, Objects, Call, Since) end,
    case place(Place, Op, Objects) of
        any -> anywhere(Op, Call, Try);
        several -> {refused, object_gone};
        Node -> settled(Op, Call, Node, Try(Node))
    end.

%% Objects are where they are: one that is called decides, whatever the options say, and so do arguments where
%% nothing else does.
place(Place, Op, Objects) ->
    case {py_remote_objects:same_node(Objects), target(Op)} of
        {none, _} -> Place;
        {several, _} -> several;
        {{node, Node}, Target} when Place =:= any; Place =:= Node; Target =:= object -> Node;
        {{node, _}, _} -> several
    end.

target({stream, Op}) -> target(Op);
target({object, _}) -> object;
target(Op) when is_tuple(element(2, Op)) -> object;
target(_Op) -> name.

%% Try gives a result(); what it refuses was not begun.
anywhere(Op, {Name, _, _, _} = Call, Try) ->
    case home(Name) of
        none ->
            next(Op, Call, Try, [], {no_pool, Name});
        {ok, Home} ->
            ok = py_nodes:begun(Name, Home),
            case counted(Name, Home, Try) of
                {refused, {Why, _} = Reason} when Why =:= nodedown; Why =:= no_pool ->
                    leave(Name, Home),
                    next(Op, Call, Try, [Home], Reason);
                Result ->
                    settled(Op, Call, Home, Result)
            end
    end.

next(Op, {Name, _, _, _} = Call, Try, Tried, Reason) ->
    case py_nodes:choose(Name, Tried) of
        none ->
            {refused, Reason};
        {ok, Node} ->
            case counted(Name, Node, Try) of
                {refused, overload} -> next(Op, Call, Try, [Node | Tried], overload);
                {refused, {nodedown, _} = Why} -> next(Op, Call, Try, [Node | Tried], worse(Reason, Why));
                {refused, {no_pool, _} = Why} -> next(Op, Call, Try, [Node | Tried], worse(Reason, Why));
                Result -> settled(Op, Call, Node, Result)
            end
    end.

worse(overload, _Why) -> overload;
worse(_Reason, Why) -> Why.

%% Of a call that was counted as begun.
counted(Name, Node, Try) ->
    try Try(Node) of
        %% Until it is awaited.
        {ok, _, _} = Begun -> Begun;
        Result -> ok = py_nodes:ended(Name, Node), Result
    catch
        Class:Reason:Stack ->
            ok = py_nodes:ended(Name, Node),
            erlang:raise(Class, Reason, Stack)
    end.

home(Name) ->
    case get(?HOME) of
        #{Name := Node} ->
            {ok, Node};
        _ ->
            case py_job:is_bound(Name) of
                true -> {ok, node()};
                false -> none
            end
    end.

settled(_Op, {Name, _, _, _}, Node, {error, {nodedown, Node}} = Result) ->
    leave(Name, Node),
    Result;
settled(_Op, _Call, _Node, {refused, _} = Result) ->
    Result;
settled({stream, Op}, Call, Node, Result) ->
    settled(Op, Call, Node, Result);
settled(Op, {Name, _, _, _}, Node, Result) ->
    case py_op:uses_main(Op) of
        true ->
            _ = put(?HOME, (homes())#{Name => Node}),
            Result;
        false ->
            Result
    end.

leave(Name, Node) ->
    case homes() of
        #{Name := Node} = Homes -> _ = put(?HOME, maps:remove(Name, Homes)), ok;
        _ -> ok
    end.

homes() ->
    case get(?HOME) of
        undefined -> #{};
        Homes -> Homes
    end.

%% One node ---------------------------------------------------------------------

-spec once(node(), call | {stream, non_neg_integer()}, py_nif:op(), [reference()], py_opts:local(), integer()) ->
          result().
once(Node, _What, Op, _Objects, Call, Since) when Node =:= node() ->
    py_job:attempt(py_job:route(Op, with_time_left(Call, Since)));
once(Node, What, Op, Objects, Call, Since) ->
    py_remote_agent:submit(Node, What, Op, Objects, Call, Since).

with_time_left({Name, Worker, Wanted, Flags}, Since) when is_integer(Wanted) ->
    {Name, Worker, max(0, Since + Wanted - now_ms()), Flags};
with_time_left(Call, _Since) ->
    Call.

%% Started now, awaited later ---------------------------------------------------

%% Throws what py_job:route/2 throws. With `any' or a certain worker it returns when the call was taken.
-spec start(py_nif:op(), place(), py_opts:local()) -> {ok, reference(), entry()} | {refused, py:reason()}.
start(Op, Place, Call) ->
    Since = now_ms(),
    Objects = py_remote_objects:in(Op),
    case place(Place, Op, Objects) of
        any -> begun(anywhere(Op, Call, fun(Node) -> begin_at(Node, true, any, Op, Objects, Call, Since) end));
        several -> {refused, object_gone};
        Node ->
            Certain = element(2, Call) =/= any,
            begun(settled(Op, Call, Node, begin_at(Node, Certain, Node, Op, Objects, Call, Since)))
    end.

begun({refused, {badarg, _} = Misuse}) -> throw(Misuse);
begun({refused, {ended, Reason}}) -> {refused, Reason};
begun(Result) -> Result.

begin_at(Node, _Certain, Place, Op, _Objects, {Name, _, _, _} = Call, Since) when Node =:= node() ->
    case py_job:try_start(py_job:route(Op, with_time_left(Call, Since))) of
        {ok, Job, Deadline} -> {ok, Job, {remote, Deadline, here, counts(Place, Name, Node)}};
        {refused, _} = Refused -> Refused
    end;
begin_at(Node, Certain, Place, Op, Objects, {Name, _, _, _} = Call, Since) ->
    case py_remote_agent:start(Node, Certain, Op, Objects, Call, Since) of
        {ok, Alias, Agent, Deadline} -> {ok, Alias, {remote, Deadline, Agent, counts(Place, Name, Node)}};
        {refused, _} = Refused -> Refused
    end.

counts(any, Name, Node) -> {Name, Node};
counts(_Place, _Name, _Node) -> none.

-spec await(reference(), timeout(), entry()) -> {ok, term()} | {error, py:reason()}.
await(Ref, Timeout, {remote, _Deadline, Agent, Counted}) ->
    Result = case Agent of
                 here -> py_job:receive_answer(Ref, Timeout);
                 _ -> py_remote_agent:await(Ref, Agent, Timeout)
             end,
    discounted(Counted),
    answer(Result).

discounted(none) -> ok;
discounted({Name, Node}) -> py_nodes:ended(Name, Node).

%% Nothing of the call comes any more, also if its answer was here already.
-spec cancel(reference(), entry()) -> ok.
cancel(Ref, {remote, _Deadline, here, Counted}) ->
    ok = py_job:drop(Ref),
    discounted(Counted);
cancel(Ref, {remote, _Deadline, Agent, Counted}) ->
    ok = py_remote_agent:cancel(Ref, Agent),
    discounted(Counted).

now_ms() ->
    erlang:monotonic_time(millisecond).
