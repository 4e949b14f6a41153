%% The references to Python objects inside of a term. A reference means something on the node that made it
%% alone, so whoever sends a term to another node, or answers from there, has to know what is in it.
-module(py_remote_objects).

-export([in/1, same_node/1, alive/1]).

%% Each as often as it occurs.
-spec in(term()) -> [reference()].
in(Term) ->
    in(Term, []).

in([Head | Tail], Found) -> in(Tail, in(Head, Found));
in({py_object, Ref}, Found) when is_reference(Ref) -> [Ref | Found];
in({generator, Ref}, Found) when is_reference(Ref) -> [Ref | Found];
in(Tuple, Found) when is_tuple(Tuple) -> elements(Tuple, tuple_size(Tuple), Found);
in(Map, Found) when is_map(Map) -> entries(maps:next(maps:iterator(Map)), Found);
in(_Other, Found) -> Found.

elements(_Tuple, 0, Found) -> Found;
elements(Tuple, N, Found) -> elements(Tuple, N - 1, in(element(N, Tuple), Found)).

entries(none, Found) -> Found;
entries({Key, Value, Next}, Found) -> entries(maps:next(Next), in(Value, in(Key, Found))).

%% The node that they are all of. `none': there are none. `several': no node can take them all.
-spec same_node([reference()]) -> none | several | {node, node()}.
same_node([]) ->
    none;
same_node([Ref | Refs]) ->
    case lists:all(fun(Other) -> node(Other) =:= node(Ref) end, Refs) of
        true -> {node, node(Ref)};
        false -> several
    end.

%% On their own node: whether all of them still stand for an object.
-spec alive([reference()]) -> boolean().
alive(Refs) ->
    lists:all(fun is_alive/1, Refs).

is_alive(Ref) ->
    try py_nif:object_location(Ref) of
        {ok, _Pool, _Worker} -> true;
        {error, _} -> false
    catch
        error:badarg -> false
    end.
