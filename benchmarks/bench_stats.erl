%% What reading the statistics of a pool costs, by its size and kind.
-module(bench_stats).

-export([main/0]).

-define(READS, 5000).
-define(POOLS, [{shared, 1}, {shared, 4}, {shared, 64}, {subinterpreter, 64}, {process, 64}]).

main() ->
    bench:start(),
    bench:title("py_pool:stats/1, microseconds (~b reads of an idle pool)", [?READS]),
    bench:table(["pool", "p50", "p99", "p50, a worker"], [row(Kind, Workers) || {Kind, Workers} <- ?POOLS]).

row(Kind, Workers) ->
    {ok, _} = py_pool:start(bench_stats, #{isolation => Kind, num_workers => Workers}),
    Times = [bench:time(fun() -> {ok, _} = py_pool:stats(bench_stats) end) / 1000 || _ <- lists:seq(1, ?READS)],
    ok = py_pool:stop(bench_stats),
    Median = bench:median(Times),
    [io_lib:format("~s, ~b", [Kind, Workers]), bench:number(Median), bench:number(bench:percentile(Times, 99)),
     bench:number(Median / Workers, 2)].
