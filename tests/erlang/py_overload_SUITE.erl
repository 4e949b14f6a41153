%% More work than a pool can do: what is offered is served or refused, refusals come at
%% once, those that are served wait no longer than the queue is, and nothing grows.
%%
%% ERLPY_TEST_ISOLATION is the isolation of the pools, `shared' where it is not set.
-module(py_overload_SUITE).
-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([five_times_the_capacity/1, one_worker_alone/1, time_out_in_the_queue/1, time_out_under_load/1]).

-define(MIB, 1048576).
-define(OVERLOAD, 5).

suite() -> [{timetrap, {minutes, 3}}].

all() -> [five_times_the_capacity, one_worker_alone, time_out_in_the_queue, time_out_under_load].

init_per_testcase(_Case, Config) ->
    ok = py_test:start(),
    Config.

end_per_testcase(_Case, _Config) ->
    py_test:stop(ok).

%% 30 seconds at five times the capacity. What the first five seconds take is no growth.
five_times_the_capacity(_Config) ->
    {Workers, MaxQueue, Milliseconds, Seconds, WarmUp} = {4, 4, 20, 30, 5000},
    with_pool(#{num_workers => Workers, max_queue => MaxQueue}, fun(Pool) ->
        Rate = ?OVERLOAD * Workers * 1000 div Milliseconds,
        #{served := Served, refused := Refused, samples := Samples} = Result =
            py_open_loop:run(fun() -> work(Milliseconds, #{pool => Pool}) end,
                             #{rate => Rate, seconds => Seconds, sample => fun(Elapsed) -> sample(Pool, Elapsed) end}),
        report(Result),
        driven(Result, Rate, Seconds),
        adds_up(Result, Pool),
        0 = maps:get(timeouts, Result),
        %% The pool was busy all the time, on however busy a machine.
        true = Served >= Workers * 1000 div Milliseconds * Seconds div 4,
        true = Refused > Served,
        bounded(Result, (MaxQueue + 1) * Milliseconds),
        flat(Samples, WarmUp),
        true = lists:max([Queued || #{queued := Queued} <- Samples]) =< Workers * MaxQueue,
        is_idle(Pool),
        works(Pool, Workers)
    end).

%% A worker that is asked for by number is overloaded alone: the others' calls are served as ever.
one_worker_alone(_Config) ->
    {Milliseconds, Seconds, MaxQueue} = {20, 5, 3},
    with_pool(#{num_workers => 2, max_queue => MaxQueue}, fun(Pool) ->
        Beside = spawn_monitor(fun() -> exit(beside(Pool, erlang:monotonic_time(millisecond) + Seconds * 1000, 0)) end),
        Rate = ?OVERLOAD * 1000 div Milliseconds,
        Result = py_open_loop:run(fun() -> work(Milliseconds, #{pool => Pool, worker => 1}) end,
                                  #{rate => Rate, seconds => Seconds}),
        report(Result),
        driven(Result, Rate, Seconds),
        #{offered := Offered, served := Served, refused := Refused, timeouts := 0, other := 0} = Result,
        Offered = Served + Refused,
        true = Refused > Served,
        bounded(Result, (MaxQueue + 1) * Milliseconds),
        Others = receive {'DOWN', _, process, Pid, {served, Count}} when Pid =:= element(1, Beside) -> Count end,
        {ok, #{calls := Calls, overloads := Refused}} = py_pool:stats(Pool),
        Calls = Served + Others,
        is_idle(Pool),
        works(Pool, 2)
    end).

%% Every one of its calls is served: none waits in the lane that is full.
beside(Pool, End, Count) ->
    {ok, 4.0} = py:call(math, sqrt, [16], #{}, #{pool => Pool, worker => 2}),
    case erlang:monotonic_time(millisecond) < End of
        true -> timer:sleep(1), beside(Pool, End, Count + 1);
        false -> {served, Count + 1}
    end.

%% While the only worker is busy nobody behind it is served. They leave the queue as their
%% time is over, and make room.
time_out_in_the_queue(_Config) ->
    MaxQueue = 20,
    with_pool(#{num_workers => 1, max_queue => MaxQueue, grace => 5000}, fun(Pool) ->
        Busy = py:call_async(time, sleep, [2], #{}, #{pool => Pool}),
        py_test:wait_until(fun() -> states(Pool) =:= [busy] end, 5000),
        Rounds = 3,
        [begin
             Waiting = [py:call_async(time, sleep, [0], #{}, #{pool => Pool, timeout => 100})
                        || _ <- lists:seq(1, MaxQueue)],
             {ok, #{queued := MaxQueue}} = py_pool:stats(Pool),
             {error, overload} = py:call(time, sleep, [0], #{}, #{pool => Pool}),
             [{error, timeout} = py:await(Call) || Call <- Waiting],
             {ok, #{queued := 0}} = py_pool:stats(Pool)
         end || _ <- lists:seq(1, Rounds)],
        [busy] = states(Pool),
        {ok, none} = py:await(Busy),
        Given = Rounds * MaxQueue,
        {ok, #{calls := 1, errors := 0, timeouts := Given, overloads := Rounds}} = py_pool:stats(Pool),
        [] = py_test:mailbox(),
        is_idle(Pool),
        works(Pool, 1)
    end).

%% The same under load: the queue has room for more than can be served in time.
time_out_under_load(_Config) ->
    {Workers, Milliseconds, Seconds, TimeOut} = {2, 50, 6, 120},
    with_pool(#{num_workers => Workers, max_queue => 50, grace => 1000}, fun(Pool) ->
        Rate = ?OVERLOAD * Workers * 1000 div Milliseconds,
        #{served := Served, timeouts := TimeOuts} = Result =
            py_open_loop:run(fun() -> work(Milliseconds, #{pool => Pool, timeout => TimeOut}) end,
                             #{rate => Rate, seconds => Seconds}),
        report(Result),
        driven(Result, Rate, Seconds),
        adds_up(Result, Pool),
        true = TimeOuts > Served,
        %% What was given up while it ran did run; what was given up in the queue, which is most, never did.
        {ok, #{calls := Calls}} = py_pool:stats(Pool),
        ct:log("~b calls ran", [Calls]),
        true = 2 * Calls < Served + TimeOuts,
        is_idle(Pool),
        works(Pool, Workers)
    end).

%% Parts ---------------------------------------------------------------------------

with_pool(Opts, Fun) ->
    Isolation = list_to_atom(os:getenv("ERLPY_TEST_ISOLATION", "shared")),
    py_test:with_pool(Opts#{isolation => Isolation}, Fun).

%% Takes its time and no processor.
work(Milliseconds, Opts) ->
    py:call(time, sleep, [Milliseconds / 1000], #{}, Opts).

%% The load was what it was meant to be, and not less for want of processors.
driven(#{offered := Offered}, Rate, Seconds) ->
    true = Offered > 0.8 * Rate * Seconds,
    true = Offered < 1.2 * Rate * Seconds.

%% No call is lost and none is counted twice, here or in the pool.
adds_up(#{offered := Offered, served := Served, refused := Refused, timeouts := TimeOuts, other := 0}, Pool) ->
    Offered = Served + Refused + TimeOuts,
    py_test:wait_until(fun() -> is_empty(Pool) end, 5000),
    {ok, #{calls := Calls, overloads := Refused, timeouts := TimeOuts}} = py_pool:stats(Pool),
    true = Calls >= Served andalso Calls =< Served + TimeOuts.

%% In milliseconds. Ten times what the queue allows for is a busy machine; a queue without
%% a bound would be at hundreds of times. A refusal waits for nothing.
bounded(#{served_us := Served, refused_us := Refused}, QueueTime) ->
    true = py_open_loop:percentile(Served, 99) < 10 * 1000 * QueueTime,
    true = py_open_loop:percentile(Refused, 99) < 50000.

sample(Pool, Elapsed) ->
    {ok, #{queued := Queued}} = py_pool:stats(Pool),
    #{elapsed => Elapsed,
      queued => Queued,
      rss => py_test:rss(),
      erlang => erlang:memory(total),
      processes => erlang:system_info(process_count),
      mailboxes => lists:sum([Length || {_, Length} <- mailboxes()])}.

mailboxes() ->
    [{Pid, Length} || Pid <- processes(), {message_queue_len, Length} <- [process_info(Pid, message_queue_len)],
                      Length > 0].

%% Nothing of the rest of the load is above the most of its beginning, but for a little.
flat(Samples, WarmUp) ->
    {Before, After} = lists:partition(fun(#{elapsed := Elapsed}) -> Elapsed =< WarmUp end, Samples),
    true = length(Before) >= 3 andalso length(After) >= 10,
    [begin
         Most = fun(Of) -> lists:max([maps:get(Key, Sample) || Sample <- Of]) end,
         ct:log("~p: ~b at most in the first ~b ms, then ~b", [Key, Most(Before), WarmUp, Most(After)]),
         {Key, true} = {Key, Most(After) - Most(Before) < Room}
     end || {Key, Room} <- [{rss, 16 * ?MIB}, {erlang, 16 * ?MIB}, {processes, 500}, {mailboxes, 500}]].

states(Pool) ->
    {ok, #{workers := Workers}} = py_pool:stats(Pool),
    [State || #{state := State} <- Workers].

is_empty(Pool) ->
    {ok, #{queued := Queued}} = py_pool:stats(Pool),
    Queued =:= 0 andalso lists:usort(states(Pool)) =:= [idle].

%% Nothing waits, neither in the pool nor in a mailbox.
is_idle(Pool) ->
    py_test:wait_until(fun() -> is_empty(Pool) andalso mailboxes() =:= [] end, 5000),
    {ok, #{objects := 0, streams := 0, abandoned := 0}} = py_pool:stats(Pool),
    [] = py_test:mailbox().

works(Pool, Workers) ->
    [{ok, 4.0} = py:call(math, sqrt, [16], #{}, #{pool => Pool, worker => N, timeout => 5000})
     || N <- lists:seq(1, Workers)],
    {ok, 4.0} = py:call(math, sqrt, [16], #{}, #{pool => Pool, timeout => 5000}).

report(#{served_us := Served, refused_us := Refused} = Result) ->
    At = fun(Times, Percent) -> py_open_loop:percentile(Times, Percent) / 1000 end,
    ct:log("~p~nserved: p50 ~.1f, p99 ~.1f, at most ~.1f ms; refused: p50 ~.3f, p99 ~.3f, at most ~.3f ms",
           [maps:with([offered, served, refused, timeouts, other], Result),
            At(Served, 50), At(Served, 99), At(Served, 100), At(Refused, 50), At(Refused, 99), At(Refused, 100)]).
