%% Python objects held by Erlang: as long as Erlang holds them, and no longer.
-module(py_object_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

object_test_() ->
    py_test:cases(?MODULE).

%% Instances of Tracked say where and when they went.
define() ->
    ok = py:exec("
import threading
gone = []
class Tracked:
    def __init__(self, n): self.n = n
    def get(self, add=0): return self.n + add
    def me(self): return self
    def __del__(self): gone.append((self.n, threading.get_ident()))
").

gone() ->
    {ok, List} = py:eval("gone"),
    lists:sort([N || {N, _} <- List]).

case_target_and_argument() ->
    define(),
    {ok, {py_object, _} = Object} = py:call('__main__', 'Tracked', [5]),
    ?assertEqual({ok, 5}, py:call(Object, get, [])),
    ?assertEqual({ok, 7}, py:call(Object, "get", [2])),
    ?assertEqual({ok, 8}, py:call(Object, <<"get">>, [], #{add => 3})),
    ?assertEqual({ok, 8}, py:call(Object, get, [], #{add => 3}, 1000)),
    ?assertEqual({ok, 5}, py:await(py:call_async(Object, get, []))),
    ?assertEqual({ok, 5}, py:eval("o.n", #{o => Object})),
    ?assertEqual({ok, true}, py:eval("a is b", #{a => Object, b => Object})),
    ?assertEqual({ok, [5, 5]}, py:eval("[x.n for x in o]", #{o => [Object, Object]})),
    ?assertMatch({error, {'AttributeError', _}}, py:call(Object, nothing, [])),
    {ok, Same} = py:call(Object, me, []),
    ?assertEqual({ok, true}, py:eval("a is b", #{a => Object, b => Same})).

case_dropped_terms_release() ->
    define(),
    {ok, Thread} = py:eval("threading.get_ident()"),
    Class = class(),
    Worker = worker_of(Class),
    Held = py_test:in_process(fun() ->
        {ok, A} = py:eval("[c(i) for i in range(10)]", #{c => Class}, #{worker => Worker}),
        hd(A)
    end),
    erlang:garbage_collect(),
    py_test:wait_until(fun() -> gone() =:= lists:seq(1, 9) end, 3000),
    ?assertEqual({ok, 0}, py:call(Held, get, [])),
    {ok, List} = py:eval("gone"),
    ?assertEqual([Thread], lists:usort([On || {_, On} <- List])).

worker_of({py_object, Ref}) ->
    {ok, default, Worker} = py_nif:object_location(Ref),
    Worker.

class() ->
    {ok, Class} = py:eval("Tracked"),
    Class.

case_released_on_the_right_thread() ->
    define(),
    {ok, Thread} = py:eval("threading.get_ident()"),
    Pid = spawn(fun() -> receive stop -> ok end end),
    {ok, Object} = py:call('__main__', 'Tracked', [1]),
    Pid ! {keep, Object},
    exit(Pid, kill),
    ok = py:release(Object),
    py_test:wait_until(fun() -> py:eval("gone") =:= {ok, [{1, Thread}]} end, 3000).

case_release() ->
    define(),
    {ok, Object} = py:call('__main__', 'Tracked', [1]),
    ?assertEqual(ok, py:release(Object)),
    py_test:wait_until(fun() -> gone() =:= [1] end, 3000),
    ?assertEqual({error, object_gone}, py:call(Object, get, [])),
    ?assertEqual({error, object_gone}, py:eval("o", #{o => Object})),
    ?assertEqual(ok, py:release(Object)).

case_python_keeps_what_erlang_dropped() ->
    define(),
    ok = py:exec("kept = Tracked(3)\ndef get(): return kept"),
    {ok, Object} = py:call('__main__', get, []),
    ok = py:release(Object),
    ?assertEqual({ok, 3}, py:eval("kept.n")),
    ?assertEqual([], gone()).

case_other_processes_and_workers() ->
    define(),
    {ok, Object} = py:call('__main__', 'Tracked', [1]),
    ?assertEqual({ok, 1}, py_test:in_process(fun() -> py:call(Object, get, []) end)),
    [?assertEqual({ok, 1}, py:eval("o.n", #{o => Object}, #{worker => N})) || N <- [1, 2, 3, 4]],
    {ok, Home} = py:eval("threading.get_ident()"),
    ok = py:exec("class Where:\n    def thread(self): return threading.get_ident()"),
    {ok, Where} = py:eval("w()", #{w => where()}),
    ?assertEqual([{ok, Home}], lists:usort([py_test:in_process(fun() -> py:call(Where, thread, []) end)
                                            || _ <- lists:seq(1, 8)])).

where() ->
    {ok, Class} = py:eval("Where"),
    Class.

case_generators() ->
    {ok, {generator, _} = Generator} = py:eval("(i * 2 for i in range(2))"),
    ?assertEqual({ok, 0}, py:call(Generator, '__next__', [])),
    ?assertEqual({ok, [2]}, py:call(builtins, list, [Generator])),
    ?assertMatch({error, {'StopIteration', _}}, py:call(Generator, '__next__', [])),
    ?assertEqual(ok, py:release(Generator)),
    ?assertEqual({error, object_gone}, py:call(Generator, '__next__', [])).

case_unserialised_and_back() ->
    {ok, Object} = py:eval("[object()]"),
    ?assertEqual(Object, binary_to_term(term_to_binary(Object))),
    [Copy] = binary_to_term(term_to_binary(Object)),
    ?assertMatch({ok, <<"<object", _/binary>>}, py:call(builtins, repr, [Copy])).

case_pool_gone() ->
    Name = py_test:pool_name(),
    {ok, _} = py_pool:start(Name, #{num_workers => 2}),
    {ok, Object} = py:eval("[1].__iter__()", #{}, #{pool => Name}),
    {ok, 1} = py:call(Object, '__next__', []),
    ok = py_pool:stop(Name),
    Gone = fun() ->
        ?assertEqual({error, object_gone}, py:call(Object, '__next__', [])),
        ?assertEqual({error, object_gone}, py:map(Object, '__next__', [[]])),
        ?assertEqual({error, object_gone}, py:await(py:call_async(Object, '__next__', []))),
        ?assertEqual({error, object_gone}, py:call(builtins, list, [Object])),
        ?assertEqual({error, object_gone}, py:eval("o", #{o => [Object]})),
        ?assertEqual(ok, py:release(Object))
    end,
    Gone(),
    {ok, _} = py_pool:start(Name, #{num_workers => 2}),
    Gone(),
    ok = py_pool:stop(Name).

case_application_gone() ->
    {ok, Object} = py:eval("object()"),
    ok = application:stop(erlang_python),
    ?assertEqual({error, object_gone}, py:call(Object, '__repr__', [])),
    ok = application:start(erlang_python),
    ?assertEqual({error, object_gone}, py:call(Object, '__repr__', [])),
    ?assertEqual({error, object_gone}, py:call(builtins, repr, [Object])).

case_no_object() ->
    py_test:badarg(fun() -> py:call({py_object, make_ref()}, f, []) end, 1, "Mod"),
    py_test:badarg(fun() -> py:call({generator, make_ref()}, f, []) end, 1, "Mod"),
    py_test:badarg(fun() -> py:call({py_object, 1}, f, []) end, 1, "Mod"),
    py_test:badarg(fun() -> py:release({py_object, make_ref()}) end, 1, "Object"),
    py_test:badarg(fun() -> py:release(object) end, 1, "Object"),
    ?assertMatch({_, _}, py:call(builtins, repr, [{py_object, make_ref()}])),
    {ok, 2} = py:eval("1 + 1").

case_many() ->
    py_test:in_process(fun() ->
        [begin
             {ok, Objects} = py:eval("[object() for _ in range(1000)]"),
             1000 = length(lists:usort(Objects))
         end || _ <- lists:seq(1, 50)]
    end),
    py_test:wait_until(fun() ->
        {ok, _} = py:eval("1"),
        {ok, #{objects := N}} = py_pool:stats(default),
        N < 1000
    end, 5000).
