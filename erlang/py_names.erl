%% Names and code as the native side wants them: atoms stay, everything else
%% becomes a UTF-8 binary. Each function takes the position of the argument it
%% checks, for the error information.
-module(py_names).

-export([name/3, text/3, code/2, keys/3]).
-export_type([name/0, code/0, keys/0]).

-type name() :: atom() | string() | binary().
-type code() :: atom() | unicode:chardata() | iodata().
-type keys() :: #{name() => term()}.

-spec name(name(), pos_integer(), binary()) -> atom() | binary().
name(Name, _Position, _What) when is_atom(Name) ->
    Name;
name(Name, Position, What) ->
    case text(Name) of
        error -> py_error:bad_argument(Position, <<What/binary, " is not an atom, a string or a UTF-8 binary">>);
        Text -> Text
    end.

%% The same, always as a binary.
-spec text(name(), pos_integer(), binary()) -> binary().
text(Name, Position, What) ->
    case name(Name, Position, What) of
        Atom when is_atom(Atom) -> atom_to_binary(Atom, utf8);
        Text -> Text
    end.

%% Lists of integers are code points, as everywhere in Erlang; iodata whose bytes
%% make sense as UTF-8 only together is taken too.
-spec code(code(), pos_integer()) -> binary().
code(Code, _Position) when is_atom(Code) ->
    atom_to_binary(Code, utf8);
code(Code, Position) ->
    case text(Code) of
        error -> py_error:bad_argument(Position, <<"Code is not an atom, a string or iodata in UTF-8">>);
        Text -> Text
    end.

%% Keyword arguments and local variables: strings as keys become binaries, and so
%% do the atoms that would cross as something else than their name.
-spec keys(keys(), pos_integer(), binary()) -> #{atom() | binary() => term()}.
keys(Map, _Position, _What) when map_size(Map) =:= 0 ->
    Map;
keys(Map, Position, What) when is_map(Map) ->
    case [Key || Key <- maps:keys(Map), not is_plain(Key)] of
        [] -> Map;
        Others -> rename(Others, Map, Position, What)
    end;
keys(_Other, Position, What) ->
    py_error:bad_argument(Position, <<What/binary, " is not a map">>).

%% As values these atoms mean something else in Python; as names they are names.
is_plain(Key) when Key =:= none; Key =:= nil; Key =:= undefined; Key =:= true; Key =:= false -> false;
is_plain(Key) -> is_atom(Key) orelse is_binary(Key).

rename([], Map, _Position, _What) ->
    Map;
rename([Key | Others], Map, Position, What) ->
    case key_text(Key) of
        Text when is_binary(Text), not is_map_key(Text, Map) ->
            {Value, Rest} = maps:take(Key, Map),
            rename(Others, Rest#{Text => Value}, Position, What);
        Text when is_binary(Text) ->
            py_error:bad_argument(Position, <<What/binary, " has the same key as a string and as a binary">>);
        _ ->
            py_error:bad_argument(Position,
                                  <<What/binary, " has a key that is not an atom, a string or a binary">>)
    end.

key_text(Key) when is_atom(Key) -> atom_to_binary(Key, utf8);
key_text(Key) when is_list(Key) -> text(Key);
key_text(_Key) -> error.

text(Data) when is_list(Data); is_binary(Data) ->
    try unicode:characters_to_binary(Data) of
        Text when is_binary(Text) -> Text;
        _ -> joined(Data)
    catch
        error:badarg -> joined(Data)
    end;
text(_Data) ->
    error.

joined(Data) when is_list(Data) ->
    try unicode:characters_to_binary(iolist_to_binary(Data)) of
        Text when is_binary(Text) -> Text;
        _ -> error
    catch
        error:badarg -> error
    end;
joined(_Data) ->
    error.
