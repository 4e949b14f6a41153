%% How streams end before their end, by who uses them: closed, with their process, or dropped; or by an
%% error of their own. The generator's `finally' runs, on the thread of its worker, nothing stays open, and no
%% message stays behind.
-module(py_stream_ends_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

-import(py_stream_ends_test, [define/0, open/2, open/3, eval/1, thread/0, ran/2, ran/3, nothing_left/0, each/1]).

-define(WORKER, #{worker => 1}).

ends_test_() ->
    py_stream_test:cases(?MODULE, 120).

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
