%% Streams that are given up, because a step does not come back within its time: the generator's `finally' runs,
%% nothing stays open, and no message comes late.
-module(py_stream_timeout_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

-import(py_stream_ends_test, [define/0, open/2, open/3, eval/1, thread/0, ran/2, nothing_left/0, each/1]).

-define(WORKER, #{worker => 1}).

timeout_test_() ->
    py_stream_test:cases(?MODULE, 120).

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
