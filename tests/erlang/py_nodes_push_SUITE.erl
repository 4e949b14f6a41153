%% Streams of another node whose values come by themselves, to a subscriber or a fold: no more of them than were
%% asked for, however slow the receiver is.
-module(py_nodes_push_SUITE).
-compile([export_all, nowarn_export_all]).
-include_lib("stdlib/include/assert.hrl").

-import(py_nodes_test, [on_node/2]).

suite() -> [{timetrap, {minutes, 3}}].

all() ->
    [ten_thousand_subscribed, demand_bounds_a_subscription, subscription_ends, subscriber_ends,
     slow_fold_is_bounded, big_values_slowly].

init_per_suite(Config) -> py_nodes_test:begin_with_node(Config).
end_per_suite(Config) -> py_nodes_test:end_suite(Config).

open(Node, Code) ->
    open(Node, Code, #{}).

open(Node, Code, Opts) ->
    {ok, Stream} = py_stream:open({eval, Code, #{}}, Opts#{node => Node}),
    Stream.

ten_thousand_subscribed(Config) ->
    on_node(Config, fun(Node) ->
        Stream = open(Node, "range(10000)"),
        {ok, Ref} = py_stream:subscribe(Stream, #{demand => 100}),
        ?assertEqual({lists:seq(0, 9999), done}, consume(Stream, Ref, 100, []))
    end).

%% 100 are asked for, then 50 whenever 50 have come.
consume(Stream, Ref, 50, Values) ->
    ok = py_stream:demand(Stream, 50),
    consume(Stream, Ref, 100, Values);
consume(Stream, Ref, Open, Values) ->
    receive
        {py_chunk, Ref, Value} -> consume(Stream, Ref, Open - 1, [Value | Values]);
        {py_end, Ref} -> {lists:reverse(Values), done};
        {py_error, Ref, Reason} -> {lists:reverse(Values), Reason}
    after 10000 ->
        {lists:reverse(Values), nothing_comes}
    end.

demand_bounds_a_subscription(Config) ->
    on_node(Config, fun(Node) ->
        Stream = open(Node, "iter(int, 1)"),
        {ok, Ref} = py_stream:subscribe(Stream, #{demand => 3}),
        [receive {py_chunk, Ref, 0} -> ok end || _ <- [1, 2, 3]],
        timer:sleep(200),
        py_nodes_test:empty(),
        ?assertEqual({error, subscribed}, py_stream:next(Stream)),
        ?assertEqual({error, subscribed}, py_stream:subscribe(Stream, #{demand => 1})),
        ok = py_stream:demand(Stream, 2),
        [receive {py_chunk, Ref, 0} -> ok end || _ <- [1, 2]],
        ok = py_stream:demand(Stream, 1000000),
        receive {py_chunk, Ref, 0} -> ok end,
        ok = py_stream:close(Stream),
        %% What had been asked for may be here; after closing nothing more comes.
        Left = length(py_test:mailbox()),
        timer:sleep(200),
        ?assertEqual(Left, length(py_test:mailbox())),
        flush(Ref)
    end).

flush(Ref) ->
    receive {py_chunk, Ref, _} -> flush(Ref) after 0 -> ok end.

subscription_ends(Config) ->
    on_node(Config, fun(Node) ->
        Failing = open(Node, "(1 / i for i in [1, 0])"),
        {ok, Ref} = py_stream:subscribe(Failing, #{demand => 5}),
        ?assertMatch({[1.0], {'ZeroDivisionError', _}}, consume(Failing, Ref, 5, [])),
        Empty = open(Node, "[]"),
        {ok, EmptyRef} = py_stream:subscribe(Empty, #{demand => 5}),
        ?assertEqual({[], done}, consume(Empty, EmptyRef, 5, [])),
        ?assertEqual(ok, py_stream:demand(Empty, 1)),
        NotSubscribed = open(Node, "[]"),
        ?assertEqual({error, not_subscribed}, py_stream:demand(NotSubscribed, 1)),
        ok = py_stream:close(NotSubscribed)
    end).

subscriber_ends(Config) ->
    on_node(Config, fun(Node) ->
        Pid = spawn(fun() ->
            Stream = open(Node, "iter(int, 1)"),
            {ok, _} = py_stream:subscribe(Stream, #{demand => 10}),
            receive stop -> ok end
        end),
        py_test:wait_until(fun() -> maps:get(streams, py_nodes_test:stats(Node)) =:= 1 end, 3000),
        exit(Pid, kill),
        py_test:wait_until(fun() -> maps:get(streams, py_nodes_test:stats(Node)) =:= 0 end, 3000)
    end).

%% A fold that takes its time: no more than what is under way is ever anywhere.
slow_fold_is_bounded(Config) ->
    on_node(Config, fun(Node) ->
        ok = py:exec("made = 0\ndef count():\n  global made\n  while True:\n    made += 1\n    yield made",
                     #{node => Node}),
        {ok, Stream} = py_stream:open({call, '__main__', count, [], #{}}, #{node => Node}),
        Ahead = fun(Value, Most) ->
            case Value rem 100 of
                0 ->
                    timer:sleep(5),
                    {ok, Made} = py:eval("made", #{}, #{node => Node}),
                    Value < 20000 orelse throw({most, max(Most, Made - Value)}),
                    max(Most, Made - Value);
                _ ->
                    Most
            end
        end,
        {most, Most} = try py_stream:fold(Ahead, 0, Stream) catch throw:Thrown -> Thrown end,
        ?assert(Most > 0),
        ?assert(Most =< 2 * 512 + 1)
    end).

%% Values of 100 KB, 5,000 of them, with a consumer that is slower than the generator: 500 MB in all, which
%% stays nowhere.
big_values_slowly(Config) ->
    on_node(Config, fun(Node) ->
        ok = py:exec("def big():\n  while True: yield bytes(100000)", #{node => Node}),
        {ok, Stream} = py_stream:open({call, '__main__', big, [], #{}}, #{node => Node}),
        {ok, Ref} = py_stream:subscribe(Stream, #{demand => 20}),
        %% Five times the peak of 20 values under way, on both nodes; there are binaries of other tests too.
        Most = lists:max([begin
                              receive {py_chunk, Ref, <<_:100000/binary>>} -> ok end,
                              N rem 10 =:= 0 andalso (ok = py_stream:demand(Stream, 10)),
                              case N rem 100 of
                                  0 -> max(erlang:memory(binary), py_nodes_test:on(Node, erlang, memory, [binary]));
                                  _ -> 0
                              end
                          end || N <- lists:seq(1, 5000)]),
        ok = py_stream:close(Stream),
        flush(Ref),
        ?assert(Most < 100000000)
    end).
