%% What the tests of how streams end share: generators that note the end of theirs, and a look
%% at what was noted and at what is left.
-module(py_stream_ends_test).
-include_lib("eunit/include/eunit.hrl").

-export([define/0, define/1, source/1, noted/1, notes/0, open/2, open/3, eval/1, thread/0]).
-export([ran/2, ran/3, nothing_left/0, each/1]).

-define(WORKER, #{worker => 1}).

%% `guarded' gives integers, and from `stuck_at' on nothing any more. What it notes is in
%% the namespace, and in the file of that name (if any), beyond its pool and its process.
%% Every wait is short, so that an interrupt finds its way.
source(Notes) -> "
import asyncio, threading, time

ends = []
notes = '" ++ Notes ++ "'

def note():
    ends.append(threading.get_ident())
    if notes:
        with open(notes, 'a') as file:
            file.write('%d\\n' % threading.get_ident())

def guarded(stuck_at=None, hang=0):
    n = 0
    try:
        while True:
            while n == stuck_at:
                time.sleep(0.001)
            yield n
            n += 1
            if hang:
                time.sleep(hang)
    finally:
        time.sleep(0.02)
        note()

async def aguarded(stuck_at=None, hang=0):
    n = 0
    try:
        while True:
            while n == stuck_at:
                await asyncio.sleep(0.001)
            yield n
            n += 1
            if hang:
                await asyncio.sleep(hang)
    finally:
        await asyncio.sleep(0.02)
        note()

def stuck_on_send():
    try:
        while True:
            try:
                if (yield 1) == 'stop here':
                    while True:
                        time.sleep(0.001)
            except ValueError:
                while True:
                    time.sleep(0.001)
    finally:
        note()

def stuck_before_it_starts():
    while True:
        time.sleep(0.001)
".

define() ->
    define("").

define(Notes) ->
    ok = py:exec(source(Notes), ?WORKER).

noted(Notes) ->
    case file:read_file(Notes) of
        {ok, Lines} -> [binary_to_integer(Line) || Line <- binary:split(Lines, <<"\n">>, [global, trim])];
        {error, enoent} -> []
    end.

notes() ->
    filename:join(py_test:tmp_dir(), "notes").

open(Fun, KwArgs) ->
    open(Fun, KwArgs, #{}).

open(Fun, KwArgs, Opts) ->
    {ok, Stream} = py_stream:open({call, '__main__', Fun, [], KwArgs}, maps:merge(?WORKER, Opts)),
    Stream.

eval(Code) ->
    {ok, Value} = py:eval(Code, #{}, ?WORKER),
    Value.

thread() ->
    eval("__import__('threading').get_ident()").

%% So many `finally' blocks have run since the last time, all on that thread.
ran(Count, Thread) ->
    ran(Count, Thread, 3000).

ran(Count, Thread, Milliseconds) ->
    py_test:wait_until(fun() -> eval("len(ends)") >= Count end, Milliseconds),
    ?assertEqual(lists:duplicate(Count, Thread), eval("ends")),
    ok = py:exec("ends.clear()", ?WORKER).

nothing_left() ->
    py_test:wait_until(fun() -> py_stream_test:open_streams() =:= 0 end, 5000),
    ?assertEqual([], py_test:mailbox()).

%% Each way to end a stream, for both kinds of generators.
each(Fun) ->
    define(),
    Thread = thread(),
    [begin
         Fun(Kind),
         ran(1, Thread),
         nothing_left()
     end || Kind <- [guarded, aguarded]].
