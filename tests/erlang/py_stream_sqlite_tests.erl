%% Batches for a database that prefers them: a real sqlite3 file, one transaction a batch.
-module(py_stream_sqlite_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

-import(py_stream_test, [open_eval/2, rest/1, value/1]).

sqlite_test_() ->
    py_stream_test:cases(?MODULE).

%% Runs Fun on the path of a database file with an empty table.
with_database(Fun) ->
    Dir = py_test:tmp_dir(),
    Path = unicode:characters_to_binary(filename:join(Dir, "events.db")),
    try
        define(),
        {ok, none} = py:call('__main__', create, [Path]),
        Fun(Path)
    after
        [ok = file:delete(File) || File <- filelib:wildcard(filename:join(Dir, "*"))],
        ok = file:del_dir(Dir)
    end.

%% sqlite3 itself refuses every thread but the connection's.
define() ->
    py_stream_test:batched(),
    ok = py:exec("
import contextlib, sqlite3, threading

made = 0
open_connections = 0

def create(path):
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute('create table events (id integer primary key, name text not null)')

def rows(n, bad=None):
    global made
    for i in range(n):
        made += 1
        yield (i, None if i == bad else 'event %d' % i)

@contextlib.contextmanager
def connected(path):
    global open_connections
    db = sqlite3.connect(path)
    open_connections += 1
    try:
        yield db
    finally:
        db.close()
        open_connections -= 1

def insert_batches(path, source, size):
    total = 0
    with connected(path) as db:
        for batch in batched(source, size):
            with db:
                db.executemany('insert into events values (?, ?)', batch)
            total += len(batch)
            yield len(batch)
    return total

def insert(db, batch):
    with db:
        return db.executemany('insert into events values (?, ?)', batch).rowcount

def read(path, sql):
    with connected(path) as db:
        for row in db.execute(sql):
            yield row
").

%% As another connection, on another worker, sees it: what is committed.
stored(Path) ->
    {ok, {Count}} = py:eval("__import__('sqlite3').connect(path).execute('select count(*) from events').fetchone()",
                            #{path => Path}, #{worker => 1}),
    Count.

case_every_batch_is_a_transaction() ->
    with_database(fun(Path) ->
        Stream = open_eval("insert_batches(path, rows(1250), 500)", #{path => Path}),
        ?assertEqual(0, stored(Path)),
        ?assertEqual({ok, 500}, py_stream:next(Stream)),
        ?assertEqual({500, 500}, {stored(Path), value("made")}),
        ?assertEqual({ok, 500}, py_stream:next(Stream)),
        ?assertEqual({1000, 1000}, {stored(Path), value("made")}),
        ?assertEqual({[250], {done, 1250}}, rest(Stream)),
        ?assertEqual(1250, stored(Path)),
        ?assertEqual(0, value("open_connections"))
    end).

%% The third batch fails in its middle: nothing of it stays, the two before it do.
case_a_failing_batch_rolls_back() ->
    with_database(fun(Path) ->
        Stream = open_eval("insert_batches(path, rows(500, bad=250), 100)", #{path => Path}),
        ?assertEqual({ok, [100, 100]}, py_stream:take(Stream, 5)),
        ?assertEqual({error, {'IntegrityError', "NOT NULL constraint failed: events.name"}}, py_stream:next(Stream)),
        ?assertEqual({error, closed}, py_stream:next(Stream)),
        ?assertEqual(200, stored(Path)),
        ?assertEqual(300, value("made")),
        ?assertEqual(0, value("open_connections"))
    end).

case_closed_between_batches() ->
    with_database(fun(Path) ->
        Stream = open_eval("insert_batches(path, rows(500), 100)", #{path => Path}),
        ?assertEqual({ok, [100, 100]}, py_stream:take(Stream, 2)),
        ?assertEqual(1, value("open_connections")),
        ok = py_stream:close(Stream),
        ?assertEqual({200, 200, 0}, {stored(Path), value("made"), value("open_connections")})
    end).

%% Erlang stands between the stream and the database, and outlives a batch that fails.
case_erlang_inserts_what_it_pulls() ->
    with_database(fun(Path) ->
        {ok, {py_object, _} = Db} = py:call(sqlite3, connect, [Path]),
        Stream = open_eval("batched(rows(500, bad=150), 100)", #{}),
        Inserted = insert_all(Stream, Db, []),
        ?assertMatch([100, {error, {'IntegrityError', _}}, 100, 100, 100], Inserted),
        ?assertEqual(400, stored(Path)),
        ?assertEqual({ok, {99, 200}}, py:eval("(db.execute('select max(id) from events where id < 150').fetchone()[0], "
                                              "db.execute('select min(id) from events where id > 150').fetchone()[0])",
                                              #{db => Db})),
        {ok, none} = py:call(Db, close, [])
    end).

insert_all(Stream, Db, Results) ->
    case py_stream:next(Stream) of
        {ok, Batch} when is_tuple(Batch) ->
            Result = case py:call('__main__', insert, [Db, tuple_to_list(Batch)]) of
                         {ok, Count} -> Count;
                         {error, _} = Error -> Error
                     end,
            insert_all(Stream, Db, [Result | Results]);
        {done, none} ->
            lists:reverse(Results)
    end.

%% Back out of the database, by a cursor that reads as it is asked.
case_a_query_is_a_stream() ->
    with_database(fun(Path) ->
        {ok, [10000, 10000]} =
            py_stream:to_list(open_eval("insert_batches(path, rows(20000), 10000)", #{path => Path})),
        Stream = open_eval("read(path, 'select id, name from events order by id')", #{path => Path}),
        ?assertEqual({ok, [{0, <<"event 0">>}, {1, <<"event 1">>}]}, py_stream:take(Stream, 2)),
        {Rows, {done, none}} = rest(Stream),
        ?assertEqual({19998, {19999, <<"event 19999">>}}, {length(Rows), lists:last(Rows)}),
        ?assertEqual(0, value("open_connections"))
    end).

%% Several streams write to one file, each with its connection, batch by batch in turn.
case_two_writers_in_turn() ->
    with_database(fun(Path) ->
        [Even, Odd] = [open_eval("insert_batches(path, ((i, 'x') for i in range(start, 400, 2)), 50)",
                                 #{path => Path, start => Start}) || Start <- [0, 1]],
        [begin
             ?assertEqual({ok, 50}, py_stream:next(Stream)),
             ?assertEqual(50 * Turn, stored(Path))
         end || {Turn, Stream} <- lists:zip(lists:seq(1, 8), [Even, Odd, Even, Odd, Even, Odd, Even, Odd])],
        [?assertEqual({done, 200}, py_stream:next(Stream)) || Stream <- [Even, Odd]]
    end).
