%% A pool that exists in arithmetic only: its queues, its bounds and its time-outs, event
%% by event. The seed of the random numbers is made of the options, so that the same options give
%% the same result, digit by digit.
%%
%% The discipline is the pool's: one lane that all workers share and one for each worker,
%% first come first served within a lane; a worker that is free takes the older of the two
%% fronts; of the idle the last one to become so goes first; a lane that is full refuses;
%% a call whose time is over leaves its lane.
-module(bench_queueing_sim).

-export([run/1, gil/4, gap/2, seed/1, percentile/2]).
-export_type([opts/0, distribution/0]).

-type distribution() :: {constant | exponential | hyperexponential, Mean :: float()}.

%% `gaps': between arrivals. `max_queue': as a pool's option; `timeout': of each call.
%% `when_over': what becomes of a call that runs as its time is over: it is interrupted, or
%% sleeps on and keeps its worker. `bound': the share of calls that are of processes bound
%% to a worker, any with the same chance. `calls': how many, the first tenth not counted.
-type opts() :: #{workers := pos_integer(), gaps := distribution(), service := distribution(),
                  max_queue => pos_integer() | infinity, timeout => float() | infinity,
                  when_over => interrupted | sleeps_on, bound => float(), calls => pos_integer()}.

-define(EMPTY, {0, queue:new()}).

-record(sim, {workers, gaps, service, max_queue, timeout, when_over, bound, random,
              now = 0.0, arrival = 0.0, left, uncounted,
              lanes = #{}, waiting = 0, tickets = 0, idle, busy = gb_sets:new(),
              began = 0.0, area = 0.0, work = 0.0,
              offered = 0, refused = 0, late = 0, waits = [], times = []}).

%% In `lanes': {how many wait, queue:queue(#call{})}.
-record(call, {ticket, arrived, service, counted}).

%% `waits' and `times' (from arrival to answer) are of the calls that were served in time,
%% sorted; `late' are the calls that were not; `waiting' and `busy' are means over time.
-spec run(opts()) -> #{atom() => term()}.
run(#{workers := Workers, gaps := Gaps, service := Service} = Opts) ->
    Calls = maps:get(calls, Opts, 200000),
    Final = step(#sim{workers = Workers, gaps = Gaps, service = Service,
                      max_queue = maps:get(max_queue, Opts, infinity),
                      timeout = maps:get(timeout, Opts, infinity),
                      when_over = maps:get(when_over, Opts, interrupted),
                      bound = maps:get(bound, Opts, 0.0),
                      random = seed(Opts),
                      left = Calls, uncounted = Calls div 10,
                      idle = lists:seq(1, Workers)}),
    Time = Final#sim.now - Final#sim.began,
    Waits = lists:sort(Final#sim.waits),
    #{offered => Final#sim.offered,
      served => length(Waits),
      refused => Final#sim.refused,
      late => Final#sim.late,
      waits => Waits,
      times => lists:sort(Final#sim.times),
      mean_wait => lists:sum(Waits) / max(1, length(Waits)),
      must_wait => length([Wait || Wait <- Waits, Wait > 0]) / max(1, length(Waits)),
      waiting => Final#sim.area / Time,
      busy => Final#sim.work / Time / Workers,
      per_time => length(Waits) / Time}.

%% Of a sorted list; 0 of none.
percentile([], _Percent) -> 0.0;
percentile(Sorted, Percent) -> lists:nth(max(1, ceil(length(Sorted) * Percent / 100)), Sorted).

%% Events ----------------------------------------------------------------------------

%% It ends with the last arrival: what comes after would be a pool that empties.
step(#sim{left = 0} = Sim) ->
    Sim;
step(#sim{busy = Busy, arrival = Arrival} = Sim) ->
    case gb_sets:is_empty(Busy) of
        false ->
            {{End, Worker}, Others} = gb_sets:take_smallest(Busy),
            case End =< Arrival of
                true -> step(free(Worker, forward(End, Sim#sim{busy = Others})));
                false -> step(arrive(forward(Arrival, Sim)))
            end;
        true ->
            step(arrive(forward(Arrival, Sim)))
    end.

forward(Now, #sim{now = Before, uncounted = 0, area = Area, work = Work} = Sim) ->
    Busy = Sim#sim.workers - length(Sim#sim.idle),
    Sim#sim{now = Now, area = Area + Sim#sim.waiting * (Now - Before), work = Work + Busy * (Now - Before)};
forward(Now, Sim) ->
    Sim#sim{now = Now, began = Now}.

arrive(#sim{now = Now, uncounted = Uncounted, left = Left, tickets = Tickets} = Sim) ->
    {Gap, Random1} = gap(Sim#sim.gaps, Sim#sim.random),
    {Service, Random2} = gap(Sim#sim.service, Random1),
    {Lane, Random3} = lane(Sim#sim.bound, Sim#sim.workers, Random2),
    Counted = Uncounted =:= 0,
    Call = #call{ticket = Tickets + 1, arrived = Now, service = Service, counted = Counted},
    After = Sim#sim{arrival = Now + Gap, random = Random3, left = Left - 1, tickets = Tickets + 1,
                    uncounted = max(0, Uncounted - 1)},
    admit(Call, Lane, case Counted of
                          true -> After#sim{offered = After#sim.offered + 1};
                          false -> After
                      end).

lane(Bound, _Workers, Random) when Bound == 0 ->
    {any, Random};
lane(Bound, Workers, Random) ->
    case rand:uniform_s(Random) of
        {Chance, After} when Chance < Bound -> rand:uniform_s(Workers, After);
        {_, After} -> {any, After}
    end.

admit(Call, any, #sim{idle = [Worker | Idle]} = Sim) ->
    start(Call, Worker, Sim#sim{idle = Idle});
admit(Call, Lane, #sim{idle = Idle} = Sim) ->
    case lists:member(Lane, Idle) of
        true -> start(Call, Lane, Sim#sim{idle = lists:delete(Lane, Idle)});
        false -> enqueue(Call, Lane, Sim)
    end.

enqueue(Call, Lane, #sim{max_queue = Max, workers = Workers} = Before) ->
    Sim = expire(Lane, Before),
    {Length, _} = maps:get(Lane, Sim#sim.lanes, ?EMPTY),
    Room = case {Max, Lane} of
               {infinity, _} -> infinity;
               {_, any} -> Max * Workers;
               {_, _} -> Max
           end,
    case Length < Room of
        true -> append(Call, Lane, Sim);
        false when Call#call.counted -> Sim#sim{refused = Sim#sim.refused + 1};
        false -> Sim
    end.

%% All have the same time-out: those that are over are at the front.
expire(_Lane, #sim{timeout = infinity} = Sim) ->
    Sim;
expire(Lane, #sim{now = Now, timeout = Timeout} = Sim) ->
    case front(Lane, Sim) of
        #call{arrived = Arrived} = Call when Arrived + Timeout =< Now -> expire(Lane, late(Call, drop(Lane, Sim)));
        _ -> Sim
    end.

append(Call, Lane, #sim{lanes = Lanes, waiting = Waiting} = Sim) ->
    {Length, Queue} = maps:get(Lane, Lanes, ?EMPTY),
    Sim#sim{lanes = Lanes#{Lane => {Length + 1, queue:in(Call, Queue)}}, waiting = Waiting + 1}.

drop(Lane, #sim{lanes = Lanes, waiting = Waiting} = Sim) ->
    #{Lane := {Length, Queue}} = Lanes,
    Sim#sim{lanes = Lanes#{Lane := {Length - 1, queue:drop(Queue)}}, waiting = Waiting - 1}.

front(Lane, #sim{lanes = Lanes}) ->
    case Lanes of
        #{Lane := {Length, Queue}} when Length > 0 -> queue:get(Queue);
        _ -> none
    end.

late(#call{counted = true}, Sim) -> Sim#sim{late = Sim#sim.late + 1};
late(_Call, Sim) -> Sim.

%% The older of the two fronts.
free(Worker, Before) ->
    Sim = expire(Worker, expire(any, Before)),
    case {front(any, Sim), front(Worker, Sim)} of
        {none, none} -> Sim#sim{idle = [Worker | Sim#sim.idle]};
        {none, Own} -> start(Own, Worker, drop(Worker, Sim));
        {#call{ticket = Any}, #call{ticket = Earlier} = Own} when Earlier < Any ->
            start(Own, Worker, drop(Worker, Sim));
        {Shared, _} -> start(Shared, Worker, drop(any, Sim))
    end.

start(#call{arrived = Arrived, service = Service} = Call, Worker, #sim{now = Now, timeout = Timeout} = Sim) ->
    InTime = Timeout =:= infinity orelse Now + Service =< Arrived + Timeout,
    End = case InTime orelse Sim#sim.when_over =:= sleeps_on of
              true -> Now + Service;
              false -> Arrived + Timeout
          end,
    After = Sim#sim{busy = gb_sets:add_element({End, Worker}, Sim#sim.busy)},
    case Call#call.counted of
        true when InTime ->
            After#sim{waits = [Now - Arrived | After#sim.waits],
                      times = [Now + Service - Arrived | After#sim.times]};
        _ when InTime -> After;
        _ -> late(Call, After)
    end.

%% Chance ----------------------------------------------------------------------------

%% Each simulation its own numbers, or all would err to the same side.
-spec seed(term()) -> rand:state().
seed(Opts) ->
    rand:seed_s(exsss, erlang:phash2(Opts)).

-spec gap(distribution(), rand:state()) -> {float(), rand:state()}.
gap({constant, Mean}, Random) ->
    {Mean, Random};
gap({exponential, Mean}, Random) ->
    {Chance, After} = rand:uniform_s(Random),
    {-Mean * math:log(1 - Chance), After};
%% Squared coefficient of variation 4: nine of ten are short, and the others as much
%% work in all.
gap({hyperexponential, Mean}, Random) ->
    Short = (1 + math:sqrt(3 / 5)) / 2,
    {Which, After} = rand:uniform_s(Random),
    Share = case Which < Short of
                true -> Short;
                false -> 1 - Short
            end,
    gap({exponential, Mean / (2 * Share)}, After).

%% Workers that are never without a call: outside the GIL, then in line for it. Calls a
%% unit of time, and how much of the time the GIL is held.
-spec gil(pos_integer(), float(), float(), pos_integer()) -> {float(), float()}.
gil(Workers, Outside, Inside, Calls) ->
    {Ready, Random} = lists:mapfoldl(fun(Worker, Random) ->
                                         {Time, After} = gap({exponential, Outside}, Random),
                                         {{Time, Worker}, After}
                                     end,
                                     seed({Workers, Outside, Inside}), lists:seq(1, Workers)),
    held(gb_sets:from_list(Ready), Outside, Inside, 0.0, 0.0, Calls, Calls, Random).

held(_Ready, _Outside, _Inside, Now, Held, 0, Calls, _Random) ->
    {Calls / Now, Held / Now};
held(Ready, Outside, Inside, Now, Held, Left, Calls, Random) ->
    {{Asked, Worker}, Others} = gb_sets:take_smallest(Ready),
    {Hold, Random1} = gap({exponential, Inside}, Random),
    {Away, Random2} = gap({exponential, Outside}, Random1),
    End = max(Now, Asked) + Hold,
    held(gb_sets:add_element({End + Away, Worker}, Others), Outside, Inside, End, Held + Hold, Left - 1, Calls,
         Random2).
