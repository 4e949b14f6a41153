%% The C++ programs of a document.
%%
%% A block whose first line is a comment with the name of a file begins that file; the
%% blocks after it go on with it. Where none of them has a main(), it is made of those
%% that are statements, in order; the others stand before it. What a block prints is the
%% text block after it; of a file with a main() of its own that is all it prints.
-module(doc_programs).

-export([programs/1, name/1, source/2, differences/2]).
-export_type([program/0]).

-opaque program() :: #{name := string(), parts := [part()]}.
-type part() :: {doc_blocks:block(), Prints :: string()}.

%% The programs, in order. Every block of C++ is in one of them.
-spec programs([doc_blocks:block()]) -> [program()].
programs(Blocks) ->
    grouped(parts(Blocks)).

parts([#{language := "cpp"} = Block, #{language := "text", text := Printed} | Blocks]) ->
    [{Block, Printed} | parts(Blocks)];
parts([#{language := "cpp"} = Block | Blocks]) ->
    [{Block, ""} | parts(Blocks)];
parts([_ | Blocks]) ->
    parts(Blocks);
parts([]) ->
    [].

grouped([{Block, _} = First | Parts]) ->
    Name = doc_blocks:file(Block),
    is_list(Name) orelse error({line, maps:get(line, Block), no_file_for_this_block}),
    {More, Rest} = lists:splitwith(fun({Each, _}) -> doc_blocks:file(Each) =:= none end, Parts),
    [#{name => Name, parts => [First | More]} | grouped(Rest)];
grouped([]) ->
    [].

-spec name(program()) -> string().
name(#{name := Name}) -> Name.

%% The text of the file. The compiler's messages name the lines of the document.
-spec source(program(), Document :: string()) -> iolist().
source(#{parts := Parts} = Program, Document) ->
    case has_main(Program) of
        true ->
            [at(Part, Document) || Part <- Parts];
        false ->
            {Outside, Inside} = lists:partition(fun({Block, _}) -> is_outside(Block) end, Parts),
            [[at(Part, Document) || Part <- Outside],
             "int main() {\n",
             [[at(Part, Document), "\nstd::cout << \"", mark(Part), "\" << std::flush;\n"] || Part <- Inside],
             "}\n"]
    end.

at({#{line := Line, text := Text}, _}, Document) ->
    io_lib:format("#line ~b \"~s\"~n~ts~n", [Line, Document, Text]).

mark({#{line := Line}, _}) ->
    io_lib:format("<end of the block at ~b>", [Line]).

has_main(#{parts := Parts}) ->
    lists:any(fun({#{text := Text}, _}) -> re:run(Text, "^int main\\(", [multiline]) =/= nomatch end, Parts).

%% Whether a block is declarations: it begins with one, or a function is defined in it.
is_outside(#{text := Text}) ->
    Begins = "\\A(//.*\n)*(#include|struct|class|enum|template|namespace|using) ?",
    Defines = "^[A-Za-z_][\\w:<>&*, ]* \\w+\\([^=]*\\) \\{$",
    lists:any(fun({Pattern, Options}) -> re:run(Text, Pattern, Options) =/= nomatch end,
              [{Begins, []}, {Defines, [multiline]}]).

%% Where what it printed is not what the document shows: the line of the block, what is shown there, what came.
-spec differences(program(), Printed :: string()) -> [{Line :: pos_integer(), string(), string()}].
differences(#{parts := Parts} = Program, Printed) ->
    Expected = case has_main(Program) of
                   true -> [{element(1, hd(Parts)), lists:append([Shown || {_, Shown} <- Parts])}];
                   false -> [Part || {Block, _} = Part <- Parts, not is_outside(Block)]
               end,
    compare(Expected, Printed).

compare([{#{line := Line}, Shown} = Part | Parts], Printed) ->
    [Came | Rest] = string:split(Printed, lists:flatten(mark(Part))),
    [{Line, Shown, Came} || trimmed(Shown) =/= trimmed(Came)] ++ compare(Parts, lists:append(Rest));
compare([], Rest) ->
    [{0, "", Rest} || string:trim(Rest) =/= ""].

trimmed(Text) ->
    [string:trim(Line, trailing) || Line <- string:split(string:trim(Text), "\n", all)].
