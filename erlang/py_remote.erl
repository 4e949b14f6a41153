%% Calls to another node: the caller's side.
%%
%% For each node that a process calls it has an agent there (py_agent), and a link here that ends when the agent
%% does (py_remote_link); its process dictionary alone knows them. A request goes to the agent, and the answer to
%% an alias that is gone as soon as the caller gives up: nothing comes late. The caller's own time is what ends a
%% call. Whatever state the other node or the connection is in, nothing here waits longer, because the caller
%% sends no signal that could hold it up. The link is monitored while something of the agent is awaited.
%%
%% With `any' the node is chosen anew for each call (py_nodes), until the process defines something: then it
%% stays where that is. What a node refuses (overload, no such pool, not reachable) the next one gets. What may
%% have begun is never begun again.
-module(py_remote).

-include("py_pool.hrl").

-export([run/3, open/4, start/3, await/3, cancel/2, release/1, ask/3, tell/2]).
-export_type([place/0, entry/0, agent/0]).

-type place() :: node() | any.

%% What py_job keeps of a call of call_async that comes through here. Agent: `here' if it is this node's own.
-type entry() :: {remote, Deadline :: infinity | integer(), Agent :: here | agent(), Counted :: none | {atom(), node()}}.

-type agent() :: {Link :: pid(), Agent :: pid()}.

%% Of what was run, or was begun (with what to keep of it), or was not.
-type result() :: {ok, term()} | {error, term()} | {ok, reference(), entry()} | {refused, term()}.

%% As py_agent's.
-define(VERSION, 1).
%% In the process dictionary: {Agent, #{PoolName => DefaultTimeout}, when something was last started without an answer}.
-define(AGENT(Node), {'$py_agent', Node}).
%% In the process dictionary: #{PoolName => Node}, where the process has defined something.
-define(HOME, '$py_home').
%% A call that finds its agent ended by itself starts another.
-define(TRIES, 3).
%% An agent that was not used for so long is asked whether it is there, in milliseconds: less than it waits.
-define(FRESH, 20000).
%% How long release/1 waits for a node that does not answer, in milliseconds.
-define(RELEASING, 5000).

%% The answer, as of py_job:run/1. Throws what py_job:route/2 throws.
-spec run(py_nif:op(), place(), py_opts:local()) -> {ok, term()} | {error, py:reason()}.
run(Op, Place, Call) ->
    answer(at(Place, call, Op, Call)).

%% Opens a stream: what is its handle, and the time of its steps.
-spec open(py_nif:op(), Prefetch :: non_neg_integer(), place(), py_opts:local()) ->
          {ok, py_nif:stream() | {remote, agent(), Id :: reference(), Owner :: pid()}, timeout()} | {error, py:reason()}.
open(Op, Prefetch, Place, {Name, _, Wanted, _} = Call) ->
    case answer(at(Place, {stream, Prefetch}, Op, Call)) of
        {ok, {py_stream, Id, Host}} ->
            {Agent, _, _} = get(?AGENT(node(Host))),
            {ok, {remote, Agent, Id, self()}, step_time(Wanted, node(Host), Name)};
        {ok, Handle} -> {ok, Handle, step_time(Wanted, node(), Name)};
        {error, _} = Error -> Error
    end.

step_time(default, Node, Name) when Node =:= node() ->
    case py_pool_owner:lookup(Name) of
        #py_pool{default_timeout = Timeout} -> Timeout;
        undefined -> infinity
    end;
step_time(default, Node, Name) ->
    case get(?AGENT(Node)) of
        {_, #{Name := Timeout}, _} -> Timeout;
        _ -> infinity
    end;
step_time(Timeout, _Node, _Name) ->
    Timeout.

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
            case counted(Name, Home, Try) of
                {refused, {Why, _} = Reason} when Why =:= nodedown; Why =:= no_pool ->
                    leave(Name, Home),
                    next(Op, Call, Try, [Home], Reason);
                Result ->
                    settled(Op, Call, Home, Result)
            end
    end.

next(Op, {Name, _, _, _} = Call, Try, Tried, Reason) ->
    case py_nodes:least(Name, Tried) of
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

counted(Name, Node, Try) ->
    ok = py_nodes:begun(Name, Node),
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

-spec once(node(), call | {stream, non_neg_integer()}, py_nif:op(), [reference()], py_opts:local(), integer()) -> result().
once(Node, _What, Op, _Objects, Call, Since) when Node =:= node() ->
    py_job:attempt(py_job:route(Op, with_time_left(Call, Since)));
once(Node, What, Op, Objects, Call, Since) ->
    with_agent(Node, Call, Since, fun(Agent, Deadline, Timed) -> submit(Agent, What, Op, Objects, Timed, Deadline) end).

with_time_left({Name, Worker, Wanted, Flags}, Since) when is_integer(Wanted) ->
    {Name, Worker, remaining(Since + Wanted), Flags};
with_time_left(Call, _Since) ->
    Call.

%% Fun gives `gone' if the agent has ended by itself and nothing was begun.
with_agent(Node, Call, Since, Fun) ->
    with_agent(Node, Call, Since, Fun, ?TRIES).

with_agent(Node, {Name, Worker, Wanted, Flags} = Call, Since, Fun, Tries) ->
    case agent(Node, Name, until(Wanted, infinity, Since)) of
        {ok, Agent, Default} ->
            Deadline = until(Wanted, Default, Since),
            case Fun(Agent, Deadline, {Name, Worker, remaining(Deadline), Flags}) of
                gone when Tries > 1 ->
                    _ = erase(?AGENT(Node)),
                    with_agent(Node, Call, Since, Fun, Tries - 1);
                gone ->
                    {refused, {nodedown, Node}};
                Result ->
                    Result
            end;
        {error, Reason} ->
            {refused, Reason}
    end.

until(default, Default, Since) -> until(Default, Default, Since);
until(infinity, _Default, _Since) -> infinity;
until(Timeout, _Default, Since) -> Since + Timeout.

submit({_, To} = Agent, What, Op, Objects, Call, Deadline) ->
    case watched(Agent) of
        gone ->
            gone;
        Alias ->
            case send(To, {py_submit, Alias, none, What, Op, Objects, Call}, Deadline) of
                ok ->
                    receive
                        {py_response, Alias, Answer} -> Answer;
                        {py_error, Alias, Reason} -> {error, Reason};
                        {py_refused, Alias, Reason} -> {refused, Reason};
                        {'DOWN', Alias, process, _, Reason} -> down(Reason, Agent)
                    after remaining(Deadline) ->
                        given_up(Agent, Alias, timeout)
                    end;
                Unsent ->
                    unsent(Unsent, Alias)
            end
    end.

%% Where the answer shall go, and with it word should the agent end.
watched({Link, _}) ->
    case is_process_alive(Link) of
        true -> erlang:monitor(process, Link, [{alias, reply_demonitor}]);
        false -> gone
    end.

%% What came in the last moment counts.
given_up(Agent, Alias, Why) ->
    true = erlang:demonitor(Alias, [flush]),
    receive
        {py_response, Alias, Answer} -> Answer;
        {py_error, Alias, Reason} -> {error, Reason};
        {py_refused, Alias, Reason} -> {refused, Reason}
    after 0 ->
        ok = tell(Agent, {py_abandon, Alias, Why}),
        {error, Why}
    end.

%% Something that the agent has to know some time.
-spec tell(agent(), term()) -> ok.
tell({Link, To}, Message) ->
    case erlang:send(To, Message, [noconnect, nosuspend]) of
        nosuspend -> Link ! {py_tell, Message}, ok;
        _ -> ok
    end.

unsent(Unsent, Alias) ->
    true = erlang:demonitor(Alias, [flush]),
    case Unsent of
        noconnect -> gone;
        timeout -> {refused, timeout}
    end.

%% The agent's ends by itself are with nothing under way.
down({shutdown, Reason}, _Agent) when Reason =:= idle; Reason =:= stopped -> gone;
down({shutdown, noconnection}, {_, To}) -> {error, {nodedown, node(To)}};
down(_Killed, _Agent) -> {error, cancelled}.

%% A connection whose buffer is full would hold the caller up beyond its time.
send(To, Message, Deadline) ->
    case erlang:send(To, Message, [noconnect, nosuspend]) of
        nosuspend ->
            case remaining(Deadline) of
                0 ->
                    timeout;
                _ ->
                    receive after 1 -> ok end,
                    send(To, Message, Deadline)
            end;
        Said ->
            Said
    end.

%% Agents -----------------------------------------------------------------------

agent(Node, Name, Deadline) ->
    case get(?AGENT(Node)) of
        {Agent, #{Name := Default}, _} -> {ok, Agent, Default};
        {Agent, _, _} -> acquainted(Node, Agent, Name, Deadline);
        undefined -> new_agent(Node, {pool, Name}, Deadline)
    end.

%% An agent that was not asked about this pool before.
acquainted(Node, Agent, Name, Deadline) ->
    case ask(Agent, {default_timeout, Name}, remaining(Deadline)) of
        {answer, no_pool} ->
            {error, {no_pool, Name}};
        {answer, Default} ->
            {_, Defaults, Used} = get(?AGENT(Node)),
            _ = put(?AGENT(Node), {Agent, Defaults#{Name => Default}, Used}),
            {ok, Agent, Default};
        timeout ->
            {error, timeout};
        _Ended ->
            _ = erase(?AGENT(Node)),
            new_agent(Node, {pool, Name}, Deadline)
    end.

new_agent(Node, Wanted, Deadline) ->
    case py_remote_link:start(Node, Wanted, remaining(Deadline)) of
        {ok, Link, To, Default} ->
            _ = put(?AGENT(Node), {{Link, To}, defaults(Wanted, Default), now_ms()}),
            {ok, {Link, To}, Default};
        {error, _} = Error ->
            Error
    end.

defaults({pool, Name}, Default) -> #{Name => Default};
defaults(none, _Default) -> #{}.

%% Asks an agent, for at most so long. `gone': it had ended before.
-spec ask(agent(), term(), timeout()) -> {answer, term()} | {error, py:reason()} | gone | timeout.
ask({_, To} = Agent, Question, Timeout) ->
    Deadline = until(Timeout, infinity, now_ms()),
    case watched(Agent) of
        gone ->
            gone;
        Alias ->
            case send(To, {py_ask, Alias, Question}, Deadline) of
                ok ->
                    receive
                        {py_answer, Alias, Answer} -> {answer, Answer};
                        {'DOWN', Alias, process, _, Reason} -> down(Reason, Agent)
                    after remaining(Deadline) ->
                        true = erlang:demonitor(Alias, [flush]),
                        receive
                            {py_answer, Alias, Answer} -> {answer, Answer}
                        after 0 ->
                            timeout
                        end
                    end;
                Unsent ->
                    true = erlang:demonitor(Alias, [flush]),
                    case Unsent of noconnect -> gone; timeout -> timeout end
            end
    end.

%% Lets an object of another node go, whoever holds it. On a node that is not there it is gone.
-spec release(py_nif:object()) -> ok.
release(Ref) ->
    Node = node(Ref),
    Deadline = now_ms() + ?RELEASING,
    case get(?AGENT(Node)) of
        {Agent, _, _} ->
            case ask(Agent, {release, Ref}, ?RELEASING) of
                gone -> _ = erase(?AGENT(Node)), release_by(new_agent(Node, none, Deadline), Ref, Deadline);
                _ -> ok
            end;
        undefined ->
            release_by(new_agent(Node, none, Deadline), Ref, Deadline)
    end.

release_by({ok, Agent, _}, Ref, Deadline) ->
    _ = ask(Agent, {release, Ref}, remaining(Deadline)),
    ok;
release_by({error, _}, _Ref, _Deadline) ->
    ok.

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
    with_agent(Node, Call, Since, fun(Agent, Deadline, Timed) ->
        case is_there(Node, Agent, Certain, Deadline) of
            true ->
                case send_off(Certain, Agent, Op, Objects, Timed, Deadline) of
                    {ok, Alias} -> {ok, Alias, {remote, Deadline, Agent, counts(Place, Name, Node)}};
                    Refused -> Refused
                end;
            Other ->
                Other
        end
    end).

counts(any, Name, Node) -> {Name, Node};
counts(_Place, _Name, _Node) -> none.

%% What is sent without waiting for a word must not meet an agent that is about to end by itself.
is_there(_Node, _Agent, true, _Deadline) ->
    true;
is_there(Node, Agent, false, Deadline) ->
    Now = now_ms(),
    {Agent, Defaults, Used} = get(?AGENT(Node)),
    Asked = case Now - Used < ?FRESH of
                true -> {answer, fresh};
                false -> ask(Agent, {default_timeout, default}, remaining(Deadline))
            end,
    case Asked of
        {answer, _} -> _ = put(?AGENT(Node), {Agent, Defaults, Now}), true;
        {error, Reason} -> {refused, Reason};
        gone -> gone;
        timeout -> {refused, timeout}
    end.

send_off(Certain, {_, To} = Agent, Op, Objects, Call, Deadline) ->
    case watched(Agent) of
        gone ->
            gone;
        Alias ->
            Ack = case Certain of true -> erlang:alias([reply]); false -> none end,
            case send(To, {py_submit, Alias, Ack, call, Op, Objects, Call}, Deadline) of
                ok -> taken(Ack, Alias, Agent, Deadline);
                Unsent -> unsent(Unsent, Alias)
            end
    end.

taken(none, Alias, _Agent, _Deadline) ->
    {ok, Alias};
taken(Ack, Alias, Agent, Deadline) ->
    receive
        {py_answer, Ack, begun} ->
            {ok, Alias};
        {py_answer, Ack, {refused, _} = Refused} ->
            true = erlang:demonitor(Alias, [flush]),
            Refused;
        {'DOWN', Alias, process, _, Reason} ->
            case down(Reason, Agent) of
                {error, Why} -> {refused, {ended, Why}};
                gone -> gone
            end
    after remaining(Deadline) ->
        _ = erlang:unalias(Ack),
        receive {py_answer, Ack, _} -> ok after 0 -> ok end,
        {error, timeout} = given_up(Agent, Alias, timeout),
        {refused, timeout}
    end.

-spec await(reference(), timeout(), entry()) -> {ok, term()} | {error, py:reason()}.
await(Ref, Timeout, {remote, _Deadline, Agent, Counted}) ->
    Result = case Agent of
                 here -> py_job:receive_answer(Ref, Timeout);
                 _ -> received(Ref, Agent, Timeout)
             end,
    discounted(Counted),
    answer(Result).

received(Alias, Agent, Timeout) ->
    receive
        {py_response, Alias, Answer} -> Answer;
        {py_error, Alias, Reason} -> {error, Reason};
        {py_refused, Alias, Reason} -> {refused, Reason};
        {'DOWN', Alias, process, _, Reason} ->
            case down(Reason, Agent) of
                gone -> {error, cancelled};
                Down -> Down
            end
    after Timeout ->
        given_up(Agent, Alias, timeout)
    end.

discounted(none) -> ok;
discounted({Name, Node}) -> py_nodes:ended(Name, Node).

%% Nothing of the call comes any more, also if its answer was here already.
-spec cancel(reference(), entry()) -> ok.
cancel(Ref, {remote, _Deadline, here, Counted}) ->
    ok = py_job:drop(Ref),
    discounted(Counted);
cancel(Ref, {remote, _Deadline, Agent, Counted}) ->
    _ = given_up(Agent, Ref, cancelled),
    discounted(Counted).

remaining(infinity) -> infinity;
remaining(Deadline) -> max(0, Deadline - now_ms()).

now_ms() ->
    erlang:monotonic_time(millisecond).
