%% What the benchmarks share: clocks, percentiles and tables.
-module(bench).

-export([start/0, time/1, isolated/1, percentile/2, median/1, ratio/2]).
-export([title/2, table/2, number/1, number/2, expect/3, resident/0]).

%% Starts the application, and says what runs.
start() ->
    {ok, _} = application:ensure_all_started(erlang_python),
    {ok, Version} = py:version(),
    io:format("OTP ~s, Python ~s, ~b schedulers~n",
              [erlang:system_info(otp_release), hd(binary:split(Version, <<" ">>)),
               erlang:system_info(schedulers_online)]),
    io:format("Wall-clock times unless said otherwise: on a busy machine trust the ratios more.~n").

%% Nanoseconds that Fun took.
time(Fun) ->
    Begin = erlang:monotonic_time(nanosecond),
    _ = Fun(),
    erlang:monotonic_time(nanosecond) - Begin.

%% The result of Fun in a process of its own: nobody else's garbage is collected
%% while it runs, and its own goes with it.
isolated(Fun) ->
    {Pid, Monitor} = spawn_monitor(fun() -> exit({result, Fun()}) end),
    receive
        {'DOWN', Monitor, process, Pid, {result, Result}} -> Result;
        {'DOWN', Monitor, process, Pid, Reason} -> error({benchmark_failed, Reason})
    end.

percentile(Values, Percent) ->
    Sorted = lists:sort(Values),
    lists:nth(max(1, ceil(length(Sorted) * Percent / 100)), Sorted).

median(Values) -> percentile(Values, 50).

%% The median of the ratios, round by round: what disturbs a round disturbs both.
ratio(Values, References) ->
    median([Value / Reference || {Value, Reference} <- lists:zip(Values, References)]).

title(Format, Args) ->
    Text = io_lib:format(Format, Args),
    io:format("~n~ts~n~ts~n", [Text, lists:duplicate(string:length(Text), $-)]).

%% The first column to the left, the others to the right.
table(Head, Rows) ->
    Cells = [[unicode:characters_to_list(Cell) || Cell <- Row] || Row <- [Head | Rows]],
    Widths = lists:foldl(fun wider/2, [0 || _ <- Head], Cells),
    lists:foreach(fun(Row) -> io:format("~ts~n", [line(lists:zip(Row, Widths))]) end, Cells).

wider(Row, Widths) ->
    [max(string:length(Cell), Width) || {Cell, Width} <- lists:zip(Row, Widths)].

line([{First, Width} | Others]) ->
    [string:pad(First, Width) | ["  " ++ string:pad(Cell, W, leading) || {Cell, W} <- Others]].

number(Value) when Value >= 100 -> grouped(round(Value));
number(Value) -> number(Value, 1).

number(Value, Decimals) -> float_to_list(float(Value), [{decimals, Decimals}]).

grouped(Value) when Value >= 1000 ->
    grouped(Value div 1000) ++ "," ++ lists:flatten(io_lib:format("~3..0b", [Value rem 1000]));
grouped(Value) ->
    integer_to_list(Value).

%% What the project expects, beside what came out. A verdict, never a failure.
expect(What, Measured, Good) ->
    io:format("expected ~ts: ~ts (~s)~n", [What, Measured, verdict(Good)]).

verdict(true) -> "met";
verdict(false) -> "not met here".

%% Resident memory of the VM in MiB, `unknown' where there is no /proc.
resident() ->
    case file:read_file("/proc/self/statm") of
        {ok, Text} ->
            [_Size, Pages | _] = binary:split(Text, <<" ">>, [global]),
            binary_to_integer(Pages) * page_size() div (1024 * 1024);
        {error, _} ->
            unknown
    end.

page_size() ->
    list_to_integer(string:trim(os:cmd("getconf PAGESIZE"))).
