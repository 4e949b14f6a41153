%% What the test modules share: the application as a fixture, fresh processes,
%% pools and virtual machines, times and mailboxes.
-module(py_test).

-export([cases/1, cases/2, start/0, stop/1, in_process/1, with_pool/2, pool_name/0]).
-export([elapsed/1, on_time/3, wait_until/2, mailbox/0, rss/0, badarg/3]).
-export([vm/2, otp/0, python/0, tmp_dir/0, has_numpy/0, no_numpy/0, free_threaded/0, isolation/0]).

%% Every exported function case_*/0 of the module, each in a process of its own
%% with the application freshly started.
cases(Module) ->
    cases(Module, 120).

cases(Module, Seconds) ->
    Names = [Name || {Name, 0} <- Module:module_info(exports), lists:prefix("case_", atom_to_list(Name))],
    {foreach, fun start/0, fun stop/1,
     [{timeout, Seconds, {atom_to_list(Name), fun() -> in_process(fun() -> Module:Name() end) end}}
      || Name <- lists:sort(Names)]}.

start() ->
    _ = application:stop(erlang_python),
    _ = application:load(erlang_python),
    ok = application:set_env(erlang_python, isolation, isolation()),
    ok = application:start(erlang_python).

%% What the workers of every pool are, if it does not say: the suites are run for each kind.
isolation() ->
    list_to_atom(os:getenv("ERLPY_TEST_ISOLATION", "shared")).

stop(_) ->
    application:stop(erlang_python).

%% Runs Fun in a process that has called nothing yet, and returns what it returns
%% or fails as it fails.
in_process(Fun) ->
    {Pid, Monitor} = spawn_monitor(fun() ->
        exit(try {returned, Fun()} catch Class:Reason:Stack -> {failed, Class, Reason, Stack} end)
    end),
    receive
        {'DOWN', Monitor, process, Pid, {returned, Value}} -> Value;
        {'DOWN', Monitor, process, Pid, {failed, Class, Reason, Stack}} -> erlang:raise(Class, Reason, Stack);
        {'DOWN', Monitor, process, Pid, Reason} -> error({died, Reason})
    end.

pool_name() ->
    list_to_atom("test_pool_" ++ integer_to_list(erlang:unique_integer([positive]))).

%% Fun gets the name of a pool with these options.
with_pool(Opts, Fun) ->
    Name = pool_name(),
    {ok, _} = py_pool:start(Name, Opts),
    try Fun(Name) after py_pool:stop(Name) end.

%% {Milliseconds, Result}
elapsed(Fun) ->
    Start = erlang:monotonic_time(),
    Result = Fun(),
    {erlang:convert_time_unit(erlang:monotonic_time() - Start, native, millisecond), Result}.

%% What Fun returns, which takes from AtLeast to less than AtMost milliseconds. What is held up is so each
%% time; a machine that is busy with other things is not, so that Fun, which gets the number of the try, may
%% be late four times.
on_time(AtLeast, AtMost, Fun) ->
    on_time(AtLeast, AtMost, Fun, 1).

on_time(AtLeast, AtMost, Fun, Try) ->
    {Time, Result} = elapsed(fun() -> Fun(Try) end),
    Time >= AtLeast orelse error({too_early, Time, Result}),
    if
        Time < AtMost -> Result;
        Try < 5 -> on_time(AtLeast, AtMost, Fun, Try + 1);
        true -> error({too_late, Time, Result})
    end.

%% Until Fun returns true; fails after Milliseconds.
wait_until(Fun, Milliseconds) ->
    wait_until_deadline(Fun, erlang:monotonic_time(millisecond) + Milliseconds).

wait_until_deadline(Fun, Deadline) ->
    case Fun() of
        true ->
            ok;
        Other ->
            erlang:monotonic_time(millisecond) < Deadline orelse error({never_true, Other}),
            timer:sleep(10),
            wait_until_deadline(Fun, Deadline)
    end.

%% A receive that looks at them all first: process_info/2 alone was seen to leave out what had just come.
mailbox() ->
    receive
        {?MODULE, nobody_sends_this} -> ok
    after 0 ->
        ok
    end,
    {messages, Messages} = process_info(self(), messages),
    Messages.

%% Resident memory of this VM in bytes.
rss() ->
    {ok, Status} = file:read_file("/proc/self/status"),
    {match, [Kib]} = re:run(Status, "VmRSS:\\s+([0-9]+) kB", [{capture, all_but_first, list}]),
    list_to_integer(Kib) * 1024.

%% Fun fails with badarg, and its error information says Needle of argument
%% Position of the function of py, py_pool or py_stream that was called.
badarg(Fun, Position, Needle) ->
    try Fun() of
        Result -> error({no_badarg, Result})
    catch
        error:badarg:Stack ->
            [{Module, _, Args, _} | _] = Stack,
            true = lists:member(Module, [py, py_pool, py_stream]),
            true = is_list(Args) andalso Position =< length(Args),
            #{Position := Text} = py_error:format_error(badarg, Stack),
            case string:find(Text, Needle) of
                nomatch -> error({text_is, Text});
                _ -> ok
            end
    end.

%% Runs `Call' (Erlang source) in a VM of its own: {ExitStatus, Output, Milliseconds}.
vm(Call, Timeout) ->
    Erl = filename:join([code:root_dir(), "bin", "erl"]),
    Paths = lists:append([["-pa", filename:dirname(code:which(Module))] || Module <- [py, ?MODULE]]),
    Start = erlang:monotonic_time(millisecond),
    Port = open_port({spawn_executable, Erl},
                     [{args, ["-noshell" | Paths] ++ ["-eval", Call]},
                      binary, exit_status, stderr_to_stdout, hide]),
    {os_pid, OsPid} = erlang:port_info(Port, os_pid),
    vm_output(Port, OsPid, <<>>, Start, Start + Timeout).

vm_output(Port, OsPid, Output, Start, Deadline) ->
    receive
        {Port, {data, Data}} ->
            vm_output(Port, OsPid, <<Output/binary, Data/binary>>, Start, Deadline);
        {Port, {exit_status, Status}} ->
            {Status, Output, erlang:monotonic_time(millisecond) - Start}
    after max(0, Deadline - erlang:monotonic_time(millisecond)) ->
        _ = os:cmd("kill -9 " ++ integer_to_list(OsPid)),
        error({vm_hangs, Output})
    end.

otp() ->
    list_to_integer(erlang:system_info(otp_release)).

%% {Major, Minor}
python() ->
    {ok, Version} = py:eval(<<"tuple(__import__('sys').version_info)[:2]">>),
    Version.

%% A sub-interpreter may find that numpy refuses it, which is an ImportError.
has_numpy() ->
    case {py:call(importlib, import_module, [numpy]), isolation()} of
        {{ok, _}, _} -> true;
        {{error, {'ModuleNotFoundError', _}}, _} -> false;
        {{error, {'ImportError', _}}, subinterpreter} -> false
    end.

%% For a test that needs it. Debian's interpreter has it from scripts/setup.
-spec no_numpy() -> no_return().
no_numpy() ->
    case {isolation(), os:getenv("PYTHON", "/usr/bin/python3")} of
        {subinterpreter, _} -> throw({skip, "numpy is refused in sub-interpreters"});
        {_, "/usr/bin/python3"} -> error("numpy is not installed, which scripts/setup does");
        {_, Python} -> throw({skip, Python ++ " has no numpy, and Debian's package is for /usr/bin/python3 alone"})
    end.

%% Whether workers of one interpreter run at the same time.
free_threaded() ->
    {ok, Answer} = py:eval(<<"not getattr(__import__('sys'), '_is_gil_enabled', lambda: True)()">>),
    Answer.

%% A new directory.
tmp_dir() ->
    Base = os:getenv("TMPDIR", "/tmp"),
    Name = io_lib:format("erlpy_test_~s_~b_~b", [os:getpid(), erlang:system_time(), erlang:unique_integer([positive])]),
    Dir = filename:join(Base, lists:flatten(Name)),
    ok = file:make_dir(Dir),
    Dir.
