%% A pool that is offered less than it can do, about as much, and five times as much:
%% what is served and refused, how long both take, and what it costs in memory.
%%
%% Option: --seconds N, how long each load lasts (10). ERLPY_TEST_ISOLATION is the
%% isolation of the pool.
-module(bench_overload).

-export([main/0]).

-define(WORKERS, 4).
-define(MAX_QUEUE, 4).
-define(SERVICE_MS, 20).
-define(LOADS, [0.5, 0.9, 1.5, 5.0]).

main() ->
    bench:start(),
    Seconds = seconds(init:get_plain_arguments()),
    Isolation = list_to_atom(os:getenv("ERLPY_TEST_ISOLATION", "shared")),
    Capacity = ?WORKERS * 1000 div ?SERVICE_MS,
    bench:title("~b workers (~s), max_queue ~b, calls that sleep ~b ms: ~b calls/s; ~b s each",
                [?WORKERS, Isolation, ?MAX_QUEUE, ?SERVICE_MS, Capacity, Seconds]),
    Results = [{Load, load(Load, Capacity, Seconds, Isolation)} || Load <- ?LOADS],
    bench:table(["load", "offered", "served", "refused", "served p50, ms", "p99", "most",
                 "refused p50, us", "p99", "most", "RSS, MiB"],
                [row(Load, Result) || {Load, Result} <- Results]),
    {_, #{served := Served, served_us := Times, refused_us := Refused}} = lists:last(Results),
    Bound = (?MAX_QUEUE + 1) * ?SERVICE_MS,
    P99 = py_open_loop:percentile(Times, 99) / 1000,
    bench:expect(io_lib:format("p99 of what is served within 1.5x of (max_queue + 1) service times, ~b ms", [Bound]),
                 [bench:number(P99), " ms"], P99 < 1.5 * Bound),
    Quick = py_open_loop:percentile(Refused, 50),
    bench:expect("p50 of a refusal under 50 us", [bench:number(Quick), " us"], Quick < 50),
    Used = Served / (Capacity * Seconds),
    bench:expect("over 90% of the capacity is used under overload", bench:number(100 * Used) ++ "%", Used > 0.9).

seconds(["--seconds", Seconds | _]) -> list_to_integer(Seconds);
seconds([_ | Others]) -> seconds(Others);
seconds([]) -> 10.

%% Each in a pool of its own, whose counts must be those of the callers.
load(Load, Capacity, Seconds, Isolation) ->
    {ok, _} = py_pool:start(?MODULE, #{num_workers => ?WORKERS, max_queue => ?MAX_QUEUE, isolation => Isolation}),
    Opts = #{pool => ?MODULE},
    #{offered := Offered, served := Served, refused := Refused} = Result =
        py_open_loop:run(fun() -> py:call(time, sleep, [?SERVICE_MS / 1000], #{}, Opts) end,
                         #{rate => round(Load * Capacity), seconds => Seconds,
                           sample => fun(_) -> bench:resident() end}),
    {ok, #{calls := Served, overloads := Refused, timeouts := 0}} = py_pool:stats(?MODULE),
    Offered = Served + Refused,
    ok = py_pool:stop(?MODULE),
    Result.

row(Load, #{offered := Offered, served := Served, refused := Refused, served_us := ServedTimes,
            refused_us := RefusedTimes, samples := Samples}) ->
    [bench:number(Load) ++ "x" | [bench:number(Count) || Count <- [Offered, Served, Refused]]]
    ++ [bench:number(py_open_loop:percentile(ServedTimes, Percent) / 1000) || Percent <- [50, 99, 100]]
    ++ [time_or_none(RefusedTimes, Percent) || Percent <- [50, 99, 100]]
    ++ [io_lib:format("~p to ~p", [lists:min(Samples), lists:max(Samples)])].

time_or_none([], _Percent) -> "-";
time_or_none(Times, Percent) -> bench:number(py_open_loop:percentile(Times, Percent)).
