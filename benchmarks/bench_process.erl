%% What the way to a worker process costs: a small call and a big binary, beside a
%% bare port that sends back what it gets, and beside the `shared' kind.
-module(bench_process).

-export([main/0]).

-define(WARM_UP, 2000).
-define(ROUNDS, 7).
-define(CALLS, 5000).
-define(BIG, (64 bsl 20)).
-define(BIG_ROUNDS, 3).

main() ->
    bench:start(),
    {ok, _} = py_pool:start(bench_process, #{isolation => process, num_workers => 1}),
    Port = open_port({spawn_executable, os:getenv("ERLPY_PORT_ECHO")}, [{packet, 4}, nouse_stdio, binary]),
    small(Port),
    big(Port),
    true = port_close(Port),
    ok = py_pool:stop(bench_process).

%% In turns, so that what disturbs one disturbs all.
small(Port) ->
    bench:title("A small call, microseconds a call (~b rounds of ~b, in turns)", [?ROUNDS, ?CALLS]),
    Request = term_to_binary({call, math, sqrt, [16], #{}}),
    Ways = [{"bare port echo", fun() -> echo(Port, Request) end},
            {"py:call, process", fun() -> {ok, 4.0} = py:call(math, sqrt, [16], #{}, #{pool => bench_process}) end},
            {"py:call, shared", fun() -> {ok, 4.0} = py:call(math, sqrt, [16]) end}],
    [repeat(Fun, ?WARM_UP) || {_, Fun} <- Ways],
    Rounds = [[times(Fun, ?CALLS, []) || {_, Fun} <- Ways] || _ <- lists:seq(1, ?ROUNDS)],
    [Echo | _] = Columns = [[lists:nth(I, Round) || Round <- Rounds] || I <- lists:seq(1, length(Ways))],
    bench:table(["", "p50", "p99", "p50 / echo's"],
                [[Name, us(50, Column), us(99, Column), bench:number(against(Column, Echo), 2)]
                 || {{Name, _}, Column} <- lists:zip(Ways, Columns)]),
    Ratio = against(lists:nth(2, Columns), Echo),
    bench:expect("a call takes at most what a bare port echo does", bench:number(Ratio, 2), Ratio =< 1.0).

us(Percent, Rounds) ->
    bench:number(bench:median([bench:percentile(Round, Percent) || Round <- Rounds]) / 1000).

against(Rounds, References) ->
    bench:ratio([bench:median(Round) || Round <- Rounds], [bench:median(Round) || Round <- References]).

big(Port) ->
    bench:title("64 MiB, milliseconds (median of ~b)", [?BIG_ROUNDS]),
    Bytes = binary:copy(<<0>>, ?BIG),
    Opts = #{pool => bench_process},
    Ways = [{"bare port echo, there and back", fun() -> echo(Port, Bytes) end},
            {"to a worker process", fun() -> {ok, ?BIG} = py:eval("len(v)", #{v => Bytes}, Opts) end},
            {"back from one", fun() -> {ok, <<_:?BIG/binary>>} = py:eval("bytes(n)", #{n => ?BIG}, Opts) end}],
    bench:table(["", "ms"],
                [[Name, bench:number(bench:median(times(Fun, ?BIG_ROUNDS, [])) / 1.0e6)] || {Name, Fun} <- Ways]).

echo(Port, Bytes) ->
    true = port_command(Port, Bytes),
    receive
        {Port, {data, Same}} when byte_size(Same) =:= byte_size(Bytes) -> ok
    end.

times(_Fun, 0, Times) -> Times;
times(Fun, N, Times) -> times(Fun, N - 1, [bench:time(Fun) | Times]).

repeat(_Fun, 0) -> ok;
repeat(Fun, N) -> _ = Fun(), repeat(Fun, N - 1).
