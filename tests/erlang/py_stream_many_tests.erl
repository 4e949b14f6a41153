%% Many streams on one worker, and their neighbours.
-module(py_stream_many_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

-define(WORKER, #{worker => 1}).
-define(MANY, 10000).

many_test_() ->
    py_stream_test:cases(?MODULE, 180).

define() ->
    ok = py:exec("
import itertools

ended = 0

def numbered(n):
    global ended
    try:
        yield n
        yield -n
        yield from itertools.count()
    finally:
        ended += 1

async def anumbered(n):
    for value in numbered(n):
        yield value
", ?WORKER).

open_many(Fun) ->
    define(),
    [begin
         {ok, Stream} = py_stream:open({call, '__main__', Fun, [N], #{}}, ?WORKER),
         {N, Stream}
     end || N <- lists:seq(1, ?MANY)].

open_of_worker() ->
    {ok, #{streams := All, workers := Workers}} = py_pool:stats(default),
    {All, [Open || #{streams := Open} <- Workers]}.

close_all(Streams) ->
    [ok = py_stream:close(Stream) || {_, Stream} <- Streams],
    ?assertEqual({0, [0, 0, 0, 0]}, open_of_worker()),
    ?assertEqual([], py_test:mailbox()).

case_each_is_asked_for_one() ->
    Streams = open_many(numbered),
    ?assertEqual({?MANY, [?MANY, 0, 0, 0]}, open_of_worker()),
    [?assertEqual({ok, N}, py_stream:next(Stream)) || {N, Stream} <- Streams],
    [?assertEqual({ok, -N}, py_stream:next(Stream)) || {N, Stream} <- lists:reverse(Streams)],
    ?assertEqual({ok, 0}, py:eval("ended", #{}, ?WORKER)),
    close_all(Streams),
    ?assertEqual({ok, ?MANY}, py:eval("ended", #{}, ?WORKER)).

%% All of them want something at the same moment. The queue of calls, which has room for
%% as many, is not what they wait in.
case_all_are_asked_at_once() ->
    Streams = open_many(numbered),
    Busy = py:call_async(time, sleep, [0.5], #{}, ?WORKER),
    Subscribed = [begin
                      {ok, Ref} = py_stream:subscribe(Stream, #{demand => 1}),
                      {N, Ref}
                  end || {N, Stream} <- Streams],
    ?assertEqual({ok, 2}, py:eval("1 + 1", #{}, ?WORKER)),
    {ok, none} = py:await(Busy),
    [receive {py_chunk, Ref, N} -> ok after 20000 -> error({missing, N}) end || {N, Ref} <- Subscribed],
    {ok, #{overloads := 0}} = py_pool:stats(default),
    close_all(Streams).

case_async_generators_too() ->
    Streams = open_many(anumbered),
    [?assertEqual({ok, N}, py_stream:next(Stream)) || {N, Stream} <- Streams],
    Subscribed = [{N, element(2, py_stream:subscribe(Stream, #{demand => 1}))} || {N, Stream} <- Streams],
    [receive {py_chunk, Ref, Minus} when Minus =:= -N -> ok after 20000 -> error({missing, N}) end
     || {N, Ref} <- Subscribed],
    close_all(Streams).

%% Each in a process of its own, and all these die at the same moment.
case_ten_thousand_processes() ->
    define(),
    Parent = self(),
    Pids = [spawn_link(fun() ->
                {ok, Stream} = py_stream:open({call, '__main__', numbered, [N], #{}}, ?WORKER),
                receive go -> ok end,
                {ok, N} = py_stream:next(Stream),
                Parent ! {self(), ok},
                receive stop -> ok end
            end) || N <- lists:seq(1, ?MANY)],
    py_test:wait_until(fun() -> {?MANY, [?MANY, 0, 0, 0]} =:= open_of_worker() end, 60000),
    [Pid ! go || Pid <- Pids],
    [receive {Pid, ok} -> ok after 20000 -> error(stands) end || Pid <- Pids],
    [Pid ! stop || Pid <- Pids],
    py_test:wait_until(fun() -> {0, [0, 0, 0, 0]} =:= open_of_worker() end, 60000),
    ?assertEqual({ok, ?MANY}, py:eval("ended", #{}, ?WORKER)).

%% Fairness ---------------------------------------------------------------------------

%% While Consume has endless cheap values, calls on the same worker are answered.
answered_beside(Consume) ->
    define(),
    Consumer = spawn_link(fun() ->
        {ok, Stream} = py_stream:open({eval, "iter(int, 1)", #{}}, ?WORKER),
        Consume(Stream)
    end),
    py_test:wait_until(fun() -> py_stream_test:open_streams() =:= 1 end, 3000),
    {Time, _} = py_test:elapsed(fun() ->
        [?assertEqual({ok, N + 1}, py:eval("n + 1", #{n => N}, #{worker => 1, timeout => 5000})) || N <- lists:seq(1, 200)]
    end),
    {ok, Other} = py_stream:open({call, '__main__', numbered, [7], #{}}, ?WORKER),
    ?assertEqual({ok, [7, -7]}, py_stream:take(Other, 2, 5000)),
    ok = py_stream:close(Other),
    unlink(Consumer),
    exit(Consumer, kill),
    py_test:wait_until(fun() -> py_stream_test:open_streams() =:= 0 end, 3000),
    ?assert(Time < 8000).

case_calls_beside_a_fold() ->
    answered_beside(fun(Stream) -> py_stream:fold(fun(_, Sum) -> Sum end, 0, Stream) end).

case_calls_beside_a_subscription() ->
    answered_beside(fun(Stream) ->
        {ok, Ref} = py_stream:subscribe(Stream, #{demand => 2000}),
        subscribed(Stream, Ref, 1)
    end).

subscribed(Stream, Ref, 1000) ->
    ok = py_stream:demand(Stream, 1000),
    subscribed(Stream, Ref, 0);
subscribed(Stream, Ref, N) ->
    receive {py_chunk, Ref, 0} -> subscribed(Stream, Ref, N + 1) end.

case_calls_beside_takes() ->
    [answered_beside(fun Take(Stream) -> {ok, _} = py_stream:take(Stream, Count), Take(Stream) end)
     || Count <- [1, 1000, 300000]].

%% An async generator that never waits is no worse.
case_calls_beside_an_async_generator() ->
    ok = py:exec("async def zeros():\n    while True:\n        yield 0", ?WORKER),
    answered_beside(fun(Other) ->
        ok = py_stream:close(Other),
        {ok, Stream} = py_stream:open({call, '__main__', zeros, [], #{}}, ?WORKER),
        py_stream:fold(fun(_, Sum) -> Sum end, 0, Stream)
    end).

%% Streams beside streams: none starves.
case_endless_streams_share_a_worker() ->
    define(),
    Parent = self(),
    Pids = [spawn_link(fun() ->
                {ok, Stream} = py_stream:open({call, '__main__', numbered, [N], #{}}, ?WORKER),
                Told = fun(20000, _) -> Parent ! {self(), enough}, ok;
                          (_, _) -> ok
                       end,
                py_stream:fold(Told, ok, Stream)
            end) || N <- lists:seq(1, 20)],
    [receive {Pid, enough} -> ok after 30000 -> error(starved) end || Pid <- Pids],
    [begin unlink(Pid), exit(Pid, kill) end || Pid <- Pids].
