%% Operations as py_nif:submit/6 takes them, from the arguments that users give.
%% The arguments stand where they stand in the functions of `py': Mod 1, Fun 2,
%% Args 3, KwArgs 4; Code 1, Locals 2.
-module(py_op).

-export([call/4, map/3, eval/2, exec/1, source/1, uses_main/1]).

-spec call(py:target(), py:name(), [term()], py:kwargs()) -> py_nif:op().
call(Mod, Fun, Args, KwArgs) ->
    {call, target(Mod), py_names:name(Fun, 2, <<"Fun">>), proper(Args), py_names:keys(KwArgs, 4, <<"KwArgs">>)}.

-spec map(py:target(), py:name(), [[term()]]) -> py_nif:op().
map(Mod, Fun, ArgsList) ->
    Target = target(Mod),
    Name = py_names:name(Fun, 2, <<"Fun">>),
    case is_list(ArgsList) andalso all_proper(ArgsList) of
        true -> {map, Target, Name, ArgsList};
        false -> py_error:bad_argument(3, <<"ArgsList is not a proper list of proper lists">>)
    end.

-spec eval(py:code(), py:kwargs()) -> py_nif:op().
eval(Code, Locals) ->
    {eval, py_names:code(Code, 1), py_names:keys(Locals, 2, <<"Locals">>)}.

-spec exec(py:code()) -> py_nif:op().
exec(Code) ->
    {exec, py_names:code(Code, 1)}.

%% What a stream is opened over, argument 1 of py_stream:open.
-spec source(py_stream:source()) -> py_nif:op().
source({call, Mod, Fun, Args, KwArgs}) ->
    in_source(fun() -> call(Mod, Fun, Args, KwArgs) end);
source({eval, Code, Locals}) ->
    in_source(fun() -> eval(Code, Locals) end);
source({Kind, Ref} = Object) when Kind =:= py_object, is_reference(Ref); Kind =:= generator, is_reference(Ref) ->
    {object, Object};
source(_Source) ->
    py_error:bad_argument(1, <<"Source is not {call, Mod, Fun, Args, KwArgs}, {eval, Code, Locals}, "
                               "{generator, Ref} or {py_object, Ref}">>).

in_source(Make) ->
    try
        Make()
    catch
        throw:{badarg, {_, Text}} -> py_error:bad_argument(1, Text)
    end.

%% Whether the operation defines or uses what the process's own worker has, its
%% namespace or its traces, so that the process has to stay with that worker.
-spec uses_main(py_nif:op()) -> boolean().
uses_main({call, '__main__', _, _, _}) -> true;
uses_main({call, <<"__main__">>, _, _, _}) -> true;
uses_main({exec, _}) -> true;
uses_main({map, '__main__', _, _}) -> true;
uses_main({map, <<"__main__">>, _, _}) -> true;
uses_main({info, tracemalloc_start, _}) -> true;
uses_main(_) -> false.

target({Kind, Ref} = Object) when Kind =:= py_object, is_reference(Ref); Kind =:= generator, is_reference(Ref) ->
    Object;
target(Object) when is_tuple(Object) ->
    py_error:bad_argument(1, <<"Mod is not a module name, {py_object, Ref} or {generator, Ref}">>);
target(Mod) ->
    py_names:name(Mod, 1, <<"Mod">>).

proper(Args) when length(Args) >= 0 ->
    Args;
proper(_Args) ->
    py_error:bad_argument(3, <<"Args is not a proper list">>).

all_proper([Args | Rest]) when length(Args) >= 0 -> all_proper(Rest);
all_proper(Rest) -> Rest =:= [].
