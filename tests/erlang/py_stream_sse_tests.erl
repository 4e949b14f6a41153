%% Tokens from a server-sent-events endpoint, each shown before the next is made: the
%% server makes a token only when Erlang, which has the one before, says so.
-module(py_stream_sse_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

-import(py_stream_test, [open_eval/2, value/1]).

sse_test_() ->
    py_stream_test:cases(?MODULE).

-define(WORDS, [<<"The">>, <<" sky">>, <<" is">>, <<" blue">>,
                <<" because">>, <<" air">>, <<" scatters">>, <<" light">>]).

%% The first token is free. `go' allows one more, and `made' tells how many there were.
serve() ->
    py_stream_test:server("
import select

WORDS = ['The', ' sky', ' is', ' blue', ' because', ' air', ' scatters', ' light']
allowed = threading.Semaphore(1)
made = hung_up = 0

class Handler(Quiet):
    def allowed(self):
        global hung_up
        while not allowed.acquire(timeout=0.02):
            readable, _, _ = select.select([self.connection], [], [], 0)
            if readable:
                hung_up += 1
                return False
        return True

    def send(self, event):
        self.wfile.write(event.encode())
        self.wfile.flush()

    def do_GET(self):
        global made
        self.send_response(200)
        self.send_header('Content-Type', 'text/event-stream')
        self.end_headers()
        self.send(': a comment\\n\\n')
        for word in WORDS:
            if not self.allowed():
                return
            made += 1
            if self.path == '/breaks' and made > 3:
                self.send('event: error\\ndata: {\"message\": \"overloaded\"}\\n\\n')
                return
            self.send('event: token\\ndata: %s\\n\\n' % json.dumps({'text': word}))
        self.send('event: done\\ndata: {}\\n\\n')

def go():
    allowed.release()

commands = {'go': go, 'made': lambda: reply(made), 'hung up': lambda: reply(hung_up)}
").

made(Server) ->
    binary_to_integer(py_stream_test:ask(Server, "made")).

go(Server) ->
    py_stream_test:tell(Server, "go").

define() ->
    ok = py:exec("
import asyncio, http.client, json

class Overloaded(Exception):
    pass

class Events:
    def __init__(self):
        self.kind, self.ended = None, False

    def feed(self, line):
        name, _, field = line.decode().rstrip('\\r\\n').partition(': ')
        if name == 'event':
            self.kind = field
        elif name == 'data':
            data = json.loads(field)
            if self.kind == 'error':
                raise Overloaded(data['message'])
            self.ended = self.kind == 'done'
            return data.get('text')

tasks = []
left = []

class Client:
    def __init__(self, port):
        self.port = port

    async def __aenter__(self):
        self.task = asyncio.current_task()
        tasks.append(self.task)
        self.reader, self.writer = await asyncio.open_connection('127.0.0.1', self.port)
        return self

    async def __aexit__(self, kind, error, trace):
        if asyncio.current_task() is not self.task:
            raise RuntimeError('left by another Task than the one that entered')
        tasks.append(asyncio.current_task())
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            pass
        left.append(getattr(kind, '__name__', None))

    async def tokens(self, path):
        self.writer.write(('GET %s HTTP/1.0\\r\\n\\r\\n' % path).encode())
        await self.writer.drain()
        while (await self.reader.readline()).strip():
            pass
        events = Events()
        while not events.ended:
            token = events.feed(await self.reader.readline())
            if token is not None:
                yield token

async def chat(port, path='/chat'):
    async with Client(port) as client:
        source = client.tokens(path)
        try:
            async for token in source:
                tasks.append(asyncio.current_task())
                yield token
        finally:
            await source.aclose()

async def shouted(source):
    try:
        async for token in source:
            yield token.upper()
    finally:
        await source.aclose()

def chat_sync(port, path='/chat'):
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=20)
    try:
        connection.request('GET', path)
        events = Events()
        for line in connection.getresponse():
            token = events.feed(line)
            if token is not None:
                yield token
            if events.ended:
                return
    finally:
        connection.close()
        left.append('sync')

def one_task():
    return len(tasks) > 2 and tasks[0] is not None and all(task is tasks[0] for task in tasks)
").

%% Each token is here before the server has made the one after it.
in_step(_Server, _Next, [], _) ->
    ok;
in_step(Server, Next, [Word | Words], Made) ->
    ?assertEqual({ok, Word}, Next()),
    ?assertEqual(Made, made(Server)),
    go(Server),
    in_step(Server, Next, Words, Made + 1).

case_async_tokens_arrive_as_they_are_made() ->
    {Server, Port, _} = serve(),
    define(),
    Stream = open_eval("chat(port)", #{port => Port}),
    ?assertEqual(0, made(Server)),
    in_step(Server, fun() -> py_stream:next(Stream, 10000) end, ?WORDS, 1),
    ?assertEqual({done, none}, py_stream:next(Stream)),
    ?assert(value("one_task()")),
    ?assertEqual([none], value("left")).

case_async_tokens_pushed() ->
    {Server, Port, _} = serve(),
    define(),
    {ok, Ref} = py_stream:subscribe(open_eval("chat(port)", #{port => Port}), #{demand => 100}),
    in_step(Server, fun() -> receive {py_chunk, Ref, Token} -> {ok, Token} after 10000 -> timeout end end, ?WORDS, 1),
    receive {py_end, Ref} -> ok after 10000 -> error(no_end) end,
    ?assert(value("one_task()")).

case_sync_tokens_through_foreach() ->
    {Server, Port, _} = serve(),
    define(),
    Self = self(),
    ok = py_stream:foreach(fun(Token) ->
        Self ! {token, Token, made(Server)},
        go(Server)
    end, open_eval("chat_sync(port)", #{port => Port})),
    ?assertEqual([{token, Word, N} || {N, Word} <- lists:zip(lists:seq(1, length(?WORDS)), ?WORDS)], py_test:mailbox()),
    ?assertEqual([<<"sync">>], value("left")).

case_async_tokens_through_foreach() ->
    {Server, Port, _} = serve(),
    define(),
    {ok, {Text, Made}} = py_stream:fold(fun(Token, {Text, Made}) ->
        Now = made(Server),
        go(Server),
        {<<Text/binary, Token/binary>>, [Now | Made]}
    end, {<<>>, []}, open_eval("chat(port)", #{port => Port})),
    ?assertEqual(iolist_to_binary(?WORDS), Text),
    ?assertEqual(lists:seq(length(?WORDS), 1, -1), Made).

case_sync_tokens_by_request() ->
    {Server, Port, _} = serve(),
    define(),
    {ok, Generator} = py:call('__main__', chat_sync, [Port]),
    Ref = make_ref(),
    ok = py_pool:request({stream_eval, Ref, self(), "tokens", #{tokens => Generator}}),
    in_step(Server, fun() -> receive {py_chunk, Ref, Token} -> {ok, Token} after 10000 -> timeout end end, ?WORDS, 1),
    receive {py_end, Ref} -> ok after 10000 -> error(no_end) end.

case_a_pipeline_of_async_generators() ->
    {Server, Port, _} = serve(),
    define(),
    Stream = open_eval("shouted(shouted(chat(port)))", #{port => Port}),
    ?assertEqual({ok, <<"THE">>}, py_stream:next(Stream)),
    ?assertEqual(1, made(Server)),
    go(Server),
    ?assertEqual({ok, <<" SKY">>}, py_stream:next(Stream)),
    ok = py_stream:close(Stream),
    ?assert(value("one_task()")),
    hung_up(Server).

hung_up(Server) ->
    py_test:wait_until(fun() -> py_stream_test:ask(Server, "hung up") =:= <<"1">> end, 5000).

%% Who has read enough hangs up, and the server makes no more.
case_close_hangs_up() ->
    [begin
         {Server, Port, _} = serve(),
         define(),
         Stream = open_eval(Code, #{port => Port}),
         ?assertEqual({ok, <<"The">>}, py_stream:next(Stream)),
         ok = py_stream:close(Stream),
         ?assertEqual([Left], value("left")),
         hung_up(Server),
         ?assertEqual(1, made(Server))
     end || {Code, Left} <- [{"chat(port)", <<"GeneratorExit">>}, {"chat_sync(port)", <<"sync">>}]].

%% The second token does not come: the step is cancelled where it waits for the socket.
case_a_timeout_hangs_up() ->
    {Server, Port, _} = serve(),
    define(),
    Stream = open_eval("chat(port)", #{port => Port}),
    ?assertEqual({ok, [<<"The">>]}, py_stream:take(Stream, 2, 300)),
    ?assertEqual({error, timeout}, py_stream:next(Stream)),
    py_test:wait_until(fun() -> value("left") =:= [<<"CancelledError">>] end, 5000),
    ?assert(value("one_task()")),
    hung_up(Server).

case_an_error_of_the_server_mid_stream() ->
    [begin
         {Server, Port, _} = serve(),
         define(),
         [go(Server) || _ <- lists:seq(1, 5)],
         {Tokens, End} = py_stream_test:rest(open_eval(Code, #{port => Port})),
         ?assertEqual({[<<"The">>, <<" sky">>, <<" is">>], {error, {'Overloaded', "overloaded"}}}, {Tokens, End}),
         ?assertEqual([Left], value("left"))
     end || {Code, Left} <- [{"chat(port, '/breaks')", <<"Overloaded">>}, {"chat_sync(port, '/breaks')", <<"sync">>}]].

%% Ten answers at once on one worker, each as slow as its server.
case_ten_answers_side_by_side() ->
    Servers = [serve() || _ <- lists:seq(1, 10)],
    define(),
    Chats = [{Server, open_eval("chat(port)", #{port => Port})} || {Server, Port, _} <- Servers],
    Refs = [{Server, element(2, py_stream:subscribe(Stream, #{demand => 100}))} || {Server, Stream} <- Chats],
    [[begin
          receive {py_chunk, Ref, Word} -> ok after 10000 -> error({nothing, Word}) end,
          go(Server)
      end || {Server, Ref} <- Refs] || Word <- ?WORDS],
    [receive {py_end, Ref} -> ok after 10000 -> error(no_end) end || {_, Ref} <- Refs].
