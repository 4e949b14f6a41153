%% What the tests of worker processes share: pools of them, their operating system
%% processes, and code that ends or hangs one.
-module(py_process_test).

-export([with_pool/2, opts/1, os_pid/2, run_on/3, alive/1, gone/1, gone/2, say/2]).
-export([prober/2, probed/1, restarts/2]).

%% Fun gets the name of a pool of worker processes.
with_pool(Opts, Fun) ->
    py_test:with_pool(opts(Opts), Fun).

opts(Opts) ->
    maps:merge(#{isolation => process, num_workers => 1}, Opts).

os_pid(Pool, Worker) ->
    {ok, Pid} = py:eval("__import__('os').getpid()", #{}, run_on(Pool, Worker, #{timeout => 20000})),
    Pid.

run_on(Pool, Worker, Opts) ->
    Opts#{pool => Pool, worker => Worker}.

%% A process that has ended and that nobody has asked for yet is no more.
alive(OsPid) ->
    case file:read_file(io_lib:format("/proc/~b/stat", [OsPid])) of
        {ok, Stat} ->
            [_, <<" ", State, _/binary>>] = binary:split(Stat, <<")">>),
            State =/= $Z andalso State =/= $X;
        {error, _} ->
            false
    end.

gone(OsPids) ->
    gone(OsPids, 5000).

gone(OsPids, Milliseconds) ->
    py_test:wait_until(fun() -> [Pid || Pid <- OsPids, alive(Pid)] =:= [] orelse {alive, OsPids} end, Milliseconds).

say(Format, Values) ->
    io:format(user, "  " ++ Format ++ "~n", Values).

restarts(Pool, Worker) ->
    {ok, #{workers := Workers}} = py_pool:stats(Pool),
    maps:get(restarts, lists:nth(Worker, Workers)).

%% A process that calls that worker all the time; probed/1 ends it, and tells how often it
%% did and the longest that a call took, in milliseconds. Nothing but a right answer will do.
prober(Pool, Worker) ->
    spawn_monitor(fun() -> probe(run_on(Pool, Worker, #{}), 0, 0) end).

probe(On, Count, Longest) ->
    receive
        stop -> exit({probed, Count, Longest})
    after 5 ->
        {Time, {ok, 4.0}} = py_test:elapsed(fun() -> py:call(math, sqrt, [16], #{}, On) end),
        probe(On, Count + 1, max(Time, Longest))
    end.

probed({Pid, Monitor}) ->
    Pid ! stop,
    receive
        {'DOWN', Monitor, process, Pid, {probed, Count, Longest}} -> {Count, Longest};
        {'DOWN', Monitor, process, Pid, Reason} -> error({other_worker_noticed, Reason})
    end.
