%% Big binaries cross without a copy: the time must not depend on the size, and
%% the memory must be free again afterwards.
-module(bench_zero_copy).

-export([main/0]).

-define(MIB, (1024 * 1024)).
-define(SIZES, [1, 8, 64]).
-define(ROUNDS, 31).
-define(MEMORY_ROUNDS, 200).

main() ->
    bench:start(),
    ok = py:exec(<<"def same(value):\n    return value\n">>),
    Times = [{Size, times(Size)} || Size <- ?SIZES],
    bench:title("Time of a call that moves a binary, microseconds (median of ~b rounds)", [?ROUNDS]),
    bench:table(["" | [integer_to_list(Size) ++ " MiB" || Size <- ?SIZES]],
                [[Name | [bench:number(Time / 1000) || Time <- row(Name, Times)]]
                 || {Name, _} <- element(2, hd(Times))]),
    lists:foreach(fun(Name) -> constant(Name, Times) end, [in(), back(), both()]),
    memory().

in() -> "in: py:buffer".
back() -> "back: bytes".
both() -> "in and back: memoryview".

times(Size) ->
    Bin = binary:copy(<<"0123456789abcdef">>, Size * ?MIB div 16),
    ok = py:exec(io_lib:format("data = b'0123456789abcdef' * ~b", [Size * ?MIB div 16])),
    Ways = [{in(), fun() -> py:call(builtins, len, [py:buffer(Bin)]) end},
            {back(), fun() -> py:eval(<<"data">>) end},
            {both(), fun() -> py:call('__main__', same, [py:buffer(Bin)]) end},
            {"for comparison, copied: py:bytes", fun() -> py:call(builtins, len, [py:bytes(Bin)]) end}],
    [{Name, bench:median([timed(Fun) || _ <- lists:seq(1, ?ROUNDS)])} || {Name, Fun} <- Ways].

timed(Fun) ->
    Time = bench:time(fun() -> {ok, _} = Fun() end),
    true = garbage_collect(),
    Time.

%% Of one way, the time for each size.
row(Name, Times) ->
    [proplists:get_value(Name, Ways) || {_Size, Ways} <- Times].

constant(Name, Times) ->
    Row = row(Name, Times),
    Ratio = lists:last(Row) / hd(Row),
    bench:expect([Name, ", the same time for 64 MiB as for 1 MiB"], bench:number(Ratio, 2) ++ "x",
                 Ratio < 2).

%% Each round takes 64 MiB in as a view, and as much back as new bytes.
memory() ->
    bench:title("Resident memory of the VM over ~b rounds of 64 MiB in and 64 MiB back, MiB",
                [?MEMORY_ROUNDS]),
    memory_round(0),
    Before = bench:resident(),
    Time = bench:time(fun() -> lists:foreach(fun memory_round/1, lists:seq(1, ?MEMORY_ROUNDS)) end),
    true = garbage_collect(),
    timer:sleep(200),
    After = bench:resident(),
    bench:table(["before", "after", "ms a round"],
                [[shown(Before), shown(After), bench:number(Time / ?MEMORY_ROUNDS / 1.0e6)]]),
    is_integer(Before) andalso is_integer(After) andalso
        bench:expect("no more than 64 MiB of growth", [integer_to_list(After - Before), " MiB"],
                     After - Before =< 64).

memory_round(Round) ->
    bench:isolated(fun() ->
        Bin = binary:copy(<<Round:64>>, 64 * ?MIB div 8),
        {ok, Back} = py:call(builtins, bytes, [py:buffer(Bin)]),
        true = Bin =:= Back
    end).

shown(unknown) -> "unknown";
shown(MiB) -> integer_to_list(MiB).
