%% Values at the edges: size, depth, length, and the time that they take.
-module(py_limits_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

limits_test_() ->
    py_test:cases(?MODULE).

same(Value) ->
    ?assert({ok, Value} =:= py:eval(<<"v">>, #{v => Value})).

nested(0, _Wrap) -> [];
nested(Depth, Wrap) -> Wrap(nested(Depth - 1, Wrap)).

case_integers_of_10000_digits() ->
    Ten = lists:foldl(fun erlang:'*'/2, 1, lists:duplicate(10000, 10)),
    [begin
         same(N),
         ?assertEqual({ok, N * N}, py:eval(<<"v * v">>, #{v => N}))
     end || N <- [Ten - 1, Ten, -Ten, -Ten + 1]],
    ?assertEqual({ok, true}, py:eval(<<"v == 10 ** 10000">>, #{v => Ten})).

%% More than a million digits cross both ways in linear time.
case_integers_of_a_million_digits() ->
    %% Of the size that OTP allows: since 27, four million bits.
    Bytes = case py_test:otp() >= 27 of true -> 500000; false -> 1000000 end,
    N = (1 bsl (8 * Bytes)) - 12345,
    {Time, {ok, Back}} = py_test:elapsed(fun() -> py:eval(<<"v">>, #{v => N}) end),
    ?assert(N =:= Back),
    ?assert(Time < 500).

case_empty_and_large_containers() ->
    same([]), same({}), same(#{}), same(<<>>),
    N = 100000,
    Seq = lists:seq(1, N),
    same(Seq),
    same(list_to_tuple(Seq)),
    same(maps:from_list([{I, integer_to_binary(I)} || I <- Seq])),
    same([<<(integer_to_binary(I))/binary>> || I <- Seq]),
    same([[I] || I <- Seq]),
    ?assertEqual({ok, N}, py:eval(<<"len(set(v))">>, #{v => Seq})),
    ?assertEqual({ok, Seq}, py:eval(<<"set(v)">>, #{v => Seq})).

case_maps_around_32_keys() ->
    [same(maps:from_list([{<<"k", (integer_to_binary(I))/binary>>, I * 1.5} || I <- lists:seq(1, N)]))
     || N <- [1, 31, 32, 33, 34, 64, 1000]],
    [?assertEqual({ok, maps:from_list([{I, I} || I <- lists:seq(1, N)])},
                  py:eval(<<"{i: i for i in range(n, 0, -1)}">>, #{n => N}))
     || N <- [31, 32, 33, 34, 1000]].

case_wide_call() ->
    Names = ["k" ++ integer_to_list(I) || I <- lists:seq(1, 300)],
    ?assertEqual({ok, 300}, py:eval(<<"len(dict(**k))">>, #{k => maps:from_list([{list_to_binary(N), 1} || N <- Names])})),
    {ok, Map} = py:call(builtins, dict, [], maps:from_list([{N, 1} || N <- Names])),
    ?assertEqual(300, map_size(Map)),
    ?assertEqual({ok, 1000}, py:call(operator, length_hint, [lists:seq(1, 1000)])).

case_nesting_to_the_limit() ->
    [begin
         Value = nested(9000, Wrap),
         same(Value)
     end || Wrap <- [fun(V) -> [V] end, fun(V) -> {V} end, fun(V) -> #{1 => V} end]].

case_nesting_past_the_limit() ->
    [begin
         Value = nested(Depth, fun(V) -> [V] end),
         ?assertMatch({error, {Class, Message}} when is_atom(Class) andalso is_list(Message),
                      py:eval(<<"1">>, #{v => Value}))
     end || Depth <- [10050, 100000, 1000000]],
    ok = py:exec(<<"
def deep(n):
    v = []
    for _ in range(n):
        v = [v]
    return v
def deep_dict(n):
    v = {}
    for _ in range(n):
        v = {1: v}
    return v
">>),
    ?assertMatch({ok, [_]}, py:call('__main__', deep, [9000])),
    ?assertMatch({error, {_, _}}, py:call('__main__', deep, [10050])),
    ?assertMatch({error, {_, _}}, py:call('__main__', deep, [100000])),
    ?assertMatch({error, {_, _}}, py:call('__main__', deep_dict, [100000])),
    {ok, 2} = py:eval(<<"1 + 1">>).

case_nesting_limit_of_a_pool() ->
    py_test:with_pool(#{max_depth => 10}, fun(Pool) ->
        Opts = #{pool => Pool},
        ?assertMatch({ok, [_]}, py:eval(<<"v">>, #{v => nested(8, fun(V) -> [V] end)}, Opts)),
        ?assertMatch({error, {_, _}}, py:eval(<<"1">>, #{v => nested(12, fun(V) -> [V] end)}, Opts)),
        ?assertMatch({error, {_, _}}, py:eval(<<"[[[[[[[[[[[[1]]]]]]]]]]]]">>, #{}, Opts))
    end).

%% A deep term inside an opaque one is no nesting.
case_deep_opaque_term() ->
    same([nested(20000, fun(V) -> [V] end) | tail]).

case_nul_in_strings() ->
    same(<<0>>),
    same(<<"a", 0, "b", 0>>),
    ?assertEqual({ok, 3}, py:eval(<<"len(v)">>, #{v => <<"a", 0, "b">>})),
    ?assertEqual({ok, 3}, py:eval(<<"len(v)">>, #{v => 'a\0b'})),
    ?assertMatch({error, {_, _}}, py:call(<<"ma", 0, "th">>, sqrt, [4])),
    ?assertMatch({error, {_, _}}, py:call(math, <<"sq", 0, "rt">>, [4])),
    ?assertMatch({error, {_, _}}, py:eval(<<"1", 0>>)).

case_long_atoms() ->
    [begin
         Atom = list_to_atom(lists:duplicate(255, Point)),
         Text = atom_to_binary(Atom, utf8),
         ?assertEqual({ok, Text}, py:eval(<<"v">>, #{v => Atom})),
         ?assertEqual({ok, Atom}, py:eval(<<"v">>, #{v => Atom}, #{atoms => atom})),
         ?assertEqual({ok, Atom}, py:eval(<<"__import__('erlang').Atom(v)">>, #{v => Text})),
         ?assertMatch({error, {_, _}}, py:call(Atom, f, [])),
         ?assertMatch({error, {_, _}}, py:call(math, Atom, []))
     end || Point <- [$a, 16#E9, 16#4E2D, 16#1F600]].

case_names_beyond_ascii() ->
    ok = py:exec(unicode:characters_to_binary(["def ", 16#E9, "(", 16#4E2D, "): return ", 16#4E2D, " * 2"])),
    ?assertEqual({ok, 42}, py:call('__main__', [16#E9], [21])),
    ?assertEqual({ok, 42}, py:call('__main__', list_to_atom([16#E9]), [], #{list_to_atom([16#4E2D]) => 21})),
    ?assertEqual({ok, 42}, py:call('__main__', <<16#E9/utf8>>, [], #{[16#4E2D] => 21})),
    ?assertEqual({ok, <<16#1F600/utf8>>}, py:eval([$", 16#1F600, $"])).

case_large_texts() ->
    [same(binary:copy(Text, 1000000)) || Text <- [<<"a">>, <<16#E9/utf8>>, <<16#4E2D/utf8>>, <<16#1F600/utf8>>, <<255>>]].
