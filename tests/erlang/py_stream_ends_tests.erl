%% How streams end before their end: whoever ends them, the generator's `finally' runs,
%% on the thread of its worker, nothing stays open, and no message stays behind.
-module(py_stream_ends_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

-define(WORKER, #{worker => 1}).

ends_test_() ->
    py_stream_test:cases(?MODULE, 120).

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

%% close ----------------------------------------------------------------------------

case_close_when_suspended() ->
    each(fun(Kind) ->
        Stream = open(Kind, #{}),
        {ok, [0, 1, 2]} = py_stream:take(Stream, 3),
        ok = py_stream:close(Stream),
        ?assertEqual(1, eval("len(ends)")),
        ?assertEqual({error, closed}, py_stream:next(Stream)),
        ?assertEqual(ok, py_stream:close(Stream))
    end).

case_close_when_subscribed() ->
    each(fun(Kind) ->
        Stream = open(Kind, #{}),
        {ok, Ref} = py_stream:subscribe(Stream, #{demand => 3}),
        [receive {py_chunk, Ref, N} -> ok end || N <- [0, 1, 2]],
        ok = py_stream:close(Stream),
        ?assertEqual(1, eval("len(ends)"))
    end).

%% In the middle of a step.
case_close_when_it_is_stuck() ->
    each(fun(Kind) ->
        Stream = open(Kind, #{stuck_at => 2}),
        {ok, Ref} = py_stream:subscribe(Stream, #{demand => 5}),
        [receive {py_chunk, Ref, N} -> ok end || N <- [0, 1]],
        timer:sleep(20),
        ok = py_stream:close(Stream)
    end).

case_close_when_read_ahead() ->
    each(fun(Kind) ->
        Stream = open(Kind, #{}, #{prefetch => 100}),
        {ok, 0} = py_stream:next(Stream),
        ok = py_stream:close(Stream)
    end).

case_the_limit_closes() ->
    each(fun(Kind) ->
        ?assertEqual({ok, [0, 1, 2]}, py:stream('__main__', Kind, [], #{}, #{worker => 1, limit => 3})),
        ?assertEqual(1, eval("len(ends)"))
    end).

case_a_function_that_throws_closes() ->
    each(fun(Kind) ->
        ?assertThrow(enough, py_stream:foreach(fun(3) -> throw(enough); (_) -> ok end, open(Kind, #{}))),
        ?assertEqual(1, eval("len(ends)"))
    end).

%% The process ends -----------------------------------------------------------------

%% A process that opens a stream, does Fun to it, and dies in the way of How.
dies(Kind, KwArgs, Opts, How, Fun) ->
    Parent = self(),
    {Pid, Monitor} = spawn_monitor(fun() ->
        Stream = open(Kind, KwArgs, Opts),
        Parent ! {self(), opened},
        Fun(Stream),
        Parent ! {self(), had_its_values},
        timer:sleep(infinity)
    end),
    receive {Pid, opened} -> ok end,
    receive {Pid, had_its_values} -> ok after 100 -> ok end,
    exit(Pid, How),
    receive {'DOWN', Monitor, process, Pid, _} -> ok end,
    receive {Pid, had_its_values} -> ok after 0 -> ok end.

case_the_process_dies_when_suspended() ->
    each(fun(Kind) -> dies(Kind, #{}, #{}, kill, fun(Stream) -> {ok, 0} = py_stream:next(Stream) end) end).

case_the_process_dies_when_subscribed() ->
    each(fun(Kind) ->
        dies(Kind, #{}, #{}, shutdown, fun(Stream) ->
            {ok, Ref} = py_stream:subscribe(Stream, #{demand => 10}),
            [receive {py_chunk, Ref, _} -> ok end || _ <- lists:seq(1, 10)]
        end)
    end).

case_the_process_dies_in_next() ->
    each(fun(Kind) ->
        dies(Kind, #{stuck_at => 1}, #{}, kill, fun(Stream) ->
            {ok, 0} = py_stream:next(Stream),
            py_stream:next(Stream)
        end)
    end).

case_the_process_dies_with_much_demand() ->
    each(fun(Kind) ->
        dies(Kind, #{}, #{}, kill, fun(Stream) ->
            {ok, Ref} = py_stream:subscribe(Stream, #{demand => 1 bsl 40}),
            receive {py_chunk, Ref, 1000} -> ok end
        end)
    end).

case_the_process_dies_in_a_fold() ->
    each(fun(Kind) ->
        dies(Kind, #{}, #{}, kill, fun(Stream) -> py_stream:fold(fun(N, _) -> N end, 0, Stream) end)
    end).

case_the_process_dies_in_stream() ->
    define(),
    Thread = thread(),
    Pid = spawn(fun() -> py:stream('__main__', guarded, [], #{}, #{worker => 1, limit => 1 bsl 40}) end),
    timer:sleep(50),
    exit(Pid, kill),
    ran(1, Thread),
    nothing_left().

case_the_process_ends_by_itself() ->
    each(fun(Kind) ->
        py_test:in_process(fun() -> {ok, 0} = py_stream:next(open(Kind, #{})) end)
    end).

%% Nobody has it any more ---------------------------------------------------------------

case_dropped_and_collected() ->
    each(fun(Kind) ->
        {ok, 0} = py_stream:next(open(Kind, #{})),
        true = erlang:garbage_collect()
    end).

case_dropped_when_read_ahead() ->
    each(fun(Kind) ->
        Tag = drop_ahead(Kind),
        true = erlang:garbage_collect(),
        py_test:wait_until(fun() -> eval("len(ends)") =:= 1 end, 3000),
        %% What came ahead is in the mailbox, for nobody can know that it is of no use.
        [receive {py_chunk, Tag, N} -> ok end || N <- [1, 2, 3]]
    end).

drop_ahead(Kind) ->
    Stream = open(Kind, #{}, #{prefetch => 3}),
    {ok, 0} = py_stream:next(Stream),
    py_test:wait_until(fun() -> case py_test:mailbox() of [_, _, _] -> true; Other -> Other end end, 3000),
    [{py_chunk, Tag, 1} | _] = py_test:mailbox(),
    %% Until here it has the stream.
    {error, subscribed} = py_stream:send(Stream, none),
    Tag.

%% While the process still has the stream, it is open, however much is collected.
case_held_and_collected() ->
    each(fun(Kind) ->
        Stream = open(Kind, #{}),
        {ok, 0} = py_stream:next(Stream),
        [erlang:garbage_collect() || _ <- [1, 2, 3]],
        timer:sleep(50),
        ?assertEqual(0, eval("len(ends)")),
        ?assertEqual({ok, 1}, py_stream:next(Stream)),
        ok = py_stream:close(Stream)
    end).

case_many_dropped() ->
    define(),
    Thread = thread(),
    ok = py:exec("def quick():\n    try:\n        yield 1\n    finally:\n        note()", ?WORKER),
    py_test:in_process(fun() ->
        [begin {ok, 1} = py_stream:next(open(quick, #{})) end || _ <- lists:seq(1, 500)]
    end),
    ran(500, Thread, 10000),
    nothing_left().

%% Timeouts -----------------------------------------------------------------------------

%% How is a step that does not come back within its time.
times_out(Kind, KwArgs, Opts, How) ->
    Stream = open(Kind, KwArgs, Opts),
    {Time, Result} = py_test:elapsed(fun() -> How(Stream) end),
    ?assert(Time >= 40),
    ?assert(Time < 1500),
    ?assertEqual({error, closed}, py_stream:next(Stream)),
    ?assertEqual({error, closed}, py_stream:take(Stream, 2)),
    ?assertEqual(ok, py_stream:close(Stream)),
    Result.

case_next_times_out() ->
    each(fun(Kind) ->
        ?assertEqual({error, timeout}, times_out(Kind, #{stuck_at => 0}, #{}, fun(S) -> py_stream:next(S, 50) end))
    end).

case_the_option_times_out() ->
    each(fun(Kind) ->
        ?assertEqual({error, timeout}, times_out(Kind, #{stuck_at => 1}, #{timeout => 50}, fun(Stream) ->
            {ok, 0} = py_stream:next(Stream),
            py_stream:next(Stream)
        end))
    end).

case_the_timeout_of_next_is_before_the_option() ->
    each(fun(Kind) ->
        ?assertEqual({error, timeout},
                     times_out(Kind, #{stuck_at => 0}, #{timeout => 60000}, fun(S) -> py_stream:next(S, 50) end))
    end).

case_take_times_out() ->
    each(fun(Kind) ->
        ?assertEqual({error, timeout}, times_out(Kind, #{stuck_at => 0}, #{}, fun(S) -> py_stream:take(S, 5, 50) end))
    end).

%% The values that were there in time are not lost.
case_take_times_out_with_values() ->
    each(fun(Kind) ->
        ?assertEqual({error, timeout}, times_out(Kind, #{stuck_at => 3}, #{}, fun(Stream) ->
            {ok, [0, 1, 2]} = py_stream:take(Stream, 5, 50),
            py_stream:next(Stream)
        end))
    end).

case_whole_times_out() ->
    Add = fun(N, Sum) -> N + Sum end,
    [each(fun(Kind) -> ?assertEqual({error, timeout}, times_out(Kind, #{stuck_at => 700}, #{timeout => 50}, How)) end)
     || How <- [fun py_stream:to_list/1,
                fun(Stream) -> py_stream:fold(Add, 0, Stream) end,
                fun(Stream) -> py_stream:foreach(fun(_) -> ok end, Stream) end]].

case_read_ahead_times_out() ->
    each(fun(Kind) ->
        ?assertEqual({error, timeout}, times_out(Kind, #{stuck_at => 2}, #{prefetch => 10}, fun(Stream) ->
            {ok, [0, 1]} = py_stream:take(Stream, 5, 50),
            py_stream:next(Stream)
        end))
    end).

case_stream_times_out() ->
    each(fun(Kind) ->
        ?assertEqual({error, timeout}, py:stream('__main__', Kind, [], #{stuck_at => 9}, #{worker => 1, timeout => 50}))
    end),
    ?assertEqual({error, timeout}, py:stream_eval("(x for x in iter(int, 1))", #{}, 50)),
    nothing_left().

case_send_and_throw_time_out() ->
    define(),
    Thread = thread(),
    [begin
         ?assertEqual({error, timeout}, times_out(stuck_on_send, #{}, #{timeout => 50}, fun(Stream) ->
             {ok, 1} = py_stream:next(Stream),
             How(Stream)
         end)),
         ran(1, Thread),
         nothing_left()
     end || How <- [fun(Stream) -> py_stream:send(Stream, <<"stop here">>) end,
                    fun(Stream) -> py_stream:throw(Stream, 'ValueError', "x") end]].

case_open_times_out() ->
    define(),
    ?assertEqual({error, timeout}, py_stream:open({call, '__main__', stuck_before_it_starts, [], #{}},
                                                  #{worker => 1, timeout => 50})),
    ?assertEqual({error, timeout}, py:stream('__main__', stuck_before_it_starts, [], #{}, #{worker => 1, timeout => 50})),
    nothing_left(),
    ?assertEqual(2, eval("1 + 1")).

%% The worker has other things to do.
case_a_step_that_waits_its_turn_times_out() ->
    each(fun(Kind) ->
        Stream = open(Kind, #{}),
        {ok, 0} = py_stream:next(Stream),
        Busy = py:call_async('__main__', stuck_before_it_starts, [], #{}, ?WORKER),
        timer:sleep(20),
        ?assertEqual({error, timeout}, py_stream:next(Stream, 50)),
        ok = py:cancel(Busy),
        ?assertEqual({error, closed}, py_stream:next(Stream))
    end).

case_the_default_timeout_of_a_pool() ->
    py_test:with_pool(#{num_workers => 1, default_timeout => 50}, fun(Pool) ->
        {ok, Stream} = py_stream:open({eval, "(x for x in iter(lambda: __import__('time').sleep(0.001), 1) if x)", #{}},
                                      #{pool => Pool}),
        ?assertEqual({error, timeout}, py_stream:next(Stream)),
        py_test:wait_until(fun() -> {ok, #{streams := Open}} = py_pool:stats(Pool), Open =:= 0 end, 3000)
    end),
    ?assertEqual([], py_test:mailbox()).

%% A value that comes just as its time is over comes, or is an error; never both, never late.
case_racing_timeouts() ->
    define(),
    [begin
         Stream = open(guarded, #{hang => 0.002}),
         {ok, 0} = py_stream:next(Stream),
         race(Stream, 1, Timeout),
         ok = py_stream:close(Stream),
         ?assertEqual([], py_test:mailbox())
     end || Timeout <- [0, 1, 2, 3, 4], _ <- lists:seq(1, 10)],
    nothing_left().

race(Stream, N, Timeout) when N < 5 ->
    case py_stream:next(Stream, Timeout) of
        {ok, N} -> race(Stream, N + 1, Timeout);
        {error, timeout} -> ?assertEqual({error, closed}, py_stream:next(Stream))
    end;
race(_Stream, _N, _Timeout) ->
    ok.

%% The pool stops -----------------------------------------------------------------------

%% The `finally' of the pool's stream runs once, on its thread.
in_pool(Fun) ->
    in_pool(Fun, fun(Notes, Thread) ->
        py_test:wait_until(fun() -> noted(Notes) =/= [] end, 3000),
        ?assertEqual([Thread], noted(Notes))
    end).

in_pool(Fun, Ran) ->
    py_test:with_pool(#{num_workers => 1}, fun(Pool) ->
        Opts = #{pool => Pool},
        Notes = notes(),
        ok = py:exec(source(Notes), Opts),
        {ok, Thread} = py:eval("threading.get_ident()", #{}, Opts),
        Result = Fun(Pool, fun(Kind, KwArgs) -> open(Kind, KwArgs, Opts) end),
        Ran(Notes, Thread),
        ?assertEqual([], py_test:mailbox()),
        Result
    end).

case_the_pool_stops_when_suspended() ->
    [in_pool(fun(Pool, Open) ->
        Stream = Open(Kind, #{}),
        {ok, 0} = py_stream:next(Stream),
        ok = py_pool:stop(Pool),
        ?assertEqual({error, {no_pool, Pool}}, py_stream:next(Stream)),
        ?assertMatch({error, _}, py_stream:next(Stream)),
        ?assertMatch({error, _}, py_stream:take(Stream, 3)),
        ?assertEqual(ok, py_stream:close(Stream))
     end) || Kind <- [guarded, aguarded]].

case_the_pool_stops_when_subscribed() ->
    [in_pool(fun(Pool, Open) ->
        Stream = Open(Kind, #{}),
        {ok, Ref} = py_stream:subscribe(Stream, #{demand => 2}),
        [receive {py_chunk, Ref, N} -> ok end || N <- [0, 1]],
        ok = py_pool:stop(Pool),
        receive {py_error, Ref, Reason} -> ?assertEqual({no_pool, Pool}, Reason) after 3000 -> error(not_told) end,
        ?assertEqual(ok, py_stream:close(Stream))
     end) || Kind <- [guarded, aguarded]].

case_the_pool_stops_in_the_middle_of_a_step() ->
    [in_pool(fun(Pool, Open) ->
        spawn(fun() -> timer:sleep(100), py_pool:stop(Pool) end),
        Stream = Open(Kind, #{stuck_at => 0}),
        {Time, Result} = py_test:elapsed(fun() -> How(Stream) end),
        ?assertEqual({error, {no_pool, Pool}}, Result),
        ?assert(Time < 2000)
     end) || Kind <- [guarded, aguarded],
             How <- [fun py_stream:next/1, fun(S) -> py_stream:take(S, 3) end, fun py_stream:to_list/1,
                     fun(S) -> py_stream:foreach(fun(_) -> ok end, S) end]].

case_the_application_stops() ->
    Notes = notes(),
    define(Notes),
    Stream = open(guarded, #{}),
    {ok, 0} = py_stream:next(Stream),
    ok = application:stop(erlang_python),
    ok = application:start(erlang_python),
    ?assertEqual({error, {no_pool, default}}, py_stream:next(Stream)),
    ?assertMatch([_], noted(Notes)),
    nothing_left().

%% The worker is replaced -----------------------------------------------------------------

%% As in_pool/1. A worker process is killed: then no `finally' runs.
in_replaced_pool(Fun) ->
    case py_test:isolation() of
        process -> in_pool(Fun, fun(Notes, _Thread) -> timer:sleep(100), ?assertEqual([], noted(Notes)) end);
        _ -> in_pool(Fun)
    end.

%% Another call hangs where nothing can interrupt it, and gives the GIL up meanwhile.
replaced(Pool, Seconds) ->
    {error, timeout} = py:call(time, sleep, [Seconds], #{}, #{pool => Pool, timeout => 50}),
    py_test:wait_until(fun() -> {ok, #{restarts := Restarts}} = py_pool:stats(Pool), Restarts =:= 1 end, 3000).

case_the_worker_is_replaced() ->
    [in_replaced_pool(fun(Pool, Open) ->
        Stream = Open(Kind, #{}),
        {ok, 0} = py_stream:next(Stream),
        replaced(Pool, 1),
        ?assertEqual({error, worker_replaced}, py_stream:next(Stream)),
        ?assertEqual({error, closed}, py_stream:next(Stream)),
        ?assertEqual(ok, py_stream:close(Stream)),
        ?assertEqual({ok, 2}, py:eval("1 + 1", #{}, #{pool => Pool})),
        py_test:wait_until(fun() -> {ok, #{streams := N}} = py_pool:stats(Pool), N =:= 0 end, 3000)
     end) || Kind <- [guarded, aguarded]].

case_the_worker_of_a_subscription_is_replaced() ->
    [in_replaced_pool(fun(Pool, Open) ->
        Stream = Open(Kind, #{}),
        {ok, Ref} = py_stream:subscribe(Stream, #{demand => 1}),
        receive {py_chunk, Ref, 0} -> ok end,
        replaced(Pool, 1),
        receive {py_error, Ref, Reason} -> ?assertEqual(worker_replaced, Reason) after 3000 -> error(not_told) end,
        ?assertEqual(ok, py_stream:close(Stream)),
        py_test:wait_until(fun() -> {ok, #{streams := N}} = py_pool:stats(Pool), N =:= 0 end, 3000)
     end) || Kind <- [guarded, aguarded]].

%% The stream itself hangs.
case_a_step_that_hangs_replaces_its_worker() ->
    in_replaced_pool(fun(Pool, Open) ->
        Stream = Open(guarded, #{hang => 1}),
        {ok, 0} = py_stream:next(Stream),
        ?assertEqual({error, timeout}, py_stream:next(Stream, 50)),
        ?assertEqual({error, closed}, py_stream:next(Stream)),
        {Time, Answer} = py_test:elapsed(fun() -> py:eval("1 + 1", #{}, #{pool => Pool}) end),
        ?assertEqual({ok, 2}, Answer),
        ?assert(Time < 900),
        {ok, #{restarts := 1}} = py_pool:stats(Pool)
    end).

%% An error of its own ----------------------------------------------------------------------

failing() ->
    define(),
    ok = py:exec("
def failing(n):
    try:
        yield from range(n)
        raise ValueError('after %d' % n)
    finally:
        note()

async def afailing(n):
    try:
        for i in range(n):
            yield i
        raise ValueError('after %d' % n)
    finally:
        note()
", ?WORKER),
    thread().

-define(AFTER(N), {'ValueError', "after " ++ integer_to_list(N)}).

%% What came before it is delivered, then the error, then nothing.
case_an_error_after_values() ->
    Thread = failing(),
    [begin
         Open = fun() ->
             element(2, py_stream:open({call, '__main__', Kind, [N], #{}}, #{worker => 1, prefetch => Ahead}))
         end,
         Ones = Open(),
         [?assertEqual({ok, I}, py_stream:next(Ones)) || I <- lists:seq(0, N - 1)],
         ?assertEqual({error, ?AFTER(N)}, py_stream:next(Ones)),
         ?assertEqual({error, closed}, py_stream:next(Ones)),
         Taken = Open(),
         N > 0 andalso ?assertEqual({ok, lists:seq(0, N - 1)}, py_stream:take(Taken, N + 5)),
         ?assertEqual({error, ?AFTER(N)}, py_stream:take(Taken, 5)),
         ?assertEqual({error, closed}, py_stream:take(Taken, 5)),
         Each = fun(I) -> self() ! {seen, I} end,
         ?assertEqual({error, ?AFTER(N)}, py_stream:foreach(Each, Open())),
         [receive {seen, I} -> ok after 0 -> error({lost, I}) end || I <- lists:seq(0, N - 1)],
         ?assertEqual({error, ?AFTER(N)}, py_stream:to_list(Open())),
         ran(4, Thread),
         nothing_left()
     end || Kind <- [failing, afailing], N <- [0, 1, 3, 2000], Ahead <- [0, 1, 10, 5000]].

case_an_error_after_pushed_values() ->
    Thread = failing(),
    [begin
         {ok, Stream} = py_stream:open({call, '__main__', Kind, [N], #{}}, ?WORKER),
         {ok, Ref} = py_stream:subscribe(Stream, #{demand => N + 10}),
         [receive {py_chunk, Ref, Got} -> ?assertEqual(I, Got) after 3000 -> error({lost, I}) end
          || I <- lists:seq(0, N - 1)],
         receive {py_error, Ref, Reason} -> ?assertEqual(?AFTER(N), Reason) after 3000 -> error(not_told) end,
         ?assertEqual({error, closed}, py_stream:next(Stream)),
         ran(1, Thread),
         nothing_left()
     end || Kind <- [failing, afailing], N <- [0, 1, 3, 2000]].

case_the_traceback_of_an_error() ->
    _ = failing(),
    {ok, Stream} = py_stream:open({call, '__main__', failing, [1], #{}}, #{worker => 1, traceback => true}),
    {ok, [0]} = py_stream:take(Stream, 3),
    {error, {'ValueError', "after 1", [_ | _] = Frames}} = py_stream:next(Stream),
    ?assertMatch({_, 5, <<"failing">>}, lists:last(Frames)).
