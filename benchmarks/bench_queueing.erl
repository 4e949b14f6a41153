%% How a pool is sized, formula beside simulation, then beside real pools. The numbers of
%% the simulations are the same on every machine; docs/scale.md quotes them.
%%
%% Option: --simulation, without the real pools.
-module(bench_queueing).

-export([main/0, simulation/0]).

%% Milliseconds.
-define(SERVICE, 20.0).
-define(MANY, 200000).
-define(CALLS, 60000).

main() ->
    simulation(),
    case lists:member("--simulation", init:get_plain_arguments()) of
        true -> ok;
        false -> bench_queueing_pool:main()
    end.

simulation() ->
    waits(),
    staffing(),
    variability(),
    bound(),
    bounded(),
    time_outs(),
    gil(),
    many_nodes().

%% How long calls wait -----------------------------------------------------------------

waits() ->
    bench:title("Waiting: c workers, one queue, service times exponential, 20 ms (formula / simulated)", []),
    bench:table(["workers, utilisation", "calls/s", "must wait", "mean wait, ms", "99% wait, ms", "waiting, mean"],
                [wait(Workers, Busy) || {Workers, Busy} <- [{1, 0.5}, {1, 0.8}, {1, 0.9},
                                                            {4, 0.5}, {4, 0.8}, {4, 0.9},
                                                            {16, 0.8}, {16, 0.9}, {64, 0.9}]]).

wait(Workers, Busy) ->
    Load = Workers * Busy,
    #{waits := Waits, mean_wait := Mean, must_wait := Must, waiting := Waiting} =
        simulate(#{workers => Workers, gaps => {exponential, ?SERVICE / Load}, calls => ?MANY}),
    Expected = bench_queueing_model:mean_wait(Workers, Load, ?SERVICE),
    [io_lib:format("~b, ~b%", [Workers, round(100 * Busy)]),
     bench:number(1000 * Load / ?SERVICE),
     both(fun percent/1, bench_queueing_model:must_wait(Workers, Load), Must),
     both(fun time/1, Expected, Mean),
     both(fun bench:number/1, bench_queueing_model:wait_percentile(Workers, Load, ?SERVICE, 99),
          bench_queueing_sim:percentile(Waits, 99)),
     both(fun time/1, Expected * Load / ?SERVICE, Waiting)].

%% The square-root rule, with a share of waiting calls that it is to give.
staffing() ->
    bench:title("Workers for a load, so that at most one call of five waits", []),
    bench:table(["load", "workers", "utilisation", "load + sqrt(load)", "must wait then (formula / simulated)"],
                [staff(Load) || Load <- [1, 4, 10, 40, 100]]).

staff(Load) ->
    Workers = bench_queueing_model:workers_for(float(Load), 0.2),
    Rule = bench_queueing_model:square_root(float(Load), 1.0),
    #{must_wait := Must} = simulate(#{workers => Rule, gaps => {exponential, ?SERVICE / Load}}),
    [integer_to_list(Load), integer_to_list(Workers), percent(Load / Workers), integer_to_list(Rule),
     both(fun percent/1, bench_queueing_model:must_wait(Rule, float(Load)), Must)].

variability() ->
    bench:title("Uneven times: 4 workers, 80% busy, mean wait in ms (Allen-Cunneen / simulated)", []),
    Kinds = [{constant, 0}, {exponential, 1}, {hyperexponential, 4}],
    bench:table(["calls come", "service constant", "exponential", "very uneven (c2 = 4)"],
                [[Name | [uneven(Gaps, Service) || Service <- Kinds]]
                 || {Name, Gaps} <- [{"evenly", {constant, 0}}, {"at random", {exponential, 1}},
                                     {"in bursts (c2 = 4)", {hyperexponential, 4}}]]).

uneven({Gaps, GapScv}, {Service, ServiceScv}) ->
    Load = 3.2,
    #{mean_wait := Mean} = simulate(#{workers => 4, gaps => {Gaps, ?SERVICE / Load}, service => {Service, ?SERVICE},
                                       calls => ?MANY}),
    Expected = bench_queueing_model:variability(GapScv, ServiceScv) * bench_queueing_model:mean_wait(4, Load, ?SERVICE),
    both(fun time/1, Expected, Mean).

%% Bound to all the same chance: at the end of it, each worker is a queue of its own.
bound() ->
    bench:title("Calls of bound processes: 4 workers, service exponential, 20 ms; mean wait in ms", []),
    Shares = [0.0, 0.25, 0.5, 0.75, 1.0],
    bench:table(["utilisation", "formula, none bound" | [percent(Share) ++ " bound" || Share <- Shares]]
                ++ ["formula, all bound"],
                [[percent(Busy), time(bench_queueing_model:mean_wait(4, 4 * Busy, ?SERVICE))]
                 ++ [time(bound(Busy, Share)) || Share <- Shares]
                 ++ [time(bench_queueing_model:mean_wait(1, Busy, ?SERVICE))]
                 || Busy <- [0.5, 0.8, 0.9]]).

bound(Busy, Share) ->
    maps:get(mean_wait, simulate(#{workers => 4, gaps => {exponential, ?SERVICE / (4 * Busy)}, bound => Share,
                             calls => ?MANY})).

%% Bounds and time-outs ----------------------------------------------------------------

bounded() ->
    bench:title("A bounded queue: 4 workers, 20 ms exponential, room for 4 x max_queue (formula / simulated)", []),
    bench:table(["load, max_queue", "refused", "mean wait, ms", "99% wait, ms (simulated)"],
                [bounded(Times, Max) || Times <- [0.8, 0.95, 1.5, 5.0], Max <- [1, 4, 16]]).

bounded(Times, Max) ->
    Load = 4 * Times,
    #{offered := Offered, refused := Refused, mean_wait := Mean, waits := Waits} =
        simulate(#{workers => 4, gaps => {exponential, ?SERVICE / Load}, max_queue => Max}),
    {Share, Wait} = bench_queueing_model:bounded_wait(4, Load, ?SERVICE, 4 * Max),
    [io_lib:format("~sx, ~b", [bench:number(Times, 2), Max]),
     both(fun percent/1, Share, Refused / Offered), both(fun time/1, Wait, Mean),
     bench:number(bench_queueing_sim:percentile(Waits, 99))].

%% A full queue takes (max_queue + 1) service times, if those are constant.
time_outs() ->
    bench:title("Time-outs of 200 ms at 5x the capacity: 4 workers, 20 ms; share of the capacity served in time", []),
    bench:table(["max_queue", "full queue takes, ms", "constant, interrupted", "constant, sleeps on",
                 "exponential, interrupted"],
                [[integer_to_list(Max), bench:number((Max + 1) * ?SERVICE),
                  used(late(Max, constant, interrupted)), used(late(Max, constant, sleeps_on)),
                  used(late(Max, exponential, interrupted))]
                 || Max <- [1, 4, 8, 9, 10, 12, 50, 1000]]).

late(Max, Service, WhenOver) ->
    simulate(#{workers => 4, gaps => {exponential, ?SERVICE / 20}, service => {Service, ?SERVICE},
               max_queue => Max, timeout => 200.0, when_over => WhenOver}).

used(#{per_time := Rate}) ->
    percent(Rate * ?SERVICE / 4).

%% The GIL, and many nodes -------------------------------------------------------------

gil() ->
    bench:title("One GIL: calls of 20 ms that need it for a part of that; calls/s (formula / simulated)", []),
    bench:table(["workers" | [io_lib:format("~b ms with the GIL", [Inside]) || Inside <- [1, 5, 10]]],
                [[integer_to_list(Workers) | [gil(Workers, float(Inside)) || Inside <- [1, 5, 10]]]
                 || Workers <- [1, 2, 4, 8, 16, 32]]).

gil(Workers, Inside) ->
    Outside = ?SERVICE - Inside,
    {Rate, _} = bench_queueing_sim:gil(Workers, Outside, Inside, ?CALLS),
    both(fun bench:number/1, 1000 * bench_queueing_model:gil(Workers, Outside, Inside), 1000 * Rate).

many_nodes() ->
    bench:title("Which node: 10 nodes of 4 workers, 80% busy; wait in ms, mean / 99% (simulated)", []),
    Choices = [random, least, least_corrected, two_corrected, home_least, home_two],
    bench:table(["told every, service, callers" | [atom_to_list(Choice) || Choice <- Choices]],
                [[io_lib:format("~b ms, ~b ms, ~b", [Every, Service, Callers])
                  | [many_nodes(Choice, float(Every), float(Service), Callers) || Choice <- Choices]]
                 || {Every, Service, Callers} <- [{10, 10, 10}, {100, 10, 1}, {100, 10, 10}, {100, 100, 1},
                                                  {100, 100, 10}, {100, 1000, 10}]]).

many_nodes(Choice, Every, Service, Callers) ->
    {Mean, Most} = bench_queueing_nodes:run(#{nodes => 10, workers => 4, callers => Callers, load => 0.8,
                                              service => Service, every => Every, choice => Choice}),
    both(fun bench:number/1, Mean, Most).

%% Parts ---------------------------------------------------------------------------------

simulate(Opts) ->
    bench_queueing_sim:run(maps:merge(#{service => {exponential, ?SERVICE}, calls => ?CALLS}, Opts)).

both(Show, One, Other) ->
    [Show(One), " / ", Show(Other)].

percent(Share) when Share >= 0.1; Share == 0 -> integer_to_list(round(100 * Share)) ++ "%";
percent(Share) -> bench:number(100 * Share) ++ "%".

time(Value) when Value >= 100 -> bench:number(Value);
time(Value) -> bench:number(Value, 2).
