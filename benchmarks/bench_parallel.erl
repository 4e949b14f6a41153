%% Whether workers compute at the same time: two CPU-bound calls on two workers, beside
%% the same two one after the other: a ratio of 0.5 is two cores, 1.0 is one GIL. `cores' is
%% the processor time of both for each second that both take: with one GIL it stays below 1,
%% on a busy machine too.
-module(bench_parallel).

-export([main/0]).

-define(ROUNDS, 5).
-define(CODE, "import time\n"
              "def burn(n):\n"
              "    began = time.thread_time()\n"
              "    total = 0\n"
              "    for i in range(n):\n"
              "        total += i * i % 7\n"
              "    return time.thread_time() - began\n").

%% -extra --isolation shared|subinterpreter|process ...   (all of them without)
main() ->
    bench:start(),
    Kinds = case kinds(init:get_plain_arguments()) of
        [] -> [shared, subinterpreter, process];
        Asked -> Asked
    end,
    bench:title("Two CPU-bound calls on two workers, median of ~b rounds", [?ROUNDS]),
    bench:table(["isolation", "parallel", "one after the other", "at once", "cores", "ratio", "expected"],
                [row(Kind) || Kind <- Kinds]).

kinds(["--isolation", Kind | Others]) -> [list_to_atom(Kind) | kinds(Others)];
kinds([_ | Others]) -> kinds(Others);
kinds([]) -> [].

row(Kind) ->
    case py_pool:start(bench_parallel, #{isolation => Kind, num_workers => 2}) of
        {ok, _} ->
            try measured(Kind) after py_pool:stop(bench_parallel) end;
        {error, Reason} ->
            [atom_to_list(Kind), io_lib:format("~0p", [Reason]), "", "", "", "", ""]
    end.

measured(Kind) ->
    [ok = py:exec(?CODE, on(Worker)) || Worker <- [1, 2]],
    Size = size_for(300, 100000),
    Rounds = [begin
                  {After, _} = timed(fun() -> [burn(Worker, Size) || Worker <- [1, 2]] end),
                  {Beside, Used} = timed(fun() -> at_once(Size) end),
                  {After, Beside, lists:sum(Used) * 1.0e9 / Beside}
              end || _ <- lists:seq(1, ?ROUNDS)],
    {Sequential, Parallel, Cores} = lists:unzip3(Rounds),
    {ok, Stats} = py_pool:stats(bench_parallel),
    {Says, Expected} = case Stats of
        #{parallel := true} -> {"yes", "< 0.55"};
        #{} -> {"no", "about 1"}
    end,
    [atom_to_list(Kind), Says, milliseconds(Sequential), milliseconds(Parallel),
     bench:number(bench:median(Cores), 2), bench:number(bench:ratio(Parallel, Sequential), 2), Expected].

%% How much a worker does in at least that many milliseconds.
size_for(Milliseconds, Size) ->
    case bench:time(fun() -> burn(1, Size) end) of
        Time when Time >= Milliseconds * 1000000 -> Size;
        _ -> size_for(Milliseconds, Size * 2)
    end.

timed(Fun) ->
    Begin = erlang:monotonic_time(nanosecond),
    Result = Fun(),
    {erlang:monotonic_time(nanosecond) - Begin, Result}.

%% Seconds of processor time.
burn(Worker, Size) ->
    {ok, Used} = py:call('__main__', burn, [Size], #{}, on(Worker)),
    Used.

at_once(Size) ->
    Refs = [py:call_async('__main__', burn, [Size], #{}, on(Worker)) || Worker <- [1, 2]],
    [begin {ok, Used} = py:await(Ref), Used end || Ref <- Refs].

on(Worker) ->
    #{pool => bench_parallel, worker => Worker}.

milliseconds(Times) ->
    bench:number(bench:median(Times) / 1000000) ++ " ms".
