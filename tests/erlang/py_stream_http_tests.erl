%% A cursor-paginated API over HTTP as one stream: Python's http.server answers in an
%% operating system process of its own and counts what it is asked.
-module(py_stream_http_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

-import(py_stream_test, [open_eval/2, rest/1]).

-define(USERS, 1050).

http_test_() ->
    py_stream_test:cases(?MODULE).

%% /users gives pages, /flaky fails from its third page on, /slow takes its time.
serve() ->
    py_stream_test:server(["
USERS = ", integer_to_list(?USERS), "
requests = 0
failing = False
lock = threading.Lock()

class Handler(Quiet):
    def do_GET(self):
        global requests
        with lock:
            requests += 1
        query = self.query()
        start, limit = int(query.get('cursor', 'at-0')[3:]), int(query['limit'])
        path = self.path.split('?')[0]
        if path == '/slow':
            time.sleep(0.1)
        if path == '/flaky' and start >= 2 * limit and failing:
            self.send_error(503, 'come back later')
            return
        end = min(start + limit, USERS)
        page = {'items': [{'id': i, 'email': 'user%d@example.org' % i} for i in range(start, end)],
                'next_cursor': 'at-%d' % end if end < USERS else None}
        body = json.dumps(page).encode()
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

def fail():
    global failing
    failing = True
    reply('failing')

commands = {'requests': lambda: reply(requests), 'fail': fail}
"]).

requests(Server) ->
    binary_to_integer(py_stream_test:ask(Server, "requests")).

%% The client: one generator knows about pages, nobody else does.
define() ->
    ok = py:exec("
import asyncio, itertools, json, urllib.parse, urllib.request

class Api:
    def __init__(self, url):
        self.url = url
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def page(self, path, **params):
        with self.opener.open(self.url + path + '?' + urllib.parse.urlencode(params), timeout=20) as response:
            return json.load(response)

    def everything(self, path='/users', page_size=100):
        position = {}
        pages = 0
        while True:
            page = self.page(path, limit=page_size, **position)
            pages += 1
            yield from page['items']
            if page['next_cursor'] is None:
                return pages
            position = {'cursor': page['next_cursor']}

async def get(port, path, **params):
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    try:
        target = path + '?' + urllib.parse.urlencode(params)
        writer.write(('GET %s HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' % target).encode())
        await writer.drain()
        answer = await reader.read(-1)
    finally:
        writer.close()
    head, _, body = answer.partition(b'\\r\\n\\r\\n')
    if b' 200 ' not in head.split(b'\\r\\n')[0]:
        raise ConnectionError(head.split(b'\\r\\n')[0].decode())
    return json.loads(body)

async def everything_async(port, path='/users', page_size=100):
    position = {}
    while True:
        page = await get(port, path, limit=page_size, **position)
        for item in page['items']:
            yield item
        if page['next_cursor'] is None:
            return
        position = {'cursor': page['next_cursor']}
").

ids(Users) ->
    [begin #{<<"id">> := Id, <<"email">> := <<"user", _/binary>>} = User, Id end || User <- Users].

case_all_pages_are_one_stream() ->
    {Server, _, Url} = serve(),
    define(),
    Stream = open_eval("Api(url).everything()", #{url => Url}),
    {Users, End} = rest(Stream),
    ?assertEqual(lists:seq(0, ?USERS - 1), ids(Users)),
    ?assertEqual({done, 11}, End),
    ?assertEqual(11, requests(Server)).

case_a_page_is_fetched_when_its_first_item_is_asked_for() ->
    {Server, _, Url} = serve(),
    define(),
    Stream = open_eval("Api(url).everything(page_size=50)", #{url => Url}),
    ?assertEqual(0, requests(Server)),
    {ok, #{<<"id">> := 0}} = py_stream:next(Stream),
    ?assertEqual(1, requests(Server)),
    {ok, Users} = py_stream:take(Stream, 49),
    ?assertEqual(49, lists:last(ids(Users))),
    ?assertEqual(1, requests(Server)),
    {ok, #{<<"id">> := 50}} = py_stream:next(Stream),
    ?assertEqual(2, requests(Server)),
    ok = py_stream:close(Stream),
    ?assertEqual(2, requests(Server)).

case_islice() ->
    {Server, _, Url} = serve(),
    define(),
    {Users, {done, none}} = rest(open_eval("itertools.islice(Api(url).everything(), 250)", #{url => Url})),
    ?assertEqual(lists:seq(0, 249), ids(Users)),
    ?assertEqual(3, requests(Server)).

case_batched() ->
    {Server, _, Url} = serve(),
    define(),
    py_stream_test:batched(),
    Stream = open_eval("batched(Api(url).everything(), 50)", #{url => Url}),
    {ok, [First, Second]} = py_stream:take(Stream, 2),
    ?assertEqual({lists:seq(0, 49), lists:seq(50, 99)}, {ids(tuple_to_list(First)), ids(tuple_to_list(Second))}),
    ?assertEqual(1, requests(Server)),
    {Batches, {done, none}} = rest(Stream),
    ?assertEqual(19, length(Batches)),
    ?assertEqual(11, requests(Server)).

case_the_limit_of_a_call() ->
    {Server, _, Url} = serve(),
    define(),
    {ok, Users} = py:stream_eval("Api(url).everything()", #{url => Url}, #{limit => 120}),
    ?assertEqual(lists:seq(0, 119), ids(Users)),
    ?assertEqual(2, requests(Server)).

%% Erlang decides on what it sees when it has seen enough.
case_until_erlang_has_found_it() ->
    {Server, _, Url} = serve(),
    define(),
    Stream = open_eval("Api(url).everything()", #{url => Url}),
    Find = fun Find() ->
               {ok, #{<<"id">> := Id, <<"email">> := Email}} = py_stream:next(Stream),
               case Email of <<"user321@example.org">> -> Id; _ -> Find() end
           end,
    ?assertEqual(321, Find()),
    ok = py_stream:close(Stream),
    ?assertEqual(4, requests(Server)).

%% What came before a page that failed is delivered.
case_a_page_that_fails() ->
    {Server, _, Url} = serve(),
    define(),
    <<"failing">> = py_stream_test:ask(Server, "fail"),
    {Users, End} = rest(open_eval("Api(url).everything('/flaky')", #{url => Url})),
    ?assertEqual(lists:seq(0, 199), ids(Users)),
    ?assertMatch({error, {'HTTPError', "HTTP Error 503: come back later"}}, End),
    ?assertEqual(3, requests(Server)).

case_nobody_answers() ->
    {Server, _, Url} = serve(),
    define(),
    true = port_close(Server),
    py_test:wait_until(fun() ->
        Stream = open_eval("Api(url).everything()", #{url => Url}),
        Answer = py_stream:next(Stream),
        ok = py_stream:close(Stream),
        element(1, Answer) =:= error andalso element(1, element(2, Answer)) =:= 'URLError'
    end, 10000).

case_two_consumers_at_their_own_pace() ->
    {Server, _, Url} = serve(),
    define(),
    A = open_eval("Api(url).everything()", #{url => Url}),
    B = open_eval("Api(url).everything(page_size=10)", #{url => Url}),
    {ok, #{<<"id">> := 0}} = py_stream:next(A),
    {ok, BUsers} = py_stream:take(B, 25),
    {ok, AUsers} = py_stream:take(A, 99),
    ?assertEqual({lists:seq(0, 24), lists:seq(1, 99)}, {ids(BUsers), ids(AUsers)}),
    ?assertEqual(4, requests(Server)),
    [ok = py_stream:close(Stream) || Stream <- [A, B]].

%% Async -------------------------------------------------------------------------------

case_async_pages() ->
    {Server, Port, _} = serve(),
    define(),
    Stream = open_eval("everything_async(port)", #{port => Port}),
    ?assertEqual(0, requests(Server)),
    {ok, Users} = py_stream:take(Stream, 100),
    ?assertEqual(1, requests(Server)),
    {More, {done, none}} = rest(Stream),
    ?assertEqual(lists:seq(0, ?USERS - 1), ids(Users ++ More)),
    ?assertEqual(11, requests(Server)).

case_async_page_that_fails() ->
    {Server, Port, _} = serve(),
    define(),
    <<"failing">> = py_stream_test:ask(Server, "fail"),
    {Users, End} = rest(open_eval("everything_async(port, '/flaky')", #{port => Port})),
    ?assertEqual(200, length(Users)),
    ?assertMatch({error, {'ConnectionError', "HTTP/1.0 503 come back later"}}, End).

%% Each page takes the server 100 ms: one after the other these would take four seconds.
case_async_pages_side_by_side_on_one_worker() ->
    {Server, Port, _} = serve(),
    define(),
    Count = 40,
    {Time, Ids} = py_test:elapsed(fun() ->
        Streams = [open_eval("everything_async(port, '/slow')", #{port => Port}) || _ <- lists:seq(1, Count)],
        Refs = [element(2, py_stream:subscribe(Stream, #{demand => 1})) || Stream <- Streams],
        [receive {py_chunk, Ref, #{<<"id">> := Id}} -> Id after 10000 -> nothing end || Ref <- Refs]
    end),
    ?assertEqual(lists:duplicate(Count, 0), Ids),
    ?assertEqual(Count, requests(Server)),
    ?assertMatch(Fast when Fast < Count * 100 div 2, Time).
