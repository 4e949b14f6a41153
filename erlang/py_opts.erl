%% The options of calls and of pools: what there is, what it may be, what it is
%% when nobody says.
-module(py_opts).

-export([none/0, call/2, stream/4, timeout/2, pool/1, is_known/1, defaults/0]).
-export_type([call/0, local/0, pool/0]).

%% Pool name, worker (with the position of the argument that asked for it), time
%% and native flags of one call. `default' as the time is the pool's own default.
-type local() :: {Pool :: atom(), Worker :: any | {pos_integer(), Position :: pos_integer()},
                  Timeout :: default | timeout(), Flags :: non_neg_integer()}.

%% The same, on a certain other node, or on the best.
-type call() :: local() | {remote, node() | any, local()}.

%% Complete and checked.
-type pool() :: #{num_workers := pos_integer(),
                  isolation := py_pool:isolation(),
                  max_queue := pos_integer(),
                  grace := non_neg_integer(),
                  max_abandoned := non_neg_integer(),
                  default_timeout := timeout(),
                  python := binary(),
                  python_path := [binary()],
                  preload := binary(),
                  stack_size := pos_integer(),
                  max_depth := pos_integer(),
                  memory_limit := pos_integer() | infinity}.

-define(MAX_TIMEOUT, 16#FFFFFFFF).
%% Bytes of stack kept for each level that a converted value may nest: about five times what is used.
-define(STACK_PER_LEVEL, 1024).
-define(FLAG_TRACEBACK, 1).
-define(FLAG_ATOMS, 2).
-define(NONE, {default, any, default, 0}).

-spec none() -> local().
none() ->
    ?NONE.

%% A timeout or a map of options, argument Position of the function called.
-spec call(timeout() | py:opts(), pos_integer()) -> call().
call(#{node := Node} = Opts, Position) ->
    at(Node, local(maps:remove(node, Opts), Position), Position);
call(Opts, Position) ->
    local(Opts, Position).

at(Node, Call, _Position) when Node =:= node() -> Call;
at(Node, Call, _Position) when is_atom(Node) -> {remote, Node, Call};
at(_Node, _Call, Position) -> bad_value(node, Position).

local(Opts, Position) when is_map(Opts) ->
    maps:fold(fun(Key, Value, Call) -> option(Key, Value, Call, Position) end, ?NONE, Opts);
local(Timeout, Position) ->
    setelement(3, ?NONE, timeout(Timeout, Position)).

%% The same, with one option more: a count, or what it is when nobody says.
-spec stream(timeout() | map(), limit | prefetch, Default, pos_integer()) -> {non_neg_integer() | Default, call()}.
stream(Opts, Key, Default, Position) when is_map(Opts) ->
    case maps:take(Key, Opts) of
        {Count, Others} when is_integer(Count), Count >= 0, Count =< 1 bsl 59 -> {Count, call(Others, Position)};
        {_, _} -> bad_value(Key, Position);
        error -> {Default, call(Opts, Position)}
    end;
stream(Timeout, limit, Default, Position) ->
    {Default, call(Timeout, Position)};
stream(_Opts, prefetch, _Default, Position) ->
    py_error:bad_argument(Position, <<"Opts is not a map">>).

-spec timeout(timeout(), pos_integer()) -> timeout().
timeout(infinity, _Position) ->
    infinity;
timeout(Timeout, _Position) when is_integer(Timeout), Timeout >= 0, Timeout =< ?MAX_TIMEOUT ->
    Timeout;
timeout(_Other, Position) ->
    py_error:bad_argument(Position, <<"Timeout is not infinity or milliseconds from 0 to 4294967295">>).

option(timeout, Value, Call, Position) ->
    setelement(3, Call, timeout(Value, Position));
option(pool, Value, Call, _Position) when is_atom(Value) ->
    setelement(1, Call, Value);
option(worker, Value, Call, Position) when is_integer(Value), Value > 0 ->
    setelement(2, Call, {Value, Position});
option(traceback, Value, Call, _Position) when is_boolean(Value) ->
    flag(?FLAG_TRACEBACK, Value, Call);
option(atoms, Value, Call, _Position) when Value =:= atom; Value =:= str ->
    flag(?FLAG_ATOMS, Value =:= atom, Call);
option(Key, _Value, _Call, Position)
  when Key =:= pool; Key =:= worker; Key =:= traceback; Key =:= atoms ->
    bad_value(Key, Position);
option(Key, _Value, _Call, Position) ->
    Shown = unicode:characters_to_binary(io_lib:format("~0tP", [Key, 10])),
    py_error:bad_argument(Position, <<"Opts has an unknown option ", Shown/binary>>).

-spec bad_value(atom(), pos_integer()) -> no_return().
bad_value(Key, Position) ->
    py_error:bad_argument(Position, <<"Opts has a bad value for ", (atom_to_binary(Key, utf8))/binary>>).

flag(Bit, true, {Pool, Worker, Timeout, Flags}) -> {Pool, Worker, Timeout, Flags bor Bit};
flag(_Bit, false, Call) -> Call.

%% The options of a pool, over the application environment, over the defaults.
-spec pool(map()) -> {ok, pool()} | {error, {bad_option, Key :: term(), Value :: term()}}.
pool(Opts) ->
    Env = maps:from_list([Pair || {Key, _} = Pair <- application:get_all_env(erlang_python),
                                  is_map_key(Key, known())]),
    try
        Given = maps:map(fun checked/2, maps:merge(Env, Opts)),
        #{num_workers := Size, stack_size := Stack} = Config = maps:merge(defaults(), Given),
        {ok, depth(Opts, Stack, maps:merge(#{max_abandoned => Size, python => <<>>}, Config))}
    catch
        throw:{bad_option, _, _} = Reason -> {error, Reason}
    end.

%% A conversion nests on the worker's stack: the default bends to it, what was asked for must fit.
depth(#{max_depth := Depth}, Stack, _Config) when Depth > Stack div ?STACK_PER_LEVEL ->
    throw({bad_option, max_depth, Depth});
depth(_Opts, Stack, #{max_depth := Depth} = Config) ->
    Config#{max_depth := min(Depth, Stack div ?STACK_PER_LEVEL)}.

%% What the application environment says where nobody has changed it. Without an
%% entry there: max_abandoned (num_workers), python (the one built against).
-spec defaults() -> map().
defaults() ->
    #{num_workers => 4,
      isolation => shared,
      max_queue => 10000,
      grace => 100,
      default_timeout => infinity,
      python_path => [],
      preload => <<>>,
      stack_size => 67108864,
      max_depth => 10000,
      memory_limit => infinity}.

%% Whether the application environment may have such a key.
-spec is_known(atom()) -> boolean().
is_known(included_applications) -> true;  % it is in every environment
is_known(Key) -> is_map_key(Key, known()).

known() ->
    (defaults())#{max_abandoned => [], python => []}.

checked(isolation, Kind) when Kind =:= shared; Kind =:= subinterpreter; Kind =:= process -> Kind;
checked(memory_limit, infinity) -> infinity;
checked(memory_limit, N) when is_integer(N), N >= 32 bsl 20, N =< 1 bsl 50 -> N;
checked(num_workers, N) when is_integer(N), N >= 1, N =< 1024 -> N;
checked(max_queue, N) when is_integer(N), N >= 1, N =< 1 bsl 30 -> N;
checked(grace, N) when is_integer(N), N >= 0, N =< 3600000 -> N;
checked(max_abandoned, N) when is_integer(N), N >= 0, N =< 1024 -> N;
checked(default_timeout, infinity) -> infinity;
checked(default_timeout, N) when is_integer(N), N >= 0, N =< ?MAX_TIMEOUT -> N;
checked(stack_size, N) when is_integer(N), N >= 8 bsl 20, N =< 1 bsl 32 -> N;
checked(max_depth, N) when is_integer(N), N >= 1, N =< 1000000 -> N;
checked(python, Value) -> path(python, Value, Value);
checked(python_path, Paths) when length(Paths) >= 0 ->
    [path(python_path, Path, Paths) || Path <- Paths];
checked(preload, Code) ->
    try
        py_names:code(Code, 1)
    catch
        throw:{badarg, _} -> throw({bad_option, preload, Code})
    end;
checked(Key, Value) ->
    throw({bad_option, Key, Value}).

path(Key, Path, Whole) when is_list(Path); is_binary(Path) ->
    try unicode:characters_to_binary(Path) of
        Binary when is_binary(Binary) -> Binary;
        _ -> throw({bad_option, Key, Whole})
    catch
        error:badarg -> throw({bad_option, Key, Whole})
    end;
path(Key, _Path, Whole) ->
    throw({bad_option, Key, Whole}).
