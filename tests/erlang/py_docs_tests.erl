%% README.md and docs/*.md: every code block is run, and every table that shows
%% examples; what they show as the result is compared.
-module(py_docs_tests).
-include_lib("eunit/include/eunit.hrl").

%% The least that each document holds of what is run. A document that is not listed
%% must only be sound.
least() ->
    #{"README.md" => #{"erlang" => 2, "elixir" => 2, "cpp" => 1, "bash" => 1},
      "docs/getting-started.md" => #{"erlang" => 10, "elixir" => 3, "bash" => 1, "python" => 1, table => 1},
      "docs/types.md" => #{"erlang" => 4, table => 4},
      "docs/streaming.md" => #{"erlang" => 20, "elixir" => 6, "cpp" => 2, "python" => 2, "text" => 3, table => 1},
      "docs/errors-and-timeouts.md" => #{"erlang" => 8, table => 2},
      "docs/pools.md" => #{"erlang" => 10, "elixir" => 1, "bash" => 1, table => 2},
      "docs/scale.md" => #{"erlang" => 4, "bash" => 1, "text" => 12},
      "docs/internals.md" => #{"bash" => 1},
      "docs/cpp.md" => #{"cpp" => 30, "cmake" => 1, "text" => 12},
      "docs/hosts.md" => #{"cpp" => 6},
      "docs/decisions.md" => #{}}.

documents_test_() ->
    [{File, [{"is complete", fun() -> complete(File) end},
             {"languages are known", fun() -> languages(File) end},
             {"Erlang", with_modules(File, fresh(starts_itself(File), fun() -> erlang_blocks(File) end))},
             {"Elixir", elixir(File)},
             {"Python", fresh(fun() -> python_blocks(File) end)},
             {"C++", cpp(File)},
             {"shell", fun() -> shell_blocks(File) end},
             {"tables", with_modules(File, fresh(fun() -> tables(File) end))}]}
     || File <- files()].

%% The README's tables are the first columns of those that are run.
readme_tables_are_those_of_types_test() ->
    Kinds = [["Erlang", "Python"], ["Python", "Erlang"]],
    Rows = fun(File) ->
               [{Kind, Row} || Kind <- Kinds, #{head := Head, rows := Lines} <- doc_blocks:tables(read(File)),
                               lists:sublist(Head, 2) =:= Kind, {_, Line} <- Lines,
                               Row <- [lists:sublist(Line, 2)]]
           end,
    Shown = Rows("README.md"),
    ?assert(length(Shown) >= 25),
    ?assertEqual([], Shown -- Rows("docs/types.md")).

numpy_test_() ->
    {"blocks and rows that need numpy",
     fresh(fun() -> py_test:has_numpy() orelse py_test:no_numpy() end)}.

%% What docs/scale.md quotes of a simulation is what that prints. Blocks that begin with no line of it show
%% what was measured, and differ from machine to machine.
simulation_test_() ->
    {timeout, 300, fun() -> in_dir(fun(Dir) ->
        [{ok, _} = compile:file(File, [{outdir, Dir}])
         || File <- filelib:wildcard(filename:join([root(), "benchmarks", "bench_queueing*.erl"]))
                    ++ [filename:join([root(), "benchmarks", "bench.erl"])]],
        Erl = filename:join([code:root_dir(), "bin", "erl"]),
        {0, Output} = run(Erl, ["-noinput", "-pa", Dir, "-eval", "bench_queueing:simulation(), halt(0)."], Dir),
        Printed = unicode:characters_to_list(Output),
        Titles = string:split(Printed, "\n", all),
        Quoted = [Text || #{text := Text} <- of_language("text", doc_blocks:blocks(read("docs/scale.md"))),
                          lists:member(hd(string:split(Text, "\n")), Titles)],
        ?assert(length(Quoted) >= 8),
        [?assertEqual({Text, true}, {Text, string:find(Printed, Text) =/= nomatch}) || Text <- Quoted]
    end) end}.

%% A link to a file of the repository leads somewhere.
links_test() ->
    ?assertEqual([], [{File, Target}
                      || File <- files(),
                         Target <- links(read(File)),
                         not filelib:is_file(filename:join([root(), filename:dirname(File), Target]))]).

links(Text) ->
    case re:run(Text, "\\]\\(([^)#:]+)(#[^)]*)?\\)", [global, unicode, {capture, [1], list}]) of
        {match, Found} -> [Target || [Target] <- Found];
        nomatch -> []
    end.

%% A match that fails, a wrong answer, and a wrong table row are noticed.
mistakes_are_noticed_test_() ->
    Block = fun(Text) -> #{language => "erlang", line => 1, text => Text} end,
    Run = fun(Text) -> doc_blocks:run(Block(Text), erl_eval:new_bindings()) end,
    [?_assertError({line, 3, {badmatch, 3}}, Run("A = 1,\nA = 1.\n2 = A + 2.")),
     ?_assertError({line, 1, no_full_stop_at_the_end}, Run("1 + 1")),
     ?_assertError({line, 4, {expected, "{a,c}"}, {got, _}}, Run("1> {a,\n   b}.\n{a, b}\n2> {a, b}.\n{a,c}")),
     ?_assertMatch([_], Run("1> A = [1,\n  2].\n[1, 2]\n2> self().\n<...>\n")),
     ?_assertEqual("a_b.py", doc_blocks:file(#{text => "# a_b.py\nimport os"})),
     ?_assertEqual(none, doc_blocks:file(#{text => "# a comment on a.py\nimport os"})),
     ?_assertMatch([{#{line := 2}, "out"}],
                   doc_blocks:outputs("cpp", doc_blocks:blocks("```cpp\na\n```\n```text\nout\n```\n```text\nb\n```\n"))),
     ?_assertEqual([{2, "out", "another"}], wrong_output("// a.cpp\nint main() {}", "another")),
     ?_assertEqual([], wrong_output("// a.cpp\nstd::cout << 1;", "out <end of the block at 2>")),
     ?_assertEqual([{0, "", "more"}], wrong_output("// a.cpp\nstd::cout << 1;", "out<end of the block at 2>more")),
     ?_assertError({line, 2, no_file_for_this_block}, wrong_output("int main() {}", "out")),
     ?_assertError({block_without_end, 3}, doc_blocks:blocks("text\n```erlang\nok.\n")),
     ?_assertNot(doc_blocks:matches("{error, ...}", "{ok, 1}")),
     ?_assertNot(doc_blocks:matches("[1,2]", "[1,2,3]")),
     ?_assertEqual([#{line => 1, head => ["a"], rows => [{3, ["`x | y`"]}]}],
                   doc_blocks:tables("| a |\n|---|\n| `x \\| y` |\n```text\n|> no table\n|> at all\n```\n"))].

wrong_output(Text, Printed) ->
    [Program] = doc_programs:programs(doc_blocks:blocks("```cpp\n" ++ Text ++ "\n```\n```text\nout\n```\n")),
    doc_programs:differences(Program, Printed).

%% Parts ---------------------------------------------------------------------------

complete(File) ->
    Text = read(File),
    Blocks = doc_blocks:blocks(Text),
    ?assertEqual(2 * length(Blocks), doc_blocks:fences(Text)),
    maps:foreach(fun(Kind, Least) ->
                     Found = case Kind of
                                 table -> length([T || T <- doc_blocks:tables(Text), run_table(T) =/= none]);
                                 _ -> length(of_language(Kind, Blocks))
                             end,
                     ?assertMatch({_, N, _} when N >= Least, {Kind, Found, Least})
                 end,
                 maps:get(File, least(), #{})).

languages(File) ->
    Known = ["erlang", "elixir", "python", "cpp", "cmake", "bash", "text"],
    ?assertEqual([], [{Line, Language} || #{language := Language, line := Line} <- doc_blocks:blocks(read(File)),
                                          not lists:member(Language, Known)]).

erlang_blocks(File) ->
    lists:foldl(fun(Block, Bindings) ->
                    case lacks_numpy(maps:get(text, Block)) of
                        true -> Bindings;
                        false -> checked(doc_blocks:run(Block, Bindings))
                    end
                end,
                erl_eval:new_bindings(), of_language("erlang", doc_blocks:blocks(read(File)))).

%% A configuration that a block shows is one that a pool takes.
checked(Bindings) ->
    case erl_eval:binding('SysConfig', Bindings) of
        {value, Config} ->
            {erlang_python, Env} = lists:keyfind(erlang_python, 1, Config),
            ?assertMatch({ok, _}, py_opts:pool(maps:from_list(Env))),
            erl_eval:del_binding('SysConfig', Bindings);
        unbound ->
            Bindings
    end.

python_blocks(File) ->
    [?assertMatch({Line, {ok, {py_object, _}}},
                  {Line, py:call(builtins, compile, [unicode:characters_to_binary(Text), <<"document">>, exec])})
     || #{line := Line, text := Text} <- of_language("python", doc_blocks:blocks(read(File)))].

%% Commands are of the repository, or of programs that need no proof; what they name
%% of the repository is there.
shell_blocks(File) ->
    [shell_line(string:lexemes(Command, " "))
     || #{text := Text} <- of_language("bash", doc_blocks:blocks(read(File))),
        Line <- string:split(Text, "\n", all),
        [Code | _] <- [string:split(Line, "#")],
        Command <- [string:trim(Code)], Command =/= ""].

shell_line(Words) ->
    [Program | Arguments] = lists:dropwhile(fun(Word) -> lists:member($=, Word) end, Words),
    case Program of
        "./" ++ Script ->
            {ok, Info} = file:read_file_info(filename:join(root(), Script)),
            ?assertNotEqual({Program, 0}, {Program, element(8, Info) band 8#111});
        "rebar3" -> ?assert(filelib:is_regular(filename:join(root(), "rebar.config")));
        "mix" -> ?assert(filelib:is_regular(filename:join(root(), "mix.exs")));
        _ -> ?assert(lists:member(Program, ["git", "cd", "dot", "mkdir", "ln", "iex", "erl"]))
    end,
    [?assert(filelib:is_file(filename:join(root(), Word)))
     || Word <- Arguments, Top <- ["docs/", "scripts/", "tests/"], lists:prefix(Top, Word)].

tables(File) ->
    [[row(Run, At, Row) || {At, Row} <- Rows]
     || #{rows := Rows} = Table <- doc_blocks:tables(read(File)), Run <- [run_table(Table)], Run =/= none].

%% How the rows of a table are run, told by its head.
run_table(#{head := ["Erlang", "Python", "You send", "Python sees"]}) -> fun to_python/1;
run_table(#{head := ["Python", "Erlang", "You evaluate", "Erlang gets"]}) -> fun to_erlang/1;
run_table(#{head := ["Call", "Argument", "What the error says"]}) -> fun bad_argument/1;
run_table(#{head := ["Call", "Answer"]}) -> fun answer/1;
run_table(#{head := ["Option", "Default" | _]}) -> fun option/1;
run_table(#{head := [First | _] = Head}) ->
    Examples = length(Head) > 2 andalso lists:member(First, ["Erlang", "Python", "Call", "Option"]),
    Examples andalso error({unknown_table, Head}),
    none.

row(Run, At, Row) ->
    case lists:any(fun lacks_numpy/1, Row) of
        true -> ok;
        false -> ?assertMatch({_, {ok, _, _}}, {At, py_test:in_process(fun() -> Run(Row) end)})
    end.

to_python([_, _, Sent, Seen]) ->
    compare(Seen, shown(py:eval(<<"repr(v)">>, #{v => term(Sent)}))).

to_erlang([_, _, Code, Got]) ->
    compare(Got, case py:eval(doc_blocks:code(Code)) of
                     {ok, Value} -> doc_blocks:show(Value);
                     Error -> doc_blocks:show(Error)
                 end).

shown({ok, Text}) -> unicode:characters_to_list(Text);
shown(Error) -> doc_blocks:show(Error).

answer([Call, Answer]) ->
    compare(Answer, doc_blocks:show(term(Call))).

bad_argument([Call, Position, Text]) ->
    try term(Call) of
        Value -> {no_badarg, Call, Value}
    catch
        error:badarg:Stack ->
            #{} = Said = py_error:format_error(badarg, Stack),
            compare("`" ++ Position ++ ": " ++ Text ++ "`",
                    lists:flatten([io_lib:format("~b: ~ts", [At, Why]) || {At, Why} <- maps:to_list(Said)]))
    end.

%% The defaults are what a pool has that was told nothing.
option([Option, Default | _]) ->
    {ok, Defaults} = py_opts:pool(#{}),
    compare(Default, doc_blocks:show(maps:get(list_to_atom(doc_blocks:code(Option)), Defaults))).

compare(Expected, Got) ->
    case doc_blocks:matches(doc_blocks:code(Expected), Got) of
        true -> {ok, Expected, Got};
        false -> {differs, Expected, Got}
    end.

term(Cell) ->
    doc_blocks:value(doc_blocks:code(Cell), erl_eval:new_bindings()).

%% All blocks of a file are one script, each on the lines where it stands.
elixir(File) ->
    case {of_language("elixir", doc_blocks:blocks(read(File))), os:find_executable("elixir")} of
        {[], _} -> [];
        {_, false} -> fun() -> error("elixir is not installed, which scripts/setup does") end;
        {Blocks, Elixir} -> {timeout, 120, fun() -> in_dir(fun(Dir) -> elixir_script(Elixir, Dir, File, Blocks) end) end}
    end.

elixir_script(Elixir, Dir, File, Blocks) ->
    Script = filename:join(Dir, "document.exs"),
    ok = file:write_file(Script, unicode:characters_to_binary([lay_out(Blocks, 1), "\nIO.puts(\"all ran\")\n"])),
    write_files("python", File, Dir),
    {Status, Output} = run(Elixir, ["-pa", filename:dirname(code:which(py)), Script], Dir),
    ?assertMatch({File, 0, _}, {File, Status, Output}),
    [?assertMatch({_, _, true}, {Shown, Output, string:find(Output, Shown) =/= nomatch})
     || Shown <- ["all ran" | [Shown || {_, Shown} <- doc_blocks:outputs("elixir", doc_blocks:blocks(read(File)))]]].

%% Where a block of CMake is in the document, its blocks of C++ are the programs of that
%% project, each of which says what it prints (see doc_programs). Else they are taken word
%% by word from files that the document links to, and that other tests run.
cpp(File) ->
    Blocks = doc_blocks:blocks(read(File)),
    case {of_language("cpp", Blocks), of_language("cmake", Blocks), os:find_executable("cmake")} of
        {[], _, _} -> [];
        {Quoted, [], _} -> fun() -> quoted(File, Quoted) end;
        {_, _, false} -> fun() -> error("cmake is not installed, which scripts/setup does") end;
        {_, _, CMake} -> {timeout, 600, fun() -> in_dir(fun(Dir) -> cpp_project(CMake, Dir, File) end) end}
    end.

quoted(File, Blocks) ->
    Sources = [read(filename:join(filename:dirname(File), Target))
               || Target <- links(read(File)), lists:member(filename:extension(Target), [".cpp", ".hpp", ".txt"])],
    [?assertMatch({_, true}, {Line, lists:any(fun(Source) -> string:find(Source, Text) =/= nomatch end, Sources)})
     || #{line := Line, text := Text} <- Blocks].

cpp_project(CMake, Dir, File) ->
    Blocks = doc_blocks:blocks(read(File)),
    [#{text := Project}] = of_language("cmake", Blocks),
    ok = file:write_file(filename:join(Dir, "CMakeLists.txt"), Project),
    write_files("python", File, Dir),
    Programs = doc_programs:programs(Blocks),
    [ok = file:write_file(filename:join(Dir, doc_programs:name(Program)),
                          unicode:characters_to_binary(doc_programs:source(Program, File)))
     || Program <- Programs],
    Build = filename:join(Dir, "build"),
    Clone = filename:join(Dir, "erlang_python"),
    ok = file:make_symlink(filename:absname(root()), Clone),
    try
        succeeds(CMake, ["-S", Dir, "-B", Build, "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror" | generator()], Dir),
        succeeds(CMake, ["--build", Build], Dir)
    after
        ok = file:delete(Clone)
    end,
    [begin
         Name = doc_programs:name(Program),
         {Status, Output} = run(filename:join(Build, filename:rootname(Name)), [], Dir),
         Printed = unicode:characters_to_list(Output),
         ?assertMatch({Name, 0, _}, {Name, Status, Printed}),
         ?assertEqual({Name, []}, {Name, doc_programs:differences(Program, Printed)})
     end || Program <- Programs].

%% As scripts/build-native chooses.
generator() ->
    case os:find_executable("ninja") of
        false -> [];
        _ -> ["-G", "Ninja"]
    end.

succeeds(Program, Args, Dir) ->
    {Status, Output} = run(Program, Args, Dir),
    ?assertMatch({_, 0, _}, {Args, Status, Output}).

write_files(Language, File, Dir) ->
    [ok = file:write_file(filename:join(Dir, Name), unicode:characters_to_binary([Text, $\n]))
     || {Name, #{text := Text}} <- doc_blocks:files(Language, doc_blocks:blocks(read(File)))].

%% A function of a module, as in a mix.exs, needs a module around it.
lay_out([#{line := Line, text := "defp " ++ _ = Text} | Blocks], At) ->
    Module = io_lib:format("defmodule Line~b do\n", [Line]),
    [skip(Line - 1, At), Module, Text, "\nend\n" | lay_out(Blocks, Line + lines(Text) + 1)];
lay_out([#{line := Line, text := Text} | Blocks], At) ->
    [skip(Line, At), Text, "\n" | lay_out(Blocks, Line + lines(Text))];
lay_out([], _At) ->
    [].

skip(Line, At) -> lists:duplicate(Line - At, $\n).
lines(Text) -> length(string:split(Text, "\n", all)).

%% With the Python modules in Dir.
run(Program, Args, Dir) ->
    Port = open_port({spawn_executable, Program},
                     [{args, Args}, {env, [{"PYTHONPATH", Dir}]}, binary, exit_status, stderr_to_stdout, hide]),
    output(Port, <<>>).

output(Port, Before) ->
    receive
        {Port, {data, Data}} -> output(Port, <<Before/binary, Data/binary>>);
        {Port, {exit_status, Status}} -> {Status, Before}
    end.

%% Common ----------------------------------------------------------------------------

files() ->
    ["README.md" | lists:sort(["docs/" ++ File || File <- filelib:wildcard("*.md", filename:join(root(), "docs"))])].

root() ->
    Candidates = [os:getenv("ERLPY_ROOT", "."), filename:join([filename:dirname(code:which(py)), "../../../../.."])],
    hd([Dir || Dir <- Candidates, filelib:is_file(filename:join(Dir, "README.md"))]).

read(File) ->
    {ok, Bytes} = file:read_file(filename:join(root(), File)),
    unicode:characters_to_list(Bytes).

of_language(Wanted, Blocks) ->
    [Block || #{language := Language} = Block <- Blocks, Language =:= Wanted].

fresh(Fun) ->
    fresh(false, Fun).

fresh(StartsItself, Fun) ->
    Start = case StartsItself of
                true -> fun() -> application:stop(erlang_python) end;
                false -> fun py_test:start/0
            end,
    {setup, Start, fun py_test:stop/1, {timeout, 60, fun() -> py_test:in_process(Fun) end}}.

in_dir(Fun) ->
    Dir = py_test:tmp_dir(),
    try Fun(Dir) after ok = file:del_dir_r(Dir) end.

%% The application finds the modules of Python that the document has.
with_modules(File, Tests) ->
    case doc_blocks:files("python", doc_blocks:blocks(read(File))) of
        [] -> Tests;
        _ -> {setup, fun() -> modules(File) end, fun no_modules/1, Tests}
    end.

modules(File) ->
    Dir = py_test:tmp_dir(),
    write_files("python", File, Dir),
    _ = application:load(erlang_python),
    {ok, Before} = application:get_env(erlang_python, python_path),
    ok = application:set_env(erlang_python, python_path, [Dir | Before]),
    {Dir, Before}.

no_modules({Dir, Before}) ->
    ok = application:set_env(erlang_python, python_path, Before),
    ok = file:del_dir_r(Dir).

%% Whether the document shows how to start the application.
starts_itself(File) ->
    lists:any(fun(#{text := Text}) -> string:find(Text, "application:") =/= nomatch end,
              of_language("erlang", doc_blocks:blocks(read(File)))).

%% Whether the text needs numpy, and there is none.
lacks_numpy(Text) ->
    lists:any(fun(Word) -> string:find(Text, Word) =/= nomatch end, ["numpy", "ndarray"])
        andalso not py_test:has_numpy().
