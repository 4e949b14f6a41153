%% The crossing table from Erlang to Python, row by row.
-module(py_to_python_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

to_python_test_() ->
    py_test:cases(?MODULE).

%% What Python shows the value as.
repr(Value) ->
    repr(Value, #{}).

repr(Value, Opts) ->
    {ok, Text} = py:eval(<<"repr(v)">>, #{v => Value}, Opts),
    binary_to_list(Text).

holds(Code, Locals) ->
    ?assertEqual({ok, true}, py:eval(Code, Locals)).

case_integer() ->
    [?assertEqual(integer_to_list(N), repr(N))
     || Bits <- [0, 1, 7, 8, 28, 29, 30, 31, 32, 58, 59, 60, 61, 62, 63, 64, 65, 127, 128, 200],
        Near <- [-1, 0, 1], N <- [(1 bsl Bits) + Near, -(1 bsl Bits) + Near]].

case_float() ->
    ?assertEqual("1.5", repr(1.5)),
    ?assertEqual("-0.0", repr(-0.0)),
    ?assertEqual("5e-324", repr(5.0e-324)),
    ?assertEqual("1.7976931348623157e+308", repr(1.7976931348623157e308)).

case_boolean() ->
    ?assertEqual("(True, False)", repr({true, false})).

case_none() ->
    ?assertEqual("[None, None, None]", repr([none, nil, undefined])).

case_atom() ->
    ?assertEqual("'abc'", repr(abc)),
    ?assertEqual("''", repr('')),
    Latin = list_to_atom([16#E9]),
    holds(<<"v == chr(0xe9) and type(v) is str">>, #{v => Latin}),
    Wide = list_to_atom(lists:duplicate(255, 16#4E2D)),
    holds(<<"v == chr(0x4e2d) * 255">>, #{v => Wide}).

case_atom_as_atom() ->
    Code = <<"type(v).__module__ == 'erlang' and type(v).__name__ == 'Atom' "
             "and isinstance(v, str) and v == 'abc'">>,
    ?assertEqual({ok, true}, py:eval(Code, #{v => abc}, #{atoms => atom})),
    ?assertEqual({ok, [abc, {def}, #{ghi => jkl}]},
                 py:eval(<<"v">>, #{v => [abc, {def}, #{ghi => jkl}]}, #{atoms => atom})),
    ?assertEqual({ok, [true, false, none, none]},
                 py:eval(<<"v">>, #{v => [true, false, nil, undefined]}, #{atoms => atom})),
    ?assertEqual({ok, <<"abc">>}, py:eval(<<"v">>, #{v => abc}, #{atoms => str})).

case_text() ->
    ?assertEqual("'abc'", repr(<<"abc">>)),
    ?assertEqual("''", repr(<<>>)),
    ?assertEqual("'a\\x00b'", repr(<<"a", 0, "b">>)),
    [holds(<<"v == ''.join(map(chr, c)) and type(v) is str">>,
           #{v => unicode:characters_to_binary(Points), c => Points})
     || Points <- [[16#7F], [16#80], [16#7FF], [16#800], [16#FFFF], [16#10000], [16#10FFFF], [$a, 16#E9, 16#1F600]]].

case_binary_that_is_not_text() ->
    [holds(<<"v == bytes(c) and type(v) is bytes">>, #{v => Binary, c => binary_to_list(Binary)})
     || Binary <- [<<255>>, <<"abc", 16#C3>>, <<16#C0, 16#80>>, <<16#ED, 16#A0, 16#80>>,
                   <<16#F4, 16#90, 16#80, 16#80>>, <<16#80>>]].

case_bytes() ->
    ?assertEqual("b'abc'", repr(py:bytes(<<"abc">>))),
    ?assertEqual("[b'']", repr([{'$bytes', <<>>}])).

case_buffer() ->
    holds(<<"type(v) is memoryview and v.readonly and bytes(v) == b'abc' and v.format == 'B'">>,
          #{v => py:buffer(<<"abc">>)}),
    holds(<<"len(v) == 0">>, #{v => {'$buffer', <<>>}}),
    <<_, Part:5/binary, _/binary>> = binary:copy(<<"0123456789">>, 100),
    holds(<<"bytes(v) == b'12345'">>, #{v => py:buffer(Part)}).

%% The view is on the binary itself: two views of one binary have one address.
case_buffer_is_not_copied() ->
    case py_test:has_numpy() of
        true ->
            Buffer = py:buffer(binary:copy(<<"x">>, 1000)),
            %% To another process it is copied once, with the request.
            Addresses = case py_test:isolation() of process -> 2; _ -> 1 end,
            holds(<<"len({__import__('numpy').frombuffer(b, 'u1').ctypes.data for b in v}) == n">>,
                  #{v => [Buffer, Buffer], n => Addresses}),
            holds(<<"v.obj is None or v.readonly">>, #{v => Buffer});
        false ->
            ok
    end.

case_buffer_outlives_the_call() ->
    Bytes = binary:copy(<<"0123456789">>, 10000),
    ok = py:exec(<<"def keep(v):\n    global kept\n    kept = v">>),
    {ok, none} = py:call('__main__', keep, [py:buffer(binary:copy(Bytes))]),
    erlang:garbage_collect(),
    {ok, true} = py:eval(<<"bytes(kept) == b'0123456789' * 10000">>).

case_ndarray() ->
    Bin = << <<F:64/little-float>> || F <- [1.0, 2.0, 3.0, 4.0, 5.0, 6.0] >>,
    Array = py:ndarray(<<"<f8">>, {2, 3}, Bin),
    holds(<<"v.shape == (2, 3) and v.tolist() == [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]">>, #{v => Array}),
    holds(<<"v.shape == (2, 3)">>, #{v => py:ndarray("<f8", [2, 3], Bin)}),
    case py_test:has_numpy() of
        true ->
            holds(<<"type(v).__name__ == 'ndarray' and v.dtype.str == '<f8' and not v.flags.writeable">>,
                  #{v => Array});
        false ->
            holds(<<"type(v) is memoryview and v.readonly">>, #{v => Array})
    end,
    ?assertMatch({error, {_, _}}, py:eval(<<"v">>, #{v => py:ndarray(<<"<f8">>, {7}, Bin)})),
    ?assertMatch({error, {_, _}}, py:eval(<<"v">>, #{v => py:ndarray(<<"nonsense">>, {1}, Bin)})).

case_list_and_tuple() ->
    ?assertEqual("[1, [2, []], (3, (), (4,))]", repr([1, [2, []], {3, {}, {4}}])),
    ?assertEqual("('bytes', 'x')", repr({bytes, <<"x">>})),
    ?assertEqual("('$bytes', 1)", repr({'$bytes', 1})),
    ?assertEqual("('$bytes', 'x', 1)", repr({'$bytes', <<"x">>, 1})),
    ?assertEqual("[97, 98]", repr("ab")).

case_map() ->
    ?assertEqual("{}", repr(#{})),
    ?assertEqual("{'a': {1: 'b'}}", repr(#{a => #{1 => b}})),
    holds(<<"v == {i: i * i for i in range(1000)}">>,
          #{v => maps:from_list([{I, I * I} || I <- lists:seq(0, 999)])}),
    ?assertEqual("{(1, 2): 'a'}", repr(#{[1, 2] => a})),
    ?assertEqual("{(1, 'x'): 'a'}", repr(#{{1, x} => a})).

case_map_keys_that_become_one() ->
    [?assertMatch({error, {'ValueError', _}}, py:eval(<<"v">>, #{v => Map}))
     || Map <- [#{a => 1, <<"a">> => 2}, #{1 => a, 1.0 => b}, #{true => a, 1 => b}, #{none => a, nil => b},
                #{[] => a, {} => b}, #{[1] => a, {1} => b},
                (maps:from_list([{I, I} || I <- lists:seq(1, 100)]))#{7.0 => x}]],
    ?assertMatch({error, {'ValueError', _}}, py:call(builtins, dict, [], #{a => 1, <<"a">> => 2})).

case_map_key_without_hash() ->
    [?assertMatch({error, {'TypeError', _}}, py:eval(<<"v">>, #{v => #{Key => 1}})) || Key <- [#{}, {#{a => 1}}]].

case_pid() ->
    holds(<<"type(v).__module__ == 'erlang' and type(v).__name__ == 'Pid'">>, #{v => self()}),
    ?assertEqual({ok, self()}, py:eval(<<"v">>, #{v => self()})),
    holds(<<"a == b and hash(a) == hash(b) and a != c and len({a, b, c}) == 2">>,
          #{a => self(), b => self(), c => whereis(init)}).

case_opaque_terms() ->
    Port = hd(erlang:ports()),
    X = 1,
    [begin
         holds(<<"type(v).__module__ == 'erlang' and type(v).__name__ == 'Term'">>, #{v => Term}),
         ?assertEqual({ok, [Term, {Term}]}, py:eval(<<"[v, (v,)]">>, #{v => Term})),
         holds(<<"a == b and not a != b and hash(a) == hash(b) and len({a, b}) == 1 and a != 1">>,
               #{a => Term, b => Term})
     end || Term <- [make_ref(), Port, fun() -> X end, fun lists:map/2, <<1:3>>, <<"abc", 1:1>>, [1 | 2], [a, b | c]]],
    holds(<<"a != b">>, #{a => make_ref(), b => make_ref()}),
    holds(<<"isinstance(repr(a), str) and isinstance(str(b), str)">>, #{a => make_ref(), b => self()}).

case_opaque_terms_kept_by_python() ->
    ok = py:exec(<<"kept = []">>),
    ok = py:exec(<<"def keep(v): kept.append(v)">>),
    Term = [make_ref(), self() | lists:seq(1, 100)] ++ tail,
    {ok, none} = py:call('__main__', keep, [Term]),
    erlang:garbage_collect(),
    ?assertEqual({ok, [Term]}, py:eval(<<"kept">>)).

case_objects() ->
    %% Of one worker: two may have an interpreter each.
    {ok, {py_object, _} = Object} = py:eval(<<"object()">>, #{}, #{worker => 1}),
    {ok, {generator, _} = Generator} = py:eval(<<"(i for i in range(3))">>, #{}, #{worker => 1}),
    holds(<<"type(o) is object and a is o and type(g).__name__ == 'generator' and l[0] is g">>,
          #{o => Object, a => Object, g => Generator, l => [Generator]}).
