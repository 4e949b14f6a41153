%% py_pool:request/1: every form, and the pace of its streams, for a consumer on this
%% node and for one on a second node that has no py.
-module(py_stream_request_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

-import(py_stream_test, [value/1]).

%% How much longer than it was a mailbox may get, with what is on its way there.
-define(ROOM, 1500).

local_test_() ->
    cases(node()).

remote_test_() ->
    {setup, fun start_node/0, fun stop_node/1, fun({Node, _}) -> {inorder, cases(Node)} end}.

cases(Node) ->
    Names = [Name || {Name, 1} <- ?MODULE:module_info(exports), lists:prefix("case_", atom_to_list(Name))],
    {foreach, fun py_test:start/0, fun py_test:stop/1,
     [{timeout, 120, {atom_to_list(Name), fun() -> run(Name, Node) end}} || Name <- lists:sort(Names)]}.

run(Name, Node) ->
    py_test:in_process(fun() ->
        define(),
        ?MODULE:Name(Node),
        ?assertEqual([], py_test:mailbox())
    end),
    py_test:wait_until(fun() -> py_stream_test:open_streams() =:= 0 end, 5000),
    py_test:wait_until(fun() -> supervisor:which_children(py_relay_sup) =:= [] end, 5000).

define() ->
    ok = py:exec("
made = 0
ended = []

def counting(n):
    global made
    made = 0
    try:
        for i in range(n):
            made += 1
            yield i
    finally:
        ended.append(made)

async def acounting(n):
    for value in counting(n):
        yield value

def scaled(n, by=1):
    return (i * by for i in range(n))

def failing(n):
    yield from range(n)
    raise ValueError('after %d' % n)
").

%% A second node ------------------------------------------------------------------

%% {Node, Port}. It ends when this one does.
start_node() ->
    Names = [lists:flatten(io_lib:format("~s_~s_~b@127.0.0.1", [Kind, os:getpid(), erlang:unique_integer([positive])]))
             || Kind <- ["erlpy_tests", "erlpy_peer"]],
    [Here, There] = [list_to_atom(Name) || Name <- Names],
    Port = start_peer(Here, There),
    %% That brought up epmd, sooner or later.
    ok = distributed(Here, 100),
    true = erlang:set_cookie(node(), erlpy_tests),
    connected(There),
    {There, Port}.

start_peer(Here, There) ->
    Peer = lists:flatten(io_lib:format("~s:peer('~s')", [?MODULE, Here])),
    open_port({spawn_executable, filename:join([code:root_dir(), "bin", "erl"])},
              [{args, ["-noinput", "-name", atom_to_list(There), "-setcookie", "erlpy_tests",
                       "-pa", filename:dirname(code:which(?MODULE)), "-eval", Peer]},
               binary, stderr_to_stdout, exit_status, hide]).

distributed(Here, Times) ->
    case net_kernel:start([Here, longnames]) of
        {ok, _} -> ok;
        {error, _} when Times > 0 -> timer:sleep(100), distributed(Here, Times - 1)
    end.

connected(There) ->
    py_test:wait_until(fun() -> lists:member(There, nodes()) end, 20000),
    ?assertEqual(non_existing, erpc:call(There, code, which, [py])).

%% On the second node.
peer(Node) ->
    spawn(fun() -> meet(Node, 300) end).

meet(Node, Times) ->
    case net_kernel:connect_node(Node) of
        true ->
            monitor_node(Node, true),
            receive {nodedown, Node} -> halt() end;
        _ when Times > 0 ->
            timer:sleep(100),
            meet(Node, Times - 1);
        _ ->
            halt()
    end.

stop_node({There, Port}) ->
    end_node(There, Port),
    net_kernel:stop().

end_node(There, Port) ->
    _ = erpc:cast(There, erlang, halt, []),
    receive {Port, {exit_status, _}} -> ok after 10000 -> error({still_there, There}) end.

%% A consumer -----------------------------------------------------------------------

%% A process of Node that does what it is told, and leaves all other messages alone.
consumer(Node) ->
    spawn(Node, ?MODULE, obey, []).

obey() ->
    receive {do, From, Ref, Fun} -> From ! {did, Ref, Fun()} end,
    obey().

do(Consumer, Fun) ->
    Ref = make_ref(),
    Consumer ! {do, self(), Ref, Fun},
    receive {did, Ref, Result} -> Result after 60000 -> error(consumer_does_not_answer) end.

stop(Consumer) ->
    Monitor = monitor(process, Consumer),
    exit(Consumer, kill),
    receive {'DOWN', Monitor, process, _, _} -> ok end.

%% Everything that was sent to it, in the order of its coming.
all(Consumer, Ref) ->
    do(Consumer, fun() -> collect(Ref, []) end).

collect(Ref, Values) ->
    receive
        {py_chunk, Ref, Value} -> collect(Ref, [Value | Values]);
        {py_end, Ref} -> {lists:reverse(Values), done};
        {py_error, Ref, Reason} -> {lists:reverse(Values), Reason};
        {py_response, Ref, Answer} -> {lists:reverse(Values), Answer}
    after 10000 ->
        {stands_after, length(Values), lists:sublist(Values, 3)}
    end.

ask(Node, Form) ->
    Consumer = consumer(Node),
    Ref = make_ref(),
    ?assertEqual(ok, py_pool:request(Form(Ref, Consumer))),
    Got = all(Consumer, Ref),
    ?assertEqual([], do(Consumer, fun py_test:mailbox/0)),
    stop(Consumer),
    Got.

queue_length(Consumer) ->
    do(Consumer, fun() -> element(2, process_info(self(), message_queue_len)) end).

%% The number of values that were made, when no more are.
settled() ->
    Made = value("made"),
    timer:sleep(150),
    case value("made") of
        Made -> Made;
        _ -> settled()
    end.

%% Forms ------------------------------------------------------------------------------

case_call(Node) ->
    ?assertEqual({[], {ok, 4.0}}, ask(Node, fun(Ref, Pid) -> {call, Ref, Pid, math, sqrt, [16], #{}} end)),
    ?assertEqual({[], {ok, <<"[1, 2]">>}}, ask(Node, fun(R, P) -> {call, R, P, <<"json">>, "dumps", [[1, 2]], #{}} end)),
    ?assertEqual({[], {ok, <<"{\n \"a\": 1\n}">>}},
                 ask(Node, fun(Ref, Pid) -> {call, Ref, Pid, json, dumps, [#{a => 1}], #{indent => 1}} end)),
    ?assertEqual({[], {'ValueError', words("__import__('math').sqrt(-1)")}},
                 ask(Node, fun(Ref, Pid) -> {call, Ref, Pid, math, sqrt, [-1], #{}} end)).

%% The words of Python for it, which differ from version to version.
words(Code) ->
    {error, {_, Words}} = py:eval(Code),
    Words.

case_call_of_a_method(Node) ->
    {ok, Object} = py:eval("iter([5, 6])"),
    ?assertEqual({[], {ok, 5}}, ask(Node, fun(Ref, Pid) -> {call, Ref, Pid, Object, '__next__', [], #{}} end)).

case_eval(Node) ->
    ?assertEqual({[], {ok, 42}}, ask(Node, fun(Ref, Pid) -> {eval, Ref, Pid, <<"x * y">>, #{x => 6, y => 7}} end)),
    ?assertEqual({[], {ok, none}}, ask(Node, fun(Ref, Pid) -> {eval, Ref, Pid, "None", #{}} end)),
    ?assertEqual({[], {'ZeroDivisionError', words("1 / 0")}},
                 ask(Node, fun(Ref, Pid) -> {eval, Ref, Pid, "1/0", #{}} end)),
    ?assertMatch({[], {'SyntaxError', _}}, ask(Node, fun(Ref, Pid) -> {eval, Ref, Pid, "1 +", #{}} end)).

case_exec(Node) ->
    ?assertEqual({[], {ok, none}}, ask(Node, fun(Ref, Pid) -> {exec, Ref, Pid, <<"told = 7">>} end)),
    ?assertEqual(7, value("told")),
    ?assertEqual({[], {'KeyError', "'k'"}}, ask(Node, fun(Ref, Pid) -> {exec, Ref, Pid, "raise KeyError('k')"} end)).

case_stream(Node) ->
    ?assertEqual({[0, 3, 6], done},
                 ask(Node, fun(Ref, Pid) -> {stream, Ref, Pid, '__main__', scaled, [3], #{by => 3}} end)),
    ?assertEqual({[], done}, ask(Node, fun(Ref, Pid) -> {stream, Ref, Pid, builtins, range, [0], #{}} end)),
    ?assertEqual({[<<"a">>], done}, ask(Node, fun(Ref, Pid) -> {stream, Ref, Pid, builtins, list, [[<<"a">>]], #{}} end)),
    ?assertEqual({[0, 1, 2], {'ValueError', "after 3"}},
                 ask(Node, fun(Ref, Pid) -> {stream, Ref, Pid, '__main__', failing, [3], #{}} end)),
    ?assertMatch({[], {'AttributeError', _}}, ask(Node, fun(Ref, Pid) -> {stream, Ref, Pid, math, nope, [], #{}} end)),
    ?assertEqual({[], {'TypeError', "'float' object is not iterable"}},
                 ask(Node, fun(Ref, Pid) -> {stream, Ref, Pid, math, sqrt, [4], #{}} end)).

case_stream_eval(Node) ->
    ?assertEqual({[0, 1, 4], done}, ask(Node, fun(R, P) -> {stream_eval, R, P, <<"(x**2 for x in range(n))">>, #{n => 3}} end)),
    ?assertEqual({[0.5, 0.25], {'ZeroDivisionError', words("1 / 0")}},
                 ask(Node, fun(Ref, Pid) -> {stream_eval, Ref, Pid, "(1 / n for n in (2, 4, 0, 8))", #{}} end)),
    ?assertEqual({[], {'NameError', "name 'nope' is not defined"}},
                 ask(Node, fun(Ref, Pid) -> {stream_eval, Ref, Pid, "nope", #{}} end)).

%% Long, fast, and sent by way of an async generator too.
case_in_order_and_complete(Node) ->
    [?assertEqual({lists:seq(0, 49999), done},
                  ask(Node, fun(Ref, Pid) -> {stream, Ref, Pid, '__main__', Fun, [50000], #{}} end))
     || Fun <- [counting, acounting]].

%% A process that takes what comes can have many under way.
case_for_several_at_once(Node) ->
    Consumer = consumer(Node),
    Starts = [{make_ref(), N} || N <- lists:seq(1, 20)],
    [ok = py_pool:request({stream_eval, Ref, Consumer, "range(n, n + 2000)", #{n => N}}) || {Ref, N} <- Starts],
    Sums = do(Consumer, fun() -> sums(length(Starts), #{}) end),
    ?assertEqual(maps:from_list([{Ref, lists:sum(lists:seq(N, N + 1999))} || {Ref, N} <- Starts]), Sums),
    stop(Consumer).

sums(0, Sums) ->
    Sums;
sums(Open, Sums) ->
    receive
        {py_chunk, Ref, Value} -> sums(Open, maps:update_with(Ref, fun(Sum) -> Sum + Value end, Value, Sums));
        {py_end, _} -> sums(Open - 1, Sums)
    after 10000 ->
        {stands_with, Open}
    end.

%% Pace -------------------------------------------------------------------------------

case_it_stops_and_goes_on(Node) ->
    Consumer = consumer(Node),
    Ref = make_ref(),
    ok = py_pool:request({stream, Ref, Consumer, '__main__', counting, [20000], #{}}),
    First = settled(),
    ?assert(First =< ?ROOM),
    ?assertEqual(First, queue_length(Consumer)),
    %% Little room is no reason to stay still for ever.
    ?assertEqual(lists:seq(0, 599), do(Consumer, fun() -> [receive {py_chunk, Ref, N} -> N end || N <- lists:seq(0, 599)] end)),
    py_test:wait_until(fun() -> value("made") > First end, 5000),
    ?assert(settled() =< 600 + ?ROOM),
    ?assertEqual({lists:seq(600, 19999), done}, all(Consumer, Ref)),
    ?assertEqual(0, queue_length(Consumer)),
    stop(Consumer).

case_a_consumer_with_5000_messages(Node) ->
    Consumer = consumer(Node),
    [Consumer ! {unrelated, N} || N <- lists:seq(1, 5000)],
    ?assertEqual(5000, queue_length(Consumer)),
    Ref = make_ref(),
    ok = py_pool:request({stream, Ref, Consumer, '__main__', counting, [20000], #{}}),
    Made = settled(),
    ?assert(Made > 0),
    ?assert(Made =< ?ROOM),
    ?assertEqual({lists:seq(0, 19999), done}, all(Consumer, Ref)),
    ?assertEqual(5000, queue_length(Consumer)),
    stop(Consumer).

%% Up to 1,000 messages above its start, a mailbox is no reason to stop.
case_others_take_some_room(Node) ->
    [begin
         Consumer = consumer(Node),
         Ref = make_ref(),
         ok = py_pool:request({stream, Ref, Consumer, '__main__', counting, [20000], #{}}),
         _ = settled(),
         [Consumer ! unrelated || _ <- lists:seq(1, Unrelated)],
         ?assertEqual({Unrelated, {lists:seq(0, 19999), done}}, {Unrelated, all(Consumer, Ref)}),
         ?assertEqual(Unrelated, queue_length(Consumer)),
         stop(Consumer)
     end || Unrelated <- [500, 900]].

%% Nobody but the consumer knows which message filled its mailbox.
case_others_fill_the_mailbox(Node) ->
    Consumer = consumer(Node),
    Ref = make_ref(),
    ok = py_pool:request({stream, Ref, Consumer, '__main__', counting, [20000], #{}}),
    _ = settled(),
    [Consumer ! unrelated || _ <- lists:seq(1, 3000)],
    _ = do(Consumer, fun() -> drain(Ref) end),
    Stands = settled(),
    ?assert(Stands =< 2 * ?ROOM),
    ?assertEqual(Stands, settled()),
    _ = do(Consumer, fun() -> [receive unrelated -> ok end || _ <- lists:seq(1, 3000)] end),
    py_test:wait_until(fun() -> value("made") > Stands end, 5000),
    {Values, done} = all(Consumer, Ref),
    ?assertEqual(19999, lists:last(Values)),
    stop(Consumer).

drain(Ref) ->
    receive {py_chunk, Ref, _} -> drain(Ref) after 0 -> ok end.

%% Ends -------------------------------------------------------------------------------

case_the_consumer_dies(Node) ->
    [begin
         Consumer = consumer(Node),
         Ref = make_ref(),
         ok = py:exec("ended.clear()"),
         ok = py_pool:request({stream, Ref, Consumer, '__main__', counting, [1 bsl 40], #{}}),
         Pause > 0 andalso timer:sleep(Pause),
         stop(Consumer),
         %% One that was not begun yet has nothing to end.
         Pause >= 50 andalso py_test:wait_until(fun() -> length(value("ended")) =:= 1 end, 5000),
         py_test:wait_until(fun() -> py_stream_test:open_streams() =:= 0 end, 5000)
     end || Pause <- [0, 1, 50, 200]].

case_the_consumer_is_dead(Node) ->
    Consumer = consumer(Node),
    stop(Consumer),
    [ok = py_pool:request(Form)
     || Form <- [{stream, make_ref(), Consumer, '__main__', counting, [1 bsl 40], #{}},
                 {stream_eval, make_ref(), Consumer, "iter(int, 1)", #{}},
                 {eval, make_ref(), Consumer, "1", #{}},
                 {exec, make_ref(), Consumer, "1"},
                 {call, make_ref(), Consumer, math, sqrt, [4], #{}}]],
    ?assertEqual({ok, 2}, py:eval("1 + 1")).

case_the_pool_stops(Node) ->
    Consumers = [{consumer(Node), make_ref(), Form} || Form <- [stream, stream_eval, call]],
    [ok = py_pool:request(case Form of
                              stream -> {stream, Ref, Pid, '__main__', counting, [1 bsl 40], #{}};
                              stream_eval -> {stream_eval, Ref, Pid, "iter(int, 1)", #{}};
                              call -> {call, Ref, Pid, time, sleep, [1], #{}}
                          end) || {Pid, Ref, Form} <- Consumers],
    timer:sleep(100),
    ok = application:stop(erlang_python),
    [begin
         {_, Reason} = all(Pid, Ref),
         ?assertEqual({Form, {no_pool, default}}, {Form, Reason})
     end || {Pid, Ref, Form} <- Consumers],
    Late = make_ref(),
    [{Pid, _, _} | _] = Consumers,
    ok = py_pool:request({stream_eval, Late, Pid, "range(3)", #{}}),
    ?assertEqual({[], {no_pool, default}}, all(Pid, Late)),
    [stop(P) || {P, _, _} <- Consumers],
    ok = application:start(erlang_python).

%% The whole node of the consumer goes.
case_the_node_goes(Node) when Node =:= node() ->
    ok;
case_the_node_goes(_Node) ->
    Other = list_to_atom(lists:flatten(io_lib:format("erlpy_other_~s@127.0.0.1", [os:getpid()]))),
    Port = start_peer(node(), Other),
    connected(Other),
    Consumer = consumer(Other),
    Ref = make_ref(),
    ok = py_pool:request({stream, Ref, Consumer, '__main__', counting, [1 bsl 40], #{}}),
    py_test:wait_until(fun() -> value("made") > 0 end, 5000),
    end_node(Other, Port),
    py_test:wait_until(fun() -> length(value("ended")) =:= 1 end, 5000).
