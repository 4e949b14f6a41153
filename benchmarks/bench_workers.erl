%% What one more worker costs in memory, of each kind; what one more process that calls,
%% and one more call that waits; what a message to another node takes.
%%
%% A worker of its own process is measured as the Python that it is: an idle interpreter,
%% with and without numpy. Option: --python PATH (PYTHON, else python3).
-module(bench_workers).

-export([main/0]).
-export([memory/0, exchange/1, echo/1]).

-define(KIB, 1024).
-define(MESSAGES, 200000).
-define(NODES, 10).

main() ->
    bench:start(),
    threads(),
    waiting(),
    pythons(),
    interpreters(),
    nodes_between().

%% Resident memory with so many workers, each of which has run something.
threads() ->
    bench:title("Workers in the VM (shared), resident memory", []),
    _ = pool_of(64),
    Sizes = [1, 100, 400],
    Used = [pool_of(Size) || Size <- Sizes],
    bench:table(["workers", "RSS, MiB"],
                [[integer_to_list(Size), bench:number(Kib / ?KIB)] || {Size, Kib} <- lists:zip(Sizes, Used)]),
    io:format("one more worker: ~b KiB~n", [round((lists:last(Used) - hd(Used)) / (lists:last(Sizes) - hd(Sizes)))]).

pool_of(Size) ->
    {ok, _} = py_pool:start(?MODULE, #{num_workers => Size}),
    Run = fun(Worker) -> {ok, 3} = py:eval("len([1, 2, 3])", #{}, #{pool => ?MODULE, worker => Worker}) end,
    [bench:isolated(fun() -> Run(Worker) end) || Worker <- lists:seq(1, Size)],
    Kib = resident(os:getpid()),
    ok = py_pool:stop(?MODULE),
    Kib.

%% A call that waits is the process that made it and the request.
waiting() ->
    Count = 10000,
    {ok, _} = py_pool:start(?MODULE, #{num_workers => 1, max_queue => 2 * Count}),
    Busy = py:call_async(asyncio, sleep, [60], #{}, #{pool => ?MODULE}),
    Before = {resident(os:getpid()), erlang:memory(processes)},
    Callers = [spawn_monitor(fun() -> _ = py:call(math, sqrt, [16], #{}, #{pool => ?MODULE}) end)
               || _ <- lists:seq(1, Count)],
    queued(Count),
    After = {resident(os:getpid()), erlang:memory(processes)},
    ok = py:cancel(Busy),
    [begin exit(Pid, kill), receive {'DOWN', Monitor, process, _, _} -> ok end end || {Pid, Monitor} <- Callers],
    ok = py_pool:stop(?MODULE),
    io:format("one more call that waits, with its process: ~s KiB, of which the process ~s~n",
              [bench:number((element(1, After) - element(1, Before)) / Count),
               bench:number((element(2, After) - element(2, Before)) / ?KIB / Count)]).

queued(Count) ->
    case py_pool:stats(?MODULE) of
        {ok, #{queued := Count}} -> ok;
        {ok, _} -> timer:sleep(10), queued(Count)
    end.

%% Three of each, so that what they share is shared: Pss is a process's share of all.
pythons() ->
    Python = python(init:get_plain_arguments()),
    bench:title("A Python process that idles, KiB each (~s)", [Python]),
    bench:table(["imports", "RSS", "Pss, of four", "private"],
                [[Name | idle(Python, Code)]
                 || {Name, Code} <- [{"nothing", "pass"}, {"asyncio, json", "import asyncio, json"},
                                     {"numpy", "import numpy"}]]).

%% What an interpreter of its own takes in the process that has it, measured with CPython's own module for
%% that: the state of the interpreter, without the thread that a worker has besides.
interpreters() ->
    Python = python(init:get_plain_arguments()),
    Program = "
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
def resident():
    with open('/proc/self/status') as status:
        return next(int(line.split()[1]) for line in status if line.startswith('VmRSS'))
kept = []
def add(code):
    kept.append(interpreters.create())
    interpreters.run_string(kept[-1], code)
for code in ['pass', 'import asyncio, json']:
    add(code)
    before = resident()
    for _ in range(20):
        add(code)
    print(f'one more sub-interpreter that runs {code}: {(resident() - before) / 20:,.0f} KiB')
import os
os._exit(0)
",
    io:format("~ts", [os:cmd("'" ++ Python ++ "' -u -c \"" ++ Program ++ "\" 2>&1")]).

python(["--python", Python | _]) -> Python;
python([_ | Others]) -> python(Others);
python([]) -> os:getenv("PYTHON", os:find_executable("python3")).

idle(Python, Code) ->
    Script = ["try:\n    ", Code, "\n    print('ready', flush=True)\n",
              "except ImportError:\n    print('none', flush=True)\n",
              "import sys\nsys.stdin.read()"],
    Ports = [open_port({spawn_executable, Python}, [{args, ["-c", lists:append(Script)]}, {line, 80},
                                                    {env, [{"OPENBLAS_NUM_THREADS", "1"}]}])
             || _ <- lists:seq(1, 4)],
    Said = [receive {Port, {data, {eol, Text}}} -> Text end || Port <- Ports],
    Pids = [Pid || Port <- Ports, {os_pid, Pid} <- [erlang:port_info(Port, os_pid)]],
    Fields = ["Rss", "Pss", "Private_Dirty"],
    Sizes = case lists:usort(Said) of
                ["ready"] -> [bench:number(mean([rollup(Pid, Field) || Pid <- Pids])) || Field <- Fields];
                _ -> ["-" || _ <- Fields]
            end,
    [port_close(Port) || Port <- Ports],
    Sizes.

mean(Values) -> lists:sum(Values) / length(Values).

rollup(Pid, Field) ->
    field("/proc/" ++ integer_to_list(Pid) ++ "/smaps_rollup", Field).

resident(Pid) ->
    field("/proc/" ++ Pid ++ "/status", "VmRSS").

field(File, Name) ->
    {ok, Text} = file:read_file(File),
    {match, [Kib]} = re:run(Text, "\n" ++ Name ++ ":\\s+([0-9]+) kB", [{capture, all_but_first, list}]),
    list_to_integer(Kib).

%% VMs on one machine, which therefore share its processors: a message and its answer, a
%% stream of small messages one way, and what each connection takes at its end.
nodes_between() ->
    bench:title("Nodes of this machine", []),
    case code:ensure_loaded(peer) of
        {module, peer} -> between(?NODES);
        {error, _} -> io:format("OTP has no module peer before 25: left out~n")
    end.

%% This VM need not be a node: it speaks with the others through their standard input.
between(Count) ->
    {Peers, [_ | Others]} = lists:unzip([node_of(N) || N <- lists:seq(1, Count)]),
    Hub = hd(Peers),
    Alone = peer:call(Hub, ?MODULE, memory, []),
    pong = peer:call(Hub, net_adm, ping, [hd(Others)]),
    First = peer:call(Hub, ?MODULE, memory, []),
    [pong = peer:call(Hub, net_adm, ping, [Node]) || Node <- Others],
    All = peer:call(Hub, ?MODULE, memory, []),
    {Trip, Rate} = peer:call(Hub, ?MODULE, exchange, [hd(Others)], 60000),
    _ = [peer:stop(Peer) || Peer <- Peers],
    io:format("a bare node: RSS ~b MiB~n", [round(element(2, Alone) / ?KIB)]),
    Each = (element(1, All) - element(1, First)) / ?KIB / (Count - 2),
    io:format("one more connection: ~s KiB~n", [bench:number(Each)]),
    io:format("message and answer: p50 ~s us; one way: ~s messages/s~n", [bench:number(Trip), bench:number(Rate)]).

node_of(N) ->
    Args = ["-setcookie", "bench_workers", "-hidden", "-pa", filename:dirname(code:which(?MODULE))],
    Name = "bench_workers_" ++ os:getpid() ++ "_" ++ integer_to_list(N),
    {ok, Peer, Node} = peer:start(#{name => Name, connection => standard_io, args => Args}),
    {Peer, Node}.

%% On a peer, at its least: other memory comes and goes.
memory() ->
    {lists:min([at_rest() || _ <- lists:seq(1, 15)]), resident(os:getpid())}.

at_rest() ->
    timer:sleep(100),
    [erlang:garbage_collect(Pid) || Pid <- processes()],
    erlang:memory(total).

exchange(Node) ->
    Echo = spawn_link(Node, ?MODULE, echo, [0]),
    Trips = [trip(Echo) || _ <- lists:seq(1, 5000)],
    Load = {load, default, node(), 3},
    Begin = erlang:monotonic_time(microsecond),
    [Echo ! Load || _ <- lists:seq(1, ?MESSAGES)],
    Echo ! {count, self()},
    ?MESSAGES = receive {count, Count} -> Count end,
    {bench:median(Trips) / 1000, ?MESSAGES * 1.0e6 / (erlang:monotonic_time(microsecond) - Begin)}.

trip(Echo) ->
    bench:time(fun() -> Echo ! {echo, self()}, receive echoed -> ok end end).

echo(Count) ->
    receive
        {echo, From} -> From ! echoed, echo(Count);
        {count, From} -> From ! {count, Count};
        {load, _, _, _} -> echo(Count + 1)
    end.
