%% Everything at once on worker processes that crash and hang all the time: each call has one
%% answer, which is right or one of the errors that there are, and nothing stays behind.
-module(py_process_mix_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

-define(SECONDS, 12).
-define(CLIENTS, 24).

mix_test_() ->
    py_test:cases(?MODULE, 120).

case_all_at_once() ->
    py_process_test:with_pool(#{num_workers => 3, grace => 50, preload => source()}, fun(Pool) ->
        Until = erlang:monotonic_time(millisecond) + 1000 * ?SECONDS,
        Clients = [spawn_monitor(fun() -> exit(client(Pool, Until, #{})) end) || _ <- lists:seq(1, ?CLIENTS)],
        Seen = [receive {'DOWN', Monitor, process, Pid, Reason} -> Reason after 60000 -> error({silent, Pid}) end
                || {Pid, Monitor} <- Clients],
        ?assertEqual([], [Each || Each <- Seen, not is_map(Each)]),
        Counts = lists:foldl(fun(Map, Acc) ->
            maps:fold(fun(Key, N, A) -> maps:update_with(Key, fun(M) -> M + N end, N, A) end, Acc, Map)
        end, #{}, Seen),
        {ok, #{restarts := Restarts}} = py_pool:stats(Pool),
        py_process_test:say("~b restarts, ~0p", [Restarts, Counts]),
        ?assert(Restarts > 5),
        [?assert(maps:get(Key, Counts, 0) > 0) || Key <- [ok, timeout, worker_crashed, worker_replaced, object_gone]],
        [py_test:wait_until(fun() -> py:eval("1 + 1", #{}, #{pool => Pool, worker => N}) =:= {ok, 2} end, 10000)
         || N <- [1, 2, 3]],
        py_test:wait_until(fun() ->
            case py_pool:stats(Pool) of
                {ok, #{queued := 0, streams := 0, objects := 0, abandoned := 0}} -> true;
                {ok, Stats} -> Stats
            end
        end, 10000)
    end).

source() -> "
import asyncio, os, time
def count(n, wait=0.0, fails=None):
    for i in range(n):
        if i == fails:
            raise ValueError(str(i))
        if wait:
            time.sleep(wait)
        yield i
async def acount(n, wait=0.0):
    for i in range(n):
        await asyncio.sleep(wait)
        yield i
async def nap(seconds, v):
    await asyncio.sleep(seconds)
    return v
def spin():
    while True:
        pass
class Thing:
    def __init__(self, v): self.v = v
    def get(self): return self.v
".

%% Returns how often each outcome was seen.
client(Pool, Until, Seen) ->
    case erlang:monotonic_time(millisecond) < Until of
        true ->
            Outcomes = act(rand:uniform(1000), #{pool => Pool}),
            client(Pool, Until, lists:foldl(fun count/2, Seen, Outcomes));
        false ->
            timer:sleep(500),
            case py_test:mailbox() of
                [] -> Seen;
                Left -> {left_in_the_mailbox, lists:sublist(Left, 5)}
            end
    end.

count(Outcome, Seen) ->
    maps:update_with(Outcome, fun(N) -> N + 1 end, 1, Seen).

%% An error that may be, whatever is done.
told({error, Reason}) when Reason =:= worker_crashed; Reason =:= worker_replaced -> Reason;
told({error, Reason}) -> error({unexpected, Reason}).

%% The same of a call that has a time-out.
timed({error, timeout}) -> timeout;
timed(Other) -> told(Other).

act(N, On) when N =< 4 ->
    [told(py:eval("os._exit(1)", #{}, on_any(On)))];
act(N, On) when N =< 8 ->
    [timed(py:call(time, sleep, [30], #{}, On#{timeout => 20}))];
act(N, On) when N =< 30 ->
    [timed(py:eval("spin()", #{}, (on_any(On))#{timeout => rand:uniform(20)}))];
act(N, On) when N =< 400 ->
    Value = {N, binary:copy(<<"v">>, rand:uniform(100000)), #{a => [N]}},
    case py:eval("(v[0], v[1], {'n': [w]})", #{v => Value, w => N}, On) of
        {ok, {N, Binary, #{<<"n">> := [N]}}} when Binary =:= element(2, Value) -> [ok];
        Error -> [told(Error)]
    end;
act(N, On) when N =< 450 ->
    case py:eval("nap(t, v)", #{t => 0.01, v => N}, (on_any(On))#{timeout => rand:uniform(30)}) of
        {ok, N} -> [ok];
        Error -> [timed(Error)]
    end;
act(N, On) when N =< 550 ->
    Ref = py:call_async(builtins, abs, [-N], #{}, On),
    case rand:uniform(3) of
        1 ->
            ok = py:cancel(Ref),
            case py:await(Ref) of
                {error, cancelled} -> [cancelled];
                {ok, N} -> [ok];
                Error -> [told(Error)]
            end;
        2 ->
            ok = py:cancel(Ref),
            [cancelled];
        3 ->
            case py:await(Ref) of {ok, N} -> [ok]; Error -> [told(Error)] end
    end;
act(N, On) when N =< 700 ->
    case py:eval("Thing(v)", #{v => N}, on_any(On)) of
        {ok, {py_object, _} = Object} -> [object(py:call(Object, get, []), N) || _ <- [1, 2, 3]];
        Error -> [told(Error)]
    end;
act(N, On) ->
    Source = case rand:uniform(3) of
                 1 -> {eval, "count(20)", #{}};
                 2 -> {eval, "count(20, 0.001, 7)", #{}};
                 3 -> {eval, "acount(20, 0.001)", #{}}
             end,
    How = N rem 5,
    Ahead = if How =:= 3 -> 0; true -> rand:uniform(4) - 1 end,
    case py_stream:open(Source, (on_any(On))#{prefetch => Ahead}) of
        {ok, Stream} -> stream(Stream, How);
        Error -> [told(Error)]
    end.

on_any(On) ->
    On#{worker => rand:uniform(3)}.

object({ok, N}, N) -> ok;
object({error, object_gone}, _) -> object_gone;
object(Error, _) -> told(Error).

stream(Stream, 0) ->
    case py_stream:to_list(Stream) of
        {ok, Values} -> ?assertEqual(lists:seq(0, 19), Values), [ok];
        {error, {'ValueError', "7"}} -> [ok];
        Error -> [told(Error)]
    end;
stream(Stream, 1) ->
    Outcome = case py_stream:take(Stream, 5) of
                  {ok, [0, 1, 2, 3, 4]} -> ok;
                  {ok, Fewer} -> ?assertEqual(lists:seq(0, length(Fewer) - 1), Fewer), ok;
                  Error -> told(Error)
              end,
    ok = py_stream:close(Stream),
    [Outcome];
stream(Stream, 2) ->
    case py_stream:next(Stream, rand:uniform(3) - 1) of
        {ok, 0} -> ok = py_stream:close(Stream), [ok];
        Error -> [timed(Error)]
    end;
stream(Stream, 3) ->
    Outcome = case py_stream:subscribe(Stream, #{demand => 3}) of
                  {ok, Ref} -> pushed(Stream, Ref, 0);
                  Error -> told(Error)
              end,
    ok = py_stream:close(Stream),
    [Outcome];
stream(Stream, 4) ->
    Outcome = case py_stream:next(Stream) of {ok, 0} -> ok; Error -> told(Error) end,
    ok = py_stream:close(Stream),
    [Outcome].

%% A crash before it was closed was told; nothing is after that.
pushed(Stream, Ref, 3) ->
    ok = py_stream:close(Stream),
    receive {py_error, Ref, Reason} -> told({error, Reason}) after 0 -> ok end;
pushed(Stream, Ref, N) ->
    receive
        {py_chunk, Ref, N} -> pushed(Stream, Ref, N + 1);
        {py_error, Ref, Reason} -> told({error, Reason})
    after 30000 ->
        error(silent)
    end.
