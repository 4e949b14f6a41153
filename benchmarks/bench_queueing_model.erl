%% The arithmetic of queues: what a pool of workers should do on paper. Times are in
%% whatever unit the service time has; `Load' is arrival rate times service time, in
%% workers that would be busy all the time (erlangs), `Workers' of them are there.
-module(bench_queueing_model).

-export([must_wait/2, mean_wait/3, wait_percentile/4, variability/2]).
-export([bounded/3, bounded_wait/4, workers_for/2, square_root/2, gil/3]).

%% The share of calls that find every worker busy (Erlang C), by way of the share that a
%% pool without a queue would lose (Erlang B), which is a sum without large numbers.
must_wait(Workers, Load) when Load < Workers ->
    Lost = lost(Workers, Load),
    Lost / (1 - Load / Workers * (1 - Lost)).

lost(0, _Load) ->
    1.0;
lost(Workers, Load) ->
    Less = Load * lost(Workers - 1, Load),
    Less / (Workers + Less).

%% M/M/c.
mean_wait(Workers, Load, Service) ->
    must_wait(Workers, Load) * Service / (Workers - Load).

%% Whoever waits, waits an exponential time; whoever need not is below it.
wait_percentile(Workers, Load, Service, Percent) ->
    Wait = must_wait(Workers, Load),
    Above = 1 - Percent / 100,
    case Wait > Above of
        true -> Service / (Workers - Load) * math:log(Wait / Above);
        false -> 0.0
    end.

%% Allen and Cunneen: what the wait of M/M/c is to be multiplied with, from the squared
%% coefficients of variation of the gaps between arrivals and of the service times.
variability(ArrivalScv, ServiceScv) ->
    (ArrivalScv + ServiceScv) / 2.

%% M/M/c/c+Room: the probability of each number of calls in the pool, from none to full.
bounded(Workers, Load, Room) ->
    Weights = weights(1.0, 0, Workers, Load, Workers + Room),
    Sum = lists:sum(Weights),
    [Weight / Sum || Weight <- Weights].

weights(Weight, Calls, _Workers, _Load, Calls) ->
    [Weight];
weights(Weight, Calls, Workers, Load, Most) ->
    [Weight | weights(Weight * Load / min(Calls + 1, Workers), Calls + 1, Workers, Load, Most)].

%% {share refused, mean wait of those that are served}, by Little's law: calls that wait
%% over calls that enter in a unit of time.
bounded_wait(Workers, Load, Service, Room) ->
    States = bounded(Workers, Load, Room),
    Refused = lists:last(States),
    Waiting = lists:sum([max(0, Calls - Workers) * State
                         || {Calls, State} <- lists:zip(lists:seq(0, Workers + Room), States)]),
    {Refused, Waiting * Service / (Load * (1 - Refused))}.

%% The least workers with which at most this share of calls waits.
workers_for(Load, MostWait) ->
    workers_for(floor(Load) + 1, Load, MostWait).

workers_for(Workers, Load, MostWait) ->
    case must_wait(Workers, Load) =< MostWait of
        true -> Workers;
        false -> workers_for(Workers + 1, Load, MostWait)
    end.

square_root(Load, Spare) ->
    ceil(Load + Spare * math:sqrt(Load)).

%% Calls a unit of time of so many workers that are never without a call, each of which
%% waits outside the GIL for a time and then needs it for a time (exact mean value
%% analysis, exponential times).
gil(Workers, Outside, Inside) ->
    gil(1, Workers, Outside, Inside, 0.0).

gil(N, Workers, Outside, Inside, Queue) ->
    Response = Inside * (1 + Queue),
    Rate = N / (Outside + Response),
    case N of
        Workers -> Rate;
        _ -> gil(N + 1, Workers, Outside, Inside, Rate * Response)
    end.
