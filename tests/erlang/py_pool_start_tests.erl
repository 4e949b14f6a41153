%% Pools that cannot start, or are not there: what is said, by py_pool:start/2 and at the
%% start of the application, and that nothing is left of them.
-module(py_pool_start_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

-define(KINDS, [shared, subinterpreter, process]).

start_test_() ->
    py_test:cases(?MODULE, 120).

%% What a pool of each kind answers; nothing of it stays, and its name is free.
refused(Opts, Check) ->
    [begin
         Name = py_test:pool_name(),
         {error, Reason} = py_pool:start(Name, Opts#{isolation => Kind, num_workers => 2}),
         ?assertMatch({_, _, true}, {Kind, Reason, Check(Reason)}),
         ?assertEqual({error, {no_pool, Name}}, py_pool:stats(Name)),
         ?assertEqual({error, {no_pool, Name}}, py_pool:stop(Name)),
         ?assertEqual(undefined, whereis(list_to_atom("py_pool_" ++ atom_to_list(Name)))),
         {ok, _} = py_pool:start(Name, #{isolation => Kind, num_workers => 1}),
         ?assertEqual({ok, 2}, py:eval("1 + 1", #{}, #{pool => Name})),
         ok = py_pool:stop(Name)
     end || Kind <- ?KINDS],
    ?assertEqual([], [Id || {{py_pool, Id}, _, _, _} <- supervisor:which_children(py_pools_sup), Id =/= default]).

says(Class, Needles) ->
    fun({Said, Message}) ->
        Said =:= Class andalso lists:all(fun(Needle) -> string:find(Message, Needle) =/= nomatch end, Needles)
    end.

%% Something that can be run.
program(Lines) ->
    File = filename:join(py_test:tmp_dir(), "python"),
    ok = file:write_file(File, ["#!/bin/sh\n", Lines]),
    ok = file:change_mode(File, 8#755),
    File.

case_a_python_that_does_not_exist() ->
    refused(#{python => "/no/such/python"}, says('RuntimeError', ["/no/such/python", "no such file"])).

case_a_python_that_is_none() ->
    [refused(#{python => program(Lines)}, says('RuntimeError', ["python", Needle]))
     || {Lines, Needle} <- [{"echo hello", "version"}, {"exit 7", "status 7"}]].

%% In the VM there can be only the one that was built for; of others the error says what to do.
case_another_python() ->
    Path = program("echo 3.99"),
    refused(#{python => Path}, says('RuntimeError', [Path, "3.99", "./scripts/build"])).

%% Looked for as a command is.
case_a_python_by_its_name() ->
    {ok, Mine} = py:eval("'python%d.%d' % __import__('sys').version_info[:2]"),
    Found = os:find_executable(binary_to_list(Mine)) =/= false,
    Found orelse throw({skip, binary_to_list(Mine) ++ " is not on the path; Debian's own always is"}),
    refused(#{python => "no_such_python"}, says('RuntimeError', ["no_such_python", "no such file"])),
    {ok, _} = py_pool:start(by_name, #{isolation => process, num_workers => 1, python => Mine}),
    ?assertEqual({ok, 2}, py:eval("1 + 1", #{}, #{pool => by_name})),
    ok = py_pool:stop(by_name).

%% Nothing of asking it for its version gets to who starts the pool.
case_a_starter_that_traps_exits() ->
    process_flag(trap_exit, true),
    refused(#{python => program("echo 3.99")}, says('RuntimeError', ["3.99"])),
    refused(#{python => "/no/such/python"}, says('RuntimeError', ["no such file"])),
    timer:sleep(100),
    ?assertEqual([], py_test:mailbox()).

case_a_preload_that_raises() ->
    refused(#{preload => "raise ValueError('boom')"}, fun(Reason) -> Reason =:= {'ValueError', "boom"} end),
    refused(#{preload => "import no_such_module"}, says('ModuleNotFoundError', ["no_such_module"])),
    refused(#{preload => "raise SystemExit(3)"}, says('SystemExit', ["3"])).

case_a_preload_with_a_syntax_error() ->
    refused(#{preload => "def"}, says('SyntaxError', ["line 1"])).

case_unknown_options_and_bad_values() ->
    [refused(#{Key => Value}, fun(Reason) -> Reason =:= {bad_option, Key, Value} end)
     || {Key, Value} <- [{colour, red}, {"max_queue", 1}, {max_queue, 0}, {max_queue, lots}, {grace, -1}, {grace, 1.5},
                         {max_abandoned, -1}, {max_abandoned, 2000}, {default_timeout, -1}, {default_timeout, soon},
                         {python, 1}, {python, [$a | $b]}, {python_path, "abc"}, {python_path, [<<255>>]},
                         {python_path, [a | b]}, {preload, 1}, {preload, <<255>>}, {stack_size, 1000},
                         {stack_size, infinity}, {max_depth, 0}, {max_depth, 1 bsl 40}, {memory_limit, 0},
                         {memory_limit, 1 bsl 60}]],
    [?assertEqual({error, {bad_option, Key, Value}}, py_pool:start(py_test:pool_name(), #{Key => Value}))
     || {Key, Value} <- [{num_workers, 0}, {num_workers, -1}, {num_workers, 1025}, {num_workers, <<"4">>},
                         {isolation, thread}, {isolation, "process"}]].

case_a_name_that_is_taken() ->
    {ok, Pool} = py_pool:start(taken, #{num_workers => 1}),
    [?assertEqual({error, {already_started, Pool}}, py_pool:start(taken, #{isolation => Kind})) || Kind <- ?KINDS],
    ?assertEqual({ok, 2}, py:eval("1 + 1", #{}, #{pool => taken})),
    ok = py_pool:stop(taken),
    %% By a process that is no pool.
    Other = spawn_link(fun() -> receive stop -> ok end end),
    true = register(py_pool_taken, Other),
    ?assertEqual({error, {already_started, Other}}, py_pool:start(taken, #{num_workers => 1})),
    ?assert(is_process_alive(Other)),
    Other ! stop,
    py_test:wait_until(fun() -> whereis(py_pool_taken) =:= undefined end, 1000),
    {ok, _} = py_pool:start(taken, #{num_workers => 1}),
    ok = py_pool:stop(taken).

%% Of many that start one pool at the same time, one does.
case_a_race_for_a_name() ->
    Parent = self(),
    Pids = [spawn_link(fun() -> Parent ! {self(), py_pool:start(contested, #{num_workers => 1})} end) || _ <- lists:seq(1, 10)],
    Answers = [receive {Pid, Answer} -> Answer end || Pid <- Pids],
    [Pool] = [Pool || {ok, Pool} <- Answers],
    ?assertEqual(9, length([Found || {error, {already_started, Found}} <- Answers, Found =:= Pool])),
    ok = py_pool:stop(contested),
    ?assertEqual({error, {no_pool, contested}}, py_pool:stats(contested)).

%% Of many that stop it, one does.
case_a_race_to_stop() ->
    {ok, _} = py_pool:start(contested, #{num_workers => 1}),
    Parent = self(),
    Pids = [spawn_link(fun() -> Parent ! {self(), py_pool:stop(contested)} end) || _ <- lists:seq(1, 10)],
    Answers = [receive {Pid, Answer} -> Answer end || Pid <- Pids],
    ?assert(lists:member(ok, Answers)),
    ?assertEqual([], [Answer || Answer <- Answers, Answer =/= ok, Answer =/= {error, {no_pool, contested}}]),
    ?assertEqual({error, {no_pool, contested}}, py_pool:stats(contested)).

case_names_that_are_none() ->
    [begin
         py_test:badarg(fun() -> py_pool:start(Name, #{}) end, 1, "Name is not an atom"),
         py_test:badarg(fun() -> py_pool:child_spec(Name, #{}) end, 1, "Name is not an atom"),
         py_test:badarg(fun() -> py_pool:stop(Name) end, 1, "Name is not an atom"),
         py_test:badarg(fun() -> py_pool:stats(Name) end, 1, "Name is not an atom")
     end || Name <- ["small", <<"small">>, 1, {small}]].

case_pools_that_are_gone() ->
    [begin
         {ok, _} = py_pool:start(gone, #{isolation => Kind, num_workers => 1}),
         {ok, Object} = py:eval("object()", #{}, #{pool => gone}),
         {ok, Stream} = py_stream:open({eval, "iter(range(9))", #{}}, #{pool => gone}),
         ok = py_pool:stop(gone),
         Gone = {error, {no_pool, gone}},
         On = #{pool => gone},
         ?assertEqual(Gone, py_pool:stats(gone)),
         ?assertEqual(Gone, py_pool:stop(gone)),
         ?assertEqual(Gone, py:call(math, sqrt, [16], #{}, On)),
         ?assertEqual(Gone, py:eval("1", #{}, On)),
         ?assertEqual(Gone, py:exec("1", On)),
         ?assertEqual(Gone, py:map(math, sqrt, [[16]], On)),
         ?assertEqual(Gone, py:await(py:call_async(math, sqrt, [16], #{}, On))),
         ?assertEqual(Gone, py_stream:open({eval, "[]", #{}}, On)),
         ?assertEqual(Gone, py_stream:next(Stream)),
         ?assertEqual({error, object_gone}, py:call(Object, '__repr__', []))
     end || Kind <- ?KINDS],
    ?assertEqual({error, supervised}, py_pool:stop(default)).

%% The application --------------------------------------------------------------------------

%% In a VM of its own, started by Code with these keys in its environment: what it prints.
vm(Env, Code) ->
    Set = [io_lib:format("ok = application:set_env(erlang_python, ~p, ~p),", [Key, Value]) || {Key, Value} <- Env],
    {_, Output, _} = py_test:vm(lists:flatten(["ok = application:load(erlang_python),", Set, Code]), 30000),
    unicode:characters_to_list(Output).

prints(Output, Patterns) ->
    [?assertMatch({_, _, {match, _}}, {Pattern, Output, re:run(Output, Pattern, [dotall])}) || Pattern <- Patterns].

%% {Environment, reason as a term's text, what is said in words}
bad_environments() ->
    [{[{num_workers, 0}], "{bad_option,num_workers,0}", "bad value for num_workers: 0"},
     {[{isolation, threads}], "{bad_option,isolation,threads}", "bad value for isolation: threads"},
     {[{python, "/no/such/python"}], "{'RuntimeError',", "cannot run /no/such/python: no such file or directory"},
     {[{preload, "1 / 0"}], "{'ZeroDivisionError',", "ZeroDivisionError: division by zero"},
     {[{preload, "def"}, {isolation, process}], "{'SyntaxError',", "SyntaxError: invalid syntax"}].

case_the_application_says_why_it_does_not_start() ->
    [begin
         Output = vm(Env, "io:format(\"answer: ~0p~n\", [application:ensure_all_started(erlang_python)]),"
                          "io:format(\"left: ~0p~n\", [[P || P <- registered(), lists:prefix(\"py_\", atom_to_list(P))]]),"
                          "timer:sleep(200), halt(0)."),
         prints(Output, ["answer: {error,{erlang_python,{" ++ quoted(Reason), "left: \\[\\]",
                         "erlang_python does not start: [^\n]*" ++ quoted(Words)])
     end || {Env, Reason, Words} <- bad_environments()].

%% As in a release: the VM ends, and says why.
case_a_vm_that_needs_the_application() ->
    [{Env, Reason, Words} | _] = bad_environments(),
    Output = vm(Env, "application:ensure_all_started(erlang_python, permanent), timer:sleep(5000), halt(0)."),
    prints(Output, ["erlang_python does not start: [^\n]*" ++ quoted(Words), quoted(Reason)]).

%% Without reports: what `erl -s' leaves to be seen.
case_started_from_the_command_line() ->
    Output = vm([{preload, "1 / 0"}], "application:start(erlang_python), timer:sleep(300), halt(0)."),
    prints(Output, ["erlang_python does not start: [^\n]*ZeroDivisionError: division by zero"]).

case_a_key_that_means_nothing() ->
    Output = vm([{num_worker, 8}], "{ok, _} = application:ensure_all_started(erlang_python), timer:sleep(300), halt(0)."),
    prints(Output, ["environment of erlang_python has a key that means nothing: num_worker"]).

%% Once its environment is right, the same VM starts it.
case_started_after_it_could_not() ->
    Output = vm([{preload, "1 / 0"}],
                "{error, _} = application:start(erlang_python),"
                "ok = application:set_env(erlang_python, preload, \"good = 1\"),"
                "ok = application:start(erlang_python),"
                "{ok, 1} = py:eval(\"good\"), io:format(\"started~n\"), halt(0)."),
    prints(Output, ["started"]).

quoted(Text) ->
    re:replace(Text, "[][{}().+*?|^$\\\\]", "\\\\&", [global, {return, list}]).
