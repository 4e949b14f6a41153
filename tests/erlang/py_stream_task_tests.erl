%% Async generators: each is one asyncio Task from its first step to its aclose, whoever ends it, and however.
-module(py_stream_task_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

-import(py_stream_task_test, [define/0]).
-import(py_stream_test, [open/2, rest/1, value/1]).

task_test_() ->
    py_stream_test:cases(?MODULE).

case_all_steps_in_one_task() ->
    define(),
    Stream = open(through_client, [5]),
    ?assertEqual({ok, 0}, py_stream:next(Stream)),
    ?assertEqual({ok, 10}, py:eval("5 + 5")),
    ?assertEqual({ok, [1, 2]}, py_stream:take(Stream, 2)),
    ?assertEqual({[3, 4], {done, none}}, rest(Stream)),
    ?assertEqual([<<"finally">>, <<"cleaned">>, <<"exit">>, <<"left">>], value("events[-4:]")),
    ?assertEqual(15, value("len(tasks)")),
    ?assert(value("one_task()")).

case_close_in_the_same_task() ->
    define(),
    Stream = open(through_client, [5]),
    {ok, [0, 1]} = py_stream:take(Stream, 2),
    ?assertEqual(ok, py_stream:close(Stream)),
    ?assertEqual([<<"enter">>, 0, {<<"resumed">>, 0}, 1, <<"finally">>, <<"cleaned">>, <<"exit">>, <<"left">>],
                 value("events")),
    ?assert(value("one_task()")),
    ?assertEqual({error, closed}, py_stream:next(Stream)).

%% Code of the user closes the worker's event loop under a step that waits there.
case_the_loop_is_closed() ->
    define(),
    ok = py:exec("
async def sleeps():
    global loop
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(60)
        yield 0
"),
    Stream = open(sleeps, []),
    {ok, Ref} = py_stream:subscribe(Stream, #{demand => 1}),
    py_test:wait_until(fun() -> {ok, true} =:= py:eval("'loop' in globals()") end, 3000),
    ok = py:exec("loop.close()"),
    receive
        {py_error, Ref, Reason} ->
            ?assertEqual({'RuntimeError', "the event loop of the worker was closed"}, Reason)
    after 5000 ->
        error(not_told)
    end,
    ?assertEqual({error, closed}, py_stream:next(Stream)),
    %% The worker has a new one for whoever comes next.
    {ok, [0, 1]} = py:stream('__main__', through_client, [2]).

%% A close in the middle of a demand, or right after a value, cancels no clean-up.
case_close_cancels_no_cleanup() ->
    define(),
    ok = py:exec("
async def endless():
    async with Client():
        try:
            while True:
                yield 0
        finally:
            await asyncio.sleep(0.005)
            note('cleaned')
"),
    [begin
         Stream = open(endless, []),
         case N rem 2 of
             0 ->
                 {ok, 0} = py_stream:next(Stream);
             1 ->
                 {ok, Ref} = py_stream:subscribe(Stream, #{demand => 1000000}),
                 receive {py_chunk, Ref, 0} -> ok end
         end,
         ok = py_stream:close(Stream)
     end || N <- lists:seq(1, 40)],
    ?assertEqual({40, 40, 40}, value("tuple(events.count(event) for event in ('enter', 'cleaned', 'left'))")).

%% While it waits within a step: cancelled there, and cleaned up by the same Task.
case_a_timeout_cancels_in_the_same_task() ->
    define(),
    Stream = open(through_client, [5, 2]),
    {Time, Taken} = py_test:elapsed(fun() -> py_stream:take(Stream, 5, 200) end),
    ?assertEqual({ok, [0, 1]}, Taken),
    ?assertMatch(OnTime when OnTime >= 200, Time),
    ?assertMatch(OnTime when OnTime < 1000, Time),
    ?assertEqual({error, timeout}, py_stream:next(Stream)),
    ?assertEqual({error, closed}, py_stream:next(Stream)),
    py_test:wait_until(fun() -> value("events[-1]") =:= <<"left">> end, 3000),
    ?assertEqual([<<"finally">>, <<"cleaned">>, <<"exit">>, <<"left">>], value("events[-4:]")),
    ?assert(value("one_task()")).

case_next_times_out() ->
    define(),
    Stream = open(through_client, [5, 0]),
    ?assertEqual({error, timeout}, py_stream:next(Stream, 100)),
    ?assertEqual({error, closed}, py_stream:next(Stream)),
    py_test:wait_until(fun() -> value("events[-1]") =:= <<"left">> end, 3000),
    ?assert(value("one_task()")),
    {ok, Limited} = py_stream:open({call, '__main__', through_client, [5, 1], #{}}, #{timeout => 100}),
    ?assertEqual({ok, 0}, py_stream:next(Limited)),
    ?assertEqual({error, timeout}, py_stream:next(Limited)).

%% Closed by its consumer while a step is under way.
case_close_while_a_step_waits() ->
    define(),
    Stream = open(through_client, [5, 1]),
    {ok, Ref} = py_stream:subscribe(Stream, #{demand => 5}),
    receive {py_chunk, Ref, 0} -> ok after 5000 -> error(nothing) end,
    py_test:wait_until(fun() -> value("events[-1]") =:= {<<"resumed">>, 0} end, 3000),
    ?assertEqual(ok, py_stream:close(Stream)),
    ?assertEqual([<<"finally">>, <<"cleaned">>, <<"exit">>, <<"left">>], value("events[-4:]")),
    ?assert(value("one_task()")),
    ?assertEqual([], [M || {py_chunk, _, _} = M <- py_test:mailbox()]).

case_the_consumer_dies() ->
    define(),
    [begin
         ok = py:exec("tasks.clear(); events.clear()"),
         {ok, Generator} = py:call('__main__', through_client, [5, PauseAt]),
         {Consumer, Monitor} = spawn_monitor(fun() ->
             {ok, Stream} = py_stream:open(Generator),
             {ok, 0} = py_stream:next(Stream),
             py_stream:take(Stream, Wanted),
             receive never -> ok end
         end),
         py_test:wait_until(fun() -> value("len(events)") >= 3 end, 5000),
         exit(Consumer, kill),
         receive {'DOWN', Monitor, process, Consumer, killed} -> ok end,
         py_test:wait_until(fun() -> value("events[-1:]") =:= [<<"left">>] end, 5000),
         ?assert(value("one_task()"))
     end || {PauseAt, Wanted} <- [{none, 1}, {1, 2}]].

%% Many that end with their stream half way, and all at once.
case_many_consumers_die() ->
    ok = py:exec("ended = 0\nasync def endless():\n    global ended\n    try:\n        while True:\n"
                 "            yield 1\n    finally:\n        ended += 1"),
    {ok, Generators} = py:eval("[endless() for _ in range(3000)]"),
    Consumers = [spawn_monitor(fun() ->
        {ok, Stream} = py_stream:open(Generator),
        {ok, 1} = py_stream:next(Stream)
    end) || Generator <- Generators],
    [receive {'DOWN', Monitor, process, Pid, Reason} -> ?assertEqual(normal, Reason) end
     || {Pid, Monitor} <- Consumers],
    py_test:wait_until(fun() -> value("ended") =:= 3000 end, 10000),
    py_test:wait_until(fun() -> py_stream_test:open_streams() =:= 0 end, 5000).

%% A generator that would not end: it catches its cancellation once.
case_one_that_resists_its_cancellation() ->
    define(),
    ok = py:exec("
async def stubborn():
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        note('cancelled')
    yield 'still here'
"),
    Stream = open(stubborn, []),
    ?assertEqual({error, timeout}, py_stream:next(Stream, 100)),
    py_test:wait_until(fun() -> value("events") =:= [<<"cancelled">>] end, 3000),
    ?assertEqual({error, closed}, py_stream:next(Stream)),
    ?assertEqual({ok, 2}, py:eval("1 + 1")).
