%% The program of worker processes: which one goes with a Python, how one is started, what its end means.
-module(py_program).

-export([find/1, check/1, start/2, describe/1]).

%% As cmake/ErlpyPython.cmake asks it.
-define(VERSION_CODE, "import sys, sysconfig; print('%d.%d' % sys.version_info[:2] + "
                      "('t' if sysconfig.get_config_var('Py_GIL_DISABLED') else ''))").
%% How long an interpreter has to say its version, in milliseconds.
-define(VERSION_TIME, 20000).

%% The worker program for a Python interpreter (<<>>: the one that this application was built with), built for its
%% version. Errors are {Class, Message}, as every error of a pool's start.
-spec find(Python :: binary()) -> {ok, file:filename_all()} | {error, {'RuntimeError', string()}}.
find(<<>>) ->
    program(unicode:characters_to_list(py_nif:python_abi()), "./scripts/build");
find(Python) ->
    Shown = unicode:characters_to_list(Python),
    case version(Python) of
        {ok, Version} -> program(Version, "PYTHON=" ++ Shown ++ " ./scripts/build-native worker");
        {error, Why} -> {error, {'RuntimeError', "cannot run " ++ Shown ++ ": " ++ Why}}
    end.

%% Whether a Python interpreter can be the one of this VM (<<>>: the one that this application was built with).
-spec check(Python :: binary()) -> ok | {error, {'RuntimeError', string()}}.
check(<<>>) ->
    ok;
check(Python) ->
    Shown = unicode:characters_to_list(Python),
    Mine = unicode:characters_to_list(py_nif:python_abi()),
    case version(Python) of
        {ok, Mine} ->
            ok;
        {ok, Version} ->
            {error, {'RuntimeError', Shown ++ " is Python " ++ Version ++ ", and this application was built for Python "
                     ++ Mine ++ "; build it with PYTHON=" ++ Shown ++ " ./scripts/build, or use isolation process"}};
        {error, Why} ->
            {error, {'RuntimeError', "cannot run " ++ Shown ++ ": " ++ Why}}
    end.

program(Version, Command) ->
    Program = filename:join(priv(), "erlpy_worker-" ++ Version),
    case filelib:is_regular(Program) of
        true -> {ok, Program};
        false -> {error, {'RuntimeError', "there is no " ++ Program ++ "; build it with " ++ Command}}
    end.

priv() ->
    case code:priv_dir(erlang_python) of
        {error, bad_name} -> filename:join(filename:dirname(filename:dirname(code:which(?MODULE))), "priv");
        Found -> Found
    end.

%% In a process of its own: what a port sends, and its exit signal, are nobody else's.
version(Python) ->
    {Caller, Tag} = {self(), make_ref()},
    {Pid, Monitor} = spawn_monitor(fun() -> Caller ! {Tag, asked(Python)} end),
    receive
        {Tag, Answer} -> true = erlang:demonitor(Monitor, [flush]), Answer;
        {'DOWN', Monitor, process, Pid, _Killed} -> {error, "it was not asked for its version"}
    end.

-spec asked(Python :: binary()) -> {ok, string()} | {error, string()}.
asked(Python) ->
    try open_port({spawn_executable, executable(Python)},
                  [{args, ["-c", ?VERSION_CODE]}, exit_status, binary, stderr_to_stdout, in]) of
        Port -> collect(Port, <<>>, erlang:monotonic_time(millisecond) + ?VERSION_TIME)
    catch
        error:Reason -> {error, file:format_error(Reason)}
    end.

%% A name without a directory is looked for where commands are.
executable(Python) ->
    case filename:basename(Python) =:= Python andalso os:find_executable(unicode:characters_to_list(Python)) of
        false -> Python;
        Found -> Found
    end.

collect(Port, Said, Deadline) ->
    receive
        {Port, {data, Data}} ->
            collect(Port, <<Said/binary, Data/binary>>, Deadline);
        {Port, {exit_status, 0}} ->
            case re:run(Said, "^([0-9]+\\.[0-9]+t?)\\s*$", [{capture, all_but_first, list}]) of
                {match, [Version]} -> {ok, Version};
                nomatch -> {error, "it does not say a version of Python"}
            end;
        {Port, {exit_status, Status}} ->
            {error, "it " ++ unicode:characters_to_list(describe(Status))}
    after max(0, Deadline - erlang:monotonic_time(millisecond)) ->
        true = port_close(Port),
        {error, "it did not say its version in time"}
    end.

%% Starts a worker process, and tells it where to connect. Its port is for its life alone.
-spec start(file:filename_all(), Said :: binary()) -> {ok, port()} | {error, binary()}.
start(Program, Said) ->
    try open_port({spawn_executable, Program}, [exit_status, binary, nouse_stdio]) of
        Port ->
            ok = tell(Port, Said),
            {ok, Port}
    catch
        error:Reason -> {error, unicode:characters_to_binary(file:format_error(Reason))}
    end.

%% It may have ended by now: then its exit status says so.
tell(Port, Said) ->
    try
        true = port_command(Port, Said),
        ok
    catch
        error:badarg -> ok
    end.

%% What an exit status says.
-spec describe(non_neg_integer()) -> binary().
describe(Status) when Status > 128, Status < 160 ->
    iolist_to_binary(io_lib:format("ended by signal ~b", [Status - 128]));
describe(Status) ->
    iolist_to_binary(io_lib:format("ended with status ~b", [Status])).
