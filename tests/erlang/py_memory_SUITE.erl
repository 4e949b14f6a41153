%% Memory comes back: large values without a copy, over many rounds.
-module(py_memory_SUITE).
-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([buffers_in/1, bytes_out/1, there_and_back/1, lists/1, abandoned_calls/1, constant_time/1]).

-define(MIB, 1048576).

suite() -> [{timetrap, {minutes, 5}}].

all() -> [buffers_in, bytes_out, there_and_back, lists, abandoned_calls, constant_time].

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

round_of(Fun) ->
    py_test:in_process(Fun).

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
        {error, timeout} = py:eval("(v, __import__('time').sleep(0.002))", #{v => [py:buffer(binary:copy(Bin)), Bin]}, 0)
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
