#!/usr/bin/env escript
%% -*- erlang -*-
%% A text file goes through Python's libraries and back, from Erlang: word counts
%% with re, json there and back, statistics and numpy over the lengths of its
%% words, its lines as a stream, an error, and a call that is given up. Each step says how long it took.
%%
%%   ERL_LIBS=_build/default/lib escript examples/demo.escript FILE
-mode(compile).

main([File]) ->
    ok = io:setopts([{encoding, unicode}]),
    case file:read_file(File) of
        {ok, Text} -> demo(File, Text);
        {error, Reason} -> fail("~ts: ~ts", [File, file:format_error(Reason)])
    end;
main(_) ->
    fail("usage: demo.escript FILE", []).

demo(File, Text) ->
    step("Start the application", fun() ->
        {ok, _} = application:ensure_all_started(erlang_python),
        {ok, Version} = py:version(),
        say("Python ~ts inside OTP ~s", [first_line(Version), erlang:system_info(otp_release)])
    end),
    say("~nThe text is ~ts, ~b bytes.", [File, byte_size(Text)]),
    Words = step("Find its words (re.findall)", fun() ->
        Found = ok(py:call(re, findall, [<<"[^\\W\\d_]+(?:'[^\\W\\d_]+)?">>, Text])),
        say("~b words", [length(Found)]),
        Found
    end),
    Words =/= [] orelse fail("There is no word in ~ts.", [File]),
    Counts = step("Count them (code of our own, defined by py:exec)", fun() ->
        ok = py:exec(<<"from collections import Counter\n"
                       "def most_common(words, n):\n"
                       "    return Counter(word.lower() for word in words).most_common(n)\n">>),
        Common = ok(py:call('__main__', most_common, [Words, 8])),
        [say("~6b  ~ts", [N, Word]) || {Word, N} <- Common],
        Common
    end),
    step("To JSON and back (json.dumps, json.loads)", fun() ->
        Map = maps:from_list(Counts),
        Json = ok(py:call(json, dumps, [Map], #{sort_keys => true, ensure_ascii => false})),
        say("~ts", [Json]),
        Map = ok(py:call(json, loads, [Json])),
        say("the same map came back", [])
    end),
    Lengths = [string:length(Word) || Word <- Words],
    step("The lengths of the words (statistics)", fun() ->
        Mean = ok(py:call(statistics, mean, [Lengths])),
        Deviation = case Lengths of
                        [_] -> 0.0;
                        _ -> ok(py:call(statistics, stdev, [Lengths]))
                    end,
        say("mean ~.2f, standard deviation ~.2f", [float(Mean), float(Deviation)])
    end),
    step("Their histogram (numpy)", fun() -> histogram(Lengths) end),
    step("The file as a stream: a generator, as far as we ask (py_stream)", fun() ->
        Code = <<"(line.rstrip() for line in open(name, encoding='utf-8', errors='replace') if line.strip())">>,
        Lines = ok(py_stream:open({eval, Code, #{name => unicode:characters_to_binary(File)}})),
        say("the first line: ~ts", [ok(py_stream:next(Lines))]),
        Rest = ok(py_stream:fold(fun(_Line, Count) -> Count + 1 end, 0, Lines)),
        say("lines that are not empty: ~b", [Rest + 1])
    end),
    step("An error, as Erlang sees it", fun() ->
        Error = {error, {'ValueError', _}} = py:call(math, sqrt, [-1]),
        say("py:call(math, sqrt, [-1])~n  ~p", [Error])
    end),
    step("A call that takes too long", fun() ->
        Late = {error, timeout} = py:call(time, sleep, [60], #{}, 200),
        say("py:call(time, sleep, [60], #{}, 200)~n  ~p", [Late])
    end),
    step("The next call", fun() ->
        say("py:eval(<<\"6 * 7\">>)~n  ~p", [{ok, 42} = py:eval(<<"6 * 7">>)])
    end),
    halt(0).

%% Words of 1, 2, ... letters, the longest together in the last row.
histogram(Lengths) ->
    Edges = lists:seq(1, 12) ++ [max(13, lists:max(Lengths) + 1)],
    case py:call(numpy, histogram, [Lengths], #{bins => Edges}) of
        {ok, {{'$ndarray', <<"<i8">>, {12}, Counts}, _Edges}} ->
            Rows = lists:zip(lists:seq(1, 12), [N || <<N:64/signed-little>> <= Counts]),
            Most = lists:max([N || {_, N} <- Rows]),
            [say("~3b~s ~5b ~ts", [Length, if Length =:= 12 -> "+"; true -> " " end, N,
                                   lists:duplicate(round(50 * N / max(1, Most)), $█)])
             || {Length, N} <- Rows];
        {error, {'ModuleNotFoundError', Message}} ->
            say("left out: ~ts", [Message])
    end.

step(Title, Fun) ->
    say("~n~ts", [Title]),
    Start = erlang:monotonic_time(microsecond),
    try Fun() of
        Result ->
            say("[~.1f ms]", [(erlang:monotonic_time(microsecond) - Start) / 1000]),
            Result
    catch
        throw:{python, Reason} ->
            fail("Python said ~tp", [Reason])
    end.

ok({ok, Value}) -> Value;
ok({error, Reason}) -> throw({python, Reason}).

first_line(Text) ->
    hd(string:split(unicode:characters_to_list(Text), "\n")).

say(Format, Args) ->
    io:format(Format ++ "~n", Args).

fail(Format, Args) ->
    io:format(standard_error, Format ++ "~n", Args),
    halt(1).
