%% What a process defines is there for it, every time, and for no process of
%% another worker.
-module(py_namespace_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

namespace_test_() ->
    py_test:cases(?MODULE).

%% N processes at a time, each the whole of Fun(I); the results in order.
parallel(N, Fun) ->
    Parent = self(),
    Pids = [spawn_link(fun() -> Parent ! {self(), Fun(I)} end) || I <- lists:seq(1, N)],
    [receive {Pid, Result} -> Result end || Pid <- Pids].

case_exec_then_use_every_time() ->
    Define = <<"mine = ~b\ndef get(): return mine">>,
    Results = parallel(40, fun(I) ->
        py_test:in_process(fun() ->
            ok = py:exec(io_lib:format(Define, [I])),
            [{ok, _} = py:eval(<<"mine">>) || _ <- lists:seq(1, 50)],
            {ok, _} = py:call('__main__', get, []),
            {ok, _} = py:map(<<"__main__">>, "get", [[], []]),
            ok
        end)
    end),
    ?assertEqual(lists:duplicate(40, ok), Results).

case_four_processes_one_worker_each() ->
    Parent = self(),
    Pids = [spawn_link(fun() ->
                ok = py:exec(io_lib:format("mine = ~b\ndef get(): return mine", [I])),
                Parent ! {self(), defined},
                receive go -> ok end,
                Parent ! {self(), [py:eval("mine"), py:call('__main__', get, []), py:call("__main__", get, []),
                                   py:await(py:call_async('__main__', get, []))]}
            end) || I <- [1, 2, 3, 4]],
    [receive {Pid, defined} -> Pid ! go end || Pid <- Pids],
    Seen = [receive {Pid, Values} -> Values end || Pid <- Pids],
    ?assertEqual([lists:duplicate(4, {ok, I}) || I <- [1, 2, 3, 4]], Seen).

case_other_workers_do_not_see() ->
    ok = py:exec("secret = 1"),
    Seen = [py:eval("'secret' in globals()", #{}, #{worker => N}) || N <- [1, 2, 3, 4]],
    ?assertEqual([{ok, false}, {ok, false}, {ok, false}, {ok, true}], lists:sort(Seen)).

case_main_binds_without_exec() ->
    {ok, Module} = py:call('__main__', '__getattribute__', [<<"__name__">>]),
    ?assertEqual([{ok, Module}], lists:usort([py:eval("__name__") || _ <- lists:seq(1, 20)])).

case_worker_option_goes_elsewhere_once() ->
    ok = py:exec("a = 1"),
    {ok, Here} = py:eval("__name__"),
    Names = [begin {ok, Name} = py:eval("__name__", #{}, #{worker => N}), Name end || N <- [1, 2, 3, 4]],
    ?assertEqual(4, length(lists:usort(Names))),
    ?assert(lists:member(Here, Names)),
    ?assertEqual({ok, 1}, py:eval("a")).

case_worker_option_does_not_bind() ->
    ok = py:exec("b = 1", #{worker => 2}),
    ok = py:exec("c = 1", #{worker => 3}),
    ?assertEqual({ok, {true, false}}, py:eval("('b' in globals(), 'c' in globals())", #{}, #{worker => 2})).

case_one_binding_a_pool() ->
    py_test:with_pool(#{num_workers => 2}, fun(Pool) ->
        ok = py:exec("where = 'default'"),
        ok = py:exec("where = 'other'", #{pool => Pool}),
        ?assertEqual({ok, <<"default">>}, py:eval("where")),
        ?assertEqual({ok, <<"other">>}, py:eval("where", #{}, #{pool => Pool}))
    end).

case_new_pool_of_the_same_name_binds_anew() ->
    Name = py_test:pool_name(),
    {ok, _} = py_pool:start(Name, #{num_workers => 4}),
    ok = py:exec("v = 1", #{pool => Name, timeout => 1000}),
    ok = py_pool:stop(Name),
    {ok, _} = py_pool:start(Name, #{num_workers => 1}),
    ?assertMatch({error, {'NameError', _}}, py:eval("v", #{}, #{pool => Name})),
    ok = py:exec("v = 2", #{pool => Name}),
    ?assertEqual({ok, 2}, py:eval("v", #{}, #{pool => Name})),
    ok = py_pool:stop(Name).

case_after_timeouts_and_replacement() ->
    ok = py:exec("import time\nv = 1\ndef sleep(s): time.sleep(s)\ndef spin():\n    while True: pass"),
    {error, timeout} = py:call('__main__', spin, [], #{}, 50),
    ?assertEqual({ok, 1}, py:eval("v")),
    {error, timeout} = py:call('__main__', sleep, [3], #{}, 50),
    %% The replacement inherits the namespace where it is in the same interpreter, else it begins with an empty one.
    case py_test:isolation() of
        shared -> ?assertEqual({ok, 1}, py:eval("v"));
        _ -> ?assertEqual({error, {'NameError', "name 'v' is not defined"}}, py:eval("v"))
    end,
    ok = py:exec("v = 2"),
    ?assertEqual({ok, 2}, py:call('__main__', '__getattribute__', [<<"v">>])).

case_classes_pickle() ->
    ok = py:exec("import pickle, dataclasses\n"
                 "class C:\n    def __init__(self, x): self.x = x\n"
                 "@dataclasses.dataclass\nclass D:\n    x: int = 1\n"
                 "def f(x): return x + 1\n"),
    ?assertEqual({ok, 7}, py:eval("pickle.loads(pickle.dumps(C(7))).x")),
    ?assertEqual({ok, true}, py:eval("pickle.loads(pickle.dumps(D(7))) == D(7)")),
    ?assertEqual({ok, 2}, py:eval("pickle.loads(pickle.dumps(f))(1)")).

case_locals_in_inner_scopes() ->
    L = #{n => 3, xs => [1, 2, 3]},
    ?assertEqual({ok, [3, 6, 9]}, py:eval("[x * n for x in xs]", L)),
    ?assertEqual({ok, [1, 2, 3]}, py:eval("sorted(xs, key=lambda x: x % n + n * (x == n))", L)),
    ?assertEqual({ok, 18}, py:eval("sum(x * n for x in xs)", L)),
    ?assertEqual({ok, #{1 => [3], 2 => [3], 3 => [3]}}, py:eval("{x: [n for _ in range(1)] for x in xs}", L)),
    ?assertEqual({ok, 12}, py:eval("(lambda f: f(9))(lambda y: (lambda: n + y)())", L)),
    ?assertEqual({ok, 3}, py:eval("(k := n)", L)).

case_locals_do_not_stay() ->
    {ok, 5} = py:eval("x", #{x => 5}, #{worker => 1}),
    ?assertMatch({error, {'NameError', _}}, py:eval("x", #{}, #{worker => 1})).

case_locals_hide_globals() ->
    ok = py:exec("x = 1\ndef get(): return x"),
    ?assertEqual({ok, {2, 1}}, py:eval("(x, get())", #{"x" => 2})),
    ?assertEqual({ok, 3}, py:eval("len(v)", #{<<"v">> => "abc"})).

case_exec_is_a_module_body() ->
    ok = py:exec("import json as j\nfrom math import pi\ntotal = 0\nfor i in range(10):\n    total += i\n"
                 "def outer():\n    return inner()\ndef inner():\n    return total\n"),
    ?assertEqual({ok, 45}, py:call('__main__', outer, [])),
    ?assertEqual({ok, true}, py:eval("__name__ in __import__('sys').modules")),
    ?assertMatch({error, {'SyntaxError', _}}, py:exec("def f(:")),
    ?assertMatch({error, {'ValueError', "no"}}, py:exec("raise ValueError('no')")).

%% A process that defined nothing is not tied to a busy worker.
case_unbound_processes_pass_a_busy_worker() ->
    Busy = spawn_link(fun() -> py:exec("import time; time.sleep(5)") end),
    timer:sleep(50),
    {Time, Results} = py_test:elapsed(fun() -> parallel(100, fun(I) -> py:eval("i + 1", #{i => I}) end) end),
    ?assertEqual([{ok, I + 1} || I <- lists:seq(1, 100)], Results),
    ?assert(Time < 1000),
    unlink(Busy),
    exit(Busy, kill).

%% The first exec binds, also where it names the worker.
case_exec_on_a_named_worker_binds() ->
    ok = py:exec("class W:\n    name = 'w'", #{worker => 3}),
    [?assertEqual({ok, <<"w">>}, py:call(builtins, getattr, [Class, name]))
     || {ok, Class} <- [py:eval("W") || _ <- lists:seq(1, 20)]],
    ?assertMatch({ok, {py_object, _}}, py:call('__main__', 'W', [])).
