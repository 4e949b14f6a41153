%% Python objects of another node: held there for who got them, of use from here, and gone in time.
-module(py_nodes_object_SUITE).
-compile([export_all, nowarn_export_all]).
-include_lib("stdlib/include/assert.hrl").

-import(py_nodes_test, [on_node/2]).

suite() -> [{timetrap, {minutes, 2}}].

all() ->
    [called_without_an_option, as_arguments, options_do_not_move_it, held_until_released, held_until_the_end,
     each_caller_holds_its_own, inside_of_values, sent_to_others, released_by_another, generators, from_streams,
     into_streams, time_out_lets_go, two_nodes, with_any, gone_with_its_pool, gone_with_its_node].

init_per_suite(Config) -> py_nodes_test:begin_with_node(Config).
end_per_suite(Config) -> py_nodes_test:end_suite(Config).

objects(Node) ->
    maps:get(objects, py_nodes_test:stats(Node)).

%% Anything that nobody holds is collected there.
collect(Node) ->
    [py_nodes_test:on(Node, erlang, garbage_collect, [Pid]) || Pid <- py_nodes_test:on(Node, erlang, processes, [])],
    ok.

new(Node) ->
    new(Node, 5).

new(Node, N) ->
    {ok, {py_object, Ref} = Object} = py:call('fractions', 'Fraction', [N], #{}, #{node => Node}),
    ?assertEqual(Node, node(Ref)),
    Object.

called_without_an_option(Config) ->
    on_node(Config, fun(Node) ->
        Object = new(Node),
        ?assertEqual({ok, <<"5">>}, py:call(Object, '__str__', [])),
        ?assertEqual({ok, true}, py:call(Object, '__eq__', [5], #{})),
        ?assertEqual({ok, true}, py:call(Object, '__eq__', [5], #{}, 1000)),
        ?assertEqual({ok, [true, false]}, py:map(Object, '__eq__', [[5], [6]])),
        ?assertEqual({ok, true}, py:await(py:call_async(Object, '__eq__', [5]))),
        ?assertMatch({error, {'AttributeError', _}}, py:call(Object, nothing, [])),
        ?assertMatch({error, {'AttributeError', _, _}}, py:call(Object, nothing, [], #{}, #{traceback => true}))
    end).

as_arguments(Config) ->
    on_node(Config, fun(Node) ->
        {A, B} = {new(Node, 1), new(Node, 2)},
        ?assertEqual({ok, <<"3">>}, py:eval("str(a + b)", #{a => A, b => B}, #{node => Node})),
        ?assertEqual({ok, <<"1">>}, py:call(builtins, str, [A], #{}, #{node => Node})),
        ?assertEqual({ok, [<<"1">>, <<"2">>]}, py:map(builtins, str, [[A], [B]], #{node => Node})),
        ?assertEqual({ok, true}, py:call(A, '__lt__', [B])),
        ?assertEqual({ok, 3}, py:eval("int(sum(x[0] for x in l) + d['k'])",
                                      #{l => [{A}], d => #{<<"k">> => B}}, #{node => Node})),
        {ok, Same} = py:eval("a", #{a => A}, #{node => Node}),
        ?assertEqual({ok, true}, py:eval("a is b", #{a => A, b => Same}, #{node => Node}))
    end).

options_do_not_move_it(Config) ->
    on_node(Config, fun(Node) ->
        Object = new(Node),
        ?assertEqual({ok, <<"5">>}, py:call(Object, '__str__', [], #{}, #{node => node()})),
        {ok, Mine} = py:eval("__import__('fractions').Fraction(7)"),
        ?assertEqual({ok, <<"7">>}, py:call(Mine, '__str__', [], #{}, #{node => Node}))
    end).

held_until_released(Config) ->
    on_node(Config, fun(Node) ->
        Object = new(Node),
        collect(Node),
        ?assertEqual(1, objects(Node)),
        ?assertEqual({ok, <<"5">>}, py:call(Object, '__str__', [])),
        ?assertEqual(ok, py:release(Object)),
        py_test:wait_until(fun() -> objects(Node) =:= 0 end, 3000),
        ?assertEqual({error, object_gone}, py:call(Object, '__str__', [])),
        ?assertEqual({error, object_gone}, py:eval("o", #{o => Object}, #{node => Node})),
        ?assertEqual(ok, py:release(Object)),
        collect(Node),
        ?assertEqual({error, object_gone}, py:call(Object, '__str__', [])),
        ?assertEqual({error, object_gone}, py:eval("o", #{o => Object}, #{node => Node})),
        ?assertEqual(ok, py:release(Object))
    end).

held_until_the_end(Config) ->
    on_node(Config, fun(Node) ->
        Test = self(),
        Pid = spawn(fun() -> Test ! {made, [new(Node, N) || N <- lists:seq(1, 50)]}, receive stop -> ok end end),
        Made = receive {made, Objects} -> Objects end,
        collect(Node),
        ?assertEqual(50, objects(Node)),
        ?assertEqual({ok, <<"50">>}, py:call(lists:last(Made), '__str__', [])),
        exit(Pid, kill),
        py_test:wait_until(fun() -> objects(Node) =:= 0 end, 5000),
        ?assertEqual({error, object_gone}, py:call(hd(Made), '__str__', []))
    end).

each_caller_holds_its_own(Config) ->
    on_node(Config, fun(Node) ->
        Object = new(Node),
        Other = py_test:in_process(fun() ->
            {ok, Same} = py:eval("o", #{o => Object}, #{node => Node}),
            ?assertEqual({ok, <<"5">>}, py:call(Same, '__str__', [])),
            Same
        end),
        py_test:wait_until(fun() -> collect(Node), objects(Node) =:= 1 end, 5000),
        ?assertEqual({error, object_gone}, py:call(Other, '__str__', [])),
        ?assertEqual({ok, <<"5">>}, py:call(Object, '__str__', []))
    end).

inside_of_values(Config) ->
    on_node(Config, fun(Node) ->
        {ok, {[A, _], #{<<"k">> := B}}} = py:eval("([object(), 1], {'k': object()})", #{}, #{node => Node}),
        collect(Node),
        ?assertEqual(2, objects(Node)),
        [?assertMatch({ok, <<"<object", _/binary>>}, py:call(builtins, repr, [O], #{}, #{node => Node})) || O <- [A, B]]
    end).

%% Merely sent to another node, an object lives as long as somebody at home holds it.
sent_to_others(Config) ->
    on_node(Config, fun(Node) ->
        {ok, {py_object, Ref} = Object} = py_nodes_test:on(Node, py, eval, ["__import__('fractions').Fraction(9)"]),
        py_test:wait_until(fun() -> collect(Node), objects(Node) =:= 0 end, 5000),
        ?assertEqual(Node, node(Ref)),
        ?assertEqual({error, object_gone}, py:call(Object, '__str__', [])),
        ?assertEqual({error, object_gone}, py_stream:open(Object)),
        Mine = new(Node),
        ?assertEqual({ok, <<"5">>}, py_test:in_process(fun() -> py:call(Mine, '__str__', []) end))
    end).

released_by_another(Config) ->
    on_node(Config, fun(Node) ->
        Object = new(Node),
        py_test:in_process(fun() -> ok = py:release(Object) end),
        py_test:wait_until(fun() -> objects(Node) =:= 0 end, 5000),
        ?assertEqual({error, object_gone}, py:call(Object, '__str__', []))
    end).

generators(Config) ->
    on_node(Config, fun(Node) ->
        {ok, {generator, _} = Generator} = py:eval("(i * 2 for i in range(5))", #{}, #{node => Node}),
        ?assertEqual({ok, 0}, py:call(Generator, '__next__', [])),
        {ok, Stream} = py_stream:open(Generator),
        ?assertEqual({ok, 2}, py_stream:next(Stream)),
        ?assertEqual({ok, [4, 6, 8]}, py_stream:to_list(Stream)),
        {ok, Another} = py:eval("(i for i in range(3))", #{}, #{node => Node}),
        ?assertEqual({ok, [0, 1, 2]}, py:stream(builtins, list, [Another], #{}, #{node => Node})),
        ?assertEqual(ok, py:release(Generator))
    end).

from_streams(Config) ->
    on_node(Config, fun(Node) ->
        {ok, Stream} = py_stream:open({eval, "(object() for _ in range(20))", #{}}, #{node => Node}),
        {ok, First} = py_stream:next(Stream),
        {ok, Rest} = py_stream:fold(fun(O, Os) -> [O | Os] end, [], Stream),
        collect(Node),
        ?assertEqual(20, objects(Node)),
        [?assertMatch({ok, <<"<object", _/binary>>}, py:call(O, '__repr__', [])) || O <- [First | Rest]],
        {ok, Pushed} = py_stream:open({eval, "(object() for _ in range(5))", #{}}, #{node => Node}),
        {ok, Ref} = py_stream:subscribe(Pushed, #{demand => 10}),
        Values = [receive {py_chunk, Ref, V} -> V end || _ <- lists:seq(1, 5)],
        receive {py_end, Ref} -> ok end,
        collect(Node),
        ?assertEqual(25, objects(Node)),
        [ok = py:release(O) || O <- [First | Rest] ++ Values],
        py_test:wait_until(fun() -> objects(Node) =:= 0 end, 5000)
    end).

into_streams(Config) ->
    on_node(Config, fun(Node) ->
        ok = py:exec("def echo():\n  v = None\n  while True: v = yield str(v)", #{node => Node}),
        {ok, Stream} = py_stream:open({call, '__main__', echo, [], #{}}, #{node => Node}),
        {ok, <<"None">>} = py_stream:next(Stream),
        Object = new(Node),
        ?assertEqual({ok, <<"5">>}, py_stream:send(Stream, Object)),
        {ok, Mine} = py:eval("object()"),
        ?assertEqual({error, object_gone}, py_stream:send(Stream, [Mine])),
        ?assertEqual({ok, <<"5">>}, py_stream:send(Stream, Object)),
        ok = py_stream:close(Stream)
    end).

%% Nobody knows an object that came too late.
time_out_lets_go(Config) ->
    on_node(Config, fun(Node) ->
        {ok, 1} = py:eval("1", #{}, #{node => Node}),
        Code = "(__import__('time').sleep(0.02), object())[1]",
        Held = [Object || _ <- lists:seq(1, 100), {ok, Object} <- [py:eval(Code, #{}, #{node => Node, timeout => 20})]],
        py_test:wait_until(fun() -> collect(Node), objects(Node) =:= length(Held) end, 5000)
    end).

two_nodes(Config) ->
    on_node(Config, fun(Node) ->
        Theirs = new(Node),
        {ok, Mine} = py:eval("object()"),
        ?assertEqual({error, object_gone}, py:call(builtins, list, [[Theirs, Mine]], #{}, #{node => Node})),
        ?assertEqual({error, object_gone}, py:call(Theirs, '__eq__', [Mine])),
        ?assertEqual({error, object_gone}, py:eval("o", #{o => Mine}, #{node => Node})),
        ?assertEqual({error, object_gone}, py:await(py:call_async(Theirs, '__eq__', [Mine]))),
        ?assertEqual({error, object_gone}, py:stream(builtins, list, [[Mine]], #{}, #{node => Node})),
        ?assertEqual({ok, <<"5">>}, py:call(Theirs, '__str__', []))
    end).

%% The best node for a call with an object is the object's.
with_any(Config) ->
    on_node(Config, fun(Node) ->
        Object = new(Node),
        ?assertEqual({ok, <<"5">>}, py:call(builtins, str, [Object], #{}, #{node => any})),
        {ok, Mine} = py:eval("__import__('fractions').Fraction(7)"),
        ?assertEqual({ok, <<"7">>}, py:call(builtins, str, [Mine], #{}, #{node => any})),
        ?assertEqual({error, object_gone}, py:call(builtins, str, [[Mine, Object]], #{}, #{node => any}))
    end).

gone_with_its_pool(Config) ->
    on_node(Config, fun(Node) ->
        {ok, _} = py_nodes_test:on(Node, py_pool, start, [brief, #{num_workers => 1}]),
        {ok, Object} = py:eval("object()", #{}, #{node => Node, pool => brief}),
        ?assertMatch({ok, _}, py:call(Object, '__repr__', [])),
        ok = py_nodes_test:on(Node, py_pool, stop, [brief]),
        ?assertEqual({error, object_gone}, py:call(Object, '__repr__', []))
    end).

gone_with_its_node(_Config) ->
    Peer = {_, Node} = py_nodes_test:start(),
    py_test:in_process(fun() ->
        Object = new(Node),
        py_nodes_test:stop(Peer),
        ?assertEqual({error, {nodedown, Node}}, py:call(Object, '__repr__', [])),
        ?assertEqual(ok, py:release(Object)),
        py_nodes_test:empty()
    end).
