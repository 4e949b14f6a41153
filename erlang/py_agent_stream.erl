%% The owner of one stream on its own node, for a process of another one: it has the conversation with the
%% native side, as py_stream_steps has it for a process here, and answers what py_remote_stream asks. The
%% questions come through the agent, which knows whether this process is still there.
%%
%% Values wait here or on the worker until the other process wants them: it asks, and gets what it asked for.
%% Of a stream that is folded over or read ahead there are never more here than the window of that.
%% Under a subscription the values are passed on as they come. Whatever was demanded, the native side is asked for a
%% window at a time: passing a value on waits while the connection is full, and the others would wait here.
-module(py_agent_stream).

-include("py_stream.hrl").

-export([start_link/3, init/4]).
-export_type([question/0]).

%% What is asked as {py_ask, Alias, Objects, question()}, and answered with {py_answer, Alias, Answer}: `one' and
%% `several' as py_stream_steps, `pull' with {Values, Next} as there, `some' with {ok, Values}, one at least, as soon
%% as there is one, or the end.
-type question() :: {one, next | {send, term()} | {throw, {binary(), binary()}}, timeout()}
                  | {several, pos_integer(), timeout()}
                  | {pull, pos_integer(), timeout()}
                  | {some, timeout()}
                  | {subscribe, Receiver :: pid(), pos_integer()}
                  | {demand, pos_integer()}
                  | close.

%% Values on their way to a fold or a subscriber, at most; of a fold as many go in one message, at most.
-define(WINDOW, 512).
%% How long after a time-out it can still be asked what became of the stream, in milliseconds.
-define(LINGER, 5000).

-record(host, {agent :: pid(),
               opened :: reference(),               % what the agent knows the stream by
               stream :: #py_stream{},
               %% The other node's receiver of a subscription, and the tag of its messages here.
               receiver = none :: none | pid(),
               subscribed :: reference(),
               open = 0 :: non_neg_integer(),       % values asked for that have not come,
               owed = 0 :: non_neg_integer(),       % and those that were demanded besides
               linger = infinity :: timeout()}).

%% By the agent, to whom it is linked. The answer to the opening of the stream is to go to this process, under
%% the tag Alias, and is passed on to Alias.
-spec start_link(Alias :: reference(), timeout(), Prefetch :: non_neg_integer()) -> pid().
start_link(Alias, Timeout, Prefetch) ->
    proc_lib:spawn_link(?MODULE, init, [self(), Alias, Timeout, Prefetch]).

-spec init(pid(), reference(), timeout(), non_neg_integer()) -> ok.
init(Agent, Alias, Timeout, Prefetch) ->
    receive
        {py_response, Alias, {ok, Handle}} ->
            Stream = #py_stream{handle = Handle, timeout = Timeout, prefetch = Prefetch, tag = make_ref()},
            case py_stream_steps:read_ahead(Stream) of
                {ok, _} ->
                    Agent ! {py_opened, Alias, self()},
                    Alias ! {py_response, Alias, {ok, {py_stream, Alias, self()}}},
                    loop(#host{agent = Agent, opened = Alias, stream = Stream, subscribed = make_ref()});
                {error, Reason} ->
                    failed(Alias, Reason)
            end;
        {py_error, Alias, Reason} ->
            failed(Alias, Reason)
    end.

failed(Alias, Reason) ->
    Alias ! {py_error, Alias, Reason},
    ok.

loop(#host{receiver = Receiver, subscribed = Tag, linger = Linger} = Host) ->
    receive
        {py_ask, Alias, Objects, Question} ->
            asked(Alias, py_remote_objects:alive(Objects), Question, Host);
        py_give_up ->
            _ = py_stream_steps:close(Host#host.stream),
            ok;
        {py_chunk, Tag, Value} ->
            hold(Value, Host),
            Receiver ! {py_chunk, Value},
            loop(more(Host#host{open = Host#host.open - 1}));
        {py_end, Tag} ->
            Receiver ! py_end,
            loop(Host#host{linger = ?LINGER});
        {py_error, Tag, Reason} ->
            Receiver ! {py_error, Reason},
            loop(Host#host{linger = ?LINGER})
    after Linger ->
        ok
    end.

asked(Alias, false, _Question, Host) ->
    answer(Alias, {error, object_gone}),
    loop(Host);
%% Behind the values that are on their way: after the answer there are no more.
asked(Alias, true, close, #host{stream = Stream, receiver = Receiver}) ->
    Closed = py_stream_steps:close(Stream),
    case Receiver of
        none -> answer(Alias, Closed);
        _ -> Receiver ! {py_closed, Alias, Closed}, ok
    end;
asked(Alias, true, {subscribe, Receiver, Count}, #host{stream = Stream, subscribed = Tag} = Host) ->
    #py_stream{handle = Handle} = Stream,
    Open = min(Count, ?WINDOW),
    case py_nif:stream_push(Handle, Tag, Open, true) of
        wait ->
            answer(Alias, {ok, self()}),
            loop(Host#host{receiver = Receiver, open = Open, owed = Count - Open});
        {ended, {done, _}} ->
            answer(Alias, {ok, self()}),
            Receiver ! py_end,
            loop(Host#host{linger = ?LINGER});
        {ended, {error, Reason}} ->
            answer(Alias, {ok, self()}),
            Receiver ! {py_error, Reason},
            loop(Host#host{linger = ?LINGER});
        {error, _} = Error ->
            answer(Alias, Error),
            loop(Host)
    end;
asked(Alias, true, {demand, Count}, #host{open = Open, owed = Owed} = Host) when Open > 0 ->
    answer(Alias, ok),
    loop(more(Host#host{owed = Owed + Count}));
asked(Alias, true, {demand, Count}, #host{stream = #py_stream{handle = Handle}, receiver = Receiver} = Host)
  when Receiver =/= none ->
    Open = min(Count, ?WINDOW),
    case py_nif:stream_demand(Handle, Open) of
        ok -> answer(Alias, ok), loop(Host#host{open = Open, owed = Count - Open});
        ended -> answer(Alias, ok), loop(Host);
        {error, _} = Error -> answer(Alias, Error), loop(Host)
    end;
asked(Alias, true, {demand, Count}, #host{stream = #py_stream{handle = Handle}} = Host) ->
    case py_nif:stream_demand(Handle, Count) of
        {error, _} = Error -> answer(Alias, Error);
        _ -> answer(Alias, ok)
    end,
    loop(Host);
asked(Alias, true, Question, #host{stream = Stream} = Host) ->
    {Answer, Next} = step(Question, Stream),
    hold(Answer, Host),
    answer(Alias, Answer),
    case is_last(Answer) of
        last -> ok;
        given_up -> loop(Host#host{stream = Next, linger = ?LINGER});
        no -> loop(Host#host{stream = Next})
    end.

step({one, What, Timeout}, Stream) ->
    {py_stream_steps:one(Stream, What, Timeout), Stream};
step({several, N, Timeout}, Stream) ->
    {py_stream_steps:several(Stream, N, Timeout), Stream};
step({pull, N, Timeout}, Stream) ->
    {py_stream_steps:pull(Stream, N, next, true, py_stream_steps:deadline(Timeout)), Stream};
%% A fold reads ahead from its first step on.
step({some, Timeout}, #py_stream{prefetch = 0} = Stream) ->
    Ahead = Stream#py_stream{prefetch = ?WINDOW},
    case py_stream_steps:push(Ahead) of
        wait -> step({some, Timeout}, Ahead);
        Ended -> {Ended, Stream}
    end;
step({some, Timeout}, Stream) ->
    case py_stream_steps:one(Stream, next, Timeout) of
        {ok, Value} -> {{ok, [Value | py_stream_steps:waiting(Stream, ?WINDOW - 1)]}, Stream};
        End -> {End, Stream}
    end.

%% What stands against it comes as a message, or has come.
more(#host{stream = #py_stream{handle = Handle}, open = Open, owed = Owed} = Host)
  when Owed > 0, Open =< ?WINDOW div 2 ->
    Count = min(Owed, ?WINDOW - Open),
    _ = py_nif:stream_demand(Handle, Count),
    Host#host{open = Open + Count, owed = Owed - Count};
more(Host) ->
    Host.

%% Whether the stream is over with this answer, so that only `closed' can come.
is_last({done, _}) -> last;
is_last({error, timeout}) -> given_up;
is_last({error, Reason}) when Reason =:= subscribed; Reason =:= not_subscribed -> no;
is_last({error, _}) -> last;
is_last({Values, timeout}) when is_list(Values) -> given_up;
is_last({Values, {_, _}}) when is_list(Values) -> last;
is_last(_) -> no.

answer(Alias, Answer) ->
    Alias ! {py_answer, Alias, Answer},
    ok.

%% Objects among the values are the caller's until it releases them or ends.
hold(Value, #host{agent = Agent, opened = Opened}) ->
    case py_remote_objects:in(Value) of
        [] -> ok;
        Refs -> Agent ! {py_hold, Opened, Refs}, ok
    end.
