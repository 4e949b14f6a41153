%% Demand: nothing is made that nobody asked for. The generators here count what they
%% make, so that each test sees how far they ran.
-module(py_stream_demand_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

-import(py_stream_test, [open/2, open_eval/1, value/1]).

demand_test_() ->
    py_stream_test:cases(?MODULE, 120).

%% `made' is what was made, `at' how far the generator ran.
counting() ->
    ok = py:exec("
import asyncio

made = 0
at = 'not started'

def counting(n=1 << 60):
    global made, at
    at = 'started'
    for i in range(n):
        made += 1
        yield i
    at = 'ended'

async def acounting(n=1 << 60):
    global made, at
    at = 'started'
    for i in range(n):
        made += 1
        await asyncio.sleep(0)
        yield i
    at = 'ended'

class Counting:
    def __init__(self, n=1 << 60):
        self.values = range(n).__iter__()

    def __iter__(self):
        return self

    def __next__(self):
        global made, at
        at = 'started'
        made += 1
        return self.values.__next__()

def reset():
    global made, at
    made = 0
    at = 'not started'
").

made() -> value("made").

%% It stays as it is, once what may be under way has come.
stays(Made) ->
    py_test:wait_until(fun() -> made() =:= Made end, 3000),
    timer:sleep(50),
    ?assertEqual(Made, made()).

%% Cases that hold for generators, async generators and iterators.
each_kind(Fun) ->
    counting(),
    [begin
         {ok, none} = py:call('__main__', reset, []),
         Fun(Kind)
     end || Kind <- [counting, acounting, 'Counting']].

%% Pulling ------------------------------------------------------------------------

case_open_runs_nothing() ->
    each_kind(fun(Kind) ->
        Stream = open(Kind, []),
        timer:sleep(50),
        ?assertEqual({0, <<"not started">>}, value("(made, at)")),
        ok = py_stream:close(Stream),
        ?assertEqual({0, <<"not started">>}, value("(made, at)"))
    end).

case_next_makes_one() ->
    each_kind(fun(Kind) ->
        Stream = open(Kind, []),
        [begin
             {ok, Made} = py_stream:next(Stream),
             ?assertEqual(Made + 1, made())
         end || Made <- lists:seq(0, 20)],
        stays(21),
        ok = py_stream:close(Stream),
        ?assertEqual(21, made())
    end).

case_take_makes_what_it_asks_for() ->
    each_kind(fun(Kind) ->
        Stream = open(Kind, []),
        _ = lists:foldl(fun(Count, Before) ->
            ?assertEqual({ok, lists:seq(Before, Before + Count - 1)}, py_stream:take(Stream, Count)),
            ?assertEqual(Before + Count, made()),
            Before + Count
        end, 0, [1, 3, 999, 1, 5000, 2]),
        stays(6006),
        ok = py_stream:close(Stream)
    end).

%% The end is not looked for before somebody asks for more than there is.
case_the_last_value_is_not_the_end() ->
    each_kind(fun(Kind) ->
        Stream = open(Kind, [3]),
        ?assertEqual({ok, [0, 1, 2]}, py_stream:take(Stream, 3)),
        ?assertEqual({3, <<"started">>}, value("(made, at)")),
        ?assertEqual({ok, []}, py_stream:take(Stream, 3)),
        ?assertEqual({done, none}, py_stream:next(Stream))
    end).

case_an_error_is_not_looked_for_either() ->
    ok = py:exec("seen = []\ndef failing():\n    yield 1\n    yield 2\n    seen.append(1)\n    raise KeyError('late')"),
    Stream = open(failing, []),
    ?assertEqual({ok, [1, 2]}, py_stream:take(Stream, 2)),
    ?assertEqual([], value("seen")),
    ?assertEqual({error, {'KeyError', "'late'"}}, py_stream:next(Stream)),
    ?assertEqual([1], value("seen")).

case_a_send_makes_one() ->
    ok = py:exec("got = []\ndef echo():\n    answer = 0\n    while True:\n        got.append((yield answer))\n"
                 "        answer = len(got)"),
    Stream = open(echo, []),
    {ok, 0} = py_stream:next(Stream),
    ?assertEqual([], value("got")),
    {ok, 1} = py_stream:send(Stream, <<"a">>),
    {ok, 2} = py_stream:next(Stream),
    timer:sleep(50),
    ?assertEqual([<<"a">>, none], value("got")),
    ok = py_stream:close(Stream).

case_limit_makes_that_many() ->
    each_kind(fun(Kind) ->
        [begin
             {ok, none} = py:call('__main__', reset, []),
             ?assertEqual({ok, lists:seq(0, Limit - 1)}, py:stream('__main__', Kind, [], #{}, #{limit => Limit})),
             stays(Limit)
         end || Limit <- [1, 2, 1000, 5000]]
    end).

case_limit_0_makes_none() ->
    each_kind(fun(Kind) ->
        ?assertEqual({ok, []}, py:stream('__main__', Kind, [], #{}, #{limit => 0})),
        ?assertEqual({0, <<"not started">>}, value("(made, at)"))
    end),
    ?assertEqual({ok, []}, py:stream_eval("iter(int, 1)", #{}, #{limit => 0})).

%% No value is missing, none comes twice, whoever asks and how.
case_ways_to_ask_can_change() ->
    counting(),
    Stream = open(counting, []),
    {ok, 0} = py_stream:next(Stream),
    {ok, [1, 2]} = py_stream:take(Stream, 2),
    {ok, 3} = py_stream:send(Stream, none),
    {ok, Ref} = py_stream:subscribe(Stream, #{demand => 2}),
    [receive {py_chunk, Ref, N} -> ok end || N <- [4, 5]],
    ok = py_stream:demand(Stream, 1),
    receive {py_chunk, Ref, 6} -> ok end,
    stays(7),
    ok = py_stream:close(Stream),
    ?assertEqual([], py_test:mailbox()).

%% Reading ahead ------------------------------------------------------------------

case_prefetch_is_ahead_by_no_more() ->
    each_kind(fun(Kind) ->
        [begin
             {ok, none} = py:call('__main__', reset, []),
             {ok, Stream} = py_stream:open({call, '__main__', Kind, [], #{}}, #{prefetch => Ahead}),
             stays(Ahead),
             {ok, 0} = py_stream:next(Stream),
             stays(Ahead + 1),
             {ok, [1, 2, 3]} = py_stream:take(Stream, 3),
             stays(Ahead + 4),
             {ok, Values} = py_stream:take(Stream, 3 * Ahead),
             ?assertEqual(lists:seq(4, 3 + 3 * Ahead), Values),
             stays(4 * Ahead + 4),
             ok = py_stream:close(Stream),
             ?assertEqual([], py_test:mailbox())
         end || Ahead <- [1, 7, 1000]]
    end).

case_prefetch_0_is_not_ahead() ->
    counting(),
    {ok, Stream} = py_stream:open({call, '__main__', counting, [], #{}}, #{prefetch => 0}),
    {ok, 0} = py_stream:next(Stream),
    stays(1),
    ok = py_stream:close(Stream).

case_prefetch_beyond_the_end() ->
    each_kind(fun(Kind) ->
        {ok, Stream} = py_stream:open({call, '__main__', Kind, [5], #{}}, #{prefetch => 100}),
        py_test:wait_until(fun() -> py_stream_test:open_streams() =:= 0 end, 3000),
        ?assertEqual({ok, 0}, py_stream:next(Stream)),
        ?assertEqual({ok, [1, 2, 3, 4]}, py_stream:take(Stream, 10)),
        ?assertEqual({done, none}, py_stream:next(Stream)),
        ?assertEqual({error, closed}, py_stream:next(Stream)),
        ?assertEqual({error, closed}, py_stream:take(Stream, 2)),
        ?assertEqual([], py_test:mailbox())
    end).

case_prefetch_and_an_error() ->
    ok = py:exec("def failing():\n    yield from range(3)\n    raise ValueError('after 3')"),
    Open = fun() -> element(2, py_stream:open({call, '__main__', failing, [], #{}}, #{prefetch => 10})) end,
    Stream = Open(),
    ?assertEqual({ok, [0, 1, 2]}, py_stream:take(Stream, 5)),
    ?assertEqual({error, {'ValueError', "after 3"}}, py_stream:next(Stream)),
    ?assertEqual({error, closed}, py_stream:next(Stream)),
    ?assertEqual({error, {'ValueError', "after 3"}}, py_stream:to_list(Open())),
    ?assertEqual([], py_test:mailbox()).

case_prefetch_and_the_whole() ->
    [begin
         Open = fun() -> element(2, py_stream:open({eval, "range(5000)", #{}}, #{prefetch => Ahead})) end,
         ?assertEqual({ok, lists:seq(0, 4999)}, py_stream:to_list(Open())),
         ?assertEqual({ok, 12497500}, py_stream:fold(fun erlang:'+'/2, 0, Open())),
         ?assertEqual([], py_test:mailbox())
     end || Ahead <- [1, 2, 100, 10000]].

%% Subscribing --------------------------------------------------------------------

chunks(Ref, Values) ->
    [receive {py_chunk, Ref, Got} -> ?assertEqual(Value, Got) after 5000 -> error({missing, Value}) end
     || Value <- Values].

case_subscribe_makes_the_demand() ->
    each_kind(fun(Kind) ->
        Stream = open(Kind, []),
        {ok, Ref} = py_stream:subscribe(Stream, #{demand => 3}),
        stays(3),
        chunks(Ref, [0, 1, 2]),
        ?assertEqual([], py_test:mailbox()),
        ok = py_stream:demand(Stream, 1),
        stays(4),
        ok = py_stream:demand(Stream, 500),
        ok = py_stream:demand(Stream, 500),
        stays(1004),
        chunks(Ref, lists:seq(3, 1003)),
        ?assertEqual([], py_test:mailbox()),
        ok = py_stream:close(Stream),
        ?assertEqual(1004, made())
    end).

%% Asked for while it makes the values of before: the sum is made, and no more.
case_demand_while_it_runs() ->
    each_kind(fun(Kind) ->
        Stream = open(Kind, []),
        {ok, Ref} = py_stream:subscribe(Stream, #{demand => 1}),
        [ok = py_stream:demand(Stream, N) || N <- lists:seq(1, 200)],
        stays(20101),
        chunks(Ref, lists:seq(0, 20100)),
        ok = py_stream:close(Stream),
        ?assertEqual([], py_test:mailbox())
    end).

%% With never more than Window under way, every value comes, and the end.
case_a_window_to_the_end() ->
    each_kind(fun(Kind) ->
        Stream = open(Kind, [1000]),
        {ok, Ref} = py_stream:subscribe(Stream, #{demand => 5}),
        Received = windowed(Stream, Ref, 0),
        ?assertEqual(1000, Received),
        ?assertEqual(ok, py_stream:demand(Stream, 5)),
        ?assertEqual({error, closed}, py_stream:next(Stream)),
        ?assertEqual([], py_test:mailbox())
    end).

windowed(Stream, Ref, Received) ->
    receive
        {py_chunk, Ref, Received} ->
            Received rem 100 =:= 0 andalso ?assert(made() =< Received + 5),
            ok = py_stream:demand(Stream, 1),
            windowed(Stream, Ref, Received + 1);
        {py_end, Ref} ->
            Received
    after 5000 ->
        error({stands_at, Received})
    end.

%% An error comes after the values before it.
case_an_error_is_pushed_last() ->
    ok = py:exec("def failing():\n    yield from range(3)\n    raise ValueError('after 3')"),
    Stream = open(failing, []),
    {ok, Ref} = py_stream:subscribe(Stream, #{demand => 100}),
    chunks(Ref, [0, 1, 2]),
    receive {py_error, Ref, Reason} -> ?assertEqual({'ValueError', "after 3"}, Reason) end,
    ?assertEqual(ok, py_stream:demand(Stream, 1)),
    ?assertEqual([], py_test:mailbox()).

case_two_subscriptions_at_their_own_pace() ->
    counting(),
    A = open(counting, []),
    B = open_eval("(-n for n in range(1, 1 << 60))"),
    {ok, RefA} = py_stream:subscribe(A, #{demand => 2}),
    {ok, RefB} = py_stream:subscribe(B, #{demand => 1}),
    chunks(RefB, [-1]),
    ok = py_stream:demand(B, 3),
    chunks(RefB, [-2, -3, -4]),
    chunks(RefA, [0, 1]),
    stays(2),
    ?assertEqual([], py_test:mailbox()),
    [ok = py_stream:close(Stream) || Stream <- [A, B]].

%% fold and foreach may be ahead of the function by their window, which is bounded.
case_fold_is_ahead_by_a_bounded_number() ->
    counting(),
    Stream = open(counting, []),
    Slow = fun(100, _) -> timer:sleep(200), throw({made, made()});
              (N, _) -> N
           end,
    {made, Made} = try py_stream:fold(Slow, none, Stream) catch throw:Thrown -> Thrown end,
    ?assert(Made >= 101),
    ?assert(Made =< 101 + 512),
    ?assertEqual([], py_test:mailbox()).
