%% Calls on another node: the answers, bindings and errors are those of calls at home.
-module(py_nodes_call_SUITE).
-compile([export_all, nowarn_export_all]).
-include_lib("stdlib/include/assert.hrl").

-import(py_nodes_test, [on_node/2]).

suite() -> [{timetrap, {minutes, 2}}].

all() ->
    [same_answers, traceback, values, big_values, terms_that_only_erlang_knows, many_callers, binding,
     binding_ends_with_the_process, certain_worker, bad_arguments, other_pools, own_node, unknown_nodes].

init_per_suite(Config) -> py_nodes_test:begin_with_node(Config).
end_per_suite(Config) -> py_nodes_test:end_suite(Config).

same_answers(Config) ->
    on_node(Config, fun(Node) ->
        Ask = fun(Opts) ->
            [py:call(math, sqrt, [16], #{}, Opts),
             py:call("math", <<"pow">>, [2, 10], #{}, Opts),
             py:call(builtins, sorted, [[3, 1, 2]], #{reverse => true}, Opts),
             py:eval("x * y", #{x => 6, y => 7}, Opts),
             py:exec("import json\ndef double(x): return [x, x]", Opts),
             py:call('__main__', double, [<<"a">>], #{}, Opts),
             py:eval("double({'k': None})", #{}, Opts),
             py:map(math, sqrt, [[1], [4], [9]], Opts),
             py:map(math, sqrt, [[1], [-4], [9]], Opts),
             py:map('__main__', double, [[1]], Opts),
             py:await(py:call_async(math, sqrt, [16], #{}, Opts)),
             py:await(py:call_async(math, sqrt, [-1], #{}, Opts)),
             py:stream(builtins, range, [5], #{}, Opts),
             py:stream(builtins, enumerate, [["a", "b"]], #{start => 1}, Opts),
             py:stream_eval("(i * k for i in range(10**9))", #{k => 3}, Opts#{limit => 4}),
             py:stream_eval("range(3)", #{}, Opts#{limit => 0}),
             py:stream_eval("1 / 0", #{}, Opts),
             py:stream_eval("(1 / i for i in [2, 1, 0])", #{}, Opts),
             py:stream_eval("range(2500)", #{}, Opts),
             py:stream_eval("range(2500)", #{}, Opts#{limit => 2000}),
             py:stream_eval("range(2500)", #{}, Opts#{limit => 2001}),
             py:eval("type(x).__name__", #{x => some_atom}, Opts#{atoms => atom}),
             py:eval("1 +", #{}, Opts),
             py:exec("raise KeyError('k')", Opts),
             py:call(math, nothing, [], #{}, Opts),
             py:call(no_such_module, nothing, [], #{}, Opts)]
        end,
        ?assertEqual(py_test:in_process(fun() -> Ask(#{}) end), Ask(#{node => Node})),
        ?assertEqual(py_test:in_process(fun() -> Ask(#{timeout => 5000}) end), Ask(#{node => Node, timeout => 5000}))
    end).

traceback(Config) ->
    on_node(Config, fun(Node) ->
        Opts = #{node => Node, traceback => true},
        ok = py:exec("def inner(): raise ValueError('no')\ndef outer(): inner()", Opts),
        {error, {'ValueError', "no", Frames}} = py:call('__main__', outer, [], #{}, Opts),
        Functions = [iolist_to_binary(Function) || {_, _, Function} <- Frames],
        ?assertEqual([<<"inner">>, <<"outer">>], lists:sort(Functions)),
        ?assertMatch({error, {'ValueError', "no"}}, py:call('__main__', outer, [], #{}, #{node => Node}))
    end).

values(Config) ->
    on_node(Config, fun(Node) ->
        [?assertEqual({ok, Value}, py:eval("v", #{v => Value}, #{node => Node}))
         || Value <- [1, -1, 1 bsl 200, 1.5, true, none, <<"text">>, <<255, 0>>, [], [1, [2, [3]]], {}, {1, {2}},
                      #{<<"a">> => [#{}]}, <<"grüße"/utf8>>, self(), [self()], lists:seq(1, 1000)]],
        ?assertEqual({ok, <<"bytes">>}, py:eval("type(v).__name__", #{v => py:bytes(<<"a">>)}, #{node => Node})),
        ?assertEqual({ok, <<"memoryview">>},
                     py:eval("type(v).__name__", #{v => py:buffer(<<"a">>)}, #{node => Node}))
    end).

big_values(Config) ->
    on_node(Config, fun(Node) ->
        Binary = binary:copy(<<0, 255, "0123456789abcd">>, 2 bsl 20),
        ?assertEqual({ok, Binary}, py:eval("v", #{v => Binary}, #{node => Node, timeout => 30000})),
        List = [{I, integer_to_binary(I)} || I <- lists:seq(1, 100000)],
        ?assertEqual({ok, List}, py:eval("v", #{v => List}, #{node => Node, timeout => 30000})),
        ?assertEqual({ok, 33554432}, py:eval("len(v)", #{v => Binary}, #{node => Node}))
    end).

terms_that_only_erlang_knows(Config) ->
    on_node(Config, fun(Node) ->
        Mine = [make_ref(), fun lists:map/2, <<1:3>>, [a | b]],
        {ok, Back} = py:eval("v", #{v => Mine}, #{node => Node}),
        ?assertEqual(Mine, Back)
    end).

many_callers(Config) ->
    on_node(Config, fun(Node) ->
        Callers = [spawn_monitor(fun() ->
                       [{ok, N} = py:eval("n", #{n => N}, #{node => Node}) || N <- lists:seq(1, 20)],
                       [] = py_test:mailbox()
                   end) || _ <- lists:seq(1, 100)],
        [receive {'DOWN', Monitor, process, _, Reason} -> ?assertEqual(normal, Reason) end || {_, Monitor} <- Callers]
    end).

%% Binding ----------------------------------------------------------------------

binding(Config) ->
    on_node(Config, fun(Node) ->
        Opts = #{node => Node},
        ok = py:exec("import threading\nbound = 1", Opts),
        ?assertEqual({ok, 1}, py:eval("bound", #{}, Opts)),
        ?assertMatch({error, {'NameError', _}}, py:eval("bound")),
        ?assertEqual(1, length(lists:usort([py:eval("threading.get_ident()", #{}, Opts) || _ <- lists:seq(1, 20)]))),
        ?assertEqual({ok, [1, 1]}, py:stream_eval("[bound] * 2", #{}, Opts)),
        {ok, Stream} = py_stream:open({eval, "iter([bound])", #{}}, Opts),
        ?assertEqual({ok, 1}, py_stream:next(Stream)),
        ?assertMatch({done, _}, py_stream:next(Stream)),
        %% Bound at home as well, to another namespace.
        ok = py:exec("bound = 2"),
        ?assertEqual([{ok, 2}, {ok, 1}], [py:eval("bound"), py:eval("bound", #{}, Opts)])
    end).

binding_ends_with_the_process(Config) ->
    on_node(Config, fun(Node) ->
        Workers = [py_test:in_process(fun() ->
                       ok = py:exec("import threading", #{node => Node}),
                       py:eval("threading.get_ident()", #{}, #{node => Node})
                   end) || _ <- lists:seq(1, 8)],
        ?assert(length(lists:usort(Workers)) > 1)
    end).

certain_worker(Config) ->
    on_node(Config, fun(Node) ->
        Ident = "__import__('threading').get_ident()",
        On = [py:eval(Ident, #{}, #{node => Node, worker => W}) || W <- [1, 2, 3, 4], _ <- [1, 2]],
        ?assertEqual(4, length(lists:usort(On))),
        ?assertEqual(1, length(lists:usort(lists:sublist(On, 2)))),
        ?assertEqual({ok, 4.0}, py:await(py:call_async(math, sqrt, [16], #{}, #{node => Node, worker => 2})))
    end).

bad_arguments(Config) ->
    on_node(Config, fun(Node) ->
        [py_test:badarg(Fun, Position, "node")
         || Bad <- [17, "a@b", <<"a@b">>, {Node}, [Node]],
            {Position, Fun} <- [{5, fun() -> py:call(math, sqrt, [1], #{}, #{node => Bad}) end},
                                {3, fun() -> py:eval("1", #{}, #{node => Bad}) end},
                                {2, fun() -> py:exec("1", #{node => Bad}) end},
                                {4, fun() -> py:map(math, sqrt, [[1]], #{node => Bad}) end},
                                {5, fun() -> py:call_async(math, sqrt, [1], #{}, #{node => Bad}) end},
                                {5, fun() -> py:stream(math, sqrt, [1], #{}, #{node => Bad}) end},
                                {3, fun() -> py:stream_eval("1", #{}, #{node => Bad}) end},
                                {2, fun() -> py_stream:open({eval, "1", #{}}, #{node => Bad}) end}]],
        Opts = #{node => Node, worker => 99},
        [py_test:badarg(Fun, Position, "worker 99")
         || {Position, Fun} <- [{5, fun() -> py:call(math, sqrt, [1], #{}, Opts) end},
                                {3, fun() -> py:eval("1", #{}, Opts) end},
                                {2, fun() -> py:exec("1", Opts) end},
                                {5, fun() -> py:call_async(math, sqrt, [1], #{}, Opts) end},
                                {3, fun() -> py:stream_eval("1", #{}, Opts) end},
                                {2, fun() -> py_stream:open({eval, "1", #{}}, Opts) end}]],
        py_test:badarg(fun() -> py:eval("1", #{}, #{node => Node, tiemout => 1}) end, 3, "tiemout"),
        py_test:badarg(fun() -> py:eval(1, #{}, #{node => Node}) end, 1, "Code")
    end).

other_pools(Config) ->
    on_node(Config, fun(Node) ->
        ?assertEqual({error, {no_pool, elsewhere}}, py:eval("1", #{}, #{node => Node, pool => elsewhere})),
        {ok, _} = py_nodes_test:on(Node, py_pool, start, [elsewhere, #{num_workers => 1}]),
        ?assertEqual({ok, 1}, py:eval("1", #{}, #{node => Node, pool => elsewhere})),
        ok = py:exec("here = 1", #{node => Node, pool => elsewhere}),
        ?assertEqual({ok, 1}, py:eval("here", #{}, #{node => Node, pool => elsewhere})),
        ?assertMatch({error, {'NameError', _}}, py:eval("here", #{}, #{node => Node})),
        ok = py_nodes_test:on(Node, py_pool, stop, [elsewhere]),
        ?assertEqual({error, {no_pool, elsewhere}}, py:eval("1", #{}, #{node => Node, pool => elsewhere})),
        ?assertEqual({error, {no_pool, elsewhere}},
                     py_stream:open({eval, "1", #{}}, #{node => Node, pool => elsewhere})),
        ?assertEqual({ok, 1}, py:eval("1", #{}, #{node => Node}))
    end).

own_node(_Config) ->
    py_test:in_process(fun() ->
        ok = py:exec("own = 1"),
        ?assertEqual({ok, 1}, py:eval("own", #{}, #{node => node()})),
        py_nodes_test:empty()
    end).

unknown_nodes(Config) ->
    on_node(Config, fun(_Node) ->
        [?assertEqual({error, {nodedown, Name}}, Ask(#{node => Name}))
         || Name <- ['nobody@127.0.0.1', nobody, '', 'a@b@c'],
            Ask <- [fun(Opts) -> py:call(math, sqrt, [1], #{}, Opts) end,
                    fun(Opts) -> py:exec("1", Opts) end,
                    fun(Opts) -> py:map(math, sqrt, [[1]], Opts) end,
                    fun(Opts) -> py:stream_eval("[]", #{}, Opts) end,
                    fun(Opts) -> py_stream:open({eval, "[]", #{}}, Opts) end]]
    end).
