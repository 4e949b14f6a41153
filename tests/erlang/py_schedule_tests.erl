%% Calls hold no normal scheduler for long, whatever their size.
-module(py_schedule_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

schedule_test_() ->
    py_test:cases(?MODULE, 120).

%% Whether the system monitor saw the process that ran Fun scheduled in for 10 ms.
%% The heap is large from the start, so that no collection is measured instead.
long_schedules(Fun) ->
    Old = erlang:system_monitor(self(), [{long_schedule, 10}]),
    Options = [monitor, {min_heap_size, 20000000}],
    {Pid, Monitor} = spawn_opt(fun() -> Prepared = Fun(prepare), receive go -> Fun(Prepared) end end, Options),
    timer:sleep(500),
    flush(Pid, 0),
    Pid ! go,
    receive {'DOWN', Monitor, process, Pid, Reason} -> normal = Reason end,
    timer:sleep(100),
    _ = erlang:system_monitor(Old),
    flush(Pid, 0).

flush(Pid, Count) ->
    receive
        {monitor, Pid, long_schedule, _Info} -> flush(Pid, Count + 1);
        {monitor, _, _, _} -> flush(Pid, Count)
    after 0 -> Count
    end.

%% Other programs may take the processor for 10 ms: once in many tries it has to go
%% through without.
never_long(Fun) ->
    never_long(Fun, 20).

never_long(Fun, 0) ->
    error({long_schedule_every_time, Fun});
never_long(Fun, Tries) ->
    long_schedules(Fun) =:= 0 orelse never_long(Fun, Tries - 1).

case_list_of_three_million() ->
    never_long(fun(prepare) -> lists:seq(1, 3000000);
                  (List) -> {ok, 3000000} = py:call(builtins, len, [List])
               end).

case_arguments_as_locals() ->
    never_long(fun(prepare) -> lists:seq(1, 3000000);
                  (List) -> {ok, 3000000} = py:eval("len(v)", #{v => List})
               end).

case_large_binaries_and_maps() ->
    never_long(fun(prepare) -> {binary:copy(<<"x">>, 50000000), maps:from_list([{I, I} || I <- lists:seq(1, 300000)])};
                  ({Bin, Map}) -> {ok, 300000} = py:eval("len(b) and len(m)", #{b => py:buffer(Bin), m => Map})
               end).

case_giving_up_a_large_call() ->
    never_long(fun(prepare) -> lists:seq(1, 3000000);
                  (List) -> {error, timeout} = py:eval("len(v)", #{v => List}, 0)
               end).

case_a_large_end_of_a_stream() ->
    never_long(fun(prepare) ->
                       ok = py:exec("def ends_large():\n    yield 1\n    return list(range(4000000))"),
                       {ok, Stream} = py_stream:open({call, '__main__', ends_large, [], #{}}),
                       {ok, [1]} = py_stream:take(Stream, 2),
                       Stream;
                  (Stream) -> {done, [0 | _]} = py_stream:next(Stream)
               end).
