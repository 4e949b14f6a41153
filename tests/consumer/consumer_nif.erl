%% The Erlang side of consumer_nif.cpp; main/1 takes the path of the library.
-module(consumer_nif).
-export([main/1, encode/1]).
-nifs([encode/1]).

-spec encode(term()) -> binary().
encode(_Term) ->
    erlang:nif_error(not_loaded).

-spec main([string()]) -> no_return().
main([Library]) ->
    ok = erlang:load_nif(filename:rootname(Library), 0),
    Terms = [0, -1 bsl 200, 3.5, ok, <<"text">>, <<5:3>>, [1, {two}, #{three => 3}], self(), make_ref(), fun lists:map/2],
    Wrong = [Term || Term <- Terms, binary_to_term(encode(Term)) =/= Term],
    io:format("~b terms, came back as others: ~p~n", [length(Terms), Wrong]),
    halt(length(Wrong)).
