%% What a small call costs: latency in a tight loop, and calls a second from many
%% processes, beside what Erlang takes for the same between two processes.
-module(bench_calls).

-export([main/0]).

-define(WARM_UP, 5000).
-define(ROUNDS, 5).
-define(LATENCY_CALLS, 20000).
-define(RATE_CALLS, 60000).
-define(CALLERS, [1, 10, 100]).

main() ->
    bench:start(),
    Echo = spawn_link(fun echo/0),
    Request = {call, math, sqrt, [16], #{}},
    Ways = [{"py:call(math, sqrt, [16])", fun python/0},
            {"py:eval(<<\"4.0\">>)", fun() -> {ok, 4.0} = py:eval(<<"4.0">>) end},
            {"Erlang process and back", fun() -> ask(Echo) end},
            {"term_to_binary and back", fun() -> binary_to_term(term_to_binary(Request)) end}],
    [repeat(Fun, ?WARM_UP) || {_, Fun} <- Ways],
    latency(Ways),
    rate(lists:sublist(Ways, 3)),
    unlink(Echo),
    exit(Echo, kill).

python() ->
    {ok, 4.0} = py:call(math, sqrt, [16]).

echo() ->
    receive
        {From, Ref, Request} -> From ! {Ref, Request}, echo()
    end.

ask(Echo) ->
    Ref = make_ref(),
    Echo ! {self(), Ref, {call, math, sqrt, [16], #{}}},
    receive {Ref, _} -> ok end.

repeat(_Fun, 0) -> ok;
repeat(Fun, Times) -> _ = Fun(), repeat(Fun, Times - 1).

%% Rounds of all ways in turn, so that a disturbance does not hit one alone.
latency(Ways) ->
    bench:title("Latency in a tight loop, ~b x ~b calls, microseconds", [?ROUNDS, ?LATENCY_CALLS]),
    Rounds = [[bench:isolated(fun() -> percentiles(Fun) end) || {_, Fun} <- Ways]
              || _ <- lists:seq(1, ?ROUNDS)],
    Columns = [medians(Way, Rounds) || Way <- lists:seq(1, length(Ways))],
    bench:table(["", "p10", "p50", "p99"],
                [[Name | [bench:number(Ns / 1000, 2) || Ns <- Column]]
                 || {{Name, _}, Column} <- lists:zip(Ways, Columns)]),
    P50 = lists:nth(2, hd(Columns)) / 1000,
    bench:expect("p50 of py:call under 8 us", bench:number(P50, 2) ++ " us", P50 < 8).

percentiles(Fun) ->
    repeat(Fun, 100),
    Times = [bench:time(Fun) || _ <- lists:seq(1, ?LATENCY_CALLS)],
    [bench:percentile(Times, Percent) || Percent <- [10, 50, 99]].

%% Of each percentile the median over the rounds.
medians(Way, Rounds) ->
    Results = [lists:nth(Way, Round) || Round <- Rounds],
    [bench:median([lists:nth(Which, Result) || Result <- Results]) || Which <- [1, 2, 3]].

rate(Ways) ->
    bench:title("Calls a second, ~b rounds of ~b calls in all", [?ROUNDS, ?RATE_CALLS]),
    Rounds = [[[rate(Fun, Callers) || Callers <- ?CALLERS] || {_, Fun} <- Ways]
              || _ <- lists:seq(1, ?ROUNDS)],
    Columns = [medians(Way, Rounds) || Way <- lists:seq(1, length(Ways))],
    bench:table(["processes" | [integer_to_list(Callers) || Callers <- ?CALLERS]],
                [[Name | [bench:number(Rate) || Rate <- Column]]
                 || {{Name, _}, Column} <- lists:zip(Ways, Columns)]),
    Most = lists:last(hd(Columns)),
    bench:expect("over 150,000 calls/s from 100 processes", bench:number(Most), Most > 150000).

rate(Fun, Callers) ->
    Each = ?RATE_CALLS div Callers,
    Begin = erlang:monotonic_time(nanosecond),
    Monitors = [element(2, spawn_monitor(fun() -> repeat(Fun, Each) end))
                || _ <- lists:seq(1, Callers)],
    [receive {'DOWN', Monitor, process, _, normal} -> ok end || Monitor <- Monitors],
    Each * Callers * 1.0e9 / (erlang:monotonic_time(nanosecond) - Begin).
