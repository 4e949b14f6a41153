%% Memory comes back: large values without a copy, over many rounds; long streams, all
%% the while they run.
-module(py_memory_SUITE).
-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([buffers_in/1, bytes_out/1, there_and_back/1, lists/1, abandoned_calls/1, constant_time/1]).
-export([stream_pulled/1, stream_folded/1, stream_subscribed_slowly/1, stream_requested_slowly/1]).

-define(MIB, 1048576).
%% Values of a stream.
-define(VALUES, 10000000).

suite() -> [{timetrap, {minutes, 5}}].

all() -> [buffers_in, bytes_out, there_and_back, lists, abandoned_calls, constant_time,
          stream_pulled, stream_folded, stream_subscribed_slowly, stream_requested_slowly].

init_per_testcase(_Case, Config) ->
    ok = py_test:start(),
    Config.

end_per_testcase(_Case, _Config) ->
    py_test:stop(ok).

%% Resident memory grows by less than Limit over the rounds, after some to warm up.
bounded(Rounds, Limit, Fun) ->
    [round_of(Fun) || _ <- lists:seq(1, 5)],
    Before = settled(),
    [round_of(Fun) || _ <- lists:seq(1, Rounds)],
    After = settled(),
    ct:log("resident: ~b MiB, then ~b MiB", [Before div ?MIB, After div ?MIB]),
    true = After - Before < Limit.

%% What it returns stays there: on the heap of this process it would count as memory in use.
round_of(Fun) ->
    py_test:in_process(fun() -> _ = Fun(), ok end).

settled() ->
    [erlang:garbage_collect(Pid) || Pid <- processes()],
    {ok, _} = py:gc(),
    timer:sleep(300),
    py_test:rss().

buffers_in(_Config) ->
    bounded(200, 192 * ?MIB, fun() ->
        Size = 64 * ?MIB,
        {ok, Size} = py:eval("len(v)", #{v => py:buffer(binary:copy(<<"x">>, Size))})
    end).

bytes_out(_Config) ->
    bounded(200, 192 * ?MIB, fun() ->
        {ok, Bytes} = py:eval("bytes(64 << 20)"),
        64 * ?MIB = byte_size(Bytes)
    end).

there_and_back(_Config) ->
    bounded(100, 256 * ?MIB, fun() ->
        Bin = binary:copy(<<"abcdefgh">>, 8 * ?MIB),
        {ok, Bin} = py:eval("bytes(v)", #{v => py:buffer(Bin)})
    end).

lists(_Config) ->
    List = lists:seq(1, 200000),
    bounded(100, 128 * ?MIB, fun() ->
        {ok, List} = py:eval("v", #{v => List})
    end).

abandoned_calls(_Config) ->
    Bin = binary:copy(<<"x">>, ?MIB),
    bounded(200, 128 * ?MIB, fun() ->
        {error, timeout} = py:eval("(v, __import__('time').sleep(0.02))", #{v => [py:buffer(binary:copy(Bin)), Bin]}, 0)
    end).

%% 64 MiB cross as fast as 64 KiB, in to Python and out of it, but for allocation.
constant_time(_Config) ->
    Small = py:buffer(binary:copy(<<"x">>, 65536)),
    Large = py:buffer(binary:copy(<<"x">>, 64 * ?MIB)),
    ok = py:exec("small = bytes(1 << 16)\nlarge = bytes(64 << 20)\ndef get_small(): return small\ndef get_large(): return large"),
    Best = fun(Fun) -> lists:min([element(1, timer:tc(Fun)) || _ <- lists:seq(1, 200)]) end,
    In = {Best(fun() -> {ok, 65536} = py:call(builtins, len, [Small]) end),
          Best(fun() -> {ok, _} = py:call(builtins, len, [Large]) end)},
    Out = {Best(fun() -> {ok, <<0, _/binary>>} = py:call('__main__', get_small, []) end),
           Best(fun() -> {ok, <<0, _/binary>>} = py:call('__main__', get_large, []) end)},
    ct:log("microseconds: in ~p, out ~p", [In, Out]),
    [true = LargeTime < SmallTime + 500 || {SmallTime, LargeTime} <- [In, Out]].

%% Streams ------------------------------------------------------------------------

%% Consume gets the number of values, and consumes them. At no moment of a long stream
%% does the VM have much more than after a short one.
streamed(Consume) ->
    py_test:in_process(fun() -> Consume(?VALUES div 50) end),
    Before = settled(),
    Watch = spawn_link(fun() -> watch(Before) end),
    {Time, ok} = py_test:elapsed(fun() -> py_test:in_process(fun() -> Consume(?VALUES) end) end),
    Watch ! {most, self()},
    Most = receive {most, Seen} -> Seen end,
    ct:log("~b values in ~b ms; resident MiB: ~.1f, then ~.1f at most",
           [?VALUES, Time, Before / ?MIB, Most / ?MIB]),
    {ok, #{streams := 0}} = py_pool:stats(default),
    true = Most - Before < slack().

%% If each value left something it would be 16 bytes at least, 150 MiB in all. On a busy machine garbage was seen
%% to wait for its collection up to 36 MiB. Without a GIL, CPython's allocator gives back late what one thread made
%% and another let go of.
slack() ->
    case py_test:free_threaded() of
        true -> 128 * ?MIB;
        false -> 48 * ?MIB
    end.

watch(Most) ->
    receive
        {most, To} -> To ! {most, Most}
    after 10 ->
        watch(max(Most, py_test:rss()))
    end.

%% Integers and strings, so that values of every kind of life are among them.
open(N) ->
    {ok, Stream} = py_stream:open({eval, values(), #{n => N}}),
    Stream.

values() ->
    "(i if i % 2 else str(i) for i in range(n))".

value(I) when I rem 2 =:= 1 -> I;
value(I) -> integer_to_binary(I).

stream_pulled(_Config) ->
    streamed(fun(N) -> pulled(open(N), 0, N) end).

pulled(Stream, I, N) ->
    case py_stream:take(Stream, 1000) of
        {ok, []} ->
            I = N,
            {done, none} = py_stream:next(Stream),
            ok;
        {ok, [First | _] = Values} ->
            First = value(I),
            pulled(Stream, I + length(Values), N)
    end.

stream_folded(_Config) ->
    streamed(fun(N) ->
        {ok, N} = py_stream:fold(fun(_, Count) -> Count + 1 end, 0, open(N)),
        ok
    end).

%% A consumer that is slower than the producer, most of the time.
stream_subscribed_slowly(_Config) ->
    streamed(fun(N) ->
        Stream = open(N),
        {ok, Ref} = py_stream:subscribe(Stream, #{demand => 2000}),
        pushed(Ref, fun() -> ok = py_stream:demand(Stream, 1000) end, 0, N)
    end).

stream_requested_slowly(_Config) ->
    streamed(fun(N) ->
        Ref = make_ref(),
        ok = py_pool:request({stream_eval, Ref, self(), values(), #{n => N}}),
        pushed(Ref, fun() -> ok end, 0, N)
    end).

pushed(Ref, After, I, N) ->
    receive
        {py_chunk, Ref, Value} ->
            Value = value(I),
            (I + 1) rem 1000 =:= 0 andalso After(),
            (I + 1) rem 5000 =:= 0 andalso timer:sleep(2),
            pushed(Ref, After, I + 1, N);
        {py_end, Ref} ->
            I = N,
            ok
    end.
