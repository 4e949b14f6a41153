%% @doc Python iterables, step by step: generators, iterators, async generators, and everything else that a
%% `for' or an `async for' takes.
%%
%% Nothing runs without demand: `next/1' and `take/2' run the generator as far as they need and no further.
%% A stream belongs to the process that opened it; it closes (the generator's `finally' blocks run) when it
%% is closed, when a step times out, when that process ends, and when the process drops it.
-module(py_stream).

-include("py_stream.hrl").

-export([open/1, open/2, next/1, next/2, take/2, take/3, send/2, throw/3]).
-export([fold/3, foreach/2, to_list/1, subscribe/2, demand/2, close/1]).
-export([collect/3]).
-export_type([stream/0, source/0, opts/0]).

-opaque stream() :: #py_stream{}.

-type source() :: {call, py:target(), py:name(), Args :: [term()], py:kwargs()}
                | {eval, py:code(), Locals :: py:kwargs()}
                | py:object().

%% `node': where to open it, `any': on the least loaded node that runs the pool. A stream of another node is not
%% closed when the process drops it, but when it ends.
%% `timeout' is of each step, opening included. `prefetch': how many values the generator may be ahead.
-type opts() :: #{timeout => timeout(),
                  pool => atom(),
                  worker => pos_integer(),
                  node => node() | any,
                  traceback => boolean(),
                  atoms => atom | str,
                  prefetch => non_neg_integer()}.

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
    case py_job:open(Route, Prefetch) of
        {ok, {remote, _, _, _} = Handle, Timeout} ->
            {ok, #py_stream{handle = Handle, timeout = Timeout, prefetch = Prefetch, tag = make_ref()}};
        {ok, Handle, Timeout} ->
            py_stream_steps:read_ahead(#py_stream{handle = Handle, timeout = Timeout, prefetch = Prefetch,
                                                  tag = make_ref()});
        {error, _} = Error ->
            Error
    end.

%% @doc The next value, or the end. The end is told once; after it there is `{error, closed}'.
-spec next(stream()) -> {ok, term()} | {done, Returned :: term()} | {error, py:reason()}.
next(#py_stream{timeout = Timeout} = Stream) ->
    py_stream_steps:one(Stream, next, Timeout);
next(Stream) ->
    ?BADARG([Stream], not_a_stream(1)).

-spec next(stream(), timeout()) -> {ok, term()} | {done, Returned :: term()} | {error, py:reason()}.
next(Stream, Timeout) ->
    try
        py_stream_steps:one(checked(Stream, 1), next, py_opts:timeout(Timeout, 2))
    catch
        throw:{badarg, Cause} -> ?BADARG([Stream, Timeout], Cause)
    end.

%% @doc Up to N values. Fewer come only before an end or an error, which the following `next/1' tells.
-spec take(stream(), pos_integer()) -> {ok, [term()]} | {error, py:reason()}.
take(Stream, N) ->
    try
        #py_stream{timeout = Timeout} = checked(Stream, 1),
        py_stream_steps:several(Stream, count(N, 2), Timeout)
    catch
        throw:{badarg, Cause} -> ?BADARG([Stream, N], Cause)
    end.

%% @doc The timeout is for all of them. Values that were there in time are not lost.
-spec take(stream(), pos_integer(), timeout()) -> {ok, [term()]} | {error, py:reason()}.
take(Stream, N, Timeout) ->
    try
        py_stream_steps:several(checked(Stream, 1), count(N, 2), py_opts:timeout(Timeout, 3))
    catch
        throw:{badarg, Cause} -> ?BADARG([Stream, N, Timeout], Cause)
    end.

%% @doc Sends a value into a generator: its `yield' evaluates to it. The answer is the next value.
-spec send(stream(), term()) -> {ok, term()} | {done, Returned :: term()} | {error, py:reason()}.
send(Stream, Value) ->
    try
        #py_stream{timeout = Timeout} = checked(Stream, 1),
        py_stream_steps:one(Stream, {send, Value}, Timeout)
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
        py_stream_steps:one(Stream, {throw, Raised}, Timeout)
    catch
        throw:{badarg, Cause} -> ?BADARG([Stream, Class, Message], Cause)
    end.

%% @doc Folds over all values, then closes the stream. Each value comes as soon as it is made, while the
%% generator may be up to 512 values ahead.
-spec fold(fun((Value :: term(), Acc) -> Acc), Acc, stream()) -> {ok, Acc} | {error, py:reason()}.
fold(Fun, Acc, Stream) when is_function(Fun, 2) ->
    try
        py_stream_steps:all(Fun, Acc, checked(Stream, 3))
    catch
        throw:{badarg, Cause} -> ?BADARG([Fun, Acc, Stream], Cause)
    end;
fold(Fun, Acc, Stream) ->
    ?BADARG([Fun, Acc, Stream], {1, <<"Fun is not a function of two arguments">>}).

%% @doc As `fold/3', for what Fun does.
-spec foreach(fun((Value :: term()) -> term()), stream()) -> ok | {error, py:reason()}.
foreach(Fun, Stream) when is_function(Fun, 1) ->
    try py_stream_steps:all(fun(Value, ok) -> _ = Fun(Value), ok end, ok, checked(Stream, 2)) of
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
    whole(py_stream_steps:pull(Stream, infinity, next, true, py_stream_steps:deadline(Timeout)));
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
        case checked(Stream, 1) of
            #py_stream{handle = {remote, _, _, _}} -> py_remote_stream:subscribe(Stream, wanted(Opts));
            #py_stream{handle = Handle} -> subscribe_at_home(Handle, make_ref(), wanted(Opts))
        end
    catch
        throw:{badarg, Cause} -> ?BADARG([Stream, Opts], Cause)
    end.

subscribe_at_home(Handle, Ref, Count) ->
    case py_nif:stream_push(Handle, Ref, Count, true) of
        wait -> {ok, Ref};
        {ended, {done, _}} -> self() ! {py_end, Ref}, {ok, Ref};
        {ended, {error, Reason}} -> self() ! {py_error, Ref, Reason}, {ok, Ref};
        {error, _} = Error -> Error
    end.

%% @doc Asks for N more values of a stream that is subscribed to. Of one that has ended nothing more comes.
-spec demand(stream(), pos_integer()) -> ok | {error, py:reason()}.
demand(Stream, N) ->
    try
        case checked(Stream, 1) of
            #py_stream{handle = {remote, _, _, _}} -> py_remote_stream:demand(Stream, count(N, 2));
            #py_stream{handle = Handle} -> demanded(py_nif:stream_demand(Handle, count(N, 2)))
        end
    catch
        throw:{badarg, Cause} -> ?BADARG([Stream, N], Cause)
    end.

demanded({error, _} = Error) -> Error;
demanded(_OkOrEnded) -> ok.

%% @doc Closes a stream; a second time does nothing. When it returns, the `finally' blocks of the generator
%% have run (it waits for them up to five seconds).
-spec close(stream()) -> ok | {error, not_owner}.
close(Stream) ->
    try
        py_stream_steps:close(checked(Stream, 1))
    catch
        throw:{badarg, Cause} -> ?BADARG([Stream], Cause)
    end.

%% For py:stream and py:stream_eval: opens, collects up to Limit values, closes.
-spec collect(py_nif:op(), py_opts:call(), Limit :: non_neg_integer() | infinity) ->
          {ok, [term()]} | {error, py:reason()}.
collect(Op, Call, Limit) ->
    Began = erlang:monotonic_time(millisecond),
    case start(py_job:route({stream, Op}, Call), 0) of
        {ok, Stream} when Limit =:= 0 -> ok = py_stream_steps:close(Stream), {ok, []};
        {ok, Stream} -> limited(Stream, py_stream_steps:pull(Stream, Limit, next, true, deadline(Began, Stream)));
        {error, _} = Error -> Error
    end.

deadline(_Began, #py_stream{timeout = infinity}) -> infinity;
deadline(Began, #py_stream{timeout = Timeout}) -> Began + Timeout.

limited(Stream, {_Values, stop} = Pulled) ->
    ok = py_stream_steps:close(Stream),
    whole(Pulled);
limited(_Stream, Pulled) ->
    whole(Pulled).

whole({Values, stop}) -> {ok, Values};
whole({Values, {done, _Returned}}) -> {ok, Values};
whole({_Values, {error, _} = Error}) -> Error;
whole({_Values, timeout}) -> {error, timeout}.

%% Arguments --------------------------------------------------------------------

checked(#py_stream{} = Stream, _Position) -> Stream;
checked(_Stream, Position) -> throw({badarg, not_a_stream(Position)}).

not_a_stream(Position) -> {Position, <<"Stream is not a stream of py_stream:open">>}.

count(N, _Position) when is_integer(N), N > 0, N =< 16#FFFFFFFFFFFFFFFF -> N;
count(_N, Position) -> py_error:bad_argument(Position, <<"N is not a positive integer">>).

wanted(#{demand := N} = Opts) when is_integer(N), N > 0, N =< 16#FFFFFFFFFFFFFFFF, map_size(Opts) =:= 1 -> N;
wanted(_Opts) -> py_error:bad_argument(2, <<"Opts is not #{demand => N} with a positive integer">>).
