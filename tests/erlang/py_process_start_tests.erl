%% How worker processes start, and what is said where they cannot: which Python, which
%% program, which preload.
-module(py_process_start_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

start_test_() ->
    py_test:cases(?MODULE, 240).

start(Opts) ->
    py_pool:start(py_test:pool_name(), py_process_test:opts(Opts)).

%% {Milliseconds, Class, Message}: what a pool that cannot start says.
refused(Opts) ->
    {Time, Result} = py_test:elapsed(fun() -> start(Opts) end),
    ?assertMatch({error, {_, _}}, Result),
    {error, {Class, Message}} = Result,
    ?assert(is_list(Message)),
    {Time, Class, Message}.

%% A file that can be run.
program(Lines) ->
    File = filename:join(py_test:tmp_dir(), "program"),
    ok = file:write_file(File, ["#!/bin/sh\n", Lines]),
    ok = file:change_mode(File, 8#755),
    File.

says(Needle, Message) ->
    ?assertMatch({_, _, [_ | _]}, {Needle, Message, string:find(Message, Needle)}).

case_no_such_python() ->
    {Time, 'RuntimeError', Message} = refused(#{python => "/no/such/python"}),
    says("/no/such/python", Message),
    says("no such file", Message),
    ?assert(Time < 5000).

case_a_program_that_is_no_python() ->
    [begin
         Path = program(Lines),
         {_, 'RuntimeError', Message} = refused(#{python => Path}),
         says(Path, Message),
         says(Needle, Message)
     end || {Lines, Needle} <- [{"echo hello", "version"}, {"exit 7", "status 7"}, {"kill -9 $$", "signal 9"},
                                {"head -c 3000000 /dev/zero", "version"}]].

case_a_file_that_cannot_be_run() ->
    Path = filename:join(py_test:tmp_dir(), "file"),
    ok = file:write_file(Path, "text"),
    [?assertMatch({_, 'RuntimeError', _}, refused(#{python => Each})) || Each <- [Path, filename:dirname(Path), "python3\0"]].

%% The error says how to build the program that goes with it.
case_a_python_without_its_program() ->
    Path = program("echo 3.99"),
    {_, 'RuntimeError', Message} = refused(#{python => Path}),
    says("erlpy_worker-3.99", Message),
    says("PYTHON=" ++ Path ++ " ./scripts/build-native worker", Message).

%% The application without its worker program: the VM's interpreter runs, a worker process does not.
case_no_program() ->
    Dir = py_test:tmp_dir(),
    [Ebin, Priv] = [filename:join(Dir, Name) || Name <- ["ebin", "priv"]],
    Old = filename:dirname(code:which(py)),
    ok = file:make_symlink(filename:absname(Old), Ebin),
    ok = file:make_dir(Priv),
    ok = file:make_symlink(filename:absname(filename:join([filename:dirname(Old), "priv", "erlpy_nif.so"])),
                           filename:join(Priv, "erlpy_nif.so")),
    Code = "ok = application:start(erlang_python), {ok, 2} = py:eval(\"1 + 1\"),"
           "io:format(\"~ts~n\", [element(2, element(2, py_pool:start(p, #{isolation => process})))]), halt().",
    Output = os:cmd("erl -noinput -pa " ++ Ebin ++ " -eval '" ++ Code ++ "'"),
    says("there is no " ++ filename:join(Priv, "erlpy_worker-"), Output),
    says("build it with ./scripts/build", Output).

%% Of another version than the VM's, where its worker program is built.
case_another_python() ->
    {ok, Mine} = py:eval("'%d.%d' % __import__('sys').version_info[:2]"),
    Others = [Each || {Version, _} = Each <- built(), list_to_binary(Version) =/= Mine],
    Others =/= [] orelse throw({skip, "no worker program of another Python is built: PYTHON=... scripts/build-native "
                                      "worker makes one (Debian 12 and 13 have packages of one Python alone)"}),
    [with_python(Version, Python) || {Version, Python} <- Others].

%% Where a `pythonX.Y' is to be found, on the path or among pyenv's, for each program.
built() ->
    Programs = filelib:wildcard("erlpy_worker-*", filename:join(filename:dirname(filename:dirname(code:which(py))), "priv")),
    Pyenv = filename:join([os:getenv("HOME", "/root"), ".pyenv", "versions"]),
    [{Version, Python} || "erlpy_worker-" ++ Version <- Programs,
                          Python <- lists:sublist(filelib:wildcard(filename:join([Pyenv, Version ++ ".*", "bin", "python3"]))
                                                  ++ [Found || Found <- [os:find_executable("python" ++ Version)],
                                                               Found =/= false], 1)].

with_python(Version, Python) ->
    py_process_test:say("another Python: ~ts", [Python]),
    py_process_test:with_pool(#{python => Python}, fun(Pool) ->
        On = #{pool => Pool},
        ?assertEqual({ok, list_to_binary(Version)}, py:eval("'%d.%d' % __import__('sys').version_info[:2]", #{}, On)),
        ?assertEqual({ok, 4.0}, py:call(math, sqrt, [16], #{}, On)),
        ?assertEqual({ok, [0, 1, 4]}, py:stream_eval("(x * x for x in range(3))", #{}, On)),
        ?assertMatch({error, {'ZeroDivisionError', _}}, py:eval("1 / 0", #{}, On)),
        {ok, Prefix} = py:eval("__import__('sys').prefix", #{}, On),
        ?assertEqual(filename:dirname(filename:dirname(Python)), binary_to_list(Prefix)),
        ?assertEqual({error, timeout}, py:eval("__import__('time').sleep(60)", #{}, On#{timeout => 50})),
        ?assertEqual({ok, 2}, py:eval("1 + 1", #{}, On#{timeout => 10000}))
    end).

%% A worker's `sys.executable' is the interpreter that was named.
case_the_python_that_is_named() ->
    {ok, Path} = py:eval("__import__('sys').executable"),
    py_process_test:with_pool(#{python => Path}, fun(Pool) ->
        ?assertEqual({ok, Path}, py:eval("__import__('sys').executable", #{}, #{pool => Pool}))
    end).

case_a_preload_that_raises() ->
    ?assertMatch({_, 'ValueError', "boom"}, refused(#{num_workers => 3, preload => "raise ValueError('boom')"})),
    ?assertMatch({_, 'SyntaxError', _}, refused(#{preload => "def"})),
    ?assertMatch({_, 'SystemExit', _}, refused(#{preload => "raise SystemExit(3)"})).

case_a_preload_that_ends_the_process() ->
    [begin
         {Time, 'RuntimeError', Message} = refused(#{num_workers => 2, preload => Code}),
         ?assertNotEqual("", Message),
         ?assert(Time < 5000)
     end || Code <- ["import os\nos._exit(0)", "import os\nos._exit(9)", "import os\nos.abort()"]].

case_a_preload_past_its_memory_limit() ->
    {Time, 'RuntimeError', Message} = refused(#{memory_limit => 200 bsl 20, preload => "
import time
kept = bytearray()
while True:
    kept += bytes(1 << 20)
    time.sleep(0.001)
"}),
    says("memory_limit", Message),
    ?assert(Time < 10000).

case_a_preload_that_never_ends() ->
    [begin
         Name = py_test:pool_name(),
         Parent = self(),
         spawn_link(fun() -> Parent ! {started, py_pool:start(Name, py_process_test:opts(#{preload => Code}))} end),
         timer:sleep(700),
         {ok, #{workers := [#{state := starting}]}} = py_pool:stats(Name),
         {Time, ok} = py_test:elapsed(fun() -> py_pool:stop(Name) end),
         ?assert(Time < 4000),
         receive {started, Started} -> ?assertEqual({error, {no_pool, Name}}, Started) after 5000 -> error(silent) end
     end || Code <- ["import time\ntime.sleep(100)", "while True: pass", "sum(range(10 ** 10))"]].

%% The first time it is fine, and then it is not: the pool goes on trying, and then gives up.
case_a_preload_that_fails_in_a_replacement() ->
    File = filename:join(py_test:tmp_dir(), "once"),
    {ok, Pool} = py_pool:start(broken_later, py_process_test:opts(#{preload => ["
import os
try:
    os.close(os.open('", File, "', os.O_CREAT | os.O_EXCL))
except FileExistsError:
    raise ValueError('only once')
"]})),
    Monitor = erlang:monitor(process, Pool),
    ?assertEqual({error, worker_crashed}, py:call(os, '_exit', [1], #{}, #{pool => broken_later})),
    receive {'DOWN', Monitor, process, Pool, _} -> ok after 30000 -> error(still_there) end,
    ?assertEqual({error, {no_pool, broken_later}}, py:eval("1", #{}, #{pool => broken_later})),
    ?assertEqual({ok, 2}, py:eval("1 + 1")).

%% Printed by Python, it is on the VM's standard output.
case_print() ->
    Code = "ok = application:start(erlang_python), {ok, _} = py_pool:start(p, #{isolation => process}),"
           "ok = py:exec(\"import sys\\nprint('from', 'python')\\nprint('flushed', flush=True)\\n"
           "sys.stderr.write('an error\\\\n')\", #{pool => p}), {ok, 2} = py:eval(\"1 + 1\", #{}, #{pool => p}),"
           "timer:sleep(300), halt(0).",
    {0, Output, _} = py_test:vm(Code, 30000),
    [?assertMatch({_, {match, _}}, {Output, re:run(Output, Line)}) || Line <- ["from python", "flushed", "an error"]].

case_input_is_empty() ->
    py_process_test:with_pool(#{}, fun(Pool) ->
        ?assertMatch({error, {'EOFError', _}}, py:eval("input()", #{}, #{pool => Pool, timeout => 5000})),
        ?assertEqual({ok, <<>>}, py:eval("__import__('sys').stdin.read()", #{}, #{pool => Pool, timeout => 5000}))
    end).

case_started_by_hand() ->
    [Program | _] = filelib:wildcard(filename:join([filename:dirname(filename:dirname(code:which(py))), "priv", "erlpy_worker-*"])),
    ?assertMatch([_ | _], string:find(os:cmd(Program ++ " </dev/null; echo status $?"), "status 2")),
    ?assertMatch([_ | _], string:find(os:cmd("printf '/no/such\\nsecret\\n' | " ++ Program ++ "; echo status $?"), "status 3")).

%% Many pools start and stop at once.
case_all_at_once() ->
    Parent = self(),
    Starters = [spawn_link(fun() ->
        Name = py_test:pool_name(),
        {ok, _} = py_pool:start(Name, py_process_test:opts(#{num_workers => 2})),
        {ok, 2} = py:eval("1 + 1", #{}, #{pool => Name}),
        ok = py_pool:stop(Name),
        Parent ! {done, self()}
    end) || _ <- lists:seq(1, 10)],
    [receive {done, Starter} -> ok after 60000 -> error(lost) end || Starter <- Starters].
