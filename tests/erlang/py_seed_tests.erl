%% The examples of the reference, literally; what is `...' there is checked by what
%% it must be.
-module(py_seed_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

reference_test_() ->
    py_test:cases(?MODULE, 120).

case_start() ->
    ok = application:stop(erlang_python),
    ok = application:start(erlang_python).

case_quick_start_call() ->
    {ok, 4.0} = py:call(math, sqrt, [16]).

case_quick_start_kwargs() ->
    {ok, Json} = py:call(json, dumps, [#{foo => bar}], #{indent => 2}),
    ?assertEqual(<<"{\n  \"foo\": \"bar\"\n}">>, Json).

case_quick_start_eval() ->
    {ok, 45} = py:eval(<<"sum(range(10))">>).

case_quick_start_locals() ->
    {ok, 25} = py:eval(<<"x * y">>, #{x => 5, y => 5}).

case_quick_start_exec() ->
    ok = py:exec(<<"
def my_func(x):
    return x * 2
">>),
    {ok, 42} = py:call('__main__', my_func, [21]).

case_quick_start_async() ->
    Ref = py:call_async(math, factorial, [100]),
    {ok, Result} = py:await(Ref),
    ?assertEqual(lists:foldl(fun erlang:'*'/2, 1, lists:seq(1, 100)), Result).

case_quick_start_stream() ->
    {ok, [0,1,4,9,16]} = py:stream_eval(<<"(x**2 for x in range(5))">>).

case_stream_of_a_function() ->
    ok = py:exec(<<"
def generator_func(n, step=1):
    for i in range(0, n, step):
        yield i
">>),
    {ok, [0, 1, 2, 3]} = py:stream('__main__', generator_func, [4]),
    {ok, [0, 2]} = py:stream('__main__', generator_func, [4], #{step => 2}).

case_stream_of_an_expression() ->
    {ok, [0,1,4,9,16]} = py:stream_eval(<<"(x**2 for x in range(5))">>),
    {ok, [<<"A">>,<<"B">>,<<"C">>]} = py:stream_eval(<<"(c.upper() for c in 'abc')">>).

case_call_with_timeout() ->
    {ok, 4.0} = py:call(math, sqrt, [16], #{}, 5000).

case_call_times_out() ->
    Dir = py_test:tmp_dir(),
    Source = "import time\ndef slow_func():\n    time.sleep(1)\n",
    ok = file:write_file(filename:join(Dir, "slow_module.py"), Source),
    ok = py:exec([<<"import sys; sys.path.insert(0, '">>, Dir, <<"')">>]),
    {error, timeout} = py:call(slow_module, slow_func, [], #{}, 100).

case_async() ->
    Ref = py:call_async(math, factorial, [5]),
    {ok, 120} = py:await(Ref).

case_async_with_timeout() ->
    Ref = py:call_async(math, factorial, [5]),
    {ok, 120} = py:await(Ref, 5000).

case_eval_simple() ->
    {ok, 42} = py:eval(<<"21 * 2">>).

case_eval_locals() ->
    {ok, 100} = py:eval(<<"x * y">>, #{x => 10, y => 10}).

case_eval_with_timeout() ->
    {ok, 45} = py:eval(<<"sum(range(10))">>, #{}, 5000).

case_zz_eval_times_out() ->
    {error, timeout} = py:eval(<<"sum(range(10**9))">>, #{}, 100).

case_exec() ->
    ok = py:exec(<<"x = 42">>),
    ok = py:exec(<<"
def hello(name):
    return f'Hello, {name}!'
">>),
    {ok, 42} = py:eval(<<"x">>),
    {ok, <<"Hello, you!">>} = py:call('__main__', hello, [you]).

case_memory_stats() ->
    {ok, Stats} = py:memory_stats(),
    ?assertMatch(#{gc_stats := [_, _, _], gc_count := {_, _, _}, gc_threshold := {_, _, _}}, Stats),
    ?assertNot(maps:is_key(traced_memory_current, Stats)).

case_gc() ->
    [begin
         {ok, Collected} = Gc(),
         ?assert(is_integer(Collected) andalso Collected >= 0)
     end || Gc <- [fun py:gc/0, fun() -> py:gc(0) end, fun() -> py:gc(1) end, fun() -> py:gc(2) end]],
    ok = py:exec(<<"
class Node: pass
for _ in range(100):
    n = Node()
    n.me = n
">>),
    {ok, Found} = py:gc(),
    ?assert(Found >= 50).

%% tracemalloc refuses interpreters with a GIL of their own.
case_tracemalloc() ->
    case {py_test:isolation(), py:tracemalloc_start()} of
        {subinterpreter, {error, {'ImportError', Refused}}} ->
            ?assertMatch({match, _}, re:run(Refused, "_tracemalloc.*subinterpreters"));
        {_, Started} ->
            ok = Started,
            traced()
    end.

traced() ->
    ok = py:exec(<<"kept = [bytes(1000) for _ in range(1000)]">>),
    {ok, Stats} = py:memory_stats(),
    ok = py:tracemalloc_stop(),
    #{traced_memory_current := Current, traced_memory_peak := Peak} = Stats,
    ?assert(Current >= 1000000),
    ?assert(Peak >= Current),
    {ok, Off} = py:memory_stats(),
    ?assertNot(maps:is_key(traced_memory_current, Off)).

case_version() ->
    {ok, Version} = py:version(),
    ?assertMatch({match, _}, re:run(Version, "^3\\.[0-9]+\\.[0-9]+.* ")).

case_error_name() ->
    {error, {'NameError', "name 'x' is not defined"}} = py:eval(<<"x">>).

case_error_division() ->
    {error, {'ZeroDivisionError', "division by zero"}} = py:eval(<<"1/0">>).

case_error_module() ->
    {error, {'ModuleNotFoundError', Message}} = py:call(nonexistent, func, []),
    ?assertEqual("No module named 'nonexistent'", Message).

case_configuration() ->
    ?assertEqual({ok, 4}, application:get_env(erlang_python, num_workers)),
    {ok, _} = py:eval(<<"1">>, #{}, #{worker => 4}),
    ok = application:stop(erlang_python),
    ok = application:set_env(erlang_python, num_workers, 2),
    try
        ok = application:start(erlang_python),
        {ok, _} = py:eval(<<"1">>, #{}, #{worker => 2}),
        py_test:badarg(fun() -> py:eval(<<"1">>, #{}, #{worker => 3}) end, 3, "worker 3")
    after
        application:set_env(erlang_python, num_workers, 4)
    end.

%% The two tables of types there.
to_python_test_() ->
    {setup, fun py_test:start/0, fun py_test:stop/1,
     [?_assertEqual({ok, list_to_binary(Type)}, py:eval(<<"type(v).__name__">>, #{v => Value}))
      || {Value, Type} <- [{1, "int"}, {1.5, "float"}, {<<"x">>, "str"}, {x, "str"}, {true, "bool"},
                           {false, "bool"}, {none, "NoneType"}, {nil, "NoneType"},
                           {undefined, "NoneType"}, {[1], "list"}, {{1}, "tuple"}, {#{a => 1}, "dict"}]]}.

to_erlang_test_() ->
    {setup, fun py_test:start/0, fun py_test:stop/1,
     [?_assertEqual({ok, Value}, py:eval(Code))
      || {Code, Value} <- [{"1", 1}, {"1.5", 1.5}, {"float('nan')", nan}, {"float('inf')", infinity},
                           {"float('-inf')", neg_infinity}, {"'x'", <<"x">>}, {"b'x'", <<"x">>},
                           {"True", true}, {"False", false}, {"None", none}, {"[1]", [1]},
                           {"(1,)", {1}}, {"{'a': 1}", #{<<"a">> => 1}}]]
     ++ [?_assertMatch({ok, {generator, _}}, py:eval("(x for x in [])"))]}.
