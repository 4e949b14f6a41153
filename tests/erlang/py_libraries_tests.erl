%% What people's Python does: extensions, processes, threads, databases, recursion.
-module(py_libraries_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

libraries_test_() ->
    py_test:cases(?MODULE, 300).

case_numpy() ->
    case py_test:has_numpy() of
        true ->
            ?assertEqual({ok, 6}, py:call(numpy, sum, [[1, 2, 3]])),
            ?assertEqual({ok, 32.0}, py:eval("float(__import__('numpy').dot([1.0, 2, 3], [4, 5, 6]))")),
            [?assertEqual({ok, 2.0}, py:eval("float(__import__('numpy').linalg.norm([2.0]))", #{}, #{worker => N}))
             || N <- [1, 2, 3, 4]];
        false ->
            ok
    end.

case_other_extensions() ->
    [?assertMatch({Module, {ok, _}}, {Module, import(Module)}) || Module <- [<<"_json">>, <<"zlib">>, <<"_ssl">>, <<"_sqlite3">>]],
    ?assertEqual({ok, <<"3.3">>}, py:eval("str(__import__('decimal').Decimal('1.1') * 3)")),
    %% Of 3.12 these refuse sub-interpreters.
    case {py_test:isolation(), py_test:python()} of
        {subinterpreter, {3, 12}} ->
            [?assertMatch({Module, {error, {'ImportError', "module " ++ _}}}, {Module, import(Module)})
             || Module <- [<<"_ctypes">>, <<"_decimal">>, <<"_datetime">>], _ <- [1, 2]];
        _ ->
            [?assertMatch({Module, {ok, _}}, {Module, import(Module)})
             || Module <- [<<"_ctypes">>, <<"_decimal">>, <<"_datetime">>]],
            ?assertEqual({ok, 7}, py:eval("__import__('ctypes').CDLL(None).abs(-7)"))
    end.

import(Module) ->
    py:call(importlib, import_module, [Module]).

case_subprocess() ->
    Run = "__import__('subprocess').run(['echo', 'hi'], capture_output=True).stdout",
    [?assertEqual({ok, <<"hi\n">>}, py:eval(Run, #{}, #{worker => N, timeout => 10000})) || N <- [1, 2, 3, 4]],
    ?assertEqual({ok, 3}, py:eval("__import__('subprocess').call(['sh', '-c', 'exit 3'])", #{}, 10000)).

case_threads() ->
    ok = py:exec("
import threading, queue
def work():
    q = queue.Queue()
    ts = [threading.Thread(target=lambda i=i: q.put(i)) for i in range(20)]
    [t.start() for t in ts]; [t.join() for t in ts]
    return sorted(q.get() for _ in ts)
"),
    ?assertEqual({ok, lists:seq(0, 19)}, py:call('__main__', work, [], #{}, 10000)),
    ?assertEqual({ok, [1, 4, 9]},
                 py:eval("list(__import__('concurrent.futures').futures.ThreadPoolExecutor(3).map(lambda x: x * x, [1, 2, 3]))")).

%% A thread that outlives the call it was started in goes on while the worker waits.
case_background_thread() ->
    ok = py:exec("import threading, time\nticks = []\n"
                 "def tick():\n    for i in range(5):\n        ticks.append(i)\n        time.sleep(0.01)\n"
                 "threading.Thread(target=tick, daemon=True).start()"),
    timer:sleep(500),
    ?assertEqual({ok, lists:seq(0, 4)}, py:eval("ticks")).

%% Programs that Python starts can be ended by a signal.
case_signals_reach_children() ->
    ok = py:exec("
import subprocess
def ended():
    child = subprocess.Popen(['sleep', '100'])
    child.terminate()
    return child.wait(timeout=20)
"),
    ?assertEqual({ok, -15}, py:call('__main__', ended, [])).

case_multiprocessing_spawn() ->
    Dir = py_test:tmp_dir(),
    Source = "import multiprocessing\n"
             "def square(x): return x * x\n"
             "def run(xs):\n"
             "    with multiprocessing.get_context('spawn').Pool(2) as pool:\n"
             "        return pool.map(square, xs)\n",
    ok = file:write_file(filename:join(Dir, "erlpy_spawn_probe.py"), Source),
    py_test:with_pool(#{num_workers => 1, preload => ["import sys; sys.path.insert(0, '", Dir, "')"]}, fun(Pool) ->
        ?assertEqual({ok, [1, 4, 9]},
                     py:call(erlpy_spawn_probe, run, [[1, 2, 3]], #{}, #{pool => Pool, timeout => 240000}))
    end).

%% A child made by os.fork() ends where its job ends, however that is.
case_fork() ->
    ok = py:exec("
import os, sys
def fork(body):
    child = os.fork()
    if child == 0:
        exec(body)
        return 'a child'
    return os.WEXITSTATUS(os.waitpid(child, 0)[1])
"),
    [?assertEqual({Body, Expected}, {Body, forked(Body)})
     || {Body, Status} <- [{<<"pass">>, 0}, {<<"sys.exit(4)">>, 4}, {<<"sys.exit()">>, 0},
                            {<<"sys.stderr = None; 1 / 0">>, 1}, {<<"os._exit(5)">>, 5}],
        Expected <- [case py_test:isolation() of subinterpreter -> refused; _ -> {ok, Status} end]],
    ?assertEqual([], py_test:mailbox()).

%% CPython ends the child of a fork in a sub-interpreter with a fatal error: there it is refused.
forked(Body) ->
    case py:call('__main__', fork, [Body]) of
        {error, {'RuntimeError', "fork not supported for " ++ _}} -> refused;
        Other -> Other
    end.

case_print_in_a_loop() ->
    {ok, 2} = py:eval("1 + 1"),
    ok = py:exec("for i in range(20):\n    print('line', i)"),
    ok = py:exec("import sys\nfor i in range(20):\n    sys.stdout.write('.')\nprint('', flush=True)"),
    {ok, 2} = py:eval("1 + 1").

case_async_def() ->
    ok = py:exec("
import asyncio
async def one(n):
    await asyncio.sleep(0.01)
    return n
async def all(n):
    return await asyncio.gather(*[one(i) for i in range(n)])
"),
    ?assertEqual({ok, lists:seq(0, 99)}, py:call('__main__', all, [100])),
    ?assertEqual({ok, [1, 2]}, py:await(py:call_async(builtins, list, [[1, 2]]))).

%% sqlite3 refuses to work on another thread than the connection's.
case_sqlite_across_calls() ->
    ok = py:exec("import sqlite3\ndb = sqlite3.connect(':memory:')\ndb.execute('create table t (x)')"),
    [{ok, _} = py:eval("db.execute('insert into t values (?)', (x,)).rowcount", #{x => I}) || I <- lists:seq(1, 50)],
    ?assertEqual({ok, [{1275}]}, py:eval("db.execute('select sum(x) from t').fetchall()")),
    {ok, {py_object, _} = Connection} = py:eval("db"),
    {ok, Cursor} = py_test:in_process(fun() -> py:call(Connection, execute, [<<"select count(*) from t">>]) end),
    ?assertEqual({ok, {50}}, py:call(Cursor, fetchone, [])).

define_recursion() ->
    ok = py:exec("def deep(n): return 0 if n == 0 else sorted([n], key=lambda _: deep(n - 1))[0]").

case_recursion_through_c() ->
    define_recursion(),
    ?assertEqual({ok, 100}, py:call('__main__', deep, [100])),
    case py:call('__main__', deep, [950]) of
        {ok, 950} -> ok;
        {error, {'RecursionError', _}} -> ok
    end,
    ?assertMatch({error, {'RecursionError', _}}, py:call('__main__', deep, [100000])),
    {ok, 2} = py:eval("1 + 1").

case_recursion_with_a_raised_limit() ->
    define_recursion(),
    ok = py:exec("import sys\nbefore = sys.getrecursionlimit()\nsys.setrecursionlimit(20000)"),
    try
        [case py:call('__main__', deep, [Depth]) of
             {ok, Depth} -> ok;
             {error, {'RecursionError', _}} -> ok
         end || Depth <- [950, 2000, 5000]]
    after
        ok = py:exec("sys.setrecursionlimit(before)")
    end,
    {ok, 2} = py:eval("1 + 1").

case_nested_parentheses() ->
    [case py:eval([lists:duplicate(N, $(), "1", lists:duplicate(N, $))]) of
         {ok, 1} when N =< 190 -> ok;
         {error, {Class, _}} when N >= 100 -> ?assert(lists:member(Class, ['MemoryError', 'SyntaxError', 'RecursionError']))
     end || N <- [10, 90, 190, 1000, 100000]],
    {ok, 2} = py:eval("1 + 1").

case_signals_and_exit_hooks() ->
    ?assertMatch({error, {'ValueError', _}}, py:eval("__import__('signal').signal(2, lambda *a: None)")),
    {ok, _} = py:eval("__import__('atexit').register(print, 'bye')"),
    {ok, 2} = py:eval("1 + 1").
