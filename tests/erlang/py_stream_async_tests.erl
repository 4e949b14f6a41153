%% Async generators: sources of all kinds, and many that wait side by side on one worker.
-module(py_stream_async_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

-import(py_stream_task_test, [define/0]).
-import(py_stream_test, [open/2, open_eval/1, open_eval/2, rest/1, value/1]).

-define(SLEEPERS, 1000).

async_test_() ->
    py_stream_test:cases(?MODULE).

%% Sources --------------------------------------------------------------------------

case_an_async_generator() ->
    define(),
    ok = py:exec("async def ticks(n):\n    for i in range(n):\n        await asyncio.sleep(0)\n        yield i"),
    ?assertEqual({[0, 1, 2, 3], {done, none}}, rest(open(ticks, [4]))),
    ?assertEqual({[], {done, none}}, rest(open(ticks, [0]))),
    {ok, {generator, _} = Generator} = py:call('__main__', ticks, [3]),
    {ok, Stream} = py_stream:open(Generator),
    ?assertEqual({ok, 0}, py_stream:next(Stream)),
    ?assertEqual({[1, 2], {done, none}}, rest(Stream)),
    ?assertEqual({error, closed}, py_stream:next(Stream)),
    ?assertEqual({[0, 2], {done, none}}, rest(open_eval("(i async for i in ticks(4) if i % 2 == 0)"))).

case_it_runs_no_further_than_asked() ->
    define(),
    Stream = open(through_client, [100]),
    ?assertEqual([], value("events")),
    {ok, [0, 1]} = py_stream:take(Stream, 2),
    {ok, 0} = py:eval("0"),
    timer:sleep(50),
    ?assertEqual([<<"enter">>, 0, {<<"resumed">>, 0}, 1], value("events")),
    ok = py_stream:close(Stream).

%% No more than three of a source's requests are under way at any time, in order.
case_a_semaphore_limits_the_source() ->
    define(),
    ok = py:exec("
running = peak = 0
started = []

async def request(gate, n):
    global running, peak
    async with gate:
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0.01)
        running -= 1
        return n * n

async def limited(count, at_most):
    gate = asyncio.Semaphore(at_most)
    pending = [asyncio.ensure_future(request(gate, n)) for n in range(count)]
    started.append(pending)
    try:
        for future in pending:
            yield await future
    finally:
        for future in pending:
            future.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
"),
    {Values, End} = rest(open(limited, [30, 3])),
    ?assertEqual({[N * N || N <- lists:seq(0, 29)], {done, none}}, {Values, End}),
    ?assertEqual({3, 0}, value("(peak, running)")),
    Half = open(limited, [30, 3]),
    {ok, [0, 1]} = py_stream:take(Half, 2),
    ok = py_stream:close(Half),
    ?assertEqual([true, true], value("[all(request.done() for request in requests) for requests in started]")).

%% A queue between a producer and the stream: the producer is held up by who reads.
case_a_queue_with_backpressure() ->
    define(),
    ok = py:exec("
produced = 0

async def produce(queue, n):
    global produced
    for i in range(n):
        await queue.put(i)
        produced += 1
    await queue.put(None)

async def consume(n, size):
    queue = asyncio.Queue(size)
    producer = asyncio.ensure_future(produce(queue, n))
    try:
        while True:
            item = await queue.get()
            if item is None:
                return
            yield item
    finally:
        producer.cancel()
"),
    Stream = open(consume, [1000, 5]),
    {ok, [0, 1, 2]} = py_stream:take(Stream, 3),
    timer:sleep(50),
    ?assert(value("produced") =< 3 + 5 + 1),
    {Rest, {done, none}} = rest(Stream),
    ?assertEqual(lists:seq(3, 999), Rest),
    ?assertEqual(1000, value("produced")).

%% Not a generator: a class with __aiter__ and __anext__.
case_an_async_iterator_class() ->
    define(),
    ok = py:exec("
class Countdown:
    def __init__(self, n):
        self.n = n

    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.sleep(0)
        if self.n == 0:
            raise StopAsyncIteration
        self.n -= 1
        return self.n
"),
    ?assertEqual({[2, 1, 0], {done, none}}, rest(open('Countdown', [3]))),
    {ok, {py_object, _} = Object} = py:call('__main__', 'Countdown', [2]),
    {ok, Stream} = py_stream:open(Object),
    ?assertMatch({error, {'TypeError', _}}, py_stream:send(Stream, 5)),
    ?assertEqual({[1, 0], {done, none}}, rest(Stream)).

case_send_and_throw() ->
    define(),
    ok = py:exec("
async def echo():
    got = 'ready'
    while True:
        try:
            note('step')
            got = yield got
            await asyncio.sleep(0)
        except ValueError as e:
            got = 'caught ' + str(e)
"),
    Stream = open(echo, []),
    ?assertEqual({error, {'TypeError', "can't send non-None value to a just-started async generator"}},
                 py_stream:send(Stream, 1)),
    ?assertEqual({ok, <<"ready">>}, py_stream:next(Stream)),
    ?assertEqual({ok, {1, <<"x">>}}, py_stream:send(Stream, {1, <<"x">>})),
    ?assertEqual({ok, <<"caught it">>}, py_stream:throw(Stream, 'ValueError', "it")),
    ?assertEqual({ok, none}, py_stream:next(Stream)),
    ?assert(value("one_task()")),
    ?assertEqual({error, {'KeyError', "'gone'"}}, py_stream:throw(Stream, 'KeyError', "gone")),
    ?assertEqual({error, closed}, py_stream:next(Stream)).

case_an_error_after_some_values() ->
    define(),
    ok = py:exec("async def failing():\n    async with Client() as client:\n        yield await client.receive(1)\n"
                 "        raise LookupError('enough')"),
    ?assertEqual({[1], {error, {'LookupError', "enough"}}}, rest(open(failing, []))),
    ?assertEqual([<<"enter">>, <<"exit">>, <<"left">>], value("events")),
    ?assert(value("one_task()")).

%% Async generators composed of async generators.
case_pipelines() ->
    define(),
    ok = py:exec("
async def doubled(source):
    try:
        async for value in source:
            yield value * 2
    finally:
        await source.aclose()

async def merged(*sources):
    for source in sources:
        async for value in source:
            yield value
"),
    ?assertEqual({[0, 4, 8], {done, none}}, rest(open_eval("doubled(doubled(through_client(3)))"))),
    ?assert(value("one_task()")),
    ok = py:exec("tasks.clear()"),
    Stream = open_eval("doubled(doubled(through_client(3)))"),
    {ok, 0} = py_stream:next(Stream),
    ok = py_stream:close(Stream),
    ?assert(value("one_task()")),
    ?assertEqual(<<"left">>, value("events[-1]")),
    ?assertEqual({[0, 1, 0, 1, 2], {done, none}}, rest(open_eval("merged(through_client(2), through_client(3))"))).

%% Many ---------------------------------------------------------------------------------

define_sleepers() ->
    define(),
    ok = py:exec("
asleep = most = ended = 0
threads = set()
wake = None

async def sleeper(n):
    global asleep, most, ended, wake
    if wake is None:
        wake = asyncio.Event()
    threads.add(threading.get_ident())
    asleep += 1
    most = max(most, asleep)
    try:
        await wake.wait()
    finally:
        asleep -= 1
    try:
        yield n
        await asyncio.sleep(3600)
    finally:
        ended += 1

async def wake_all():
    wake.set()
").

case_a_thousand_asleep_for_one_process() ->
    define_sleepers(),
    Streams = [open(sleeper, [N]) || N <- lists:seq(1, ?SLEEPERS)],
    ?assertEqual({0, 0}, value("(asleep, most)")),
    Refs = [element(2, py_stream:subscribe(Stream, #{demand => 1})) || Stream <- Streams],
    py_test:wait_until(fun() -> value("asleep") =:= ?SLEEPERS end, 20000),
    ?assertEqual([], py_test:mailbox()),
    {Time, {ok, 4}} = py_test:elapsed(fun() -> py:eval("2 + 2") end),
    ?assertMatch(Prompt when Prompt < 200, Time),
    {ok, none} = py:call('__main__', wake_all, []),
    Values = [receive {py_chunk, Ref, N} -> N after 10000 -> nothing end || Ref <- Refs],
    ?assertEqual(lists:seq(1, ?SLEEPERS), Values),
    ?assertEqual({?SLEEPERS, 1}, value("(most, len(threads))")),
    [ok = py_stream:close(Stream) || Stream <- Streams],
    ?assertEqual(?SLEEPERS, value("ended")).

case_a_thousand_asleep_for_a_thousand_processes() ->
    define_sleepers(),
    {ok, Generators} = py:eval("[sleeper(n) for n in range(count)]", #{count => ?SLEEPERS}),
    Self = self(),
    Consumers = [spawn_monitor(fun() ->
        {ok, Stream} = py_stream:open(Generator),
        Self ! {self(), py_stream:next(Stream, 30000)}
    end) || Generator <- Generators],
    py_test:wait_until(fun() -> value("asleep") =:= ?SLEEPERS end, 20000),
    {ok, none} = py:call('__main__', wake_all, []),
    Answers = [receive {Pid, Answer} -> Answer after 10000 -> nothing end || {Pid, _} <- Consumers],
    ?assertEqual([{ok, N} || N <- lists:seq(0, ?SLEEPERS - 1)], Answers),
    [receive {'DOWN', Monitor, process, Pid, _} -> ok end || {Pid, Monitor} <- Consumers],
    py_test:wait_until(fun() -> value("ended") =:= ?SLEEPERS end, 10000),
    ?assertEqual(?SLEEPERS, value("most")).

%% Sleeps overlap: a thousand of 200 ms take nothing like 200 seconds.
case_their_sleeps_overlap() ->
    define(),
    ok = py:exec("async def nap(n):\n    for i in range(2):\n        await asyncio.sleep(0.2)\n        yield n"),
    {Time, ok} = py_test:elapsed(fun() ->
        Refs = [begin
                    {ok, Ref} = py_stream:subscribe(open(nap, [N]), #{demand => 3}),
                    {N, Ref}
                end || N <- lists:seq(1, ?SLEEPERS)],
        [receive {py_chunk, Ref, N} -> ok after 20000 -> error({nothing, N}) end || _ <- [1, 2], {N, Ref} <- Refs],
        [receive {py_end, Ref} -> ok after 20000 -> error({no_end, N}) end || {N, Ref} <- Refs],
        ok
    end),
    ?assertMatch(Overlapped when Overlapped < 10000, Time).

case_calls_and_sync_streams_go_on_meanwhile() ->
    define_sleepers(),
    Sleeping = open(sleeper, [1]),
    {ok, Ref} = py_stream:subscribe(Sleeping, #{demand => 1}),
    Sync = open_eval("iter(range(limit))", #{limit => 10000}),
    ?assertEqual({lists:seq(0, 9999), {done, none}}, rest(Sync)),
    ?assertEqual(1, value("asleep")),
    {ok, none} = py:call('__main__', wake_all, []),
    receive {py_chunk, Ref, 1} -> ok after 5000 -> error(nothing) end,
    ok = py_stream:close(Sleeping).
