%% What a value of a stream costs an Erlang process, beside Python's own `for' over
%% the same generator in the same round; and a file that is larger than memory.
%%
%%   scripts/bench streams [--file-gb GB] [--file PATH] [--no-file]
%%
%% The file is made (and deleted) where TMPDIR is, unless PATH names one that exists.
-module(bench_streams).

-export([main/0]).

-define(ROUNDS, 5).
-define(WORKER, #{worker => 1}).
%% How many values a round has: fewer where each costs a hop.
-define(CHUNKED, 500000).
-define(SINGLE, 100000).
-define(ASYNC, 100000).
-define(LISTED, 100000).
-define(DEMAND, 2000).
-define(CALLS, 1000).

main() ->
    bench:start(),
    ok = py:exec(definitions(), ?WORKER),
    Options = options(init:get_plain_arguments(), #{gb => 0.2, file => made}),
    sync(),
    async(),
    neighbours(),
    list(),
    file(Options).

options(["--file-gb", GB | Rest], Options) -> options(Rest, Options#{gb := to_number(GB)});
options(["--file", Path | Rest], Options) -> options(Rest, Options#{file := Path});
options(["--no-file" | Rest], Options) -> options(Rest, Options#{file := none});
options([], Options) -> Options;
options([Other | _], _Options) ->
    io:format(standard_error, "bench_streams: unknown argument ~ts~n", [Other]),
    halt(2).

to_number(Text) ->
    try list_to_float(Text) catch error:badarg -> list_to_integer(Text) end.

definitions() -> <<"
import asyncio
from time import perf_counter_ns

def numbers(n):
    for i in range(n):
        yield i

async def anumbers(n):
    for i in range(n):
        yield i

async def sleepers(n):
    for i in range(n):
        await asyncio.sleep(0)
        yield i

def lines(path):
    with open(path, encoding='utf-8') as file:
        for line in file:
            yield line.rstrip('\\n')

def timed_for(iterable):
    begin = perf_counter_ns()
    for value in iterable:
        pass
    return perf_counter_ns() - begin

async def timed_async_for(iterable):
    begin = perf_counter_ns()
    async for value in iterable:
        pass
    return perf_counter_ns() - begin

def timed_list(n):
    begin = perf_counter_ns()
    list(i for i in range(n))
    return perf_counter_ns() - begin

def timed_errors(path):
    begin = perf_counter_ns()
    count = 0
    for line in lines(path):
        if line.endswith('error'):
            count += 1
    return (perf_counter_ns() - begin, count)
">>.

%% Ways --------------------------------------------------------------------------------

sync() ->
    Ways = [{"next, one by one", ?SINGLE, fun(N) -> all_next(numbers(N, #{}), N) end},
            {"next, prefetch 1,000", ?CHUNKED, fun(N) -> all_next(numbers(N, #{prefetch => 1000}), N) end},
            {"take of 1,000", ?CHUNKED, fun(N) -> all_taken(numbers(N, #{}), 1000, N) end},
            {"subscribe, demand 2,000", ?CHUNKED, fun(N) -> subscribed(numbers(N, #{}), N) end},
            {"fold", ?CHUNKED, fun(N) -> folded(numbers(N, #{}), N) end},
            {"py_pool:request", ?CHUNKED, fun requested/1}],
    Rounds = measured("A generator of integers", Ways, fun(N) -> plain(timed_for, numbers, N) end),
    Rate = fun(Name) -> rate(proplists:get_value(Name, Rounds)) end,
    expect_rate("over 150,000 values/s one by one", Rate("next, one by one"), 150000),
    expect_rate("over 1,000,000 values/s by take of 1,000", Rate("take of 1,000"), 1000000),
    expect_rate("over 1,000,000 values/s by fold", Rate("fold"), 1000000).

async() ->
    Ways = fun(Name) ->
        [{"next, one by one", ?ASYNC div 4, fun(N) -> all_next(open(Name, N, #{}), N) end},
         {"take of 1,000", ?ASYNC, fun(N) -> all_taken(open(Name, N, #{}), 1000, N) end},
         {"subscribe, demand 2,000", ?ASYNC, fun(N) -> subscribed(open(Name, N, #{}), N) end}]
    end,
    _ = measured("An async generator that never waits", Ways(anumbers),
                 fun(N) -> plain(timed_async_for, anumbers, N) end),
    _ = measured("An async generator that lets the loop turn before each value", Ways(sleepers),
                 fun(N) -> plain(timed_async_for, sleepers, N) end),
    ok.

numbers(N, Opts) -> open(numbers, N, Opts).

open(Name, N, Opts) ->
    {ok, Stream} = py_stream:open({call, '__main__', Name, [N], #{}}, maps:merge(Opts, ?WORKER)),
    Stream.

all_next(Stream, N) -> all_next(Stream, 0, N).

all_next(Stream, N, N) ->
    {done, none} = py_stream:next(Stream),
    ok;
all_next(Stream, I, N) ->
    {ok, I} = py_stream:next(Stream),
    all_next(Stream, I + 1, N).

all_taken(Stream, Chunk, Left) ->
    case py_stream:take(Stream, Chunk) of
        {ok, []} -> 0 = Left, {done, none} = py_stream:next(Stream), ok;
        {ok, Values} -> all_taken(Stream, Chunk, Left - length(Values))
    end.

folded(Stream, N) ->
    {ok, N} = py_stream:fold(fun(_, Count) -> Count + 1 end, 0, Stream),
    ok.

%% Demand is renewed at its half, so that the worker need not wait.
subscribed(Stream, N) ->
    {ok, Ref} = py_stream:subscribe(Stream, #{demand => ?DEMAND}),
    pushed(Stream, Ref, 0, N).

pushed(Stream, Ref, I, N) ->
    receive
        {py_chunk, Ref, I} when (I + 1) rem (?DEMAND div 2) =:= 0 ->
            _ = py_stream:demand(Stream, ?DEMAND div 2),
            pushed(Stream, Ref, I + 1, N);
        {py_chunk, Ref, I} ->
            pushed(Stream, Ref, I + 1, N);
        {py_end, Ref} ->
            N = I,
            ok
    end.

requested(N) ->
    Ref = make_ref(),
    ok = py_pool:request({stream_eval, Ref, self(), <<"(i for i in range(n))">>, #{n => N}}),
    received(Ref, 0, N).

received(Ref, I, N) ->
    receive
        {py_chunk, Ref, I} -> received(Ref, I + 1, N);
        {py_end, Ref} -> N = I, ok
    end.

%% Python's own time for the same values.
plain(Timer, Name, N) ->
    {ok, Generator} = py:call('__main__', Name, [N], #{}, ?WORKER),
    {ok, Nanoseconds} = py:call('__main__', Timer, [Generator], #{}, ?WORKER),
    Nanoseconds / N.

%% Of each way {Name, [{Nanoseconds a value, the same of Python}]}, round by round.
measured(Title, Ways, Plain) ->
    [bench:isolated(fun() -> Run(N div 10) end) || {_, N, Run} <- Ways],
    All = [[pair(Way, Plain) || Way <- Ways] || _ <- lists:seq(1, ?ROUNDS)],
    Results = [{Name, [lists:nth(Which, Round) || Round <- All]}
               || {Which, {Name, _, _}} <- lists:zip(lists:seq(1, length(Ways)), Ways)],
    bench:title("~ts, values a second to a process (median of ~b rounds)", [Title, ?ROUNDS]),
    bench:table(["", "values/s", "Python's for", "time / for"],
                [[Name, bench:number(rate(Pairs)), bench:number(rate([{P, P} || {_, P} <- Pairs])), times(Pairs)]
                 || {Name, Pairs} <- Results]),
    Results.

pair({_, N, Run}, Plain) ->
    Before = Plain(N),
    Time = bench:isolated(fun() -> bench:time(fun() -> ok = Run(N) end) end),
    {Time / N, (Before + Plain(N)) / 2}.

rate(Pairs) -> 1.0e9 / bench:median([Time || {Time, _} <- Pairs]).

times(Pairs) -> bench:number(ratio(Pairs), 2) ++ "x".

ratio(Pairs) -> bench:ratio([Time || {Time, _} <- Pairs], [Plain || {_, Plain} <- Pairs]).

expect_rate(What, Rate, Least) ->
    bench:expect(What, bench:number(Rate), Rate > Least).

%% Neighbours ---------------------------------------------------------------------------

%% What calls take on a worker that has an endless stream of cheap values as well.
neighbours() ->
    Ways = [{"nothing", fun(_Stream) -> ok end},
            {"fold", fun(Stream) -> py_stream:fold(fun(_, Acc) -> Acc end, ok, Stream) end},
            {"subscribe, demand 2,000", fun without_end/1},
            {"take of 100,000", fun Take(Stream) -> {ok, _} = py_stream:take(Stream, 100000), Take(Stream) end}],
    Rows = [{Name, beside(Consume)} || {Name, Consume} <- Ways],
    bench:title("A call on the worker of an endless stream, ms (~b calls)", [?CALLS]),
    bench:table(["consumed by", "p50", "p99", "most"],
                [[Name | [bench:number(bench:percentile(Times, P) / 1.0e6, 2) || P <- [50, 99, 100]]] || {Name, Times} <- Rows]),
    Worst = lists:max([bench:percentile(Times, 99) || {_, Times} <- Rows]) / 1.0e6,
    bench:expect("p99 of a call beside it under 20 ms", [bench:number(Worst, 2), " ms"], Worst < 20).

beside(Consume) ->
    Self = self(),
    {Consumer, Monitor} = spawn_monitor(fun() ->
        Stream = numbers(1 bsl 60, #{}),
        {ok, 0} = py_stream:next(Stream),
        Self ! {self(), opened},
        _ = Consume(Stream),
        timer:sleep(infinity)
    end),
    receive
        {Consumer, opened} -> ok;
        {'DOWN', Monitor, process, Consumer, Reason} -> error({benchmark_failed, Reason})
    end,
    timer:sleep(100),
    Times = bench:isolated(fun() ->
        [bench:time(fun() -> {ok, 2} = py:eval(<<"1 + 1">>, #{}, ?WORKER) end) || _ <- lists:seq(1, ?CALLS)]
    end),
    true = erlang:demonitor(Monitor, [flush]),
    true = exit(Consumer, kill),
    Times.

without_end(Stream) ->
    {ok, Ref} = py_stream:subscribe(Stream, #{demand => ?DEMAND}),
    pushed(Stream, Ref, 1, none).

%% A list -------------------------------------------------------------------------------

list() ->
    Code = <<"(i for i in range(n))">>,
    Streamed = fun() ->
        {ok, Values} = py:stream_eval(Code, #{n => ?LISTED}, ?WORKER),
        ?LISTED = length(Values)
    end,
    Listed = fun() -> {ok, Ns} = py:call('__main__', timed_list, [?LISTED], #{}, ?WORKER), Ns end,
    _ = bench:isolated(Streamed),
    Pairs = [begin
                 Before = Listed(),
                 Time = bench:isolated(fun() -> bench:time(Streamed) end),
                 {Time, (Before + Listed()) / 2}
             end || _ <- lists:seq(1, 4 * ?ROUNDS + 1)],
    bench:title("A list of ~ts integers (median of ~b rounds)", [bench:number(?LISTED), length(Pairs)]),
    Ms = fun(Values) -> bench:number(bench:median(Values) / 1.0e6, 2) end,
    bench:table(["", "ms", "time / list(...)"],
                [["py:stream_eval", Ms([Time || {Time, _} <- Pairs]), times(Pairs)],
                 ["Python's list(...)", Ms([Plain || {_, Plain} <- Pairs]), "1.00x"]]),
    bench:expect("py:stream_eval within 3x of Python's list(...)", times(Pairs), ratio(Pairs) =< 3).

%% A file -------------------------------------------------------------------------------

file(#{file := none}) ->
    ok;
file(#{file := made, gb := GB}) ->
    Path = filename:join(os:getenv("TMPDIR", "/tmp"), "bench_streams_" ++ os:getpid() ++ ".log"),
    try
        ok = make(Path, round(GB * 1000000000)),
        lines(Path)
    after
        file:delete(Path)
    end;
file(#{file := Path, gb := GB}) ->
    case filelib:is_regular(Path) of
        true -> ok;
        false -> ok = make(Path, round(GB * 1000000000))
    end,
    lines(Path).

%% Lines of a log, one in a hundred an error; written a mebibyte or so at a time.
make(Path, Bytes) ->
    Block = iolist_to_binary([line(N) || N <- lists:seq(1, 10000)]),
    {ok, File} = file:open(Path, [write, raw, binary]),
    _ = [ok = file:write(File, Block) || _ <- lists:seq(1, max(1, Bytes div byte_size(Block)))],
    file:close(File).

line(N) ->
    Rest = case N rem 100 of 0 -> "error"; _ -> "a request was served" end,
    io_lib:format("2026-01-01T00:00:00 host-~b service[~b]: GET /items/~b?page=~b took ~b us, ~s~n",
                  [N rem 50, N rem 9973, N * 7919, N rem 13, N * 31 rem 100000, Rest]).

lines(Path) ->
    Size = filelib:file_size(Path),
    bench:title("A file of ~s GB, line by line, in ~ts", [bench:number(Size / 1.0e9, 2), Path]),
    Binary = unicode:characters_to_binary(Path),
    {ok, {PlainNs, Errors}} = py:call('__main__', timed_errors, [Binary], #{}, ?WORKER),
    _ = bench:isolated(fun() -> all_taken(numbers(?CHUNKED, #{}), 1000, ?CHUNKED) end),
    true = garbage_collect(),
    Before = bench:resident(),
    Watch = spawn_link(fun() -> watch(Before) end),
    Self = self(),
    {Count, Ns} = bench:isolated(fun() -> count_lines(Binary, Errors) end),
    Watch ! {most, Self},
    Most = receive {most, Seen} -> Seen end,
    After = bench:resident(),
    bench:table(["", "lines", "s", "lines/s", "MB/s", "time / for"],
                [[Name, bench:number(Count), bench:number(Time / 1.0e9, 2), bench:number(Count * 1.0e9 / Time),
                  bench:number(Size * 1000 / Time), bench:number(Time / PlainNs, 2) ++ "x"]
                 || {Name, Time} <- [{"py_stream:fold", Ns}, {"Python's for", PlainNs}]]),
    is_integer(Before) andalso
        begin
            io:format("resident MiB: ~b before, ~b at most, ~b after~n", [Before, Most, After]),
            bench:expect("the VM grows by less than 16 MiB", [integer_to_list(Most - Before), " MiB"],
                         Most - Before < 16)
        end.

count_lines(Path, Errors) ->
    {ok, Stream} = py_stream:open({call, '__main__', lines, [Path], #{}}, ?WORKER),
    Begin = erlang:monotonic_time(nanosecond),
    Count = fun(Line, {All, Bad}) ->
        case binary:longest_common_suffix([Line, <<"error">>]) of
            5 -> {All + 1, Bad + 1};
            _ -> {All + 1, Bad}
        end
    end,
    {ok, {All, Errors}} = py_stream:fold(Count, {0, 0}, Stream),
    {All, erlang:monotonic_time(nanosecond) - Begin}.

%% The most that the VM had while it ran.
watch(Most) ->
    receive
        {most, To} -> To ! {most, Most}
    after 20 ->
        watch(case bench:resident() of unknown -> Most; Now -> max(Most, Now) end)
    end.
