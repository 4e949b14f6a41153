%% Calls on another node that take their time: time-outs are kept here, and calls go on by themselves until they
%% are awaited or cancelled.
-module(py_nodes_time_SUITE).
-compile([export_all, nowarn_export_all]).
-include_lib("stdlib/include/assert.hrl").

-import(py_nodes_test, [on_node/2]).

suite() -> [{timetrap, {minutes, 2}}].

all() ->
    [default_timeout_is_of_the_pool_there, timeout, timeout_in_the_queue, late_answers, hung_node, async,
     async_in_flight, async_cancel, async_refused].

init_per_suite(Config) -> py_nodes_test:begin_with_node(Config).
end_per_suite(Config) -> py_nodes_test:end_suite(Config).

default_timeout_is_of_the_pool_there(Config) ->
    on_node(Config, fun(Node) ->
        {ok, _} = py_nodes_test:on(Node, py_pool, start, [hasty, #{num_workers => 1, default_timeout => 200}]),
        Opts = #{node => Node, pool => hasty},
        {ok, 1} = py:eval("1", #{}, #{node => Node}),
        [?assertEqual({error, timeout}, py_test:on_time(190, 600, Ask))
         || Ask <- [fun(_) -> py:call(time, sleep, [1], #{}, Opts) end,
                    fun(_) -> py:await(py:call_async(time, sleep, [1], #{}, Opts)) end,
                    fun(_) -> py:stream_eval("(__import__('time').sleep(1) for _ in [1])", #{}, Opts) end]],
        ok = py_nodes_test:on(Node, py_pool, stop, [hasty])
    end).

%% Time -------------------------------------------------------------------------

timeout(Config) ->
    on_node(Config, fun(Node) ->
        {ok, 1} = py:eval("1", #{}, #{node => Node}),
        #{timeouts := Before} = py_nodes_test:stats(Node),
        Endless = "[None for _ in iter(int, 1)]",
        [?assertEqual({error, timeout},
                      py_test:on_time(T, T + 100, fun(_) -> py:eval(Endless, #{}, #{node => Node, timeout => T}) end))
         || T <- [50, 200]],
        ?assertEqual({error, timeout}, py:eval("1", #{}, #{node => Node, timeout => 0})),
        %% The jobs there have been given up, too.
        py_test:wait_until(fun() -> maps:get(timeouts, py_nodes_test:stats(Node)) >= Before + 2 end, 3000)
    end).

timeout_in_the_queue(Config) ->
    on_node(Config, fun(Node) ->
        ok = py:exec("ran = []", #{node => Node, worker => 1}),
        Ref = py:call_async(time, sleep, [0.5], #{}, #{node => Node, worker => 1}),
        ?assertEqual({error, timeout}, py:exec("ran.append(1)", #{node => Node, worker => 1, timeout => 50})),
        ?assertEqual({ok, none}, py:await(Ref)),
        ?assertEqual({ok, []}, py:eval("ran", #{}, #{node => Node, worker => 1}))
    end).

%% The answer is made at about the time at which the caller gives up: it gets one of the two, and nothing else ever.
late_answers(Config) ->
    on_node(Config, fun(Node) ->
        Sleep = fun() -> py:eval("__import__('time').sleep(0.02)", #{}, #{node => Node, timeout => 20}) end,
        Answers = [Sleep() || _ <- lists:seq(1, 100)],
        ?assertEqual([], [Other || Other <- Answers, Other =/= {ok, none}, Other =/= {error, timeout}]),
        timer:sleep(300),
        py_nodes_test:empty()
    end).

%% Nothing that is asked of a node that hangs takes longer than its time. All would wait until it goes on.
hung_node(_Config) ->
    Peer = {_, Node} = py_nodes_test:start(),
    py_test:in_process(fun() ->
        {ok, 1} = py:eval("1", #{}, #{node => Node}),
        Opts = #{node => Node, timeout => 100},
        Streams = [element(2, {ok, _} = py_stream:open({eval, "iter(range(10))", #{}}, Opts)) || _ <- lists:seq(1, 5)],
        Hung = py_nodes_test:suspend(Peer),
        try
            Big = binary:copy(<<"x">>, 16 bsl 20),
            [?assertEqual({error, timeout}, py_test:on_time(95, 400, Ask))
             || Ask <- [fun(_) -> py:eval("1", #{}, Opts) end,
                        fun(_) -> py:eval("len(b)", #{b => Big}, Opts) end,
                        %% The connection's buffer is full by now.
                        fun(_) -> py:eval("len(b)", #{b => Big}, Opts) end,
                        fun(_) -> py:await(py:call_async(math, sqrt, [1], #{}, Opts)) end,
                        fun(Try) -> py_stream:next(lists:nth(Try, Streams)) end,
                        fun(_) -> py_stream:open({eval, "[]", #{}}, Opts) end,
                        %% Somebody who has no agent there.
                        fun(_) -> py_test:in_process(fun() -> py:eval("1", #{}, Opts) end) end]]
        after
            py_nodes_test:resume(Hung)
        end,
        timer:sleep(500),
        py_nodes_test:empty(),
        ?assertEqual({ok, 1}, py:eval("1", #{}, #{node => Node, timeout => 30000})),
        ?assertEqual({error, closed}, py_stream:next(hd(Streams))),
        py_nodes_test:empty()
    end),
    py_nodes_test:calm(Node),
    py_nodes_test:stop(Peer).

%% Asynchronous calls -----------------------------------------------------------

async(Config) ->
    on_node(Config, fun(Node) ->
        Refs = [py:call_async(builtins, abs, [-N], #{}, #{node => Node}) || N <- lists:seq(1, 200)],
        ?assertEqual([{ok, N} || N <- lists:seq(1, 200)], [py:await(Ref) || Ref <- Refs]),
        Slow = py:call_async(time, sleep, [1], #{}, #{node => Node}),
        ?assertEqual({error, timeout}, py:await(Slow, 20)),
        ?assertEqual({error, timeout}, py:await(Slow)),
        Answered = py:call_async(builtins, abs, [-1], #{}, #{node => Node}),
        ?assertEqual({ok, 1}, py:await(Answered, 5000)),
        py_test:badarg(fun() -> py:await(Answered) end, 1, "Ref")
    end).

async_in_flight(Config) ->
    on_node(Config, fun(Node) ->
        {Time, _} = py_test:elapsed(fun() ->
            Refs = [py:call_async(time, sleep, [0.3], #{}, #{node => Node}) || _ <- [1, 2, 3, 4]],
            ?assertEqual([{ok, none}], lists:usort([py:await(Ref) || Ref <- Refs]))
        end),
        ?assert(Time < 1000)
    end).

async_cancel(Config) ->
    on_node(Config, fun(Node) ->
        Endless = py:call_async(builtins, sum, [[1]], #{}, #{node => Node}),
        ?assertEqual({ok, 1}, py:await(Endless)),
        ok = py:exec("def spin():\n  while True: pass", #{node => Node}),
        Ref = py:call_async('__main__', spin, [], #{}, #{node => Node}),
        timer:sleep(50),
        ?assertEqual(ok, py:cancel(Ref)),
        ?assertEqual(ok, py:cancel(Ref)),
        ?assertEqual({error, cancelled}, py:await(Ref)),
        %% The worker is free again.
        ?assertEqual({ok, 3}, py:eval("1 + 2", #{}, #{node => Node, timeout => 3000})),
        Done = py:call_async(builtins, abs, [-1], #{}, #{node => Node}),
        timer:sleep(100),
        ?assertEqual(ok, py:cancel(Done)),
        ?assertEqual({error, cancelled}, py:await(Done))
    end).

async_refused(Config) ->
    on_node(Config, fun(Node) ->
        Await = fun(Opts) -> py:await(py:call_async(m, f, [], #{}, Opts)) end,
        ?assertEqual({error, {no_pool, nowhere}}, Await(#{node => Node, pool => nowhere})),
        ?assertEqual({error, {nodedown, 'no@127.0.0.1'}}, Await(#{node => 'no@127.0.0.1'}))
    end).
