%% Runs one test module in this VM and writes how many passed, failed and were
%% skipped to a file; without that file the VM did not reach the end. Prints what
%% failed and what was skipped, nothing else.
%%
%% A test says throw({skip, Reason}) when what it needs is not on this machine.
-module(tally).
-behaviour(eunit_listener).

-export([eunit/2, suite/3]).
-export([start/1, init/1, handle_begin/3, handle_end/3, handle_cancel/3, terminate/2]).

%% groups: the titles of groups, by their place in the tree of tests.
-record(tally, {file :: string(), passed = 0, failed = 0, skipped = 0, groups = #{}}).

%% Every EUnit test of Module.
eunit(Module, File) ->
    prepare(),
    _ = eunit:test(Module, [no_tty, {report, {?MODULE, [{file, File}]}}]),
    halt(0).

%% Every case of a Common Test suite whose compiled module lies in Dir.
suite(Module, Dir, File) ->
    prepare(),
    Logs = filename:rootname(File) ++ ".ct",
    ok = filelib:ensure_dir(filename:join(Logs, "file")),
    case ct:run_test([{dir, Dir}, {suite, Module}, {auto_compile, false}, {logdir, Logs}]) of
        {Passed, Failed, {User, Auto}} ->
            write(#tally{file = File, passed = Passed, failed = Failed + Auto, skipped = User});
        {error, Reason} ->
            io:format("~p: ~p~n", [Module, Reason])
    end,
    halt(0).

%% Fixtures stop the application hundreds of times: those reports hide the others.
prepare() ->
    ok = io:setopts([{encoding, unicode}]),
    ok = logger:add_primary_filter(?MODULE, {fun without_stops/2, none}).

without_stops(#{msg := {report, #{label := {application_controller, exit},
                                  report := Report}}}, none) ->
    case proplists:get_value(exited, Report) of
        stopped -> stop;
        _ -> ignore
    end;
without_stops(_Event, none) ->
    ignore.

start(Options) ->
    eunit_listener:start(?MODULE, Options).

init(Options) ->
    receive {start, _Reference} -> #tally{file = proplists:get_value(file, Options)} end.

handle_begin(group, Data, #tally{groups = Groups} = Tally) ->
    case title(Data) of
        "" -> Tally;
        Title -> Tally#tally{groups = Groups#{proplists:get_value(id, Data) => Title}}
    end;
handle_begin(test, _Data, Tally) ->
    Tally.

handle_end(group, _Data, Tally) ->
    Tally;
handle_end(test, Data, Tally) ->
    case proplists:get_value(status, Data) of
        ok ->
            Tally#tally{passed = Tally#tally.passed + 1};
        {skipped, Reason} ->
            skipped(Data, Reason, Tally);
        {error, {throw, {skip, Reason}, _Stack}} ->
            skipped(Data, Reason, Tally);
        {error, Exception} ->
            failed(Data, eunit_lib:format_exception(Exception), Tally)
    end.

%% Cancelled: a fixture that failed, a time limit, a test process that was killed.
handle_cancel(_Kind, Data, Tally) ->
    case proplists:get_value(reason, Data) of
        undefined -> Tally;
        {blame, _Culprit} -> Tally;  % counted where it failed
        {abort, {setup_failed, {throw, {skip, Reason}, _Stack}}} -> skipped(Data, Reason, Tally);
        {abort, Reason} -> failed(Data, eunit_lib:format_error(Reason), Tally);
        Reason -> failed(Data, io_lib:format("cancelled: ~tp~n", [Reason]), Tally)
    end.

terminate({ok, _Totals}, Tally) ->
    write(Tally);
terminate({error, Reason}, _Tally) ->
    io:format("EUnit gave up: ~tp~n", [Reason]).

skipped(Data, Reason, Tally) ->
    io:format("skipped: ~ts: ~ts~n", [name(Data, Tally), text(Reason)]),
    Tally#tally{skipped = Tally#tally.skipped + 1}.

failed(Data, Text, Tally) ->
    io:format("FAILED: ~ts~n~ts~n~ts~n",
              [name(Data, Tally), Text, proplists:get_value(output, Data, <<>>)]),
    Tally#tally{failed = Tally#tally.failed + 1}.

%% The function that the test stems from, and the titles on the way to it.
name(Data, #tally{groups = Groups}) ->
    Source = case proplists:get_value(source, Data) of
                 {Module, Function, _Arity} -> io_lib:format("~s:~s", [Module, Function]);
                 _ -> "a group"
             end,
    Id = proplists:get_value(id, Data, []),
    Above = [maps:get(lists:sublist(Id, N), Groups, "") || N <- lists:seq(0, length(Id) - 1)],
    lists:join(" / ", [Source | [Title || Title <- Above ++ [title(Data)], Title =/= ""]]).

title(Data) ->
    case proplists:get_value(desc, Data) of
        undefined -> "";
        <<"module '", _/binary>> -> "";
        Title -> Title
    end.

text(Reason) when is_atom(Reason); is_binary(Reason) -> io_lib:format("~ts", [Reason]);
text(Reason) ->
    case io_lib:char_list(Reason) of
        true -> Reason;
        false -> io_lib:format("~tp", [Reason])
    end.

write(#tally{file = File, passed = Passed, failed = Failed, skipped = Skipped}) ->
    ok = file:write_file(File, io_lib:format("~b ~b ~b~n", [Passed, Failed, Skipped])).
