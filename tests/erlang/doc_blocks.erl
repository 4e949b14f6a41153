%% What the documents show, taken out of them so that it can be run: fenced code
%% blocks, tables, and the evaluation of Erlang blocks.
%%
%% A block of Erlang is expressions, each ended by a full stop (a match that fails
%% fails the block), or a shell session: lines that begin with `1> ', each followed
%% by what the shell answers. `...' in an answer stands for what differs from run to
%% run. A block that begins with `-module' is compiled and loaded.
%%
%% A block of another language may be a file: its first line is a comment that is
%% the file's name. A block of text after a block of a program is what that prints.
-module(doc_blocks).

-export([blocks/1, fences/1, tables/1, code/1, run/2, value/2, show/1, matches/2]).
-export([file/1, files/2, outputs/2]).
-export_type([block/0, table/0]).

-type block() :: #{language := string(), line := pos_integer(), text := string()}.
-type table() :: #{line := pos_integer(), head := [string()], rows := [{pos_integer(), [string()]}]}.

%% The fenced blocks of a document, in order.
-spec blocks(string()) -> [block()].
blocks(Document) ->
    open(numbered(Document)).

open([{Line, "```" ++ Language} | Lines]) -> body(Lines, string:trim(Language), Line + 1, []);
open([_ | Lines]) -> open(Lines);
open([]) -> [].

body([{_, "```"} | Lines], Language, Line, Body) ->
    Text = lists:flatten(lists:join("\n", lists:reverse(Body))),
    [#{language => Language, line => Line, text => Text} | open(Lines)];
body([{_, Text} | Lines], Language, Line, Body) ->
    body(Lines, Language, Line, [Text | Body]);
body([], _Language, Line, _Body) ->
    error({block_without_end, Line}).

%% How many lines hold a fence, wherever in the line: twice the number of blocks,
%% unless blocks/1 has overlooked one.
-spec fences(string()) -> non_neg_integer().
fences(Document) ->
    length([Text || {_, Text} <- numbered(Document), string:find(Text, "```") =/= nomatch]).

%% The name of the file that a block is; none where it is no file.
-spec file(block()) -> string() | none.
file(#{text := Text}) ->
    case re:run(Text, "^(?:#|//) ([a-z0-9_]+\\.[a-z]+)\n", [{capture, all_but_first, list}]) of
        {match, [Name]} -> Name;
        nomatch -> none
    end.

%% The blocks of a language that are files, each with its name.
-spec files(string(), [block()]) -> [{string(), block()}].
files(Wanted, Blocks) ->
    [{file(Block), Block} || #{language := Language} = Block <- Blocks, Language =:= Wanted, file(Block) =/= none].

%% The blocks of a language that say what they print, each with that.
-spec outputs(string(), [block()]) -> [{block(), string()}].
outputs(Wanted, [#{language := Wanted} = Block, #{language := "text", text := Output} | Blocks]) ->
    [{Block, Output} | outputs(Wanted, Blocks)];
outputs(Wanted, [_ | Blocks]) ->
    outputs(Wanted, Blocks);
outputs(_Wanted, []) ->
    [].

%% The tables of a document, cells trimmed.
-spec tables(string()) -> [table()].
tables(Document) ->
    table_starts(prose(numbered(Document))).

%% The lines that are in no block.
prose(Lines) ->
    {Before, Fenced} = lists:splitwith(fun is_prose/1, Lines),
    Before ++ case Fenced of
                  [] -> [];
                  [_ | Block] -> prose(after_fence(lists:dropwhile(fun is_prose/1, Block)))
              end.

is_prose({_, Text}) -> not lists:prefix("```", Text).

after_fence([_ | Lines]) -> Lines;
after_fence([]) -> [].

table_starts([{Line, "|" ++ _ = Head}, {_, "|" ++ Rule} | Lines]) ->
    [] = [C || C <- Rule, not lists:member(C, "|-: ")],
    {Rows, Rest} = lists:splitwith(fun({_, Text}) -> lists:prefix("|", Text) end, Lines),
    [#{line => Line, head => cells(Head), rows => [{At, cells(Row)} || {At, Row} <- Rows]} | table_starts(Rest)];
table_starts([_ | Lines]) -> table_starts(Lines);
table_starts([]) -> [].

cells("|" ++ Row) -> cells(Row, "", []).

cells("\\|" ++ Row, Cell, Cells) -> cells(Row, "|" ++ Cell, Cells);
cells("|" ++ Row, Cell, Cells) -> cells(Row, "", [string:trim(lists:reverse(Cell)) | Cells]);
cells([C | Row], Cell, Cells) -> cells(Row, [C | Cell], Cells);
cells([], _Cell, Cells) -> lists:reverse(Cells).

%% What a cell says in code: the text of the code span that it is.
-spec code(string()) -> string().
code("`` " ++ Cell) -> span(Cell, " ``");
code("`" ++ Cell) -> span(Cell, "`");
code(Cell) -> error({no_code_in, Cell}).

span(Cell, End) ->
    case string:split(Cell, End) of
        [Text, ""] -> Text;
        _ -> error({more_than_code_in, Cell})
    end.

%% Runs a block with the bindings of those before it; returns the bindings after it.
-spec run(block(), erl_eval:binding_struct()) -> erl_eval:binding_struct().
run(#{text := "-module" ++ _ = Text, line := Line}, Bindings) ->
    load(Text, Line),
    Bindings;
run(#{text := "1> " ++ _ = Text, line := Line}, Bindings) ->
    session(string:split(Text, "\n", all), Line, Bindings);
run(#{text := Text, line := Line}, Bindings) ->
    lists:foldl(fun(Tokens, Before) ->
                    {value, _, After} = evaluate(Tokens, Line, Before),
                    After
                end,
                Bindings, sentences(Text, Line)).

%% The value of one expression, given without its full stop.
-spec value(string(), erl_eval:binding_struct()) -> term().
value(Text, Bindings) ->
    [Tokens] = sentences(Text ++ ".", 1),
    {ok, Exprs} = erl_parse:parse_exprs(Tokens),
    {value, Value, _} = erl_eval:exprs(Exprs, Bindings),
    Value.

-spec show(term()) -> string().
show(Value) ->
    lists:flatten(io_lib:format("~tp", [Value])).

%% Whether Shown is what Pattern says: white space counts as one blank, or as none
%% beside a bracket or a comma; `...' stands for any text.
-spec matches(string(), string()) -> boolean().
matches(Pattern, Shown) ->
    parts(string:split(squeeze(Pattern), "...", all), squeeze(Shown)).

parts([Only], Shown) ->
    Only =:= Shown;
parts([First | Rest], Shown) ->
    case string:prefix(Shown, First) of
        nomatch -> false;
        Tail -> later(Rest, Tail)
    end.

later([Last], Shown) ->
    lists:suffix(Last, Shown);
later([Part | Rest], Shown) ->
    case string:split(Shown, Part) of
        [_, Tail] -> later(Rest, Tail);
        _ -> false
    end.

squeeze(Text) ->
    Single = re:replace(string:trim(Text), "\\s+", " ", [global, unicode, {return, list}]),
    re:replace(Single, " ?([][{}(),]|=>) ?", "\\1", [global, unicode, {return, list}]).

numbered(Document) ->
    Lines = string:split(Document, "\n", all),
    lists:zip(lists:seq(1, length(Lines)), Lines).

%% Erlang ------------------------------------------------------------------------

load(Text, Line) ->
    [{attribute, _, module, Module}] = [Form || {ok, Form} <- [erl_parse:parse_form(hd(sentences(Text, Line)))]],
    Dir = py_test:tmp_dir(),
    File = filename:join(Dir, atom_to_list(Module) ++ ".erl"),
    ok = file:write_file(File, unicode:characters_to_binary(Text)),
    Result = compile:file(File, [binary, return_errors]),
    ok = file:delete(File),
    ok = file:del_dir(Dir),
    case Result of
        {ok, Module, Binary} -> {module, Module} = code:load_binary(Module, File, Binary);
        {error, Errors, _} -> error({line, Line, Errors})
    end.

%% A list of token lists, each with its full stop.
sentences(Text, Line) ->
    case erl_scan:string(Text, Line) of
        {ok, Tokens, _} -> at_dots(Tokens, [], Line);
        {error, Reason, At} -> error({line, At, Reason})
    end.

at_dots([{dot, _} = Dot | Tokens], Sentence, Line) ->
    [lists:reverse([Dot | Sentence]) | at_dots(Tokens, [], Line)];
at_dots([Token | Tokens], Sentence, Line) ->
    at_dots(Tokens, [Token | Sentence], Line);
at_dots([], [], _Line) ->
    [];
at_dots([], _Sentence, Line) ->
    error({line, Line, no_full_stop_at_the_end}).

evaluate([First | _] = Tokens, Line, Bindings) ->
    case erl_parse:parse_exprs(Tokens) of
        {ok, Exprs} ->
            try
                erl_eval:exprs(Exprs, Bindings)
            catch
                Class:Reason:Stack ->
                    erlang:raise(Class, {line, erl_scan:line(First), Reason}, Stack)
            end;
        {error, Reason} ->
            error({line, Line, Reason})
    end.

session([], _Line, Bindings) ->
    Bindings;
session([Prompted | Lines], Line, Bindings) ->
    {match, [First]} = re:run(Prompted, "^[0-9]+> (.*)$", [unicode, {capture, all_but_first, list}]),
    {Tokens, AfterInput} = input(First, Lines, Line),
    {Answer, Rest} = lists:splitwith(fun(Text) -> re:run(Text, "^[0-9]+> ") =:= nomatch end, AfterInput),
    {Shown, After} = answer(Tokens, Bindings),
    Expected = lists:flatten(lists:join("\n", Answer)),
    case matches(Expected, Shown) of
        true -> ok;
        false -> error({line, Line, {expected, Expected}, {got, Shown}})
    end,
    session(Rest, Line + 1 + length(Lines) - length(Rest), After).

%% Lines until a full stop.
input(Text, Lines, Line) ->
    case {is_sentence(erl_scan:string(Text, Line)), Lines} of
        {{true, Tokens}, _} -> {Tokens, Lines};
        {false, [Next | Rest]} -> input(Text ++ "\n" ++ Next, Rest, Line);
        {false, []} -> error({line, Line, no_full_stop_at_the_end})
    end.

is_sentence({ok, [_ | _] = Tokens, _}) ->
    case lists:last(Tokens) of
        {dot, _} -> {true, Tokens};
        _ -> false
    end;
is_sentence(_) ->
    false.

%% What the shell would show, without colours; of an error what concerns the
%% function that was called.
answer(Tokens, Bindings) ->
    {ok, Exprs} = erl_parse:parse_exprs(Tokens),
    try erl_eval:exprs(Exprs, Bindings) of
        {value, Value, After} -> {show(Value), After}
    catch
        Class:Reason:Stack -> {"** " ++ exception(Class, Reason, hd(Stack)), Bindings}
    end.

exception(Class, Reason, Called) ->
    lists:flatten(io_lib:format("~ts", [erl_error:format_exception(Class, Reason, [Called])])).
