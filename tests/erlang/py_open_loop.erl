%% Open-loop load: calls begin at their own times, whether those before were answered
%% or not, as those of many independent users do. Each is made by a process of its own.
%% What came of them is kept in counters of a fixed size, so that the load itself takes
%% no more memory the longer it lasts, and nobody's mailbox is in the way.
-module(py_open_loop).

-export([run/2, percentile/2, largest/1]).
-export_type([opts/0, result/0, times/0]).

%% `rate': calls a second, at random times (exponential gaps); `seconds': for how long;
%% `sources': processes that begin calls, each its share; `sample': called every half a
%% second of the load with the milliseconds since it began.
-type opts() :: #{rate := pos_integer(),
                  seconds := pos_integer(),
                  sources => pos_integer(),
                  sample => fun((Elapsed :: non_neg_integer()) -> term())}.

%% `other': answers that are neither served nor `{error, overload}' nor `{error, timeout}'.
%% The times are those of the calls themselves: a source that is late is not the pool's fault.
-type result() :: #{offered := non_neg_integer(),
                    served := non_neg_integer(), refused := non_neg_integer(),
                    timeouts := non_neg_integer(), other := non_neg_integer(),
                    served_us := times(), refused_us := times(), timeouts_us := times(),
                    samples := [term()]}.

%% A histogram: times within 5% of one another are counted together.
-type times() :: [{Microseconds :: float(), Count :: pos_integer()}].

-define(BUCKETS, 400).
-define(STEP, 1.05).
-define(KINDS, [served, refused, timeouts, other]).
-define(SAMPLE_TIME, 500).

%% Returns when the last call was answered.
-spec run(Call :: fun(() -> ok | {ok, term()} | {error, term()}), opts()) -> result().
run(Call, #{rate := Rate, seconds := Seconds} = Opts) ->
    Counts = counters:new(1 + length(?KINDS) * (1 + ?BUCKETS), []),
    Sources = maps:get(sources, Opts, 20),
    Begin = erlang:monotonic_time(microsecond),
    End = Begin + Seconds * 1000000,
    Gap = Sources * 1000000 / Rate,
    Running = [spawn_monitor(fun() -> source(Call, Counts, Gap, Begin, End, #{}) end) || _ <- lists:seq(1, Sources)],
    Sample = maps:get(sample, Opts, fun(_) -> none end),
    Samples = watch(maps:from_list([{Monitor, Pid} || {Pid, Monitor} <- Running]), Sample,
                    erlang:monotonic_time(millisecond), 1, []),
    Of = fun(Kind) -> counters:get(Counts, place(Kind)) end,
    maps:from_list([{offered, counters:get(Counts, 1)}, {samples, Samples},
                    {served_us, times(Counts, served)}, {refused_us, times(Counts, refused)},
                    {timeouts_us, times(Counts, timeouts)}
                    | [{Kind, Of(Kind)} || Kind <- ?KINDS]]).

%% The time that this share of the calls did not exceed; 0 if there were none.
-spec percentile(times(), Percent :: number()) -> float().
percentile([], _Percent) ->
    0.0;
percentile(Times, Percent) ->
    Wanted = lists:sum([Count || {_, Count} <- Times]) * Percent / 100,
    up_to(Times, Wanted).

up_to([{Time, _}], _Wanted) -> Time;
up_to([{Time, Count} | _], Wanted) when Count >= Wanted -> Time;
up_to([{_, Count} | Times], Wanted) -> up_to(Times, Wanted - Count).

-spec largest(times()) -> float().
largest(Times) ->
    percentile(Times, 100).

%% One that falls behind makes up for it at once. It ends after its last call.
source(Call, Counts, Gap, Due, End, Calls) ->
    Next = Due - round(Gap * math:log(rand:uniform_real())),
    Left = wait_until(min(Next, End), Calls),
    case Next < End of
        true ->
            counters:add(Counts, 1, 1),
            {_, Monitor} = spawn_monitor(fun() -> one(Call, Counts) end),
            source(Call, Counts, Gap, Next, End, Left#{Monitor => []});
        false ->
            wait_for_all(Left)
    end.

wait_until(Time, Calls) ->
    Wait = max(0, Time - erlang:monotonic_time(microsecond)),
    receive
        {'DOWN', Monitor, process, _, normal} -> wait_until(Time, maps:remove(Monitor, Calls))
    after Wait div 1000 ->
        Calls
    end.

wait_for_all(Calls) when map_size(Calls) =:= 0 ->
    ok;
wait_for_all(Calls) ->
    receive
        {'DOWN', Monitor, process, _, normal} -> wait_for_all(maps:remove(Monitor, Calls))
    end.

one(Call, Counts) ->
    Begin = erlang:monotonic_time(nanosecond),
    Answer = Call(),
    Microseconds = (erlang:monotonic_time(nanosecond) - Begin) / 1000,
    Kind = kind(Answer),
    counters:add(Counts, place(Kind), 1),
    counters:add(Counts, place(Kind) + bucket(Microseconds), 1).

kind(ok) -> served;
kind({ok, _}) -> served;
kind({error, overload}) -> refused;
kind({error, timeout}) -> timeouts;
kind(_) -> other.

%% The count of a kind, and after it its histogram.
place(Kind) ->
    place(Kind, ?KINDS, 2).

place(Kind, [Kind | _], Place) -> Place;
place(Kind, [_ | Kinds], Place) -> place(Kind, Kinds, Place + 1 + ?BUCKETS).

bucket(Microseconds) ->
    max(1, min(?BUCKETS, ceil(math:log(max(1.0, Microseconds)) / math:log(?STEP)))).

times(Counts, Kind) ->
    [{math:pow(?STEP, Bucket), Count}
     || Bucket <- lists:seq(1, ?BUCKETS), Count <- [counters:get(Counts, place(Kind) + Bucket)], Count > 0].

%% A source that fails fails the load.
watch(Monitors, _Sample, _Begin, _Round, Samples) when map_size(Monitors) =:= 0 ->
    lists:reverse(Samples);
watch(Monitors, Sample, Begin, Round, Samples) ->
    receive
        {'DOWN', Monitor, process, _, Reason} when is_map_key(Monitor, Monitors) ->
            Reason =:= normal orelse error({source_failed, Reason}),
            watch(maps:remove(Monitor, Monitors), Sample, Begin, Round, Samples)
    after max(0, Begin + Round * ?SAMPLE_TIME - erlang:monotonic_time(millisecond)) ->
        Elapsed = erlang:monotonic_time(millisecond) - Begin,
        watch(Monitors, Sample, Begin, Round + 1, [Sample(Elapsed) | Samples])
    end.
