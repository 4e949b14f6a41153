%% The Erlang side of etf_erlang.cpp.
%%   write DIR: random terms, as the VM encodes them, and how it orders pairs of them
%%   check DIR: whether what C++ made of the terms decodes to the same terms
-mode(compile).

main(["write", Dir]) ->
    rand:seed(exsss, {1, 2, 3}),
    Terms = fixed() ++ [term(3) || _ <- lists:seq(1, 4000)],
    records(Dir, "terms", [encode(T) || T <- Terms]),
    Small = fixed() ++ [term(1) || _ <- lists:seq(1, 600)],
    Pairs = [{pick(Small), pick(Small)} || _ <- lists:seq(1, 40000)] ++ near_pairs(),
    records(Dir, "pairs", lists:append([[<<(order(A, B)), (identical(A, B))>>, encode(A), encode(B)]
                                        || {A, B} <- Pairs])),
    Sets = [lists:usort([pick(Small) || _ <- lists:seq(1, rand:uniform(60))]) || _ <- lists:seq(1, 200)],
    records(Dir, "sets", [term_to_binary(list_to_tuple(shuffle(S))) || S <- Sets]),
    records(Dir, "sorted", [term_to_binary(list_to_tuple(S)) || S <- Sets]);
main(["check", Dir]) ->
    Terms = read(Dir, "terms"),
    Again = read(Dir, "again"),
    Sorted = [tuple_to_list(binary_to_term(B)) || B <- read(Dir, "sorted")],
    Made = [binary_to_term(B) || B <- read(Dir, "made")],
    true = length(Terms) =:= length(Again),
    Wrong = [A || {A, B} <- lists:zip(Terms, Again), binary_to_term(A) =/= binary_to_term(B)],
    Unsorted = [A || {A, B} <- lists:zip(Sorted, Made), A =/= B],
    case {Wrong, Unsorted} of
        {[], []} -> ok;
        _ -> io:format("not the same terms: ~p~nnot the same sets: ~p~n", [Wrong, Unsorted]), halt(1)
    end.

order(A, B) when A < B -> 0;
order(A, B) when A == B -> 1;
order(_, _) -> 2.

identical(A, B) when A =:= B -> 1;
identical(_, _) -> 0.

encode(T) ->
    case rand:uniform(4) of
        1 -> term_to_binary(T, [{minor_version, 0}]);
        2 -> term_to_binary(T, [{minor_version, 2}]);
        _ -> term_to_binary(T)
    end.

records(Dir, Name, Binaries) ->
    ok = file:write_file(filename:join(Dir, Name), [[<<(byte_size(B)):32>>, B] || B <- Binaries]).

read(Dir, Name) ->
    {ok, All} = file:read_file(filename:join(Dir, Name)),
    [B || <<N:32, B:N/binary>> <= All].

pick(List) -> lists:nth(rand:uniform(length(List)), List).

shuffle(List) -> [X || {_, X} <- lists:sort([{rand:uniform(), X} || X <- List])].

fixed() ->
    X = make_ref(),
    [1 bsl N + D || N <- [7, 8, 27, 31, 32, 52, 53, 54, 59, 60, 63, 64, 65, 1023, 2039, 2040, 2048], D <- [-1, 0, 1]] ++
    [-(1 bsl N + D) || N <- [7, 8, 27, 31, 32, 53, 59, 60, 63, 64, 65, 1023, 2040, 2048], D <- [-1, 0, 1]] ++
    [0, 0.0, 1.0, -1.5, 1.0e308, -1.0e308, 1.0e-308, 5.0e-324, 9007199254740992.0, 9007199254740994.0,
     9223372036854775808.0, -9223372036854775808.0, 18446744073709551616.0, 4294967296.0,
     [], {}, #{}, <<>>, <<1:1>>, <<0:7>>, <<255, 1:1>>, <<255, 128>>, "", "abc", [1, 2 | 3], [a | b], [[] | <<1:3>>],
     '', a, b, true, nil, 'ä', 'ÿ', binary_to_atom(<<"日本"/utf8>>), binary_to_atom(<<"😀"/utf8>>),
     list_to_atom(lists:duplicate(255, $x)), list_to_atom(lists:duplicate(255, 16#1F600)),
     self(), X, make_ref(), hd(erlang:ports()), fun lists:map/2, fun lists:map/3, fun erlang:abs/1,
     fun() -> 1 end, fun() -> X end, fun(Y) -> {X, Y} end,
     fun(Z) -> Z end, list_to_tuple(lists:seq(1, 256)), lists:seq(1, 1000), lists:seq(250, 260),
     maps:from_list([{I, I} || I <- lists:seq(1, 100)]),
     #{1 => a, 1.0 => b}, #{1 => a, 2 => b}, #{1.0 => a, 2 => b}, #{a => 1, b => 2}, #{b => 2, a => 1.0},
     #{[1] => x, {1} => y, "s" => z}] ++
    [binary_to_term(<<131, 88, 119, (byte_size(N)), N/binary, I:32, S:32, C:32>>)
     || N <- [<<"a@b">>, <<"b@a">>, <<"nonode@nohost">>], I <- [1, 80], S <- [0, 1], C <- [1, 2]] ++
    [binary_to_term(<<131, 120, 119, (byte_size(N)), N/binary, I:64, C:32>>)
     || N <- [<<"a@b">>, <<"b@a">>], I <- [1, 7, 1 bsl 27], C <- [1, 2]] ++
    [binary_to_term(<<131, 90, L:16, 119, (byte_size(N)), N/binary, C:32, (words(L, I))/binary>>)
     || N <- [<<"a@b">>, <<"b@a">>], I <- [1, 70000], L <- [1, 2, 3], C <- [1, 2]] ++
    native_records().

%% Where the VM has them (from OTP 29 on).
native_records() ->
    Atom = fun(A) -> B = atom_to_binary(A), <<119, (byte_size(B)), B/binary>> end,
    Bytes = [iolist_to_binary([<<131, 67, (length(Fields)):32, Exported>>, Atom(M), Atom(N),
                               [Atom(F) || {F, _} <- Fields], [V || {_, V} <- Fields]])
             || M <- [m, ab], N <- [n, a, 'ä'], Exported <- [0, 1],
                Fields <- [[], [{a, <<97, 1>>}], [{b, <<97, 1>>}], [{a, <<70, 1.0/float>>}], [{a, <<97, 2>>}],
                           [{a, <<97, 1>>}, {b, <<97, 0>>}], [{b, <<97, 1>>}, {a, <<97, 0>>}], [{b, <<106>>}, {c, <<97, 0>>}]]],
    lists:append([try [binary_to_term(B)] catch error:badarg -> [] end || B <- Bytes]).

words(L, I) -> << <<(I + K):32>> || K <- lists:seq(1, L) >>.

%% Pairs that differ in little: the same list with another end, the same map with another value.
near_pairs() ->
    lists:append([begin
        T = term(2), U = term(1),
        L = [T, U],
        [{[T | L], [T | [U | U]]}, {{T, U}, {T, float_of(U)}}, {#{T => U}, #{T => float_of(U)}},
         {#{T => U}, #{float_of(T) => U}}, {#{T => 1, U => 2}, #{T => 1, U => 2.0}}, {L, L}, {L ++ [1], L}, {T, U}]
     end || _ <- lists:seq(1, 500)]).

float_of(N) when is_integer(N), abs(N) < 1 bsl 1000 -> float(N);
float_of(N) when is_float(N) -> trunc(N);
float_of(T) -> T.

term(0) ->
    case rand:uniform(12) of
        1 -> rand:uniform(300) - 20;
        2 -> rand:uniform(1 bsl 40) - (1 bsl 39);
        3 -> (rand:uniform(1 bsl 62) bsl rand:uniform(200)) - rand:uniform(1 bsl 40);
        4 -> rand:normal() * math:pow(10, rand:uniform(40) - 20);
        5 -> float(rand:uniform(20) - 10);
        6 -> pick([a, b, c, true, false, nil, undefined, none, 'ö', 'hello world']);
        7 -> rand:bytes(rand:uniform(5) - 1);
        8 -> <<(rand:uniform(1 bsl 20)):(rand:uniform(20))>>;
        9 -> pick([[], {}, #{}, <<>>, 0]);
        10 -> [rand:uniform(256) - 1 || _ <- lists:seq(1, rand:uniform(4))];
        11 -> make_ref();
        12 -> pick([<<"a">>, <<"ab">>, <<"ä"/utf8>>])
    end;
term(D) ->
    case rand:uniform(7) of
        1 -> [term(D - 1) || _ <- lists:seq(1, rand:uniform(5))];
        2 -> list_to_tuple([term(D - 1) || _ <- lists:seq(1, rand:uniform(4))]);
        3 -> maps:from_list([{term(D - 1), term(D - 1)} || _ <- lists:seq(1, rand:uniform(5))]);
        4 -> [term(D - 1) | term(0)];
        5 -> V = term(D - 1), fun() -> V end;
        _ -> term(0)
    end.
