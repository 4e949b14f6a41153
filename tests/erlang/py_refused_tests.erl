%% What Python or the system refuses is {error, Reason}, and the pool goes on.
-module(py_refused_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

refused_test_() ->
    py_test:cases(?MODULE).

case_classes() ->
    [?assertMatch({_, {error, {Class, [_ | _]}}}, {Class, Fun()})
     || {Class, Fun} <-
            [{'SyntaxError', fun() -> py:eval("1 +") end},
             {'SyntaxError', fun() -> py:eval("x = 1") end},
             {'SyntaxError', fun() -> py:exec("def") end},
             {'IndentationError', fun() -> py:exec("if 1:\nx = 1") end},
             {'NameError', fun() -> py:eval(nothing_here) end},
             {'ModuleNotFoundError', fun() -> py:call("no.such.module", f, []) end},
             {'AttributeError', fun() -> py:call(math, no_such_function, []) end},
             {'TypeError', fun() -> py:call(math, pi, []) end},
             {'TypeError', fun() -> py:call(math, sqrt, []) end},
             {'TypeError', fun() -> py:call(math, sqrt, [<<"x">>]) end},
             {'TypeError', fun() -> py:call(math, sqrt, [1], #{nothing => 1}) end},
             {'ValueError', fun() -> py:call(math, sqrt, [-1]) end},
             {'OverflowError', fun() -> py:call(math, exp, [100000]) end},
             {'FileNotFoundError', fun() -> py:call(builtins, open, [<<"/no/such/file">>]) end},
             {'KeyError', fun() -> py:eval("{}['k']") end}]],
    ?assertMatch({error, {_, _}}, py:eval("")),
    ?assertMatch({error, {_, _}}, py:call("", f, [])),
    ?assertMatch({error, {_, _}}, py:call(math, "", [])),
    ?assertMatch({error, {_, _}}, py:eval("1", #{"not a name" => 1})),
    ?assertEqual({ok, 2}, py:eval("1 + 1")).

case_pools() ->
    ?assertEqual({error, {no_pool, nowhere}}, py:call(math, sqrt, [1], #{}, #{pool => nowhere})),
    ?assertEqual({error, {no_pool, nowhere}}, py:eval("1", #{}, #{pool => nowhere})),
    ?assertEqual({error, {no_pool, nowhere}}, py:exec("1", #{pool => nowhere})),
    ?assertEqual({error, {no_pool, nowhere}}, py_pool:stats(nowhere)),
    ?assertEqual({error, {no_pool, nowhere}}, py_pool:stop(nowhere)).

case_application_not_running() ->
    ok = application:stop(erlang_python),
    ?assertEqual({error, {no_pool, default}}, py:call(math, sqrt, [1])),
    ?assertEqual({error, {no_pool, default}}, py:version()),
    ?assertEqual({error, {no_pool, default}}, py:tracemalloc_stop()),
    ?assertEqual({error, {not_started, erlang_python}}, py_pool:start(some_pool, #{})).

case_traceback() ->
    ok = py:exec("def inner():\n    raise KeyError('k')\ndef outer():\n    return inner()"),
    {error, {'KeyError', "'k'", Frames}} = py:call('__main__', outer, [], #{}, #{traceback => true}),
    Shown = [{Line, unicode:characters_to_list(Function)} || {_File, Line, Function} <- Frames],
    ?assert(lists:member({2, "inner"}, Shown)),
    ?assert(lists:member({4, "outer"}, Shown)),
    ?assertMatch({error, {'ZeroDivisionError', _, [_ | _]}}, py:eval("1/0", #{}, #{traceback => true})),
    ?assertMatch({error, {'KeyError', "'k'"}}, py:call('__main__', outer, [], #{}, #{traceback => false})).

case_messages_are_strings() ->
    ?assertEqual({error, {'ValueError', [16#E9, 16#4E2D, 16#1F600]}},
                 py:exec(["raise ValueError('", [16#E9, 16#4E2D, 16#1F600], "')"])),
    ?assertEqual({error, {'ValueError', ""}}, py:exec("raise ValueError()")),
    ?assertMatch({error, {'ValueError', [$a, _ | _]}}, py:exec("raise ValueError('a' + chr(0xd800))")),
    {error, {'ValueError', Long}} = py:exec("raise ValueError('x' * 100000)"),
    ?assert(length(Long) > 1000).

case_exits() ->
    [?assertMatch({_, {error, {Class, _}}}, {Class, py:exec(Code)})
     || {Class, Code} <- [{'SystemExit', "import sys\nsys.exit(1)"},
                          {'SystemExit', "raise SystemExit"},
                          {'KeyboardInterrupt', "raise KeyboardInterrupt"},
                          {'GeneratorExit', "raise GeneratorExit"},
                          {'BaseException', "raise BaseException('b')"},
                          {'RecursionError', "def f(): return f()\nf()"},
                          {'MemoryError', "raise MemoryError"},
                          {'StopIteration', "next(iter([]))"}]],
    ?assertEqual({ok, 2}, py:eval("1 + 1")).

case_exceptions_that_misbehave() ->
    ok = py:exec("
class Mute(Exception):
    def __str__(self): raise RuntimeError('in __str__')
class Odd(Exception):
    def __str__(self): return 1
class Deep(Exception):
    def __str__(self): return str(self)
class Exits(Exception):
    def __str__(self): raise SystemExit
def throw(name): raise globals()[name]()
"),
    [?assertMatch({error, {Class, Message}} when is_list(Message), py:call('__main__', throw, [Class]))
     || Class <- ['Mute', 'Odd', 'Deep', 'Exits']],
    ?assertEqual({ok, 2}, py:eval("1 + 1")).

%% In a VM of its own: the cache of class names is one for the life of a VM.
case_exception_classes_do_not_fill_the_atom_table() ->
    {0, Output, _} = py_test:vm("py_vm_cases:exception_classes()", 50000),
    ?assertMatch({match, _}, re:run(Output, "passed")).

case_bad_preload() ->
    Name = py_test:pool_name(),
    ?assertEqual({error, {'ValueError', "boom"}}, py_pool:start(Name, #{preload => "raise ValueError('boom')"})),
    ?assertMatch({error, {'SyntaxError', _}}, py_pool:start(Name, #{preload => "def"})),
    ?assertMatch({error, {'ValueError', _}}, py_pool:start(Name, #{preload => "\0"})),
    ?assertEqual({error, {no_pool, Name}}, py_pool:stats(Name)),
    {ok, _} = py_pool:start(Name, #{preload => "fine = 1", num_workers => 1}),
    ?assertEqual({ok, 1}, py:eval("fine", #{}, #{pool => Name})),
    ok = py_pool:stop(Name).

case_bad_pool_options() ->
    [?assertEqual({error, {bad_option, Key, Value}}, py_pool:start(py_test:pool_name(), #{Key => Value}))
     || {Key, Value} <- [{num_workers, 0}, {num_workers, two}, {num_workers, 100000}, {max_queue, 0}, {grace, -1},
                         {max_abandoned, -1}, {default_timeout, soon}, {python_path, "abc"}, {python_path, [1]},
                         {python, 1}, {preload, 1}, {stack_size, 10}, {max_depth, 0}, {max_depth, 100000},
                         {memory_limit, 0}, {memory_limit, 1000}, {memory_limit, lots},
                         {isolation, processes}, {isolation, none}, {unknown, 1}, {"num_workers", 1}]].

case_another_python() ->
    ?assertMatch({error, _}, py_pool:start(py_test:pool_name(), #{python => "/no/such/python", num_workers => 1})),
    ?assertEqual({ok, 2}, py:eval("1 + 1")).
