%% Which node a call goes to when many nodes run a pool and what one knows of the
%% others' load is a little old: four ways to choose, simulated. The same calls for
%% each of them.
-module(bench_queueing_nodes).

-export([run/1]).

%% `nodes' of `workers' each, to whom calls come at random times; each node tells its load
%% (calls in the pool) every `every'; who chooses is one of `callers' nodes, any with the
%% same chance, and knows what was told, and which of its own calls began and ended since.
%%
%% `choice': random; least (of all, as told); least_corrected (as told, and what this caller knows of its own
%% calls); two, two_corrected (the same of two nodes at random); home_least, home_two (the caller's own while it
%% has an idle worker, which is no old news, and else as corrected; the former is what `node => any' does).
-type opts() :: #{nodes := pos_integer(), workers := pos_integer(), callers := pos_integer(),
                  load := float(), service := float(), every := float(),
                  choice := choice(), calls => pos_integer()}.

-type choice() :: random | least | least_corrected | two | two_corrected | home_least | home_two.

-record(sim, {opts, random, now = 0.0, next_told = 0.0, told, sent = #{}, pools, busy = gb_sets:new(), times = []}).

%% {mean, 99th percentile} of the time that a call waits at the node it was sent to.
-spec run(opts()) -> {float(), float()}.
run(#{nodes := Nodes, workers := Workers, load := Load, service := Service} = Opts) ->
    Calls = maps:get(calls, Opts, 40000),
    Empty = maps:from_list([{Node, 0} || Node <- lists:seq(1, Nodes)]),
    Idle = gb_sets:from_list([{0.0, Worker} || Worker <- lists:seq(1, Workers)]),
    Sim = #sim{opts = Opts, random = bench_queueing_sim:seed(maps:remove(choice, Opts)), told = Empty,
               pools = maps:map(fun(_, _) -> {0, Idle} end, Empty)},
    Gap = Service / (Load * Nodes * Workers),
    Times = lists:nthtail(Calls div 10, lists:reverse((calls(Calls, Gap, Sim))#sim.times)),
    Sorted = lists:sort(Times),
    {lists:sum(Times) / length(Times), bench_queueing_sim:percentile(Sorted, 99)}.

calls(0, _Gap, Sim) ->
    Sim;
calls(Left, Gap, #sim{now = Now, random = Random, opts = #{service := Service, callers := Callers}} = Sim) ->
    {After, Random1} = bench_queueing_sim:gap({exponential, Gap}, Random),
    {Work, Random2} = bench_queueing_sim:gap({exponential, Service}, Random1),
    {Caller, Random3} = rand:uniform_s(Callers, Random2),
    Current = tell(depart(Sim#sim{now = Now + After, random = Random3})),
    {Node, Chosen} = choose(Caller, Current),
    calls(Left - 1, Gap, serve(Caller, Node, Work, count(Caller, Node, 1, Chosen))).

%% First come first served: who comes gets the worker that is free first.
serve(Caller, Node, Work, #sim{now = Now, pools = Pools, busy = Busy, times = Times} = Sim) ->
    #{Node := {In, Workers}} = Pools,
    {{Free, Worker}, Others} = gb_sets:take_smallest(Workers),
    Start = max(Now, Free),
    End = Start + Work,
    Sim#sim{pools = Pools#{Node := {In + 1, gb_sets:add_element({End, Worker}, Others)}},
            busy = gb_sets:add_element({End, Node, Worker, Caller}, Busy),
            times = [Start - Now | Times]}.

depart(#sim{now = Now, busy = Busy, pools = Pools} = Sim) ->
    case gb_sets:is_empty(Busy) orelse gb_sets:smallest(Busy) of
        {End, Node, _, Caller} when End =< Now ->
            #{Node := {In, Workers}} = Pools,
            depart(count(Caller, Node, -1, Sim#sim{busy = gb_sets:delete_any(gb_sets:smallest(Busy), Busy),
                                                   pools = Pools#{Node := {In - 1, Workers}}}));
        _ ->
            Sim
    end.

tell(#sim{now = Now, next_told = Next, pools = Pools, opts = #{every := Every}} = Sim) when Now >= Next ->
    Sim#sim{told = maps:map(fun(_, {In, _}) -> In end, Pools), sent = #{},
            next_told = later(Next, Every, Now)};
tell(Sim) ->
    Sim.

%% Zero: always.
later(_Next, Every, Now) when Every == 0 -> Now;
later(Next, Every, Now) -> Next + Every * (floor((Now - Next) / Every) + 1).

%% What a caller knows by itself since the last telling: calls of its own that began there, less those that ended.
count(Caller, Node, Change, #sim{sent = Sent} = Sim) ->
    Sim#sim{sent = Sent#{{Caller, Node} => maps:get({Caller, Node}, Sent, 0) + Change}}.

choose(Caller, #sim{opts = Opts, told = Told, sent = Sent, random = Random} = Sim) ->
    #{choice := Choice, nodes := Nodes, workers := Workers} = Opts,
    Load = fun(Node) ->
               map_get(Node, Told) + case lists:member(Choice, [least_corrected, two_corrected, home_least, home_two]) of
                                         true -> maps:get({Caller, Node}, Sent, 0);
                                         false -> 0
                                     end
           end,
    {Node, After} = case Choice of
                        random -> rand:uniform_s(Nodes, Random);
                        _ when Choice =:= home_least orelse Choice =:= home_two,
                               element(1, map_get(Caller, Sim#sim.pools)) < Workers -> {Caller, Random};
                        _ when Choice =:= least; Choice =:= least_corrected; Choice =:= home_least ->
                            of_all(Nodes, Random, Load);
                        _ -> of_two(Nodes, Random, Load)
                    end,
    {Node, Sim#sim{random = After}}.

of_two(Nodes, Random, Load) ->
    {One, Random1} = rand:uniform_s(Nodes, Random),
    {Step, Random2} = rand:uniform_s(Nodes - 1, Random1),
    {least([One, (One + Step - 1) rem Nodes + 1], Load), Random2}.

%% Of those that are equal one by chance.
of_all(Nodes, Random, Load) ->
    {First, After} = rand:uniform_s(Nodes, Random),
    {least([(First + N) rem Nodes + 1 || N <- lists:seq(1, Nodes)], Load), After}.

least([First | Nodes], Load) ->
    {_, Best} = lists:foldl(fun(Node, {Least, _} = Found) ->
                                case Load(Node) of
                                    Less when Less < Least -> {Less, Node};
                                    _ -> Found
                                end
                            end,
                            {Load(First), First}, Nodes),
    Best.
