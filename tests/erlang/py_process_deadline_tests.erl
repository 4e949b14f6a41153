%% A worker process that does not let go of a call or a step in time is killed: nothing
%% in it can keep it alive, and what waited behind it is served by the next.
-module(py_process_deadline_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

%% How late an answer may be, and how long a replacement may take, in milliseconds.
-define(SLACK, 300).
-define(BACK, 5000).

deadline_test_() ->
    py_test:cases(?MODULE, 120).

%% The worker is busy by Hang(On), which returns when its time is over.
replaced(Name, Setup, Hang) ->
    py_process_test:with_pool(#{num_workers => 2, preload => "loaded = 1"}, fun(Pool) ->
        On = #{pool => Pool, worker => 1},
        Before = py_process_test:os_pid(Pool, 1),
        ok = py:exec(Setup, On),
        {ok, Object} = py:eval("object()", #{}, On),
        {ok, Idle} = py_stream:open({eval, "iter(range(9))", #{}}, On),
        {ok, 0} = py_stream:next(Idle),
        Prober = py_process_test:prober(Pool, 2),
        Behind = behind(On),
        Hang(On),
        {Time, _} = py_test:elapsed(fun() ->
            [receive {behind, Pid, Answer} -> ?assertEqual({ok, 1}, Answer) after 20000 -> error(lost_call) end
             || Pid <- Behind]
        end),
        py_process_test:say("~ts: the calls behind it were served ~b ms after its time-out", [Name, Time]),
        ?assert(Time < ?BACK),
        py_process_test:gone([Before]),
        ?assertEqual({error, worker_replaced}, py_stream:next(Idle)),
        ?assertEqual({error, closed}, py_stream:next(Idle)),
        ?assertEqual({error, object_gone}, py:call(Object, '__repr__', [])),
        ?assertMatch({error, {'NameError', _}}, py:eval("spin", #{}, On)),
        ?assertNotEqual(Before, py_process_test:os_pid(Pool, 1)),
        ?assertEqual(1, py_process_test:restarts(Pool, 1)),
        ?assertMatch({ok, #{abandoned := 0, gil_stalled := false}}, py_pool:stats(Pool)),
        {Count, Longest} = py_process_test:probed(Prober),
        ?assert(Count > 5),
        py_process_test:say("~ts: calls on the other worker took ~b ms at most", [Name, Longest]),
        ?assertEqual([], py_test:mailbox())
    end).

%% Calls that come while another is under way.
behind(On) ->
    Parent = self(),
    [spawn_link(fun() ->
         timer:sleep(50),
         Parent ! {behind, self(), py:eval("loaded", #{}, On)}
     end) || _ <- lists:seq(1, 5)].

times_out(Timeout, Fun) ->
    {Time, Result} = py_test:elapsed(Fun),
    ?assertEqual({error, timeout}, Result),
    ?assertMatch({_, true}, {Time, Time >= Timeout - 1 andalso Time < Timeout + ?SLACK}).

call(Fun) ->
    fun(On) -> times_out(150, fun() -> py:call('__main__', Fun, [], #{}, On#{timeout => 150}) end) end.

case_sleep() ->
    replaced("sleep", "import time\ndef spin(): time.sleep(60)", call(spin)).

case_c_code_that_keeps_the_gil() ->
    replaced("sum", "def spin(): return sum(range(10 ** 10))", call(spin)).

case_a_loop_that_swallows() ->
    replaced("swallow", "
def spin():
    while True:
        try:
            while True:
                x = 1
                y = 2
        except BaseException:
            pass
", call(spin)).

case_a_clean_up_that_blocks() ->
    replaced("clean-up", "
import asyncio, time
async def spin():
    try:
        await asyncio.sleep(60)
    finally:
        time.sleep(60)
", call(spin)).

case_a_conversion_that_hangs() ->
    replaced("conversion", "
import dataclasses, time
@dataclasses.dataclass
class Slow:
    x: int
    def __getattribute__(self, name):
        if name == 'x': time.sleep(60)
        return object.__getattribute__(self, name)
def spin(): return [Slow.__new__(Slow)]
", call(spin)).

%% It waits in the event loop, beside what the worker does: nobody has to wait for it, and nothing is killed.
case_an_async_clean_up_without_end() ->
    py_process_test:with_pool(#{}, fun(Pool) ->
        On = #{pool => Pool},
        Before = py_process_test:os_pid(Pool, 1),
        ok = py:exec("
import asyncio
async def spin():
    while True:
        try:
            await asyncio.sleep(60)
        except BaseException:
            pass
", On),
        [times_out(50, fun() -> py:call('__main__', spin, [], #{}, On#{timeout => 50}) end) || _ <- [1, 2, 3]],
        {Time, Answer} = py_test:elapsed(fun() -> py:eval("1 + 1", #{}, On) end),
        ?assertEqual({ok, 2}, Answer),
        ?assert(Time < 1000),
        timer:sleep(2000),
        ?assertEqual(Before, py_process_test:os_pid(Pool, 1))
    end).

case_a_step_of_a_stream() ->
    replaced("step", "
import time
def spin():
    yield 1
    time.sleep(60)
", fun(On) ->
        {ok, Stream} = py_stream:open({call, '__main__', spin, [], #{}}, On),
        {ok, 1} = py_stream:next(Stream),
        times_out(150, fun() -> py_stream:next(Stream, 150) end),
        ?assertEqual({error, closed}, py_stream:next(Stream))
    end).

case_a_caller_that_dies() ->
    replaced("dead caller", "import time\ndef spin(): time.sleep(60)", fun(On) ->
        Caller = spawn(fun() -> py:call('__main__', spin, [], #{}, On) end),
        timer:sleep(150),
        exit(Caller, kill)
    end).

case_cancelled() ->
    replaced("cancel", "import time\ndef spin(): time.sleep(60)", fun(On) ->
        Ref = py:call_async('__main__', spin, [], #{}, On),
        timer:sleep(150),
        ok = py:cancel(Ref),
        ?assertEqual({error, cancelled}, py:await(Ref))
    end).

%% Sent to the process, but not begun: it goes to the replacement.
case_a_call_in_flight_behind_a_step() ->
    py_process_test:with_pool(#{}, fun(Pool) ->
        On = #{pool => Pool},
        {ok, Stream} = py_stream:open({eval, "(__import__('time').sleep(60) for _ in [1])", #{}}, On),
        {ok, Ref} = py_stream:subscribe(Stream, #{demand => 1}),
        timer:sleep(100),
        Call = py:call_async(math, sqrt, [16], #{}, On),
        timer:sleep(100),
        {Time, Answer} = py_test:elapsed(fun() ->
            ok = py_stream:close(Stream),
            py:await(Call, 20000)
        end),
        ?assertEqual({ok, 4.0}, Answer),
        py_process_test:say("in flight: served after ~b ms", [Time]),
        ?assert(Time < ?BACK),
        receive {py_chunk, Ref, _} -> error(a_value) after 0 -> ok end
    end).

%% What Python can end goes on where it was: nothing is killed.
case_what_lets_go_is_not_killed() ->
    py_process_test:with_pool(#{}, fun(Pool) ->
        On = #{pool => Pool},
        Before = py_process_test:os_pid(Pool, 1),
        ok = py:exec("import asyncio\ndef spin():\n    while True: pass\nasync def nap(): await asyncio.sleep(60)\nv = 1", On),
        [times_out(50, fun() -> py:call('__main__', Fun, [], #{}, On#{timeout => 50}) end)
         || Fun <- [spin, nap, spin, nap]],
        ?assertEqual({ok, 1}, py:eval("v", #{}, On)),
        ?assertEqual(Before, py_process_test:os_pid(Pool, 1)),
        ?assertEqual(0, py_process_test:restarts(Pool, 1))
    end).

%% A process that is stopped hears nothing: its callers' time-outs are on time all the same.
case_stopped_by_a_signal() ->
    replaced("SIGSTOP", "def spin(): pass", fun(On) ->
        {ok, OsPid} = py:eval("__import__('os').getpid()", #{}, On),
        [] = os:cmd("kill -STOP " ++ integer_to_list(OsPid)),
        times_out(150, fun() -> py:eval("1", #{}, On#{timeout => 150}) end)
    end).

case_stopped_in_the_middle_of_a_call() ->
    replaced("SIGSTOP in a call", "import os, time\ndef spin():\n    os.kill(os.getpid(), 19)\n    time.sleep(60)", call(spin)).

%% Its pool stops in time.
case_stopped_by_a_signal_and_its_pool_stops() ->
    Name = py_test:pool_name(),
    {ok, _} = py_pool:start(Name, py_process_test:opts(#{num_workers => 2})),
    Pids = [py_process_test:os_pid(Name, N) || N <- [1, 2]],
    [[] = os:cmd("kill -STOP " ++ integer_to_list(Pid)) || Pid <- Pids],
    {Time, ok} = py_test:elapsed(fun() -> py_pool:stop(Name) end),
    ?assert(Time < 4000),
    py_process_test:gone(Pids).
