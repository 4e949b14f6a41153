%% @doc Python iterables, step by step: generators, iterators, async generators, and everything else that a
%% `for' or an `async for' takes.
%%
%% Nothing runs without demand: `next/1' and `take/2' run the generator as far as they need and no further.
%% A stream belongs to the process that opened it; it closes (the generator's `finally' blocks run) when it
%% is closed, when a step times out, when that process ends, and when the process drops it.
-module(py_stream).

-export([open/1, open/2, next/1, next/2, take/2, take/3, send/2, throw/3]).
-export([fold/3, foreach/2, to_list/1, subscribe/2, demand/2, close/1]).
-export([collect/3]).
-export_type([stream/0, source/0, opts/0]).

%% `tag': what the messages of a stream that is read ahead carry.
-record(py_stream, {handle :: py_nif:stream(),
                    timeout :: timeout(),
                    prefetch :: non_neg_integer(),
                    tag :: reference()}).

-opaque stream() :: #py_stream{}.

-type source() :: {call, py:target(), py:name(), Args :: [term()], py:kwargs()}
                | {eval, py:code(), Locals :: py:kwargs()}
                | py:object().

%% `timeout' is of each step, opening included. `prefetch': how many values the generator may be ahead.
-type opts() :: #{timeout => timeout(),
                  pool => atom(),
                  worker => pos_integer(),
                  traceback => boolean(),
                  atoms => atom | str,
                  prefetch => non_neg_integer()}.

%% Values under way to fold/3 and foreach/2, at most.
-define(WINDOW, 512).
%% How long a caller that gives up waits for values that are being converted, in milliseconds.
-define(PATIENCE, 10).
%% How long close/1 waits for `finally' blocks, in milliseconds.
-define(CLOSING, 5000).

-define(BADARG(Args, Cause), erlang:error(badarg, Args, py_error:info(Cause))).

%% @doc Opens a stream over what a call or an expression gives, or over an object. No value is made yet.
-spec open(source()) -> {ok, stream()} | {error, py:reason()}.
open(Source) ->
    try
        start(py_job:route({stream, py_op:source(Source)}, py_opts:none()), 0)
    catch
        throw:{badarg, Cause} -> ?BADARG([Source], Cause)
    end.

-spec open(source(), opts()) -> {ok, stream()} | {error, py:reason()}.
open(Source, Opts) ->
    try
        {Prefetch, Call} = py_opts:stream(Opts, prefetch, 0, 2),
        start(py_job:route({stream, py_op:source(Source)}, Call), Prefetch)
    catch
        throw:{badarg, Cause} -> ?BADARG([Source, Opts], Cause)
    end.

start(Route, Prefetch) ->
    case py_job:run(Route) of
        {ok, Handle} ->
            read_ahead(#py_stream{handle = Handle, timeout = py_job:timeout(Route), prefetch = Prefetch,
                                  tag = make_ref()});
        {error, _} = Error ->
            Error
    end.

read_ahead(#py_stream{prefetch = 0} = Stream) ->
    {ok, Stream};
read_ahead(#py_stream{handle = Handle, prefetch = Prefetch, tag = Tag} = Stream) ->
    case py_nif:stream_push(Handle, Tag, Prefetch, false) of
        wait -> {ok, Stream};
        {error, _} = Error -> Error
    end.

%% @doc The next value, or the end. The end is told once; after it there is `{error, closed}'.
-spec next(stream()) -> {ok, term()} | {done, Returned :: term()} | {error, py:reason()}.
next(#py_stream{timeout = Timeout} = Stream) ->
    step(Stream, next, Timeout);
next(Stream) ->
    ?BADARG([Stream], not_a_stream(1)).

-spec next(stream(), timeout()) -> {ok, term()} | {done, Returned :: term()} | {error, py:reason()}.
next(Stream, Timeout) ->
    try
        step(checked(Stream, 1), next, py_opts:timeout(Timeout, 2))
    catch
        throw:{badarg, Cause} -> ?BADARG([Stream, Timeout], Cause)
    end.

%% @doc Up to N values. Fewer come only before an end or an error, which the following `next/1' tells.
-spec take(stream(), pos_integer()) -> {ok, [term()]} | {error, py:reason()}.
take(Stream, N) ->
    try
        #py_stream{timeout = Timeout} = checked(Stream, 1),
        several(Stream, count(N, 2), Timeout)
    catch
        throw:{badarg, Cause} -> ?BADARG([Stream, N], Cause)
    end.

%% @doc The timeout is for all of them. Values that were there in time are not lost.
-spec take(stream(), pos_integer(), timeout()) -> {ok, [term()]} | {error, py:reason()}.
take(Stream, N, Timeout) ->
    try
        several(checked(Stream, 1), count(N, 2), py_opts:timeout(Timeout, 3))
    catch
        throw:{badarg, Cause} -> ?BADARG([Stream, N, Timeout], Cause)
    end.

%% @doc Sends a value into a generator: its `yield' evaluates to it. The answer is the next value.
-spec send(stream(), term()) -> {ok, term()} | {done, Returned :: term()} | {error, py:reason()}.
send(Stream, Value) ->
    try
        #py_stream{timeout = Timeout} = checked(Stream, 1),
        step(Stream, {send, Value}, Timeout)
    catch
        throw:{badarg, Cause} -> ?BADARG([Stream, Value], Cause)
    end.

%% @doc Raises an exception in a generator, where it waits at a `yield'. Class is a builtin exception, one of
%% `__main__', or `"module.Class"'.
-spec throw(stream(), Class :: py:name(), Message :: py:name()) ->
          {ok, term()} | {done, Returned :: term()} | {error, py:reason()}.
throw(Stream, Class, Message) ->
    try
        #py_stream{timeout = Timeout} = checked(Stream, 1),
        Raised = {py_names:text(Class, 2, <<"Class">>), py_names:text(Message, 3, <<"Message">>)},
        step(Stream, {throw, Raised}, Timeout)
    catch
        throw:{badarg, Cause} -> ?BADARG([Stream, Class, Message], Cause)
    end.

%% @doc Folds over all values, then closes the stream. Each value comes as soon as it is made, while the
%% generator may be up to 512 values ahead.
-spec fold(fun((Value :: term(), Acc) -> Acc), Acc, stream()) -> {ok, Acc} | {error, py:reason()}.
fold(Fun, Acc, Stream) when is_function(Fun, 2) ->
    try
        all(Fun, Acc, checked(Stream, 3))
    catch
        throw:{badarg, Cause} -> ?BADARG([Fun, Acc, Stream], Cause)
    end;
fold(Fun, Acc, Stream) ->
    ?BADARG([Fun, Acc, Stream], {1, <<"Fun is not a function of two arguments">>}).

%% @doc As `fold/3', for what Fun does.
-spec foreach(fun((Value :: term()) -> term()), stream()) -> ok | {error, py:reason()}.
foreach(Fun, Stream) when is_function(Fun, 1) ->
    try all(fun(Value, ok) -> _ = Fun(Value), ok end, ok, checked(Stream, 2)) of
        {ok, ok} -> ok;
        {error, _} = Error -> Error
    catch
        throw:{badarg, Cause} -> ?BADARG([Fun, Stream], Cause)
    end;
foreach(Fun, Stream) ->
    ?BADARG([Fun, Stream], {1, <<"Fun is not a function of one argument">>}).

%% @doc All the values that are left. An error says nothing of the values before it.
-spec to_list(stream()) -> {ok, [term()]} | {error, py:reason()}.
to_list(#py_stream{prefetch = 0, timeout = Timeout} = Stream) ->
    whole(pull(Stream, infinity, next, true, deadline(Timeout)));
to_list(#py_stream{} = Stream) ->
    case fold(fun(Value, Values) -> [Value | Values] end, [], Stream) of
        {ok, Values} -> {ok, lists:reverse(Values)};
        {error, _} = Error -> Error
    end;
to_list(Stream) ->
    ?BADARG([Stream], not_a_stream(1)).

%% @doc From now on values come as messages, as many as are asked for: `{py_chunk, Ref, V}' each, then
%% `{py_end, Ref}' or `{py_error, Ref, Reason}'.
-spec subscribe(stream(), #{demand := pos_integer()}) -> {ok, Ref :: reference()} | {error, py:reason()}.
subscribe(Stream, Opts) ->
    try
        #py_stream{handle = Handle} = checked(Stream, 1),
        Ref = make_ref(),
        case py_nif:stream_push(Handle, Ref, wanted(Opts), true) of
            wait -> {ok, Ref};
            {ended, {done, _}} -> self() ! {py_end, Ref}, {ok, Ref};
            {ended, {error, Reason}} -> self() ! {py_error, Ref, Reason}, {ok, Ref};
            {error, _} = Error -> Error
        end
    catch
        throw:{badarg, Cause} -> ?BADARG([Stream, Opts], Cause)
    end.

%% @doc Asks for N more values of a stream that is subscribed to. Of one that has ended nothing more comes.
-spec demand(stream(), pos_integer()) -> ok | {error, py:reason()}.
demand(Stream, N) ->
    try
        #py_stream{handle = Handle} = checked(Stream, 1),
        case py_nif:stream_demand(Handle, count(N, 2)) of
            ok -> ok;
            ended -> ok;
            {error, _} = Error -> Error
        end
    catch
        throw:{badarg, Cause} -> ?BADARG([Stream, N], Cause)
    end.

%% @doc Closes a stream; a second time does nothing. When it returns, the `finally' blocks of the generator
%% have run (it waits for them up to five seconds).
-spec close(stream()) -> ok | {error, not_owner}.
close(Stream) ->
    try
        finish(checked(Stream, 1))
    catch
        throw:{badarg, Cause} -> ?BADARG([Stream], Cause)
    end.

%% For py:stream and py:stream_eval: opens, collects up to Limit values, closes.
-spec collect(py_nif:op(), py_opts:call(), Limit :: non_neg_integer() | infinity) ->
          {ok, [term()]} | {error, py:reason()}.
collect(Op, Call, Limit) ->
    Route = py_job:route({stream, Op}, Call),
    Deadline = deadline(py_job:timeout(Route)),
    case start(Route, 0) of
        {ok, Stream} when Limit =:= 0 -> ok = finish(Stream), {ok, []};
        {ok, Stream} -> limited(Stream, pull(Stream, Limit, next, true, Deadline));
        {error, _} = Error -> Error
    end.

limited(Stream, {_Values, stop} = Pulled) ->
    ok = finish(Stream),
    whole(Pulled);
limited(_Stream, Pulled) ->
    whole(Pulled).

whole({Values, stop}) -> {ok, Values};
whole({Values, {done, _Returned}}) -> {ok, Values};
whole({_Values, {error, _} = Error}) -> Error;
whole({_Values, timeout}) -> {error, timeout}.

%% One value --------------------------------------------------------------------

step(#py_stream{prefetch = 0, handle = Handle} = Stream, What, Timeout) ->
    Tag = make_ref(),
    case py_nif:stream_pull(Handle, Tag, 1, What, true) of
        wait ->
            receive
                {py_stream, Tag, [Value], _} -> {ok, Value};
                {py_stream, Tag, [], End} -> End
            after Timeout ->
                one(give_up(Stream, Tag, [], patience()))
            end;
        Refused ->
            refused(Refused)
    end;
step(#py_stream{handle = Handle, tag = Tag} = Stream, next, Timeout) ->
    Wait = case py_nif:stream_demand(Handle, 1) of
               ok -> Timeout;
               ended -> 0;
               {error, _} = Error -> Error
           end,
    ahead(Stream, Tag, Wait);
step(_Stream, _What, _Timeout) ->
    {error, subscribed}.

ahead(_Stream, _Tag, {error, _} = Error) ->
    Error;
ahead(#py_stream{handle = Handle} = Stream, Tag, Timeout) ->
    receive
        {py_chunk, Tag, Value} -> {ok, Value};
        {py_stream, Tag, [], End} -> End
    after Timeout ->
        case py_nif:stream_demand(Handle, 1) of
            ended ->
                {error, closed};
            _ ->
                case quit(Stream) of
                    timeout -> {error, timeout};
                    Came -> Came
                end
        end
    end.

one({[Value], _}) -> {ok, Value};
one({[], timeout}) -> {error, timeout};
one({[], End}) -> End.

refused({ended, End}) -> End;
refused({error, _} = Error) -> Error.

%% Several values ---------------------------------------------------------------

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
    case step(Stream, next, remaining(Deadline)) of
        {ok, Value} ->
            several_ahead(Stream, N - 1, Deadline, [Value | Values]);
        {error, _} = Error when Values =:= [] ->
            Error;
        End ->
            self() ! {py_stream, Tag, [], End},
            {ok, lists:reverse(Values)}
    end.

%% {Values, Next}, where Next is as in the messages, or `timeout'.
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

all(Fun, Acc, #py_stream{prefetch = 0, handle = Handle} = Stream) ->
    Tag = make_ref(),
    case py_nif:stream_push(Handle, Tag, ?WINDOW, false) of
        wait ->
            try
                each(Fun, Acc, Stream#py_stream{tag = Tag}, ?WINDOW div 2)
            catch
                Class:Reason:Stacktrace ->
                    _ = finish(Stream#py_stream{tag = Tag}),
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
            _ = finish(Stream),
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
    case step(Stream, next, Timeout) of
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

finish(#py_stream{handle = Handle, tag = Tag}) ->
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

%% Arguments --------------------------------------------------------------------

checked(#py_stream{} = Stream, _Position) -> Stream;
checked(_Stream, Position) -> throw({badarg, not_a_stream(Position)}).

not_a_stream(Position) -> {Position, <<"Stream is not a stream of py_stream:open">>}.

count(N, _Position) when is_integer(N), N > 0, N =< 16#FFFFFFFFFFFFFFFF -> N;
count(_N, Position) -> py_error:bad_argument(Position, <<"N is not a positive integer">>).

wanted(#{demand := N} = Opts) when is_integer(N), N > 0, N =< 16#FFFFFFFFFFFFFFFF, map_size(Opts) =:= 1 -> N;
wanted(_Opts) -> py_error:bad_argument(2, <<"Opts is not #{demand => N} with a positive integer">>).

deadline(infinity) -> infinity;
deadline(Timeout) -> erlang:monotonic_time(millisecond) + Timeout.

remaining(infinity) -> infinity;
remaining(Deadline) -> max(0, Deadline - erlang:monotonic_time(millisecond)).

patience() -> deadline(?PATIENCE).
