%% What crosses between the VM and a worker process: everything that crosses within the
%% VM, however much of it; and nothing that user code writes there itself.
-module(py_process_values_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

values_test_() ->
    py_test:cases(?MODULE, 300).

same(Value, On) ->
    {ok, Back} = py:eval("v", #{v => Value}, On),
    ?assert(Value =:= Back).

case_terms_come_back_as_they_were() ->
    py_process_test:with_pool(#{}, fun(Pool) ->
        On = #{pool => Pool, atoms => atom},
        Port = open_port({spawn, "cat"}, []),
        Fun = fun(X) -> X + byte_size(<<1, 2>>) end,
        Terms = [self(), spawn(fun() -> ok end), make_ref(), Port, Fun, fun lists:map/2, <<1:7>>, <<255, 3:3>>,
                 [a | b], [1, 2 | <<3:2>>], some_atom, 'an atom', list_to_atom([16#4E2D, 16#1F600]), '', nan,
                 {py_process, [self()], #{make_ref() => [Fun]}}, #{{1, 2} => #{3 => 4.5}}, 1 bsl 100, -(1 bsl 64), 0.1,
                 <<"text">>, <<255, 254>>, [], {}, #{}],
        [same(Term, On) || Term <- Terms],
        same(Terms, On),
        same([{Term, [Term]} || Term <- Terms], On),
        {ok, Back} = py:eval("v", #{v => Fun}, On),
        ?assertEqual(7, Back(5)),
        ?assertEqual({ok, true}, py:eval("a == b and hash(a) == hash(b)", #{a => [Fun | Port], b => [Fun | Port]}, On)),
        true = port_close(Port)
    end).

%% Kept over there, and given back by a later call.
case_terms_that_python_keeps() ->
    py_process_test:with_pool(#{}, fun(Pool) ->
        On = #{pool => Pool},
        Terms = [make_ref(), self(), fun() -> ok end, <<5:3>>, [x | y]],
        ok = py:exec("def keep(v):\n    global kept\n    kept = v", On),
        {ok, none} = py:call('__main__', keep, [Terms], #{}, On),
        [{ok, 4.0} = py:call(math, sqrt, [16], #{}, On) || _ <- lists:seq(1, 100)],
        ?assertEqual({ok, Terms}, py:eval("kept", #{}, On))
    end).

case_objects_of_another_worker() ->
    py_process_test:with_pool(#{num_workers => 2}, fun(Pool) ->
        On = fun(N) -> #{pool => Pool, worker => N} end,
        [A, B] = [begin {ok, Object} = py:eval("object()", #{}, On(N)), Object end || N <- [1, 2]],
        [begin
             ?assertMatch({ok, <<"<object", _/binary>>}, py:call(Object, '__repr__', [])),
             ?assertEqual({ok, true}, py:eval("a is b[0]", #{a => Object, b => [Object]}, On(N)))
         end || {N, Object} <- [{1, A}, {2, B}]],
        %% Of two processes in one call.
        ?assertMatch({error, _}, py:eval("(a, b)", #{a => A, b => B}, On(1))),
        ?assertMatch({error, _}, py:call(A, '__eq__', [B])),
        {ok, Default} = py:eval("object()"),
        ?assertMatch({error, _}, py:call(A, '__eq__', [Default])),
        ?assertMatch({error, _}, py:call(Default, '__eq__', [A])),
        [?assertEqual({ok, N}, py:eval("n", #{n => N}, On(N))) || N <- [1, 2]],
        ?assertMatch({ok, #{restarts := 0}}, py_pool:stats(Pool))
    end).

case_an_object_among_the_arguments() ->
    py_process_test:with_pool(#{num_workers => 4}, fun(Pool) ->
        {ok, {generator, _} = Generator} = py:eval("iter(int, 1) and (i for i in range(10 ** 6))", #{}, #{pool => Pool}),
        Next = fun(_) -> py_test:in_process(fun() -> py:call(builtins, next, [Generator], #{}, #{pool => Pool}) end) end,
        ?assertEqual([{ok, I} || I <- lists:seq(0, 49)], lists:map(Next, lists:seq(0, 49)))
    end).

case_a_gigabyte_both_ways() ->
    %% Less where there is no room for its copies.
    Size = case available() > 8 bsl 30 of true -> 1 bsl 30; false -> 1 bsl 27 end,
    py_process_test:with_pool(#{}, fun(Pool) ->
        On = #{pool => Pool},
        {There, _} = py_test:elapsed(fun() ->
            ?assertEqual({ok, Size}, py:call(builtins, len, [py:bytes(binary:copy(<<"0123456789abcdef">>, Size div 16))],
                                             #{}, On))
        end),
        {Back, _} = py_test:elapsed(fun() ->
            {ok, Bytes} = py:eval("b'0123456789abcdef' * (n // 16)", #{n => Size}, On),
            ?assertEqual(Size, byte_size(Bytes)),
            ?assertEqual(<<"ef0123456789abcdef">>, binary:part(Bytes, Size - 18, 18))
        end),
        py_process_test:say("~b MB to Python ~b ms, back ~b ms", [Size bsr 20, There, Back]),
        true = erlang:garbage_collect(),
        {ok, _} = py:gc(),
        ?assertEqual({ok, 2}, py:eval("1 + 1", #{}, On))
    end),
    true = erlang:garbage_collect().

%% Both sides have more to send than the socket takes, and calls are given up meanwhile: neither waits for the other.
case_big_values_both_ways_and_cancellations() ->
    py_process_test:with_pool(#{grace => 10000, preload => "
import asyncio
async def big():
    while True:
        await asyncio.sleep(0)
        yield bytes(4 << 20)
def sink():
    while True:
        _ = yield 1
async def nap():
    await asyncio.sleep(60)
"}, fun(Pool) ->
        On = #{pool => Pool},
        Until = erlang:monotonic_time(millisecond) + 10000,
        Users = [spawn_monitor(fun() -> use(Code, Fun, On) end)
                 || {Code, Fun} <- [{"big()", fun(S) -> py_stream:next(S, 20000) end},
                                    {"sink()", fun(S) -> py_stream:send(S, binary:copy(<<"y">>, 8 bsl 20)) end}]],
        Calls = give_up_calls(Until, On, 0),
        py_process_test:say("~b calls given up beside big values", [Calls]),
        [exit(Pid, kill) || {Pid, _} <- Users],
        [receive {'DOWN', Monitor, process, Pid, Reason} -> ?assertEqual(killed, Reason) end || {Pid, Monitor} <- Users],
        ?assertEqual(0, py_process_test:restarts(Pool, 1))
    end).

use(Code, Fun, On) ->
    {ok, Stream} = py_stream:open({eval, Code, #{}}, On),
    {ok, _} = py_stream:next(Stream),
    use(Stream, Fun).

use(Stream, Fun) ->
    {ok, _} = Fun(Stream),
    use(Stream, Fun).

give_up_calls(Until, On, N) ->
    case erlang:monotonic_time(millisecond) < Until of
        true ->
            {error, timeout} = py:eval("nap()", #{}, On#{timeout => 20}),
            give_up_calls(Until, On, N + 1);
        false ->
            N
    end.

available() ->
    bytes("MemAvailable", "/proc/meminfo").

resident(OsPid) ->
    bytes("VmRSS", io_lib:format("/proc/~b/status", [OsPid])).

bytes(Name, File) ->
    {ok, Text} = file:read_file(File),
    {match, [Kib]} = re:run(Text, Name ++ ":\\s+([0-9]+) kB", [{capture, all_but_first, list}]),
    list_to_integer(Kib) * 1024.

case_memory_is_flat() ->
    py_process_test:with_pool(#{}, fun(Pool) ->
        On = #{pool => Pool},
        OsPid = py_process_test:os_pid(Pool, 1),
        Calls = fun(N) ->
            [begin
                 {ok, I} = py:eval("v", #{v => I}, On),
                 I rem 10 =/= 0 orelse begin {ok, {py_object, _}} = py:eval("object()", #{}, On) end,
                 I rem 100 =/= 0 orelse begin {ok, [_ | _]} = py:stream_eval("iter('abc')", #{}, On) end
             end || I <- lists:seq(1, N)]
        end,
        Calls(10000),
        true = erlang:garbage_collect(),
        {Here, There} = {py_test:rss(), resident(OsPid)},
        {Time, _} = py_test:elapsed(fun() -> Calls(100000) end),
        true = erlang:garbage_collect(),
        {HereAfter, ThereAfter} = {py_test:rss(), resident(OsPid)},
        py_process_test:say("100,000 calls: ~b ms; memory here ~b -> ~b MB, there ~b -> ~b MB",
                            [Time | [Bytes bsr 20 || Bytes <- [Here, HereAfter, There, ThereAfter]]]),
        ?assert(HereAfter < Here + (32 bsl 20)),
        ?assert(ThereAfter < There + (8 bsl 20)),
        ?assertEqual(OsPid, py_process_test:os_pid(Pool, 1)),
        py_test:wait_until(fun() -> {ok, #{objects := N, streams := 0}} = py_pool:stats(Pool), N < 10 orelse N end, 5000)
    end).

case_many_callers() ->
    py_process_test:with_pool(#{num_workers => 3}, fun(Pool) ->
        Parent = self(),
        Callers = [spawn_link(fun() ->
            [begin
                 Value = {I, J, binary:copy(<<"x">>, (I * J * 37) rem 70000)},
                 {ok, Value} = py:eval("v", #{v => Value}, #{pool => Pool})
             end || J <- lists:seq(1, 20)],
            Parent ! {done, self()}
        end) || I <- lists:seq(1, 200)],
        [receive {done, Caller} -> ok after 60000 -> error(lost) end || Caller <- Callers],
        {ok, #{calls := Calls, errors := 0, restarts := 0, queued := 0}} = py_pool:stats(Pool),
        ?assertEqual(4000, Calls)
    end).

nested(0) -> [];
nested(Depth) -> [nested(Depth - 1)].

case_deep_and_wide() ->
    py_process_test:with_pool(#{max_depth => 65000}, fun(Pool) ->
        On = #{pool => Pool},
        same(nested(60000), On),
        same(lists:seq(1, 1000000), On),
        same([[] || _ <- lists:seq(1, 100000)], On),
        same(lists:duplicate(100000, [[[]]]), On),
        same([[[[nested(3000)]]] | [nested(N) || N <- lists:seq(1, 300)]], On),
        [?assertMatch({error, {'RecursionError', [_ | _]}}, py:eval("1", #{v => nested(Depth)}, On))
         || Depth <- [65001, 100000, 1000000]],
        ok = py:exec("def deep(n):\n    v = []\n    for _ in range(n):\n        v = [v]\n    return v", On),
        ?assertMatch({ok, [_]}, py:call('__main__', deep, [60000], #{}, On)),
        ?assertMatch({error, {'RecursionError', [_ | _]}}, py:call('__main__', deep, [100000], #{}, On)),
        ?assertEqual({ok, 2}, py:eval("1 + 1", #{}, On)),
        ?assertMatch({ok, #{restarts := 0}}, py_pool:stats(Pool))
    end),
    %% What a shared pool says of it.
    Said = [py:eval("1", #{v => nested(100000)}, On)
            || Kind <- [shared, process], {ok, _} <- [py_pool:start(Kind, #{isolation => Kind, num_workers => 1})],
               On <- [#{pool => Kind}]],
    ?assertMatch([_], lists:usort(Said)),
    [ok = py_pool:stop(Kind) || Kind <- [shared, process]].

%% Classes of errors become atoms within bounds that are the VM's, whatever the number of processes.
case_classes_of_errors() ->
    py_process_test:with_pool(#{num_workers => 2}, fun(Pool) ->
        [begin
             On = #{pool => Pool, worker => N},
             ok = py:exec("def throw(i): raise type('P%d' % i, (Exception,), {})('m')", On),
             [{error, {_, "m"}} = py:call('__main__', throw, [I], #{}, On) || I <- lists:seq(1, 3000)]
         end || N <- [1, 2]],
        Before = erlang:system_info(atom_count),
        [{error, {_, "m"}} = py:call('__main__', throw, [I], #{}, #{pool => Pool, worker => 1})
         || I <- lists:seq(10000, 20000)],
        ?assert(erlang:system_info(atom_count) - Before < 4200),
        ?assertEqual({error, {<<"P99999">>, "m"}}, py:call('__main__', throw, [99999], #{}, #{pool => Pool, worker => 1})),
        ?assertMatch({error, {'ZeroDivisionError', _}}, py:eval("1 / 0", #{}, #{pool => Pool})),
        ?assertMatch({error, {'ZeroDivisionError', _, [_ | _]}}, py:eval("1 / 0", #{}, #{pool => Pool, traceback => true}))
    end).

%% The protocol ---------------------------------------------------------------------------

%% User code finds the descriptor of the socket, and writes what it likes.
case_garbage_on_the_socket() ->
    py_process_test:with_pool(#{num_workers => 2}, fun(Pool) ->
        On = #{pool => Pool, worker => 1},
        Prober = py_process_test:prober(Pool, 2),
        [begin
             {ok, Stream} = py_stream:open({eval, "iter(range(9))", #{}}, On#{timeout => 20000}),
             {ok, 0} = py_stream:next(Stream),
             Result = py:exec(["
import os, random, stat, struct, time
def attack(garbage):
    for descriptor in range(3, 1024):
        try:
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                os.write(descriptor, garbage)
        except OSError:
            pass
attack(", Garbage, ")
time.sleep(0.5)
"], On#{timeout => 20000}),
             ?assertEqual({Garbage, {error, worker_crashed}}, {Garbage, Result}),
             ?assertEqual({error, worker_crashed}, py_stream:next(Stream))
         end || Garbage <- garbage()],
        py_process_test:probed(Prober),
        ?assertEqual({ok, 2}, py:eval("1 + 1", #{}, On#{timeout => 20000})),
        ?assertEqual([], py_test:mailbox())
    end).

%% A header is length, number and kind.
garbage() ->
    ["b'\\xff' * 100000", "b'\\xff' * 24", "struct.pack('QQQ', 1 << 63, 0, 11)", "struct.pack('QQQ', 0, 0, 99)",
     "bytes(random.randrange(256) for _ in range(5000))"].

%% Frames that look right: whatever they do to that worker, the node and the others do not notice.
case_forged_frames() ->
    py_process_test:with_pool(#{num_workers => 2}, fun(Pool) ->
        On = #{pool => Pool, worker => 1, timeout => 3000},
        Prober = py_process_test:prober(Pool, 2),
        [begin
             {ok, Stream} = py_stream:open({eval, "iter(range(9))", #{}}, On),
             {ok, 0} = py_stream:next(Stream),
             _ = py:exec(io_lib:format("
import os, stat, struct
for descriptor in range(3, 1024):
    try:
        if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            os.write(descriptor, struct.pack('QQQ', ~b, ~b, ~b) + b'~s' * ~b)
    except OSError:
        pass
", [Length, Number, Kind, Byte, Length]), On),
             _ = py_stream:next(Stream),
             _ = py_stream:close(Stream)
         end || Kind <- lists:seq(0, 18), Number <- [0, 1, 2, 3, 1 bsl 60], {Length, Byte} <- [{0, "a"}, {9, "\\x83"}, {40, "\\x6c"}]],
        {Count, _} = py_process_test:probed(Prober),
        ?assert(Count > 10),
        py_test:wait_until(fun() -> py:eval("1 + 1", #{}, On) =:= {ok, 2} end, 10000),
        {ok, #{workers := [#{restarts := Restarts}, #{restarts := 0}]}} = py_pool:stats(Pool),
        py_process_test:say("forged frames: ~b restarts", [Restarts])
    end).

case_closed_socket() ->
    py_process_test:with_pool(#{}, fun(Pool) ->
        On = #{pool => Pool, timeout => 20000},
        ?assertEqual({error, worker_crashed}, py:exec("import os, time\nos.closerange(3, 1024)\ntime.sleep(0.2)", On)),
        ?assertEqual({ok, 2}, py:eval("1 + 1", #{}, On))
    end).
