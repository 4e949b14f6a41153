#!/usr/bin/env escript
%% -*- erlang -*-
%% The other side of server.cpp: an Erlang program that has neither Python nor a NIF, and calls Python over TCP.
%%
%%   escript client.escript PROGRAM
%%
%% starts the server, calls it, sends it what is no request, and checks every answer.
-mode(compile).

main([Program]) ->
    Server = open_port({spawn_executable, Program}, [binary, {line, 80}, exit_status]),
    Port = receive {Server, {data, {eol, <<"port ", Number/binary>>}}} -> binary_to_integer(Number)
           after 30000 -> error("the server does not start")
           end,
    Tests = [fun calls/1, fun errors/1, fun deadlines/1, fun malformed/1, fun many/1],
    [begin
         {name, Name} = erlang:fun_info(Test, name),
         Test(Port),
         io:format("~s~n", [Name])
     end || Test <- Tests],
    port_close(Server);  % its input ends, and so does it
main(_) ->
    io:format(standard_error, "usage: client.escript PROGRAM~n", []),
    halt(2).

calls(Port) ->
    Socket = connect(Port),
    {ok, 4.0} = call(Socket, math, sqrt, [16]),
    {ok, <<"{\"a\": [1, 2]}">>} = call(Socket, json, dumps, [#{a => [1, 2]}]),
    {ok, 10} = call(Socket, builtins, sum, ["\1\2\3\4"]),        % a list of small integers is a STRING
    {ok, 97} = call(Socket, builtins, sum, ["a"]),
    {ok, none} = call(Socket, gc, disable, []),
    {ok, [0, 1, 4]} = request(Socket, {eval, make_ref(), <<"[n * n for n in range(3)]">>}),
    Big = 1 bsl 1000,
    {ok, Big} = call(Socket, builtins, max, [1, Big]),
    {ok, Self} = call(Socket, builtins, max, [[self()]]),
    Self = self(),
    {ok, {py_object, _} = Path} = call(Socket, pathlib, 'PurePosixPath', [<<"/a/b">>]),
    {ok, <<"/a/b">>} = call(Socket, Path, as_posix, []),
    Bytes = binary:copy(<<0, 255>>, 1 bsl 20),
    {ok, Bytes} = call(Socket, builtins, bytes, [Bytes]),
    ok = gen_tcp:close(Socket).

errors(Port) ->
    Socket = connect(Port),
    {error, {<<"ValueError">>, "invalid literal for int() with base 10: 'x'"}} = call(Socket, builtins, int, [<<"x">>]),
    {error, {<<"ModuleNotFoundError">>, _}} = call(Socket, no_such_module, f, []),
    {error, {<<"SyntaxError">>, _}} = request(Socket, {eval, make_ref(), <<"1 +">>}),
    {error, {<<"TypeError">>, "expected a binary"}} = request(Socket, {eval, make_ref(), 1}),
    {error, object_gone} = call(Socket, {py_object, {'$object', 1, 1 bsl 40}}, upper, []),
    ok = gen_tcp:close(Socket).

%% The answer is there at its time, and the worker serves the next request.
deadlines(Port) ->
    Socket = connect(Port),
    {Time, {error, timeout}} = timer:tc(fun() -> call(Socket, time, sleep, [60]) end),
    true = Time < 10000000,
    {ok, 2} = call(Socket, operator, add, [1, 1]),
    ok = gen_tcp:close(Socket).

%% What is no request is answered, or ends its connection, and nothing else.
malformed(Port) ->
    Socket = connect(Port),
    Ref = make_ref(),
    [{Ref, {error, badarg}} = exchange(Socket, term_to_binary(Request))
     || Request <- [{call, Ref, math, sqrt}, {call, Ref, math, sqrt, 16}, {call, Ref, math, sqrt, [1 | 2]},
                    {call, Ref, math, sqrt, <<"16">>}, {eval, Ref, <<"1">>, []}, {exit, Ref, 1}]],
    [{[], {error, badarg}} = exchange(Socket, Frame)
     || Frame <- [<<>>, <<131>>, <<131, 104, 255>>, term_to_binary(hello), term_to_binary({call}),
                  binary:part(term_to_binary({call, Ref, math, sqrt, [16]}), 0, 20),
                  <<(term_to_binary({call, Ref, math, sqrt, [16]}))/binary, 0>>,
                  term_to_binary({eval, Ref, binary:copy(<<"1">>, 1000)}, [compressed]),
                  <<131, 104, 5, 119, 4, "call", 97, 1, 119, 1, "m", 119, 1, "f", 108, 16#ffffffff:32>>]],
    Deep = lists:foldl(fun(_, Inner) -> [Inner] end, [], lists:seq(1, 100000)),
    {error, {<<"RecursionError">>, _}} = call(Socket, builtins, len, [Deep]),
    _ = rand:seed(exsss, 4711),
    [<<131, 104, 2, _/binary>> = answer(Socket, damaged(term_to_binary({call, Ref, math, sqrt, [16, #{a => <<"b">>}]})))
     || _ <- lists:seq(1, 1000)],
    {ok, 4.0} = call(Socket, math, sqrt, [16]),
    ok = gen_tcp:close(Socket),
    %% A length that is never sent, and a frame that ends in the middle.
    [begin
         Raw = connect(Port, raw),
         ok = gen_tcp:send(Raw, Bytes),
         ok = gen_tcp:shutdown(Raw, write),
         {error, closed} = gen_tcp:recv(Raw, 0, 10000)
     end || Bytes <- [<<16#ffffffff:32>>, <<16#3ffffff:32, 131>>, <<0, 0>>]],
    calls(Port).

damaged(Frame) ->
    At = rand:uniform(byte_size(Frame)) - 1,
    <<Before:At/binary, _, After/binary>> = Frame,
    <<Before/binary, (rand:uniform(256) - 1), After/binary>>.

%% Many clients at a time.
many(Port) ->
    Clients = [spawn_monitor(fun() ->
                   Socket = connect(Port),
                   [begin
                        Sum = N + M,
                        {ok, Sum} = call(Socket, operator, add, [N, M])
                    end || M <- lists:seq(1, 100)]
               end) || N <- lists:seq(1, 20)],
    [receive {'DOWN', Monitor, process, Pid, Reason} -> normal = Reason end || {Pid, Monitor} <- Clients].

call(Socket, Module, Function, Args) ->
    request(Socket, {call, make_ref(), Module, Function, Args}).

request(Socket, Request) ->
    Ref = element(2, Request),
    {Ref, Answer} = exchange(Socket, term_to_binary(Request)),
    Answer.

exchange(Socket, Frame) ->
    binary_to_term(answer(Socket, Frame), [safe]).

answer(Socket, Frame) ->
    ok = gen_tcp:send(Socket, Frame),
    {ok, Answer} = gen_tcp:recv(Socket, 0, 30000),
    Answer.

connect(Port) -> connect(Port, 4).

connect(Port, Packet) ->
    {ok, Socket} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {packet, Packet}, {active, false}]),
    Socket.
