%% Files that nobody wants in memory, line by line: 300 MB of log lines and 300 MB of
%% JSON records, read by Python's own file objects.
-module(py_stream_files_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

-import(py_stream_test, [open/2, pull/4]).

-define(FILE_BYTES, 300000000).
%% What the VM may grow by while it reads one of them.
-define(GROWTH, 16000000).
-define(LOG_LINE, 200).
-define(JSON_LINE, 500).
%% Every so many lines a special one.
-define(ERROR_EACH, 1000).
-define(BLANK_EACH, 100).
-define(INVALID_EACH, 3).

files_test_() ->
    py_stream_test:cases(?MODULE, 300).

%% The files -----------------------------------------------------------------------

%% Runs Fun on the path of a file of numbered lines, and deletes it.
with_file(Count, Line, Fun) ->
    Dir = py_test:tmp_dir(),
    Path = filename:join(Dir, "data"),
    try
        {ok, File} = file:open(Path, [raw, write, binary]),
        write_lines(File, Line, 0, Count),
        ok = file:close(File),
        Fun(unicode:characters_to_binary(Path))
    after
        _ = file:delete(Path),
        ok = file:del_dir(Dir)
    end.

write_lines(_File, _Line, Count, Count) ->
    ok;
write_lines(File, Line, From, Count) ->
    To = min(From + 500, Count),
    ok = file:write(File, [Line(N) || N <- lists:seq(From, To - 1)]),
    write_lines(File, Line, To, Count).

%% A log line of ?LOG_LINE bytes, the line feed among them.
log_line(N) ->
    Level = case N rem ?ERROR_EACH of 0 -> <<" error ">>; _ -> <<" info  ">> end,
    [number(N), Level, log_padding()].

log_padding() ->
    Bytes = ?LOG_LINE - 10 - 7 - 1,
    <<(binary:copy(<<"request served; ">>, Bytes div 16))/binary, (binary:copy(<<".">>, Bytes rem 16))/binary, "\n">>.

%% Ten digits.
number(N) ->
    Digits = integer_to_binary(N),
    [binary:part(<<"0000000000">>, 0, 10 - byte_size(Digits)), Digits].

line_number(Line) ->
    binary_to_integer(binary:part(Line, 0, 10)).

%% A record of about ?JSON_LINE bytes, some with a blank line after them.
json_line(N) ->
    Valid = case N rem ?INVALID_EACH of 0 -> <<"false">>; _ -> <<"true">> end,
    Blank = case N rem ?BLANK_EACH of 0 -> <<"  \n">>; _ -> <<>> end,
    [<<"{\"id\": ">>, integer_to_binary(N), <<", \"valid\": ">>, Valid,
     <<", \"items\": [1, 2.5, \"three\"], \"text\": \"">>, json_padding(), <<"\"}\n">>, Blank].

json_padding() ->
    binary:copy(<<"lorem ipsum dolor sit amet ">>, ?JSON_LINE div 27 - 2).

define() ->
    ok = py:exec("
import json

def lines_of(path):
    with open(path, encoding='utf-8') as file:
        for line in file:
            yield line.rstrip('\\n')

def records_of(path):
    with open(path, encoding='utf-8') as file:
        for line in map(str.strip, file):
            if line:
                yield json.loads(line)
").

%% Memory --------------------------------------------------------------------------

%% The most that was resident, looked at now and then.
watched(Count, Most) when Count rem 20000 =:= 0 -> max(py_test:rss(), Most);
watched(_Count, Most) -> Most.

%% Pulls everything in takes of 1,000, all in order, where Number gives the place of a
%% value in the file: how many there were, and what memory grew by from the start.
pull_watched(Open, Number) ->
    erlang:garbage_collect(),
    Before = py_test:rss(),
    Each = fun(Value, {N, Most}) ->
               case Number(Value) of
                   N -> {N + 1, watched(N, Most)};
                   Other -> error({out_of_order, N, Other})
               end
           end,
    {{Count, Most}, {done, none}} = pull(Each, {0, Before}, Open(), 1000),
    {Count, Most - Before}.

%% Cases ---------------------------------------------------------------------------

case_a_text_file() ->
    define(),
    Lines = ?FILE_BYTES div ?LOG_LINE,
    with_file(Lines, fun log_line/1, fun(Path) ->
        ?assertEqual(?FILE_BYTES, filelib:file_size(Path)),
        {Count, Growth} = pull_watched(fun() -> open(lines_of, [Path]) end, fun(Line) ->
            ?LOG_LINE = byte_size(Line) + 1,
            line_number(Line)
        end),
        ?assertEqual(Lines, Count),
        ?assertMatch(Small when Small < ?GROWTH, Growth)
    end).

case_a_json_lines_file() ->
    define(),
    Records = ?FILE_BYTES div ?JSON_LINE,
    with_file(Records, fun json_line/1, fun(Path) ->
        ?assert(filelib:file_size(Path) > ?FILE_BYTES * 9 div 10),
        {Count, Growth} = pull_watched(fun() -> open(records_of, [Path]) end, fun(Record) ->
            #{<<"id">> := Id, <<"valid">> := Valid, <<"items">> := [1, 2.5, <<"three">>],
              <<"text">> := <<"lorem", _/binary>>} = Record,
            Valid = Id rem ?INVALID_EACH =/= 0,
            Id
        end),
        ?assertEqual(Records, Count),
        ?assertMatch(Small when Small < ?GROWTH, Growth)
    end).

%% What reads every line but hands on few of them.
case_only_the_lines_with_an_error() ->
    define(),
    with_file(200000, fun log_line/1, fun(Path) ->
        Stream = py_stream_test:open_eval("(line for line in lines_of(path) if 'error' in line)", #{path => Path}),
        {Errors, {done, none}} = py_stream_test:rest(Stream),
        ?assertEqual(lists:seq(0, 199999, ?ERROR_EACH), [line_number(Line) || Line <- Errors])
    end).

%% Asking for ten lines reads no more than the file object's buffer.
case_asking_for_ten_lines_reads_little() ->
    define(),
    with_file(100000, fun log_line/1, fun(Path) ->
        ok = py:exec("def position_of(path):\n    for fd in __import__('os').listdir('/proc/self/fd'):\n"
                     "        try:\n            name = __import__('os').readlink('/proc/self/fd/' + fd)\n"
                     "        except OSError:\n            continue\n"
                     "        if name == path:\n            return __import__('os').lseek(int(fd), 0, 1)\n"),
        ?assertEqual({ok, none}, py:call('__main__', position_of, [Path])),
        Stream = open(lines_of, [Path]),
        ?assertEqual({ok, none}, py:call('__main__', position_of, [Path])),
        {ok, Lines} = py_stream:take(Stream, 10),
        ?assertEqual(lists:seq(0, 9), [line_number(Line) || Line <- Lines]),
        {ok, Position} = py:call('__main__', position_of, [Path]),
        ?assert(Position < 200000),
        ok = py_stream:close(Stream),
        ?assertEqual({ok, none}, py:call('__main__', position_of, [Path]))
    end).

case_a_file_object_is_its_own_stream() ->
    with_file(3, fun log_line/1, fun(Path) ->
        {ok, Expected} = file:read_file(Path),
        {ok, Stream} = py_stream:open({call, builtins, open, [Path], #{encoding => 'utf-8'}}),
        {ok, Lines} = py_stream:to_list(Stream),
        ?assertEqual({3, Expected}, {length(Lines), iolist_to_binary(Lines)})
    end).

case_a_broken_record() ->
    define(),
    Line = fun(2) -> <<"{\"id\": 2,\n">>; (N) -> json_line(N) end,
    with_file(5, Line, fun(Path) ->
        {Records, End} = py_stream_test:rest(open(records_of, [Path])),
        ?assertEqual([0, 1], [Id || #{<<"id">> := Id} <- Records]),
        ?assertMatch({error, {'JSONDecodeError', _}}, End)
    end).

case_no_such_file() ->
    define(),
    Stream = open(lines_of, [<<"/no/such/file">>]),
    ?assertMatch({error, {'FileNotFoundError', _}}, py_stream:next(Stream)),
    ?assertEqual({error, closed}, py_stream:next(Stream)).
