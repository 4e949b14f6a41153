#!/usr/bin/env escript
%% The Erlang side of etf_exchange.cpp: one VM that writes terms, waits for what C++ made of them, and compares
%% that with the terms themselves. It must be the same VM: the local format is read by no other.
%%   DIR forms            each kind of term with each option of term_to_binary, and the forms of older writers
%%   DIR random COUNT     terms of PropEr's any(), with what that leaves out
%%   DIR seeds            the forms, in files that a fuzzer can start from; nothing is waited for
-mode(compile).

main([Dir, "forms"]) -> exchange(Dir, forms() ++ old_forms());
main([Dir, "random", Count]) -> exchange(Dir, random(list_to_integer(Count)));
main([Dir, "seeds"]) -> seeds(Dir).

exchange(Dir, Pairs) ->
    records(Dir, "terms", [Encoded || {_, Encoded} <- Pairs]),
    io:format("written~n"),
    wait_for(filename:join(Dir, "again"), 3000),
    Terms = [Term || {Term, _} <- Pairs],
    Again = compare("source to sink", Terms, read(Dir, "again")),
    Python = case file:read_file_info(filename:join(Dir, "python")) of
        {ok, _} -> compare("through Python", [through_python(T, B) || {T, B} <- Pairs], read(Dir, "python"));
        {error, enoent} -> 0
    end,
    io:format("~p terms compared, ~p of them refused by Python~n", [length(Terms), Python]),
    0 = Again,
    true = Python * 4 < length(Terms).

%% How many were refused (are empty).
compare(What, Terms, Again) ->
    true = length(Terms) =:= length(Again),
    Wrong = [{T, B} || {T, B} <- lists:zip(Terms, Again), not same(T, B)],
    case Wrong of
        [] -> length([B || <<>> = B <- Again]);
        [{T, B} | _] ->
            io:format("~s: ~p of ~p are other terms, the first of them~n~p~n~p~n",
                      [What, length(Wrong), length(Terms), T, B]),
            halt(1)
    end.

%% A dict refuses keys that are one to Python, and those that are dicts.
same(T, <<>>) -> has_map(T);
same(T, B) ->
    try binary_to_term(B) =:= T catch error:badarg -> false end.

has_map(T) when is_map(T) -> map_size(T) > 0;
has_map(T) when is_tuple(T) -> has_map(tuple_to_list(T));
has_map([H | T]) -> has_map(H) orelse has_map(T);
has_map(_) -> false.

%% In the local format Python sees nothing of a term.
through_python(T, <<131, 121, _/binary>>) -> T;
through_python(T, <<131, 80, _:32, Data/binary>>) ->
    case zlib:uncompress(Data) of
        <<121, _/binary>> -> T;
        _ -> through_python(T)
    end;
through_python(T, _) -> through_python(T).

through_python(undefined) -> none;
through_python(nil) -> none;
through_python(T) when is_tuple(T) -> list_to_tuple([through_python(E) || E <- tuple_to_list(T)]);
through_python(T) when is_map(T) ->
    maps:from_list([{key(K), through_python(V)} || {K, V} <- maps:to_list(T)]);
through_python(T) when is_list(T) ->
    case is_proper(T) of
        true -> [through_python(E) || E <- T];
        false -> T
    end;
through_python(T) -> T.

key(K) when is_list(K), K =/= [] ->
    case is_proper(K) of
        true -> list_to_tuple([key(E) || E <- K]);
        false -> K
    end;
key([]) -> {};
key(K) when is_tuple(K) -> list_to_tuple([key(E) || E <- tuple_to_list(K)]);
key(K) -> through_python(K).

is_proper([]) -> true;
is_proper([_ | T]) -> is_proper(T);
is_proper(_) -> false.

wait_for(_, 0) -> io:format("no answer~n"), halt(1);
wait_for(File, N) ->
    case file:read_file_info(File) of
        {ok, _} -> ok;
        {error, enoent} -> timer:sleep(20), wait_for(File, N - 1)
    end.

records(Dir, Name, Binaries) ->
    ok = file:write_file(filename:join(Dir, Name), [[<<(byte_size(B)):32>>, B] || B <- Binaries]).

read(Dir, Name) ->
    {ok, All} = file:read_file(filename:join(Dir, Name)),
    [B || <<N:32, B:N/binary>> <= All].

seeds(Dir) ->
    Small = [B || {_, B} <- forms() ++ old_forms(), byte_size(B) < 400],
    %% One of each beginning is enough: the fuzzer finds the rest.
    Unlike = [B || {_, B} <- lists:sort(maps:to_list(maps:from_list([{beginning(B), B} || B <- Small])))],
    Files = Unlike ++ together([B || <<131, Tag, _/binary>> = B <- Unlike, Tag =/= 80, byte_size(B) < 60]),
    [ok = file:write_file(filename:join(Dir, io_lib:format("~3..0b", [I])), B)
     || {I, B} <- lists:zip(lists:seq(1, length(Files)), Files)].

%% Neighbours are of one kind: terms to be compared.
together([A, B, C, D | Rest]) ->
    [<<131, 104, 5, (<< <<T/binary>> || <<131, T/binary>> <- [A, B, C, D, A] >>)/binary>> | together([C, D | Rest])];
together(_) -> [].

beginning(<<131, 121, _:32, Tag, _/binary>>) -> {121, Tag};
beginning(<<131, 80, _/binary>> = B) -> {80, byte_size(B) div 40};
beginning(<<131, 67, _/binary>> = B) -> {67, byte_size(B)};
beginning(B) -> binary:part(B, 0, min(3, byte_size(B))).

%% ---- every form

forms() ->
    [{T, B} || T <- terms(), Options <- options(), {ok, B} <- [encode(T, Options)]].

options() ->
    Plain = [[], [deterministic]] ++ [[{minor_version, N}] || N <- [0, 1, 2]],
    Local = [[local], [local, compressed]],
    Compressed = [[compressed]] ++ [[{compressed, N}] || N <- lists:seq(0, 9)],
    Plain ++ Local ++ Compressed ++ [[{minor_version, 0}, {compressed, 9}], [deterministic, {minor_version, 1}]].

%% An option that this OTP does not have is left out; and funs in the local format, which OTP 27 and 29 do not read
%% back themselves (for the name of a function they write past their buffer, and end).
encode(T, Options) ->
    case lists:member(local, Options) andalso has_fun(T) of
        true -> none;
        false ->
            try {ok, term_to_binary(T, Options)}
            catch error:badarg -> none
            end
    end.

has_fun(T) when is_function(T) -> true;
has_fun(T) when is_tuple(T) -> has_fun(tuple_to_list(T));
has_fun([H | T]) -> has_fun(H) orelse has_fun(T);
has_fun(T) when is_map(T) -> has_fun(maps:to_list(T));
has_fun(_) -> false.

terms() ->
    X = make_ref(),
    Captured = {self(), "text", [a | b], 1 bsl 100, #{k => X}, 1.5, <<3:3>>},
    Each =
        [0, 255, 256, -1, 16#7FFFFFFF, -16#80000000, 16#80000000, 1 bsl 59, 1 bsl 63, -(1 bsl 63), 1 bsl 64,
         1 bsl 2039, 1 bsl 2040, -(1 bsl 2048), 1 bsl 20000,
         0.0, -0.0, 1.5, -1.0e308, 5.0e-324, 2.2250738585072014e-308, 0.1, 1 / 3, 123456789.125,
         '', a, true, none, 'ä', 'ÿÿ', binary_to_atom(<<"日本"/utf8>>), list_to_atom(lists:duplicate(255, $x)),
         list_to_atom(lists:duplicate(255, 16#1F600)),
         <<>>, <<"text">>, <<255>>, <<0:70000>>, <<5:3>>, <<255, 1:1>>, <<0:12345>>,
         [], "text", lists:duplicate(65535, 7), lists:duplicate(65536, 7), [256], [a, [b, [c]]], [a | b], ["ab", 1 | <<1:1>>],
         {}, {a}, list_to_tuple(lists:seq(1, 255)), list_to_tuple(lists:seq(1, 256)), list_to_tuple(lists:duplicate(1000, a)),
         #{}, #{a => 1, b => 2.0}, #{[1] => x, {1} => y, <<"s">> => z}, maps:from_list([{I, {I, "abc"}} || I <- lists:seq(1, 100)]),
         self(), X, make_ref(), hd(erlang:ports()), atomics:new(1, []),
         fun lists:map/2, fun erlang:abs/1, fun no_such_module:'no function'/255,
         fun() -> 1 end, fun() -> Captured end, fun(A, B, C) -> {A, B, C, X, Captured} end, fun F(N) -> F(N - 1) end],
    Foreign = [binary_to_term(B) || B <- foreign()],
    Records = [R || B <- native_records(), R <- decoded(B)],
    Parts = Each ++ Foreign ++ Records,
    Data = [T || T <- Parts, not has_fun(T)],
    Parts ++ [Data, list_to_tuple(Data), Parts, list_to_tuple(Parts), maps:from_list(lists:zip(lists:seq(1, length(Parts)), Parts))].

node_name(Name) -> <<119, (byte_size(Name)), Name/binary>>.

foreign() ->
    N = node_name(<<"other@host">>),
    [<<131, 88, N/binary, I:32, S:32, C:32>> || I <- [1, 16#FFFFFFFF], S <- [0, 16#FFFFFFFF], C <- [1, 4, 16#FFFFFFFF]] ++
    [<<131, 89, N/binary, I:32, C:32>> || I <- [1, 16#FFFFFFF], C <- [1, 16#FFFFFFFF]] ++
    [<<131, 120, N/binary, I:64, 77:32>> || I <- [1, 1 bsl 32, 16#FFFFFFFFFFFFFFFF]] ++
    [<<131, 90, W:16, N/binary, 77:32, (<< <<(I * 16#10001):32>> || I <- lists:seq(1, W) >>)/binary>>
     || W <- lists:seq(1, 5)].

native_records() ->
    N = <<119, 1, "m", 119, 1, "n">>,
    [<<131, 67, 0:32, 0, N/binary>>, <<131, 67, 1:32, 1, N/binary, 119, 1, "x", 97, 7>>,
     <<131, 67, 2:32, 0, N/binary, 119, 1, "y", 119, 1, "x", 107, 2:16, "ab", 108, 1:32, 97, 1, 97, 2>>].

%% What only newer VMs than this one can read is no term here.
decoded(B) ->
    try [binary_to_term(B)] catch error:badarg -> [] end.

%% Forms that no OTP from 24 on writes, but reads.
old_forms() ->
    [{T, B} || B <- old(), T <- decoded(B)].

old() ->
    Name = <<"other@host">>,
    Nodes = [<<100, 10:16, Name/binary>>, <<115, 10, Name/binary>>, <<118, 10:16, Name/binary>>, <<119, 10, Name/binary>>],
    lists:append([[
        <<131, 103, N/binary, 7:32, 1:32, 2>>, <<131, 102, N/binary, 7:32, 3>>, <<131, 101, N/binary, 7:32, 1>>,
        <<131, 114, 1:16, N/binary, 1, 7:32>>, <<131, 114, 3:16, N/binary, 1, 7:32, 8:32, 9:32>>,
        <<131, 89, N/binary, 7:32, 3:32>>, <<131, 90, 3:16, N/binary, 3:32, 7:32, 8:32, 9:32>>,
        <<131, 88, N/binary, 7:32, 1:32, 2:32>>,
        <<131, 104, 2, 103, N/binary, 7:32, 1:32, 2, 108, 1:32, N/binary, N/binary>>
    ] || N <- Nodes]) ++
    [<<131, 100, 2:16, 16#E9, 16#FF>>, <<131, 115, 2, 16#E9, 16#FF>>, <<131, 100, 0:16>>, <<131, 118, 2:16, "ab">>,
     <<131, 99, "1.50000000000000000000e+00", 0:40>>, <<131, 105, 2:32, 97, 1, 97, 2>>, <<131, 107, 0:16>>,
     <<131, 110, 2, 1, 0, 0>>, <<131, 111, 1:32, 0, 5>>, <<131, 98, 1:32>>, <<131, 77, 1:32, 8, 200>>].

%% ---- random terms

random(Count) ->
    rand:seed(exsss, {5, 6, 7}),
    Terms = case code:which(proper_gen) of
        non_existing -> [term(4) || _ <- lists:seq(1, Count)];
        _ -> proper(Count)
    end,
    [{T, term_to_binary(T, some_options())} || T <- Terms].

some_options() ->
    case rand:uniform(10) of
        1 -> [{minor_version, 0}];
        2 -> [compressed];
        _ -> []
    end.

%% any() has no identifiers, funs, maps or improper lists, and small numbers only.
proper(Count) ->
    Leaf = proper_types:union([
        proper_types:any(), proper_types:any(), proper_types:atom(), proper_types:binary(), proper_types:bitstring(),
        proper_types:string(), proper_types:float(), proper_types:largeint(),
        proper_types:exactly(true), proper_types:exactly(undefined)]),
    Chunk = proper_types:vector(100, Leaf),
    Plain = lists:append([begin
        {ok, Chunks} = proper_gen:pick(Chunk, rand:uniform(24)),
        Chunks
    end || _ <- lists:seq(1, (Count + 99) div 100)]),
    weave(lists:sublist(Plain, Count), []).

%% About half of the terms as they are, the others put together with what is before them.
weave([], Done) -> Done;
weave([T | Rest], Done) ->
    Before = case Done of [D | _] -> cut(D); [] -> [] end,
    New = case rand:uniform(16) of
        1 -> #{T => Before};
        2 -> #{leaf() => T, b => #{leaf() => Before}};
        3 -> {T, leaf(), Before};
        4 -> [leaf(), T | leaf()];
        5 -> fun() -> {T, Before} end;
        6 -> fun(X) -> [X, T | Before] end;
        7 -> [T, Before, leaf()];
        8 -> leaf();
        _ -> T
    end,
    weave(Rest, [New | Done]).

%% Else each would hold all before it.
cut(T) ->
    case erts_debug:flat_size(T) < 200 of
        true -> T;
        false -> leaf()
    end.

leaf() ->
    case rand:uniform(12) of
        1 -> self();
        2 -> make_ref();
        3 -> binary_to_term(lists:nth(rand:uniform(length(foreign())), foreign()));
        4 -> rand:uniform(1 bsl 62) bsl rand:uniform(3000);
        5 -> -(rand:uniform(1 bsl 62) bsl rand:uniform(90)) - rand:uniform(1000);
        6 -> rand:normal() * math:pow(10, rand:uniform(600) - 300);
        7 -> <<(rand:uniform(1 bsl 20)):(rand:uniform(20))>>;
        8 -> fun lists:map/2;
        9 -> [rand:uniform(256) - 1 || _ <- lists:seq(1, rand:uniform(9))];
        10 -> maps:from_list([{I, a} || I <- lists:seq(1, rand:uniform(50))]);
        11 -> lists:nth(rand:uniform(5), ['日本', 'ä', '', nil, false]);
        12 -> hd(erlang:ports())
    end.

term(0) -> leaf();
term(D) ->
    case rand:uniform(7) of
        1 -> [term(D - 1) || _ <- lists:seq(1, rand:uniform(4))];
        2 -> list_to_tuple([term(D - 1) || _ <- lists:seq(1, rand:uniform(4))]);
        3 -> #{term(D - 1) => term(D - 1)};
        4 -> [term(D - 1) | leaf()];
        5 -> V = term(D - 1), fun() -> V end;
        _ -> leaf()
    end.
