%% The arithmetic of bench_queueing beside real pools, whose work is `time.sleep'.
%%
%% The formulas get the load and the service time that the pool itself measured: a sleep
%% of 20 ms takes a little more, and a busy machine adds to it.
-module(bench_queueing_pool).

-export([main/0]).

-define(WORKERS, 4).
-define(SERVICE, 20.0).
-define(SECONDS, 20).
-define(TIMEOUT, 200).
-define(ROUNDS, 5).
-define(ROUND_SECONDS, 4).
-define(OUTSIDE, 15).
-define(INSIDE, 5).

main() ->
    bench:start(),
    waits(),
    time_outs(),
    gil().

waits() ->
    bench:title("Real pool: ~b workers, sleeps exponential, 20 ms, at random; ~b s each (formula / measured)",
                [?WORKERS, ?SECONDS]),
    bench:table(["meant utilisation", "measured", "service, ms", "must wait", "mean wait, ms"],
                [wait(Busy) || Busy <- [0.5, 0.8, 0.9]]).

%% What a call takes beyond its sleep is its wait; under 1 ms it did not wait.
wait(Busy) ->
    Counts = counters:new(2, []),
    Call = fun(Pool) ->
               Sleep = -?SERVICE * math:log(rand:uniform_real()),
               Begin = erlang:monotonic_time(microsecond),
               Answer = py:call(time, sleep, [Sleep / 1000], #{}, #{pool => Pool}),
               Wait = max(0, erlang:monotonic_time(microsecond) - Begin - round(1000 * Sleep)),
               counters:add(Counts, 1, Wait),
               counters:add(Counts, 2, min(1, Wait div 1000)),
               Answer
           end,
    {#{served := Served}, #{busy_us := Worked}} =
        loaded(#{}, Call, Busy * ?WORKERS * 1000 / ?SERVICE, ?SECONDS),
    Load = Worked / (?SECONDS * 1000000),
    Service = Worked / 1000 / Served,
    [percent(Busy), percent(Load / ?WORKERS), bench:number(Service),
     both(fun percent/1, bench_queueing_model:must_wait(?WORKERS, Load), counters:get(Counts, 2) / Served),
     both(fun bench:number/1, bench_queueing_model:mean_wait(?WORKERS, Load, Service),
          counters:get(Counts, 1) / 1000 / Served)].

%% At five times the capacity; whoever is not served in 200 ms goes.
time_outs() ->
    bench:title("Real pool: time-outs of ~b ms at 5x the capacity, ~b workers, sleeps of 20 ms", [?TIMEOUT, ?WORKERS]),
    bench:table(["max_queue", "full queue takes, ms", "served in time", "refused", "too late", "of the capacity"],
                [time_out(Max) || Max <- [4, 8, 12, 1000]]).

time_out(Max) ->
    Seconds = ?SECONDS div 2,
    Call = fun(Pool) -> py:call(time, sleep, [?SERVICE / 1000], #{}, #{pool => Pool, timeout => ?TIMEOUT}) end,
    {#{served := Served, refused := Refused, timeouts := Late}, _} =
        loaded(#{max_queue => Max}, Call, 5 * ?WORKERS * 1000 / ?SERVICE, Seconds),
    [integer_to_list(Max), bench:number((Max + 1) * ?SERVICE)
     | [bench:number(Count) || Count <- [Served, Refused, Late]]]
    ++ [percent(Served * ?SERVICE / 1000 / Seconds / ?WORKERS)].

%% As many callers as workers, each always with a call: 15 ms of sleep, then 5 ms with the
%% GIL, both exponential. The GIL is held by a C function that sleeps and does not give it
%% up, so that it does not matter what else the processors do.
gil() ->
    bench:title("Real pool, shared: ~b ms asleep and ~b ms with the GIL; calls/s (formula / measured)",
                [?OUTSIDE, ?INSIDE]),
    bench:table(["workers", "calls/s", "of the most there is"],
                [[integer_to_list(Workers), both(fun bench:number/1, Formula, Rate), percent(Rate * ?INSIDE / 1000)]
                 || Workers <- [1, 2, 4, 8],
                    Formula <- [1000 * bench_queueing_model:gil(Workers, float(?OUTSIDE), float(?INSIDE))],
                    Rate <- [gil(Workers)]]).

gil(Workers) ->
    Code = <<"
import ctypes
import time
hold = ctypes.PyDLL(None).usleep
def work(outside, inside):
    time.sleep(outside)
    hold(int(inside * 1e6))
">>,
    {ok, _} = py_pool:start(?MODULE, #{num_workers => Workers, preload => Code}),
    End = erlang:monotonic_time(millisecond) + ?SECONDS * 1000,
    Callers = [spawn_monitor(fun() -> exit({calls, work(Worker, End, 0)}) end) || Worker <- lists:seq(1, Workers)],
    Calls = lists:sum([receive {'DOWN', Monitor, process, _, {calls, Count}} -> Count end || {_, Monitor} <- Callers]),
    ok = py_pool:stop(?MODULE),
    Calls / ?SECONDS.

work(Worker, End, Count) ->
    [Outside, Inside] = [-Mean * math:log(rand:uniform_real()) || Mean <- [?OUTSIDE / 1000, ?INSIDE / 1000]],
    {ok, none} = py:call('__main__', work, [Outside, Inside], #{}, #{pool => ?MODULE, worker => Worker}),
    case erlang:monotonic_time(millisecond) < End of
        true -> work(Worker, End, Count + 1);
        false -> Count + 1
    end.

%% What came of the load, and the statistics of the pool that had it.
loaded(Opts, Call, Rate, Seconds) ->
    {ok, _} = py_pool:start(?MODULE, Opts#{num_workers => ?WORKERS}),
    Result = py_open_loop:run(fun() -> Call(?MODULE) end, #{rate => round(Rate), seconds => Seconds}),
    {ok, Stats} = py_pool:stats(?MODULE),
    ok = py_pool:stop(?MODULE),
    {Result, Stats}.

both(Show, One, Other) ->
    [Show(One), " / ", Show(Other)].

percent(Share) ->
    integer_to_list(round(100 * Share)) ++ "%".
