%% Error information for the badarg errors of this application (EEP 54): which
%% argument is wrong, and why.
-module(py_error).

-export([bad_argument/2, info/1, format_error/2]).
-export_type([cause/0]).

-type cause() :: {Position :: pos_integer(), Text :: binary()}.

%% Thrown inside the module, so that the exported function that was called can
%% raise badarg under its own name and arguments.
-spec bad_argument(pos_integer(), binary()) -> no_return().
bad_argument(Position, Text) ->
    throw({badarg, {Position, Text}}).

%% The options for erlang:error/3.
-spec info(cause()) -> [{error_info, map()}].
info(Cause) ->
    [{error_info, #{module => ?MODULE, cause => Cause}}].

%% @doc What erl_error and the shell show: `#{ArgumentNumber => Text}'.
-spec format_error(term(), [tuple()]) -> #{pos_integer() => binary()}.
format_error(_Reason, [{_Module, _Function, _Args, Location} | _]) ->
    case proplists:get_value(error_info, Location, #{}) of
        #{cause := {Position, Text}} -> #{Position => Text};
        _ -> #{}
    end;
format_error(_Reason, _Stacktrace) ->
    #{}.
