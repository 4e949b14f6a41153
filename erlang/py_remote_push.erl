%% The end of a subscription to a stream of another node, on the subscriber's node: the values come through
%% here, so that the subscriber gets what it would get of a stream at home, and is told should that node go down.
-module(py_remote_push).

-export([start/1, init/2]).

%% For the calling process. Ref is what the messages to it carry. The stream's owner is given the process's pid,
%% and this process then told of the owner with {py_host, Host}.
-spec start(Ref :: reference()) -> pid().
start(Ref) ->
    proc_lib:spawn(?MODULE, init, [self(), Ref]).

-spec init(pid(), reference()) -> ok.
init(Subscriber, Ref) ->
    loop(Subscriber, erlang:monitor(process, Subscriber), Ref).

loop(Subscriber, Monitor, Ref) ->
    receive
        {py_chunk, Value} ->
            Subscriber ! {py_chunk, Ref, Value},
            loop(Subscriber, Monitor, Ref);
        py_end ->
            Subscriber ! {py_end, Ref},
            ok;
        {py_error, Reason} ->
            Subscriber ! {py_error, Ref, Reason},
            ok;
        %% The answer to the one who closes: there are no values behind it.
        {py_closed, Alias, Answer} ->
            Alias ! {py_answer, Alias, Answer},
            ok;
        {py_host, Host} ->
            _ = erlang:monitor(process, Host),
            loop(Subscriber, Monitor, Ref);
        {'DOWN', Monitor, process, _, _} ->
            ok;
        {'DOWN', _, process, Host, noconnection} ->
            Subscriber ! {py_error, Ref, {nodedown, node(Host)}},
            ok;
        {'DOWN', _, process, _Host, _Reason} ->
            Subscriber ! {py_error, Ref, cancelled},
            ok;
        _Other ->
            loop(Subscriber, Monitor, Ref)
    end.
