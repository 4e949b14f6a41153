%% A stream of another node: what py_stream_steps does for one at home, by asking the stream's owner there
%% (py_agent_stream) through the agent. Values come when they are asked for, and as many.
-module(py_remote_stream).

-include("py_stream.hrl").

-export([one/3, several/3, pull/3, all/3, subscribe/2, demand/2, close/1]).

%% Values in one message, at most, of a stream that is wanted whole: the other node holds no more of it.
-define(CHUNK, 1000).
%% How much longer than its time a step waits for what the other node says of it, in milliseconds.
-define(PATIENCE, 25).
%% In the process dictionary, of a stream that is closed because the other node did not answer in time.
-define(GIVEN_UP(Id), {'$py_given_up', Id}).
%% How long close/1 waits for the other node, which waits 5 seconds for `finally' blocks, in milliseconds.
-define(CLOSING, 6000).

-spec one(#py_stream{}, next | {send, term()} | {throw, {binary(), binary()}}, timeout()) ->
          {ok, term()} | {done, term()} | {error, py:reason()}.
one(Stream, What, Timeout) ->
    step(Stream, {one, What, Timeout}, Timeout).

-spec several(#py_stream{}, pos_integer(), timeout()) -> {ok, [term()]} | {error, py:reason()}.
several(Stream, N, Timeout) ->
    step(Stream, {several, N, Timeout}, Timeout).

%% As py_stream_steps:pull/5, where the end is told with the values.
-spec pull(#py_stream{}, pos_integer() | infinity, infinity | integer()) ->
          {[term()], stop | timeout | {done, term()} | {error, py:reason()}}.
pull(Stream, Count, Deadline) ->
    pull(Stream, Count, Deadline, []).

pull(Stream, Count, Deadline, Parts) ->
    Timeout = py_stream_steps:remaining(Deadline),
    Chunk = min(Count, ?CHUNK),  % an atom is more than any number
    case step(Stream, {pull, Chunk, Timeout}, Timeout) of
        {Values, stop} when Count =:= infinity ->
            pull(Stream, infinity, Deadline, [Values | Parts]);
        {Values, stop} when Count > Chunk ->
            pull(Stream, Count - Chunk, Deadline, [Values | Parts]);
        {error, _} = Error ->
            {[], Error};
        {Values, End} ->
            {lists:append(lists:reverse(Parts, [Values])), End}
    end.

-spec all(fun((term(), Acc) -> Acc), Acc, #py_stream{}) -> {ok, Acc} | {error, py:reason()}.
all(Fun, Acc, #py_stream{timeout = Timeout} = Stream) ->
    case step(Stream, {some, Timeout}, Timeout) of
        {ok, Values} -> all(Fun, each(Fun, Acc, Values, Stream), Stream);
        {done, _Returned} -> {ok, Acc};
        {error, _} = Error -> Error
    end.

each(Fun, Acc, Values, Stream) ->
    try
        lists:foldl(Fun, Acc, Values)
    catch
        Class:Reason:Stacktrace ->
            _ = close(Stream),
            erlang:raise(Class, Reason, Stacktrace)
    end.

-spec subscribe(#py_stream{}, pos_integer()) -> {ok, reference()} | {error, py:reason()}.
subscribe(#py_stream{handle = {remote, _, _, Owner}, timeout = Timeout} = Stream, Count) when Owner =:= self() ->
    Ref = make_ref(),
    Receiver = py_remote_push:start(Ref),
    case step(Stream, {subscribe, Receiver, Count}, Timeout) of
        {ok, Host} ->
            Receiver ! {py_host, Host},
            {ok, Ref};
        {error, _} = Error ->
            true = exit(Receiver, kill),
            Error
    end;
subscribe(_Stream, _Count) ->
    {error, not_owner}.

-spec demand(#py_stream{}, pos_integer()) -> ok | {error, py:reason()}.
demand(#py_stream{timeout = Timeout} = Stream, Count) ->
    step(Stream, {demand, Count}, Timeout).

-spec close(#py_stream{}) -> ok | {error, not_owner}.
close(#py_stream{handle = {remote, Agent, Id, Owner}}) when Owner =:= self() ->
    _ = erase(?GIVEN_UP(Id)),
    case py_remote_agent:ask(Agent, {stream, Id, [], close}, ?CLOSING) of
        {answer, {error, not_owner} = Error} -> Error;
        _ -> ok
    end;
close(_Stream) ->
    {error, not_owner}.

%% The time is kept there, where the values are that came in time, and watched over here.
step(#py_stream{handle = {remote, Agent, Id, Owner}}, Question, Timeout) when Owner =:= self() ->
    case get(?GIVEN_UP(Id)) of
        undefined -> step(Agent, Id, Question, Timeout);
        true -> {error, closed}
    end;
step(_Stream, _Question, _Timeout) ->
    {error, not_owner}.

step({_, To} = Agent, Id, Question, Timeout) ->
    Objects = py_remote_objects:in(Question),
    case py_remote_objects:same_node(Objects) of
        Where when Where =:= none; Where =:= {node, node(To)} ->
            case py_remote_agent:ask(Agent, {stream, Id, Objects, Question}, patient(Timeout)) of
                {answer, Answer} ->
                    Answer;
                {error, _} = Error ->
                    Error;
                gone ->
                    {error, ended(node(To))};
                timeout ->
                    _ = put(?GIVEN_UP(Id), true),
                    ok = py_remote_agent:tell(Agent, {py_give_up, Id}),
                    {error, timeout}
            end;
        _ ->
            {error, object_gone}
    end.

%% An agent with open streams does not end by itself.
ended(Node) ->
    case lists:member(Node, nodes(connected)) of
        true -> closed;
        false -> {nodedown, Node}
    end.

patient(infinity) -> infinity;
patient(Timeout) -> Timeout + ?PATIENCE.
