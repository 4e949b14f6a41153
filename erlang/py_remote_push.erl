%% The end of a subscription to a stream of another node, on the subscriber's node: the values come through
%% here, so that the subscriber gets what it would get of a stream at home, and is told should that node go down.
-module(py_remote_push).

-export([start/2, init/3]).

%% For the calling process. Host is the stream's owner, Ref what the messages to the subscriber carry.
-spec start(Host :: pid(), Ref :: reference()) -> pid().
start(Host, Ref) ->
    proc_lib:spawn(?MODULE, init, [self(), Host, Ref]).

-spec init(pid(), pid(), reference()) -> ok.
init(Subscriber, Host, Ref) ->
    _ = erlang:monitor(process, Subscriber),
    _ = erlang:monitor(process, Host),
    loop(Subscriber, Host, Ref).

loop(Subscriber, Host, Ref) ->
    receive
        {py_chunk, Host, Value} ->
            Subscriber ! {py_chunk, Ref, Value},
            loop(Subscriber, Host, Ref);
        {py_end, Host} ->
            Subscriber ! {py_end, Ref},
            ok;
        {py_error, Host, Reason} ->
            Subscriber ! {py_error, Ref, Reason},
            ok;
        {py_closed, Host, Alias, Answer} ->
            Alias ! {py_answer, Alias, Answer},
            ok;
        {'DOWN', _, process, Host, Reason} ->
            ended(Reason, Subscriber, Host, Ref);
        {'DOWN', _, process, Subscriber, _} ->
            ok;
        stop ->
            ok;
        _Other ->
            loop(Subscriber, Host, Ref)
    end.

ended(noconnection, Subscriber, Host, Ref) ->
    Subscriber ! {py_error, Ref, {nodedown, node(Host)}},
    ok;
ended(_Reason, Subscriber, _Host, Ref) ->
    Subscriber ! {py_error, Ref, cancelled},
    ok.
