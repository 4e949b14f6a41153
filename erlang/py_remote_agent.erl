%% The agents of the calling process on other nodes: what it asks of them, and what they answer.
%%
%% For each node that a process calls it has an agent there (py_agent), and a link here that ends when the agent
%% does (py_remote_link); its process dictionary alone knows them. A request goes to the agent, and the answer to
%% an alias that is gone as soon as the caller gives up: nothing comes late. The caller's own time is what ends a
%% call. Whatever state the other node or the connection is in, nothing here waits longer, because the caller
%% sends no signal that could hold it up. The link is monitored while something of the agent is awaited.
-module(py_remote_agent).

-export([submit/6, start/6, await/3, cancel/2, ask/3, tell/2, release/1, known/2]).
-export_type([agent/0]).

-type agent() :: {Link :: pid(), Agent :: pid()}.

%% In the process dictionary: {agent(), #{PoolName => DefaultTimeout}, When}, where When is when something was
%% last sent without waiting for an answer.
-define(AGENT(Node), {'$py_agent', Node}).
%% Where the answer shall go, and with it word should the agent end.
-define(ALIAS, [{alias, reply_demonitor}]).
%% A call that finds its agent ended by itself starts another.
-define(TRIES, 3).
%% An agent that was not used for so long is asked whether it is there, in milliseconds: less than it waits.
-define(FRESH, 20000).
%% How long release/1 waits for a node that does not answer, in milliseconds.
-define(RELEASING, 5000).

%% Has a call made or a stream opened, and waits for the answer. Since: when the caller's time began. What is
%% refused was not begun.
-spec submit(node(), call | {stream, Prefetch :: non_neg_integer()}, py_nif:op(), Objects :: [reference()],
             py_opts:local(), Since :: integer()) ->
          {ok, term()} | {error, term()} | {refused, term()}.
submit(Node, What, Op, Objects, Call, Since) ->
    with_agent(Node, Call, Since, fun(Agent, Deadline, Timed) ->
        submit_to(Agent, What, Op, Objects, Timed, Deadline)
    end).

%% Has a call made, to be awaited later. Certain: waits until it was taken.
-spec start(node(), Certain :: boolean(), py_nif:op(), Objects :: [reference()], py_opts:local(),
            Since :: integer()) ->
          {ok, reference(), agent(), Deadline :: infinity | integer()} | {refused, term()}.
start(Node, Certain, Op, Objects, Call, Since) ->
    with_agent(Node, Call, Since, fun(Agent, Deadline, Timed) ->
        case is_there(Node, Agent, Certain, Deadline) of
            true -> send_off(Certain, Agent, Op, Objects, Timed, Deadline);
            Other -> Other
        end
    end).

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

send_off(Certain, {Link, To} = Agent, Op, Objects, Call, Deadline) ->
    case is_process_alive(Link) of
        false ->
            gone;
        true ->
            Alias = erlang:monitor(process, Link, ?ALIAS),
            Ack = case Certain of true -> erlang:alias([reply]); false -> none end,
            case send(To, {py_submit, Alias, Ack, call, Op, Objects, Call}, Deadline) of
                ok -> taken(Ack, Alias, Agent, Deadline);
                Unsent -> ok = no_alias(Ack), unsent(Unsent, Alias)
            end
    end.

no_alias(none) ->
    ok;
no_alias(Ack) ->
    _ = erlang:unalias(Ack),
    ok.

taken(none, Alias, Agent, Deadline) ->
    {ok, Alias, Agent, Deadline};
taken(Ack, Alias, Agent, Deadline) ->
    receive
        {py_answer, Ack, begun} ->
            {ok, Alias, Agent, Deadline};
        {py_answer, Ack, {refused, _} = Refused} ->
            true = erlang:demonitor(Alias, [flush]),
            Refused;
        {'DOWN', Alias, process, _, Reason} ->
            ok = no_alias(Ack),
            case down(Reason, Agent) of
                {error, Why} -> {refused, {ended, Why}};
                gone -> gone
            end
    after remaining(Deadline) ->
        ok = no_alias(Ack),
        receive
            {py_answer, Ack, begun} ->
                {ok, Alias, Agent, Deadline};
            {py_answer, Ack, {refused, _} = Refused} ->
                true = erlang:demonitor(Alias, [flush]),
                Refused
        after 0 ->
            _ = given_up(Agent, Alias, timeout),
            {refused, timeout}
        end
    end.

%% What start/6 began.
-spec await(reference(), agent(), timeout()) -> {ok, term()} | {error, term()} | {refused, term()}.
await(Alias, Agent, Timeout) ->
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

%% Nothing of it comes any more, also if its answer was here already.
-spec cancel(reference(), agent()) -> ok.
cancel(Alias, Agent) ->
    _ = given_up(Agent, Alias, cancelled),
    ok.

%% What passes between the two ------------------------------------------------------

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

%% The alias is made where it is received on, so that the compiler can skip what was in the mailbox before.
submit_to({Link, To} = Agent, What, Op, Objects, Call, Deadline) ->
    case is_process_alive(Link) of
        false ->
            gone;
        true ->
            Alias = erlang:monitor(process, Link, ?ALIAS),
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

%% Something that the agent has to know some time.
-spec tell(agent(), term()) -> ok.
tell({Link, To}, Message) ->
    case erlang:send(To, Message, [noconnect, nosuspend]) of
        nosuspend -> Link ! {py_tell, Message}, ok;
        _ -> ok
    end.

%% Asks an agent, for at most so long. `gone': it had ended before.
-spec ask(agent(), term(), timeout()) -> {answer, term()} | {error, py:reason()} | gone | timeout.
ask({Link, To} = Agent, Question, Timeout) ->
    Deadline = until(Timeout, infinity, now_ms()),
    case is_process_alive(Link) of
        false ->
            gone;
        true ->
            Alias = erlang:monitor(process, Link, ?ALIAS),
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

%% Of a pool whose agent was used before: its default timeout too.
-spec known(node(), Pool :: atom()) -> {agent(), DefaultTimeout :: timeout()}.
known(Node, Name) ->
    {Agent, Defaults, _} = get(?AGENT(Node)),
    {Agent, maps:get(Name, Defaults, infinity)}.

remaining(infinity) -> infinity;
remaining(Deadline) -> max(0, Deadline - now_ms()).

now_ms() ->
    erlang:monotonic_time(millisecond).
