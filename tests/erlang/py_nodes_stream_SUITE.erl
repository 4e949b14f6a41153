%% Streams of another node: py_stream as at home, step by step.
-module(py_nodes_stream_SUITE).
-compile([export_all, nowarn_export_all]).
-include_lib("stdlib/include/assert.hrl").

-import(py_nodes_test, [on_node/2]).

suite() -> [{timetrap, {minutes, 3}}].

all() ->
    [same_answers, nothing_runs_without_demand, take_and_the_end, send_and_throw, fold_and_foreach,
     fold_that_raises, fold_gets_values_at_once, prefetch, ten_thousand, timeouts, values_in_time_are_not_lost,
     whole_within_the_time, closing_runs_finally, owner_ends, not_the_owner, async_generators, many_at_once,
     errors, given_up_opening, bad_arguments].

init_per_suite(Config) -> py_nodes_test:begin_with_node(Config).
end_per_suite(Config) -> py_nodes_test:end_suite(Config).

open(Node, Code) ->
    open(Node, Code, #{}).

open(Node, Code, Opts) ->
    {ok, Stream} = py_stream:open({eval, Code, #{}}, Opts#{node => Node}),
    Stream.

same_answers(Config) ->
    on_node(Config, fun(Node) ->
        Define = "
def give(values, back=None):
    yield from values
    return back
def fail(values):
    yield from values
    raise KeyError('gone')
",
        Ask = fun(Opts) ->
            ok = py:exec(Define, maps:remove(prefetch, Opts)),
            Open = fun(Fun, Args) -> {ok, S} = py_stream:open({call, '__main__', Fun, Args, #{}}, Opts), S end,
            A = Open(give, [[1, 2], <<"r">>]),
            B = Open(fail, [[1, 2]]),
            C = Open(give, [[1, 2, 3, 4, 5], 6]),
            D = Open(fail, [[1, 2, 3]]),
            E = Open(give, [[1], 2]),
            F = Open(give, [[]]),
            G = Open(fail, [[]]),
            H = Open(give, [lists:seq(1, 2500), 6]),
            I = Open(fail, [lists:seq(1, 2500)]),
            [[py_stream:next(A) || _ <- lists:seq(1, 5)],
             [py_stream:next(B) || _ <- lists:seq(1, 5)],
             [py_stream:take(C, 2), py_stream:take(C, 3), py_stream:take(C, 3), py_stream:next(C), py_stream:next(C)],
             [py_stream:take(D, 10), py_stream:take(D, 10), py_stream:next(D)],
             [py_stream:to_list(E), py_stream:to_list(E), py_stream:next(E)],
             [py_stream:fold(fun(V, S) -> V + S end, 0, F), py_stream:fold(fun(V, S) -> V + S end, 0, F)],
             [py_stream:to_list(G), py_stream:next(G), py_stream:close(G), py_stream:close(G)],
             [py_stream:take(H, 1200), py_stream:to_list(H), py_stream:next(H)],
             [py_stream:fold(fun(V, S) -> V + S end, 0, I), py_stream:next(I)],
             py_stream:open({call, math, sqrt, [1], #{}}, Opts),
             py_stream:open({eval, "1 / 0", #{}}, Opts)]
        end,
        ?assertEqual(py_test:in_process(fun() -> Ask(#{}) end), Ask(#{node => Node})),
        ?assertEqual(py_test:in_process(fun() -> Ask(#{prefetch => 3}) end), Ask(#{node => Node, prefetch => 3}))
    end).

counting() -> "
made = []
def count():
    for i in range(100):
        made.append(i)
        yield i
".

nothing_runs_without_demand(Config) ->
    on_node(Config, fun(Node) ->
        ok = py:exec(counting(), #{node => Node}),
        {ok, Stream} = py_stream:open({call, '__main__', count, [], #{}}, #{node => Node}),
        Made = fun() -> timer:sleep(50), {ok, N} = py:eval("len(made)", #{}, #{node => Node}), N end,
        ?assertEqual(0, Made()),
        {ok, 0} = py_stream:next(Stream),
        ?assertEqual(1, Made()),
        {ok, [1, 2, 3]} = py_stream:take(Stream, 3),
        ?assertEqual(4, Made()),
        {ok, Ref} = py_stream:subscribe(Stream, #{demand => 2}),
        ?assertEqual([4, 5], [receive {py_chunk, Ref, V} -> V end || _ <- [1, 2]]),
        ?assertEqual(6, Made()),
        ok = py_stream:demand(Stream, 1),
        receive {py_chunk, Ref, 6} -> ok end,
        ?assertEqual(7, Made()),
        ok = py_stream:close(Stream)
    end).

take_and_the_end(Config) ->
    on_node(Config, fun(Node) ->
        Stream = open(Node, "range(10)"),
        ?assertEqual({ok, [0, 1, 2]}, py_stream:take(Stream, 3)),
        ?assertEqual({ok, [3, 4, 5, 6, 7, 8, 9]}, py_stream:take(Stream, 100)),
        ?assertEqual({done, none}, py_stream:next(Stream)),
        ?assertEqual({error, closed}, py_stream:next(Stream)),
        ?assertEqual({error, closed}, py_stream:take(Stream, 1)),
        ?assertEqual(ok, py_stream:close(Stream))
    end).

send_and_throw(Config) ->
    on_node(Config, fun(Node) ->
        ok = py:exec("
def mean():
    total = count = 0
    value = None
    while True:
        try:
            got = yield value
        except ValueError as e:
            total = count = 0
            value = str(e)
            continue
        if got is None: return 'over'
        total, count = total + got, count + 1
        value = total / count
", #{node => Node}),
        {ok, Stream} = py_stream:open({call, '__main__', mean, [], #{}}, #{node => Node}),
        ?assertEqual({ok, none}, py_stream:next(Stream)),
        ?assertEqual({ok, 4.0}, py_stream:send(Stream, 4)),
        ?assertEqual({ok, 6.0}, py_stream:send(Stream, 8)),
        ?assertEqual({ok, <<"again">>}, py_stream:throw(Stream, 'ValueError', "again")),
        ?assertEqual({ok, 1.0}, py_stream:send(Stream, 1)),
        ?assertEqual({done, <<"over">>}, py_stream:next(Stream)),
        ?assertEqual({error, closed}, py_stream:send(Stream, 1))
    end).

fold_and_foreach(Config) ->
    on_node(Config, fun(Node) ->
        ?assertEqual({ok, 49995000}, py_stream:fold(fun(V, S) -> V + S end, 0, open(Node, "range(10000)"))),
        Self = self(),
        ?assertEqual(ok, py_stream:foreach(fun(V) -> Self ! {v, V} end, open(Node, "range(3)"))),
        ?assertEqual([0, 1, 2], [receive {v, V} -> V end || _ <- [1, 2, 3]]),
        Stream = open(Node, "range(1000)"),
        {ok, [0, 1]} = py_stream:take(Stream, 2),
        ?assertEqual({ok, lists:seq(2, 999)}, py_stream:to_list(Stream))
    end).

fold_that_raises(Config) ->
    on_node(Config, fun(Node) ->
        Stream = open(Node, "iter(int, 1)"),
        ?assertExit(enough, py_stream:foreach(fun(_) -> exit(enough) end, Stream)),
        ?assertEqual({error, closed}, py_stream:next(Stream))
    end).

fold_gets_values_at_once(Config) ->
    on_node(Config, fun(Node) ->
        Stream = open(Node, "(__import__('time').sleep(0.05) or i for i in range(10))"),
        Start = erlang:monotonic_time(millisecond),
        {ok, Times} = py_stream:fold(fun(_, Ts) -> [erlang:monotonic_time(millisecond) - Start | Ts] end, [], Stream),
        ?assertEqual(10, length(Times)),
        ?assert(lists:last(Times) < 250),
        ?assert(hd(Times) >= 500)
    end).

prefetch(Config) ->
    on_node(Config, fun(Node) ->
        ok = py:exec(counting(), #{node => Node}),
        {ok, Stream} = py_stream:open({call, '__main__', count, [], #{}}, #{node => Node, prefetch => 7}),
        py_test:wait_until(fun() -> py:eval("len(made)", #{}, #{node => Node}) =:= {ok, 7} end, 3000),
        ?assertEqual({ok, 0}, py_stream:next(Stream)),
        ?assertEqual({ok, [1, 2, 3]}, py_stream:take(Stream, 3)),
        py_test:wait_until(fun() -> py:eval("len(made)", #{}, #{node => Node}) =:= {ok, 11} end, 3000),
        ?assertEqual({error, subscribed}, py_stream:send(Stream, 1)),
        ?assertEqual({ok, lists:seq(4, 99)}, py_stream:to_list(Stream)),
        ?assertEqual({error, closed}, py_stream:next(Stream)),
        {ok, Dropped} = py_stream:open({call, '__main__', count, [], #{}}, #{node => Node, prefetch => 7}),
        {ok, 0} = py_stream:next(Dropped),
        ?assertEqual(ok, py_stream:close(Dropped))
    end).

ten_thousand(Config) ->
    on_node(Config, fun(Node) ->
        All = lists:seq(0, 9999),
        ?assertEqual({ok, All}, py_stream:to_list(open(Node, "range(10000)"))),
        ?assertEqual({ok, All}, py:stream(builtins, range, [10000], #{}, #{node => Node})),
        Next = open(Node, "range(10000)"),
        [{ok, I} = py_stream:next(Next) || I <- All],
        ?assertEqual({done, none}, py_stream:next(Next)),
        Take = open(Node, "range(10000)"),
        Parts = [begin {ok, Values} = py_stream:take(Take, 250), Values end || _ <- lists:seq(1, 40)],
        ?assertEqual(All, lists:append(Parts)),
        ?assertEqual({done, none}, py_stream:next(Take))
    end).

timeouts(Config) ->
    on_node(Config, fun(Node) ->
        Code = "(__import__('time').sleep(0.4) or i for i in range(3))",
        [begin
             Stream = open(Node, Code, Opts),
             {Time, Answer} = py_test:elapsed(fun() -> Step(Stream) end),
             ?assertEqual({error, timeout}, Answer),
             ?assert(Time >= 90 andalso Time < 300),
             ?assertEqual({error, closed}, py_stream:next(Stream))
         end || {Opts, Step} <- [{#{}, fun(S) -> py_stream:next(S, 100) end},
                                 {#{timeout => 100}, fun(S) -> py_stream:next(S) end},
                                 {#{}, fun(S) -> py_stream:take(S, 2, 100) end},
                                 {#{timeout => 100}, fun(S) -> py_stream:to_list(S) end},
                                 {#{timeout => 100}, fun(S) -> py_stream:send(S, none) end},
                                 {#{timeout => 100}, fun(S) -> py_stream:fold(fun(V, _) -> V end, 0, S) end},
                                 {#{timeout => 100, prefetch => 2}, fun(S) -> py_stream:next(S) end}]],
        timer:sleep(100)
    end).

values_in_time_are_not_lost(Config) ->
    on_node(Config, fun(Node) ->
        ok = py:exec("import time\ndef some():\n  yield 1\n  yield 2\n  time.sleep(5)\n  yield 3", #{node => Node}),
        {ok, Stream} = py_stream:open({call, '__main__', some, [], #{}}, #{node => Node}),
        {Time, Answer} = py_test:elapsed(fun() -> py_stream:take(Stream, 10, 200) end),
        ?assertEqual({ok, [1, 2]}, Answer),
        ?assert(Time < 500),
        ?assertEqual({error, timeout}, py_stream:next(Stream))
    end).

whole_within_the_time(Config) ->
    on_node(Config, fun(Node) ->
        Code = "(__import__('time').sleep(0.05) or i for i in range(100))",
        {Time, Answer} = py_test:elapsed(fun() -> py:stream_eval(Code, #{}, #{node => Node, timeout => 300}) end),
        ?assertEqual({error, timeout}, Answer),
        ?assert(Time >= 290 andalso Time < 600)
    end).

closing_runs_finally(Config) ->
    on_node(Config, fun(Node) ->
        ok = py:exec("log = []\ndef count():\n  try:\n    yield from range(10)\n  finally:\n    log.append('closed')",
                     #{node => Node}),
        {ok, Stream} = py_stream:open({call, '__main__', count, [], #{}}, #{node => Node}),
        {ok, 0} = py_stream:next(Stream),
        ok = py_stream:close(Stream),
        ?assertEqual({ok, [<<"closed">>]}, py:eval("log", #{}, #{node => Node})),
        ?assertEqual({ok, [0, 1]}, py:stream('__main__', count, [], #{}, #{node => Node, limit => 2})),
        ?assertEqual({ok, 2}, py:eval("len(log)", #{}, #{node => Node}))
    end).

owner_ends(Config) ->
    on_node(Config, fun(Node) ->
        [begin
             Pid = spawn(fun() -> S = open(Node, "iter(int, 1)", Opts), Do(S), receive stop -> ok end end),
             py_test:wait_until(fun() -> maps:get(streams, py_nodes_test:stats(Node)) =:= 1 end, 3000),
             exit(Pid, kill),
             py_test:wait_until(fun() -> maps:get(streams, py_nodes_test:stats(Node)) =:= 0 end, 3000)
         end || {Opts, Do} <- [{#{}, fun(_) -> ok end},
                               {#{}, fun(S) -> py_stream:next(S) end},
                               {#{prefetch => 10}, fun(S) -> py_stream:next(S) end},
                               {#{}, fun(S) -> py_stream:foreach(fun(_) -> timer:sleep(1) end, S) end},
                               {#{}, fun(S) -> py_stream:to_list(S) end}]]
    end).

not_the_owner(Config) ->
    on_node(Config, fun(Node) ->
        Stream = open(Node, "range(10)"),
        ?assertEqual([{error, not_owner}],
                     lists:usort(py_test:in_process(fun() ->
                         [py_stream:next(Stream), py_stream:take(Stream, 1), py_stream:send(Stream, 1),
                          py_stream:to_list(Stream), py_stream:fold(fun(_, A) -> A end, 0, Stream),
                          py_stream:subscribe(Stream, #{demand => 1}), py_stream:demand(Stream, 1),
                          py_stream:close(Stream)]
                     end))),
        ?assertEqual({error, not_owner}, py_nodes_test:on(Node, py_stream, next, [Stream])),
        ?assertEqual({ok, 0}, py_stream:next(Stream)),
        ok = py_stream:close(Stream)
    end).

async_generators(Config) ->
    on_node(Config, fun(Node) ->
        ok = py:exec("
import asyncio
async def ticks(n):
    for i in range(n):
        await asyncio.sleep(0.01)
        yield i
", #{node => Node}),
        Streams = [begin {ok, S} = py_stream:open({call, '__main__', ticks, [20], #{}}, #{node => Node}), S end
                   || _ <- lists:seq(1, 3)],
        ?assertEqual([{ok, 0}, {ok, 0}, {ok, 0}], [py_stream:next(S) || S <- Streams]),
        ?assertEqual([{ok, lists:seq(1, 19)}], lists:usort([py_stream:to_list(S) || S <- Streams]))
    end).

many_at_once(Config) ->
    on_node(Config, fun(Node) ->
        Owners = [spawn_monitor(fun() ->
                      {ok, 499500} = py_stream:fold(fun(V, S) -> V + S end, 0, open(Node, "range(1000)"))
                  end) || _ <- lists:seq(1, 50)],
        [receive {'DOWN', Monitor, process, _, Reason} -> ?assertEqual(normal, Reason) end || {_, Monitor} <- Owners],
        Streams = [open(Node, "range(5)") || _ <- lists:seq(1, 200)],
        [?assertEqual({ok, 0}, py_stream:next(S)) || S <- Streams],
        [ok = py_stream:close(S) || S <- Streams]
    end).

errors(Config) ->
    on_node(Config, fun(Node) ->
        Stream = open(Node, "(1 / i for i in [1, 0])", #{traceback => true}),
        {ok, 1.0} = py_stream:next(Stream),
        ?assertMatch({error, {'ZeroDivisionError', "division by zero", [_ | _]}}, py_stream:next(Stream)),
        ?assertEqual({error, closed}, py_stream:next(Stream)),
        ?assertMatch({error, {'TypeError', _}}, py_stream:open({eval, "5", #{}}, #{node => Node})),
        ?assertMatch({error, {'SyntaxError', _}}, py_stream:open({eval, "5 +", #{}}, #{node => Node}))
    end).

%% The opening takes longer than there is time.
given_up_opening(Config) ->
    on_node(Config, fun(Node) ->
        Slow = "(__import__('time').sleep(0.3), iter([1]))[1]",
        Open = fun() -> py_stream:open({eval, Slow, #{}}, #{node => Node, timeout => 100}) end,
        {Time, Answer} = py_test:elapsed(Open),
        ?assertEqual({error, timeout}, Answer),
        ?assert(Time < 250),
        py_test:wait_until(fun() -> maps:get(streams, py_nodes_test:stats(Node)) =:= 0 end, 3000)
    end).

bad_arguments(Config) ->
    on_node(Config, fun(Node) ->
        Stream = open(Node, "range(3)"),
        py_test:badarg(fun() -> py_stream:take(Stream, 0) end, 2, "N is not"),
        py_test:badarg(fun() -> py_stream:next(Stream, soon) end, 2, "Timeout"),
        py_test:badarg(fun() -> py_stream:subscribe(Stream, #{}) end, 2, "demand"),
        py_test:badarg(fun() -> py_stream:demand(Stream, -1) end, 2, "N is not"),
        ?assertEqual({ok, [0, 1, 2]}, py_stream:to_list(Stream))
    end).
