%% What it costs to bring values across, element by element, beside the fastest
%% that Python and Erlang have for the same values themselves.
%%
%% "call" is the time of a whole call as its caller sees it. Part of that is no
%% conversion: "copy" (the argument leaves the caller's heap; measured as sending
%% the term to another process) and "free" (Python lets go of the value). "worker"
%% is the processor time of the worker thread for the call, which neither the copy
%% nor a busy machine adds to. So `(worker - free) / loads' compares like with like:
%% all numbers of Python are processor time too.
-module(bench_crossing).

-export([main/0]).

%% A round is over in milliseconds, so that most rounds run undisturbed.
-define(ELEMENTS, 20000).
-define(ROUNDS, 41).

main() ->
    bench:start(),
    define(),
    Measured = [{Name, measure(Code)} || {Name, Code} <- shapes()],
    to_python(Measured),
    back(Measured).

%% Python expressions of i.
shapes() ->
    [{"integers", <<"i * 37">>},
     {"floats", <<"i * 0.37">>},
     {"short strings", <<"'text %d' % i">>},
     {"records", <<"{'id': i, 'name': 'name %d' % i, 'score': i * 0.5, 'tags': ['a tag', 'b tag']}">>}].

define() ->
    ok = py:exec(<<"
import marshal
from time import thread_time_ns

def timed_loads(encoded):
    begin = thread_time_ns()
    value = marshal.loads(encoded)
    loaded = thread_time_ns()
    del value
    return (loaded - begin, thread_time_ns() - loaded)

def timed_dumps(value):
    begin = thread_time_ns()
    marshal.dumps(value)
    return thread_time_ns() - begin
">>).

measure(Code) ->
    ok = py:exec([<<"value = [">>, Code, <<" for i in range(">>, integer_to_binary(?ELEMENTS), <<")]\n"
                  "encoded = marshal.dumps(value)">>]),
    {ok, Term} = py:eval(<<"value">>),
    Term = binary_to_term(term_to_binary(Term)),
    Worker = bound_worker(),
    _ = round(Term, Worker),
    [round(Term, Worker) || _ <- lists:seq(1, ?ROUNDS)].

%% Every measure once: a disturbance of the machine hits neighbours alike.
round(Term, Worker) ->
    Here = #{worker => Worker},
    {ok, {Loads, Free}} = py:eval(<<"timed_loads(encoded)">>),
    {ok, Dumps} = py:eval(<<"timed_dumps(value)">>),
    {In, InWorker} = call(fun() -> {ok, ?ELEMENTS} = py:call(builtins, len, [Term], #{}, Here) end),
    {Back, BackWorker} = call(fun() -> {ok, [_ | _]} = py:eval(<<"value">>, #{}, Here) end),
    Binary = term_to_binary(Term),
    #{loads => Loads, free => Free, dumps => Dumps,
      in => In, in_worker => InWorker, back => Back, back_worker => BackWorker,
      b2t => bench:isolated(fun() -> bench:time(fun() -> binary_to_term(Binary) end) end),
      t2b => bench:isolated(fun() -> bench:time(fun() -> term_to_binary(Term) end) end),
      copy => bench:isolated(fun() -> copy(Term) end)}.

%% The time of the call, and the processor time of its worker.
call(Fun) ->
    {ok, Before} = py:eval(<<"thread_time_ns()">>),
    Time = bench:isolated(fun() -> bench:time(Fun) end),
    {ok, After} = py:eval(<<"thread_time_ns()">>),
    {Time, After - Before}.

%% The sender copies. The receiver never looks.
copy(Term) ->
    Receiver = spawn(fun() -> receive stop -> ok end end),
    Time = bench:time(fun() -> Receiver ! {value, Term} end),
    Receiver ! stop,
    Time.

%% The worker that exec() bound this process to.
bound_worker() ->
    Thread = <<"__import__('threading').get_ident()">>,
    {ok, Bound} = py:eval(Thread),
    [Worker] = [Number || Number <- lists:seq(1, workers()),
                          {ok, Bound} =:= py:eval(Thread, #{}, #{worker => Number})],
    Worker.

workers() ->
    {ok, Workers} = application:get_env(erlang_python, num_workers),
    Workers.

to_python(Measured) ->
    bench:title("To Python: py:call(builtins, len, [Term]), ns an element (median of ~b rounds)", [?ROUNDS]),
    bench:table(["", "call", "worker", "copy", "free", "marshal.loads", "term_to_binary", "call / loads",
                 "(worker - free) / loads"],
                [[Name | [ns(Key, M) || Key <- [in, in_worker, copy, free, loads, t2b]]]
                 ++ [x(ratio(in, loads, M)), x(converting(M))] || {Name, M} <- Measured]),
    verdicts("conversion to Python within 2x of marshal.loads", 2,
             [{Name, converting(M)} || {Name, M} <- Measured]).

back(Measured) ->
    bench:title("Back: py:eval(<<\"value\">>), ns an element (median of ~b rounds)", [?ROUNDS]),
    bench:table(["", "call", "worker", "copy", "binary_to_term", "marshal.dumps", "call / binary_to_term"],
                [[Name | [ns(Key, M) || Key <- [back, back_worker, copy, b2t, dumps]]]
                 ++ [x(ratio(back, b2t, M))] || {Name, M} <- Measured]),
    verdicts("back within 4x of binary_to_term", 4,
             [{Name, ratio(back, b2t, M)} || {Name, M} <- Measured]).

ratio(Key, Reference, Rounds) ->
    bench:ratio(values(Key, Rounds), values(Reference, Rounds)).

converting(Rounds) ->
    bench:ratio([max(0, Worker - Free) || #{in_worker := Worker, free := Free} <- Rounds],
                values(loads, Rounds)).

values(Key, Rounds) -> [maps:get(Key, Round) || Round <- Rounds].

ns(Key, Rounds) -> bench:number(bench:median(values(Key, Rounds)) / ?ELEMENTS).

x(Ratio) -> bench:number(Ratio, 2) ++ "x".

verdicts(What, Bound, Ratios) ->
    [bench:expect([What, ", ", Name], x(Ratio), Ratio =< Bound) || {Name, Ratio} <- Ratios].
