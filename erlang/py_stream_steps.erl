%% The conversation between the owner of a stream and the native side: one value, several, all, and the end.
%% Arguments are checked, times are given; see py_nif for the messages.
-module(py_stream_steps).

-include("py_stream.hrl").

-export([one/3, several/3, pull/5, all/3, close/1, deadline/1, remaining/1]).
-export([read_ahead/1, push/1, waiting/2]).

-type end_of_stream() :: {done, Returned :: term()} | {error, py:reason()}.
-type deadline() :: infinity | integer().

%% Values under way to fold/3 and foreach/2, at most.
-define(WINDOW, 512).
%% How long a caller that gives up waits for values that are being converted, in milliseconds.
-define(PATIENCE, 10).
%% How long close/1 waits for `finally' blocks, in milliseconds.
-define(CLOSING, 5000).

%% One value --------------------------------------------------------------------

-spec one(#py_stream{}, next | {send, term()} | {throw, {binary(), binary()}}, timeout()) ->
          {ok, term()} | end_of_stream().
one(#py_stream{handle = {remote, _, _, _}} = Stream, What, Timeout) ->
    py_remote_stream:one(Stream, What, Timeout);
one(#py_stream{prefetch = 0, handle = Handle} = Stream, What, Timeout) ->
    Tag = make_ref(),
    case py_nif:stream_pull(Handle, Tag, 1, What, true) of
        wait ->
            receive
                {py_stream, Tag, [Value], _} -> {ok, Value};
                {py_stream, Tag, [], End} -> End
            after Timeout ->
                single(give_up(Stream, Tag, [], patience()))
            end;
        Refused ->
            refused(Refused)
    end;
one(#py_stream{handle = Handle, tag = Tag} = Stream, next, Timeout) ->
    receive
        {py_chunk, Tag, Value} ->
            _ = py_nif:stream_demand(Handle, 1),
            {ok, Value};
        {py_stream, Tag, [], End} ->
            known(Handle, End)
    after 0 ->
        case py_nif:stream_demand(Handle, 1) of
            ok -> ahead(Stream, Timeout);
            ended -> ahead(Stream, infinity);
            {error, _} = Error -> Error
        end
    end;
one(_Stream, _What, _Timeout) ->
    {error, subscribed}.

ahead(#py_stream{handle = Handle, tag = Tag} = Stream, Timeout) ->
    receive
        {py_chunk, Tag, Value} -> {ok, Value};
        {py_stream, Tag, [], End} -> known(Handle, End)
    after Timeout ->
        case quit(Stream) of
            timeout -> {error, timeout};
            Came -> Came
        end
    end.

%% Has the values come before they are asked for, as many as the stream says.
-spec read_ahead(#py_stream{}) -> {ok, #py_stream{}} | {error, py:reason()}.
read_ahead(#py_stream{prefetch = 0} = Stream) ->
    {ok, Stream};
read_ahead(Stream) ->
    case push(Stream) of
        wait -> {ok, Stream};
        {error, _} = Error -> Error
    end.

-spec push(#py_stream{}) -> wait | end_of_stream().
push(#py_stream{handle = Handle, prefetch = Prefetch, tag = Tag}) ->
    case py_nif:stream_push(Handle, Tag, Prefetch, false) of
        wait -> wait;
        Refused -> refused(Refused)
    end.

%% What is there already of a stream that is read ahead.
-spec waiting(#py_stream{}, Most :: non_neg_integer()) -> [term()].
waiting(#py_stream{handle = Handle, tag = Tag}, Most) ->
    case chunks(Tag, Most) of
        [] -> [];
        Values -> _ = py_nif:stream_demand(Handle, length(Values)), Values
    end.

chunks(_Tag, 0) ->
    [];
chunks(Tag, Most) ->
    receive
        {py_chunk, Tag, Value} -> [Value | chunks(Tag, Most - 1)]
    after 0 ->
        []
    end.

known(Handle, End) ->
    _ = py_nif:stream_close(Handle, none),
    End.

single({[Value], _}) -> {ok, Value};
single({[], timeout}) -> {error, timeout};
single({[], End}) -> End.

refused({ended, End}) -> End;
refused({error, _} = Error) -> Error.

%% Several values ---------------------------------------------------------------

-spec several(#py_stream{}, pos_integer(), timeout()) -> {ok, [term()]} | {error, py:reason()}.
several(#py_stream{handle = {remote, _, _, _}} = Stream, N, Timeout) ->
    py_remote_stream:several(Stream, N, Timeout);
several(#py_stream{prefetch = 0} = Stream, N, Timeout) ->
    case pull(Stream, N, next, false, deadline(Timeout)) of
        {[], {error, _} = Error} -> Error;
        {[], timeout} -> {error, timeout};
        {Values, _} -> {ok, Values}
    end;
several(Stream, N, Timeout) ->
    several_ahead(Stream, N, deadline(Timeout), []).

several_ahead(_Stream, 0, _Deadline, Values) ->
    {ok, lists:reverse(Values)};
several_ahead(#py_stream{tag = Tag} = Stream, N, Deadline, Values) ->
    case one(Stream, next, remaining(Deadline)) of
        {ok, Value} ->
            several_ahead(Stream, N - 1, Deadline, [Value | Values]);
        {error, _} = Error when Values =:= [] ->
            Error;
        End ->
            self() ! {py_stream, Tag, [], End},
            {ok, lists:reverse(Values)}
    end.

%% {Values, Next}, where Next is as in the messages, or `timeout'.
-spec pull(#py_stream{}, pos_integer() | infinity, next, TellEnd :: boolean(), deadline()) ->
          {[term()], stop | timeout | end_of_stream()}.
pull(#py_stream{handle = {remote, _, _, _}} = Stream, Count, next, true, Deadline) ->
    py_remote_stream:pull(Stream, Count, Deadline);
pull(#py_stream{handle = Handle} = Stream, Count, What, TellEnd, Deadline) ->
    Tag = make_ref(),
    case py_nif:stream_pull(Handle, Tag, Count, What, TellEnd) of
        wait -> gather(Stream, Tag, [], Deadline);
        stop -> {[], stop};
        Refused -> {[], refused(Refused)}
    end.

gather(Stream, Tag, Parts, Deadline) ->
    receive
        {py_stream, Tag, Values, more} -> gather(Stream, Tag, [Values | Parts], Deadline);
        {py_stream, Tag, Values, Next} -> {joined([Values | Parts]), Next}
    after remaining(Deadline) ->
        give_up(Stream, Tag, Parts, patience())
    end.

%% What was made until now is not lost, also what comes between the time-out and the native side's knowing.
give_up(#py_stream{handle = Handle} = Stream, Tag, Parts, Patience) ->
    case py_nif:stream_abandon(Handle, remaining(Patience) =:= 0) of
        {abandoned, Values} ->
            {joined([Values | arrived(Tag, Parts)]), timeout};
        again ->
            _ = erlang:yield(),
            give_up(Stream, Tag, Parts, Patience);
        sent ->
            receive
                {py_stream, Tag, Values, more} -> give_up(Stream, Tag, [Values | Parts], Patience);
                {py_stream, Tag, Values, Next} -> {joined([Values | Parts]), Next}
            end
    end.

arrived(Tag, Parts) ->
    receive
        {py_stream, Tag, Values, more} -> arrived(Tag, [Values | Parts])
    after 0 ->
        Parts
    end.

joined([Values]) -> Values;
joined(Parts) -> lists:append(lists:reverse(Parts)).

%% All values -------------------------------------------------------------------

-spec all(fun((term(), Acc) -> Acc), Acc, #py_stream{}) -> {ok, Acc} | {error, py:reason()}.
all(Fun, Acc, #py_stream{handle = {remote, _, _, _}} = Stream) ->
    py_remote_stream:all(Fun, Acc, Stream);
all(Fun, Acc, #py_stream{prefetch = 0, handle = Handle} = Stream) ->
    Tag = make_ref(),
    case py_nif:stream_push(Handle, Tag, ?WINDOW, false) of
        wait ->
            try
                each(Fun, Acc, Stream#py_stream{tag = Tag}, ?WINDOW div 2)
            catch
                Class:Reason:Stacktrace ->
                    _ = close(Stream#py_stream{tag = Tag}),
                    erlang:raise(Class, Reason, Stacktrace)
            end;
        Refused ->
            ended(refused(Refused), Acc)
    end;
all(Fun, Acc, Stream) ->
    try
        each_ahead(Fun, Acc, Stream)
    catch
        Class:Reason:Stacktrace ->
            _ = close(Stream),
            erlang:raise(Class, Reason, Stacktrace)
    end.

each(Fun, Acc, #py_stream{handle = Handle} = Stream, 0) ->
    _ = py_nif:stream_demand(Handle, ?WINDOW div 2),
    each(Fun, Acc, Stream, ?WINDOW div 2);
each(Fun, Acc, #py_stream{tag = Tag, timeout = Timeout} = Stream, Left) ->
    receive
        {py_chunk, Tag, Value} -> each(Fun, Fun(Value, Acc), Stream, Left - 1);
        {py_stream, Tag, [], End} -> ended(End, Acc)
    after Timeout ->
        case quit(Stream) of
            {ok, Value} -> each(Fun, Fun(Value, Acc), Stream, Left - 1);
            timeout -> {error, timeout};
            End -> ended(End, Acc)
        end
    end.

each_ahead(Fun, Acc, #py_stream{timeout = Timeout} = Stream) ->
    case one(Stream, next, Timeout) of
        {ok, Value} -> each_ahead(Fun, Fun(Value, Acc), Stream);
        End -> ended(End, Acc)
    end.

%% Gives up a stream whose values are pushed; what comes at this moment counts.
quit(#py_stream{handle = Handle, tag = Tag}) ->
    case py_nif:stream_abandon(Handle, true) of
        {abandoned, []} ->
            receive
                {py_chunk, Tag, Value} -> self() ! {py_stream, Tag, [], {error, timeout}}, {ok, Value}
            after 0 ->
                timeout
            end;
        sent ->
            receive
                {py_chunk, Tag, Value} -> {ok, Value};
                {py_stream, Tag, [], End} -> End
            end
    end.

ended({done, _Returned}, Acc) -> {ok, Acc};
ended({error, _} = Error, _Acc) -> Error.

%% Closing ----------------------------------------------------------------------

-spec close(#py_stream{}) -> ok | {error, not_owner}.
close(#py_stream{handle = {remote, _, _, _}} = Stream) ->
    py_remote_stream:close(Stream);
close(#py_stream{handle = Handle, tag = Tag}) ->
    Closing = make_ref(),
    case py_nif:stream_close(Handle, Closing) of
        closed ->
            forget(Tag);
        wait ->
            receive
                {py_stream, Closing, [], closed} -> forget(Tag)
            after ?CLOSING ->
                case py_nif:stream_close(Handle, none) of
                    closed -> receive {py_stream, Closing, [], closed} -> forget(Tag) end;
                    wait -> forget(Tag)
                end
            end;
        {error, closed} ->
            ok;
        {error, not_owner} = Error ->
            Error
    end.

%% What was read ahead and nobody wants.
forget(Tag) ->
    receive
        {py_chunk, Tag, _} -> forget(Tag);
        {py_stream, Tag, _, _} -> forget(Tag)
    after 0 ->
        ok
    end.

-spec deadline(timeout()) -> deadline().
deadline(infinity) -> infinity;
deadline(Timeout) -> erlang:monotonic_time(millisecond) + Timeout.

-spec remaining(deadline()) -> timeout().
remaining(infinity) -> infinity;
remaining(Deadline) -> max(0, Deadline - erlang:monotonic_time(millisecond)).

patience() -> deadline(?PATIENCE).
