%% Round trips of generated terms. What must come back is computed here from the
%% two crossing tables alone.
-module(prop_py_crossing).
-include_lib("proper/include/proper.hrl").

-export([prop_round_trip/0, prop_arguments/0, prop_atoms_kept/0, prop_integer_text/0, prop_float_text/0]).

prop_round_trip() ->
    ?FORALL(Term, value(),
            same(expected(Term), py:eval(<<"v">>, #{v => Term}))).

prop_arguments() ->
    ?FORALL({A, B}, {value(), value()},
            same(expected([A, B]), py:call('__main__', both, [A], #{b => B}))).

%% With `atoms => atom' every atom but the special ones comes back as it went.
prop_atoms_kept() ->
    ?FORALL(Term, plain(),
            {ok, Term} =:= py:eval(<<"v">>, #{v => Term}, #{atoms => atom})).

prop_integer_text() ->
    ?FORALL(N, big(),
            {ok, N} =:= py:eval(integer_to_binary(N))
            andalso {ok, integer_to_binary(N)} =:= py:eval(<<"str(v)">>, #{v => N})).

prop_float_text() ->
    ?FORALL(F, any_float(),
            begin
                {ok, Text} = py:eval(<<"float.hex(v)">>, #{v => F}),
                {ok, Back} = py:eval(<<"float.fromhex(v)">>, #{v => Text}),
                <<F/float>> =:= <<Back/float>>
            end).

same({ok, Expected}, {ok, Actual}) -> Expected =:= Actual;
same({error, Class}, {error, {Class, Message}}) -> is_list(Message);
same(_, _) -> false.

%% Generators ------------------------------------------------------------------

value() ->
    ?SIZED(Size, value(Size)).

value(0) ->
    scalar();
value(Size) ->
    Smaller = ?LAZY(value(Size div 3)),
    frequency([{4, scalar()},
               {2, list(Smaller)},
               {2, ?LET(Items, list(Smaller), list_to_tuple(Items))},
               {2, ?LET(Pairs, list({key(), Smaller}), maps:from_list(Pairs))}]).

scalar() ->
    frequency([{4, integer()}, {2, big()}, {3, any_float()}, {3, name()}, {1, special()}, {4, binary()},
               {4, text()}, {2, opaque()}, {2, ?LET(Bin, binary(), {oneof(['$bytes', '$buffer']), Bin})}]).

key() ->
    frequency([{3, simple_key()},
               {1, list(simple_key())},
               {1, ?LET(Items, list(simple_key()), list_to_tuple(Items))}]).

%% Few different ones, so that keys meet.
simple_key() ->
    oneof([range(-2, 2), oneof([1.0, 0.0, -2.0, 2.5]), oneof([a, b, '']), special(),
           oneof([<<"a">>, <<"b">>, <<>>, <<255>>]), ?LET(Bin, oneof([<<"a">>, <<>>]), {'$bytes', Bin}),
           big(), text()]).

plain() ->
    ?SIZED(Size, plain(Size)).

plain(0) ->
    oneof([integer(), big(), name(), text(), opaque(), boolean()]);
plain(Size) ->
    Smaller = ?LAZY(plain(Size div 3)),
    oneof([plain(0), list(Smaller), ?LET(Items, list(Smaller), list_to_tuple(Items)),
           ?LET(Pairs, list({oneof([name(), range(2, 50)]), Smaller}), maps:from_list(Pairs))]).

big() ->
    ?LET({Sign, Bits, Low}, {oneof([1, -1]), range(0, 300), range(-3, 3)}, Sign * ((1 bsl Bits) + Low)).

any_float() ->
    frequency([{3, float()},
               {1, oneof([0.0, -0.0, 1.0e300, -5.0e-324, 1.7976931348623157e308])},
               {1, ?LET(<<Bits:64>>, binary(8), as_float(Bits))}]).

as_float(Bits) ->
    case <<Bits:64>> of
        <<F/float>> -> F;
        _ -> 0.5
    end.

name() ->
    oneof([a, b, foo, bar, '', '$tag', 'two words', list_to_atom([16#E9]), list_to_atom([16#4E2D, 16#1F600])]).

special() ->
    oneof([true, false, none, nil, undefined]).

text() ->
    ?LET(Points, list(frequency([{6, range(0, 127)}, {1, range(128, 16#7FF)}, {1, range(16#800, 16#D7FF)},
                                 {1, range(16#E000, 16#FFFF)}, {1, range(16#10000, 16#10FFFF)}])),
         unicode:characters_to_binary(Points)).

opaque() ->
    ?LET(Kind, range(1, 6), opaque(Kind)).

opaque(1) -> self();
opaque(2) -> make_ref();
opaque(3) -> fun lists:map/2;
opaque(4) -> ?LET({Bin, Bits}, {binary(), range(1, 7)}, <<Bin/binary, 1:Bits>>);
opaque(5) -> [a, {b, 1} | c];
opaque(6) -> hd(erlang:ports()).

%% The tables ------------------------------------------------------------------

expected(Term) ->
    try {ok, crossed(Term)} catch throw:Class -> {error, Class} end.

crossed(Special) when Special =:= true; Special =:= false -> Special;
crossed(Nothing) when Nothing =:= none; Nothing =:= nil; Nothing =:= undefined -> none;
crossed(Atom) when is_atom(Atom) -> atom_to_binary(Atom, utf8);
crossed({Tag, Bin}) when Tag =:= '$bytes', is_binary(Bin); Tag =:= '$buffer', is_binary(Bin) -> Bin;
crossed(List) when length(List) >= 0 -> [crossed(Item) || Item <- List];
crossed(Tuple) when is_tuple(Tuple) -> list_to_tuple(crossed(tuple_to_list(Tuple)));
crossed(Map) when is_map(Map) ->
    Keys = maps:keys(Map),
    distinct([python_key(Key) || Key <- Keys]),
    Back = [{back(Key), crossed(Value)} || {Key, Value} <- maps:to_list(Map)],
    distinct([Key || {Key, _} <- Back]),
    maps:from_list(Back);
crossed(Same) -> Same.

back(List) when is_list(List) -> list_to_tuple(crossed(List));
back(Key) -> crossed(Key).

distinct(Keys) ->
    length(lists:usort(Keys)) =:= length(Keys) orelse throw('ValueError').

%% One term for all keys that Python holds to be equal.
python_key(true) -> 1;
python_key(false) -> 0;
python_key(Nothing) when Nothing =:= none; Nothing =:= nil; Nothing =:= undefined -> none;
python_key(Atom) when is_atom(Atom) -> {text, atom_to_binary(Atom, utf8)};
python_key(Float) when is_float(Float), Float == trunc(Float) -> trunc(Float);
python_key({'$bytes', Bin}) when is_binary(Bin) -> {bytes, Bin};
python_key(Bin) when is_binary(Bin) ->
    case unicode:characters_to_binary(Bin) of
        Bin -> {text, Bin};
        _ -> {bytes, Bin}
    end;
python_key(List) when is_list(List) -> {tuple, [python_key(Item) || Item <- List]};
python_key(Tuple) when is_tuple(Tuple) -> python_key(tuple_to_list(Tuple));
python_key(Other) -> Other.
