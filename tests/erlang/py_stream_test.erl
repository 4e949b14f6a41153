%% What the tests of streams share: cases that leave nothing open, streams pulled to
%% their end, and servers on loopback in an operating system process of their own.
-module(py_stream_test).

-export([cases/1, cases/2, open_streams/0]).
-export([open/2, open_eval/1, open_eval/2, pull/4, rest/1, value/1, batched/0]).
-export([server/1, ask/2, tell/2]).

%% As py_test:cases/1; a case that leaves a stream open has failed.
cases(Module) ->
    cases(Module, 60).

cases(Module, Seconds) ->
    Names = [Name || {Name, 0} <- Module:module_info(exports), lists:prefix("case_", atom_to_list(Name))],
    {foreach, fun py_test:start/0, fun py_test:stop/1,
     [{timeout, Seconds, {atom_to_list(Name), fun() -> run(Module, Name) end}} || Name <- lists:sort(Names)]}.

run(Module, Name) ->
    py_test:in_process(fun() -> Module:Name() end),
    py_test:wait_until(fun() -> open_streams() =:= 0 end, 5000).

open_streams() ->
    {ok, #{streams := Open}} = py_pool:stats(default),
    Open.

%% The stream of a function that this process defined.
open(Fun, Args) ->
    {ok, Stream} = py_stream:open({call, '__main__', Fun, Args, #{}}),
    Stream.

open_eval(Code) ->
    open_eval(Code, #{}).

%% Locals are found with the names that this process defined.
open_eval(Code, Locals) ->
    {ok, Stream} = py_stream:open({eval, Code, Locals}),
    Stream.

%% Folds over all values, Chunk a take: {Acc, {done, Return} | {error, E}}.
pull(Fun, Acc, Stream, Chunk) ->
    case py_stream:take(Stream, Chunk) of
        {ok, Values} when length(Values) =:= Chunk -> pull(Fun, lists:foldl(Fun, Acc, Values), Stream, Chunk);
        {ok, Values} -> {lists:foldl(Fun, Acc, Values), py_stream:next(Stream)};
        {error, _} = Error -> {Acc, Error}
    end.

%% The values that are left, with how it ended.
rest(Stream) ->
    {Reversed, End} = pull(fun(Value, Acc) -> [Value | Acc] end, [], Stream, 1000),
    {lists:reverse(Reversed), End}.

value(Code) ->
    {ok, Value} = py:eval(Code),
    Value.

%% Defines `batched' of itertools, which Python has from 3.12 on.
batched() ->
    ok = py:exec("
import itertools

def _batched(iterable, n):
    source = iter(iterable)
    while True:
        batch = tuple(itertools.islice(source, n))
        if not batch:
            return
        yield batch

batched = getattr(itertools, 'batched', _batched)
").

%% A Python program as a server: {Server, Port, Url}. It defines a request handler
%% and `commands', what it does when told a word, and ends with its starter. Source
%% finds `reply(...)', which answers ask/2.
server(Source) ->
    {ok, Python} = py:eval("__import__('sys').executable"),
    Program = unicode:characters_to_binary([before(), Source, main()]),
    Server = open_port({spawn_executable, Python}, [{args, ["-c", Program]}, {line, 10000}, binary, exit_status, hide]),
    Port = binary_to_integer(line(Server)),
    {Server, Port, iolist_to_binary(io_lib:format("http://127.0.0.1:~b", [Port]))}.

%% The answer to a command.
ask(Server, Command) ->
    tell(Server, Command),
    line(Server).

tell(Server, Command) ->
    true = port_command(Server, [Command, $\n]),
    ok.

line(Server) ->
    receive
        {Server, {data, {eol, Line}}} -> Line;
        {Server, {exit_status, Status}} -> error({server_ended, Status})
    after 20000 ->
        error(no_answer_of_the_server)
    end.

before() -> "
import http.server, json, os, sys, threading, time, urllib.parse

def reply(word):
    print(word, flush=True)

class Quiet(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def query(self):
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
".

main() -> "
class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

server = Server(('127.0.0.1', 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
reply(server.server_port)
for line in sys.stdin:
    commands[line.strip()]()
os._exit(0)
".
