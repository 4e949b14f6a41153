%% @doc Calls into Python.
%%
%% Names are atoms, strings or UTF-8 binaries; code may be iodata too. What Python
%% or the system refuses is `{error, Reason}'; arguments that are not what the
%% types here say are `error(badarg)', with error information that names the
%% argument. Where a function takes `Timeout | Opts', a bare timeout is short for
%% `#{timeout => Timeout}'; the default is the pool's `default_timeout'.
%%
%% A process that has used `exec', or the module `__main__', stays with one worker
%% of that pool from then on, where its definitions are.
-module(py).

-export([call/3, call/4, call/5, eval/1, eval/2, eval/3, exec/1, exec/2, map/3, map/4]).
-export([stream/3, stream/4, stream/5, stream_eval/1, stream_eval/2, stream_eval/3]).
-export([call_async/3, call_async/4, call_async/5, await/1, await/2, cancel/1]).
-export([version/0, memory_stats/0, gc/0, gc/1]).
-export([tracemalloc_start/0, tracemalloc_start/1, tracemalloc_stop/0]).
-export([bytes/1, buffer/1, ndarray/3, release/1]).
-export_type([name/0, code/0, kwargs/0, object/0, target/0, opts/0, stream_opts/0, reason/0]).

-type name() :: py_names:name().
-type code() :: py_names:code().
-type kwargs() :: py_names:keys().

%% A Python object that stays on its worker, and is released when Erlang drops the
%% term.
-type object() :: {py_object | generator, py_nif:object()}.

%% What a function is called on: a module, or an object.
-type target() :: name() | object().

%% `worker': that one instead of the one the process is bound to, or the least
%% loaded. `node': that one, or `any': the least loaded of those that run the pool;
%% a process that defined something with `any' stays where it is.
%% `traceback': exceptions as `{Class, Message, Frames}'. `atoms': how
%% atoms reach Python, as `str' (default) or as `erlang.Atom'.
-type opts() :: #{timeout => timeout(),
                  pool => atom(),
                  worker => pos_integer(),
                  node => node() | any,
                  traceback => boolean(),
                  atoms => atom | str}.

-type stream_opts() :: #{timeout => timeout(),
                         pool => atom(),
                         worker => pos_integer(),
                         node => node() | any,
                         traceback => boolean(),
                         atoms => atom | str,
                         limit => non_neg_integer()}.

%% Everything that can stand in `{error, _}'. The class of an exception is an atom
%% as long as few different ones are seen, a binary past that. `{no_pool, Name}' is
%% of a node that does not run the application, too. `{nodedown, Node}': it cannot be
%% reached, or went down; a call that was under way there may have been run, and is
%% not run again.
-type reason() :: timeout | overload | cancelled
                | worker_crashed | worker_replaced | object_gone
                | {no_pool, Name :: atom()}
                | closed | subscribed | not_subscribed | not_owner
                | {nodedown, node()}
                | {Class :: atom() | binary(), Message :: string()}
                | {Class :: atom() | binary(), Message :: string(),
                   [{File :: string() | binary(), Line :: non_neg_integer(), Function :: string() | binary()}]}.

-define(BADARG(Args, Cause), erlang:error(badarg, Args, py_error:info(Cause))).

%% @doc Calls a function of a module, or a method of an object.
-spec call(target(), name(), Args :: [term()]) -> {ok, term()} | {error, reason()}.
call(Mod, Fun, Args) ->
    try
        py_job:run(py_job:route(py_op:call(Mod, Fun, Args, #{}), py_opts:none()))
    catch
        throw:{badarg, Cause} -> ?BADARG([Mod, Fun, Args], Cause)
    end.

%% @doc With keyword arguments.
-spec call(target(), name(), Args :: [term()], kwargs()) -> {ok, term()} | {error, reason()}.
call(Mod, Fun, Args, KwArgs) ->
    try
        py_job:run(py_job:route(py_op:call(Mod, Fun, Args, KwArgs), py_opts:none()))
    catch
        throw:{badarg, Cause} -> ?BADARG([Mod, Fun, Args, KwArgs], Cause)
    end.

-spec call(target(), name(), Args :: [term()], kwargs(), timeout() | opts()) ->
          {ok, term()} | {error, reason()}.
call(Mod, Fun, Args, KwArgs, Opts) ->
    try
        py_job:run(py_job:route(py_op:call(Mod, Fun, Args, KwArgs), py_opts:call(Opts, 5)))
    catch
        throw:{badarg, Cause} -> ?BADARG([Mod, Fun, Args, KwArgs, Opts], Cause)
    end.

%% @doc Evaluates an expression in the worker's namespace.
-spec eval(code()) -> {ok, term()} | {error, reason()}.
eval(Code) ->
    try
        py_job:run(py_job:route(py_op:eval(Code, #{}), py_opts:none()))
    catch
        throw:{badarg, Cause} -> ?BADARG([Code], Cause)
    end.

%% @doc With local variables.
-spec eval(code(), Locals :: kwargs()) -> {ok, term()} | {error, reason()}.
eval(Code, Locals) ->
    try
        py_job:run(py_job:route(py_op:eval(Code, Locals), py_opts:none()))
    catch
        throw:{badarg, Cause} -> ?BADARG([Code, Locals], Cause)
    end.

-spec eval(code(), Locals :: kwargs(), timeout() | opts()) -> {ok, term()} | {error, reason()}.
eval(Code, Locals, Opts) ->
    try
        py_job:run(py_job:route(py_op:eval(Code, Locals), py_opts:call(Opts, 3)))
    catch
        throw:{badarg, Cause} -> ?BADARG([Code, Locals, Opts], Cause)
    end.

%% @doc Executes statements in the worker's namespace, and binds the process to
%% that worker.
-spec exec(code()) -> ok | {error, reason()}.
exec(Code) ->
    try
        done(py_job:run(py_job:route(py_op:exec(Code), py_opts:none())))
    catch
        throw:{badarg, Cause} -> ?BADARG([Code], Cause)
    end.

-spec exec(code(), timeout() | opts()) -> ok | {error, reason()}.
exec(Code, Opts) ->
    try
        done(py_job:run(py_job:route(py_op:exec(Code), py_opts:call(Opts, 2))))
    catch
        throw:{badarg, Cause} -> ?BADARG([Code, Opts], Cause)
    end.

%% @doc Calls a function once for each argument list, in one go on one worker.
%% Stops at the first that fails, and says which: `{error, {Index, Reason}}', from
%% 1. What concerns the whole, as a time-out, comes without an index.
-spec map(target(), name(), [Args :: [term()]]) ->
          {ok, [term()]} | {error, reason() | {Index :: pos_integer(), reason()}}.
map(Mod, Fun, ArgsList) ->
    try
        py_job:run(py_job:route(py_op:map(Mod, Fun, ArgsList), py_opts:none()))
    catch
        throw:{badarg, Cause} -> ?BADARG([Mod, Fun, ArgsList], Cause)
    end.

-spec map(target(), name(), [Args :: [term()]], timeout() | opts()) ->
          {ok, [term()]} | {error, reason() | {Index :: pos_integer(), reason()}}.
map(Mod, Fun, ArgsList, Opts) ->
    try
        py_job:run(py_job:route(py_op:map(Mod, Fun, ArgsList), py_opts:call(Opts, 4)))
    catch
        throw:{badarg, Cause} -> ?BADARG([Mod, Fun, ArgsList, Opts], Cause)
    end.

%% @doc Calls a function and collects what it yields: a generator, or any other iterable. For what is big or
%% has no end see `py_stream'.
-spec stream(target(), name(), Args :: [term()]) -> {ok, [term()]} | {error, reason()}.
stream(Mod, Fun, Args) ->
    try
        py_stream:collect(py_op:call(Mod, Fun, Args, #{}), py_opts:none(), infinity)
    catch
        throw:{badarg, Cause} -> ?BADARG([Mod, Fun, Args], Cause)
    end.

-spec stream(target(), name(), Args :: [term()], kwargs()) -> {ok, [term()]} | {error, reason()}.
stream(Mod, Fun, Args, KwArgs) ->
    try
        py_stream:collect(py_op:call(Mod, Fun, Args, KwArgs), py_opts:none(), infinity)
    catch
        throw:{badarg, Cause} -> ?BADARG([Mod, Fun, Args, KwArgs], Cause)
    end.

%% @doc With `limit => N' not more than N values are made, and the generator is closed.
-spec stream(target(), name(), Args :: [term()], kwargs(), timeout() | stream_opts()) ->
          {ok, [term()]} | {error, reason()}.
stream(Mod, Fun, Args, KwArgs, Opts) ->
    try
        {Limit, Call} = py_opts:stream(Opts, limit, infinity, 5),
        py_stream:collect(py_op:call(Mod, Fun, Args, KwArgs), Call, Limit)
    catch
        throw:{badarg, Cause} -> ?BADARG([Mod, Fun, Args, KwArgs, Opts], Cause)
    end.

%% @doc The same over what an expression gives.
-spec stream_eval(code()) -> {ok, [term()]} | {error, reason()}.
stream_eval(Code) ->
    try
        py_stream:collect(py_op:eval(Code, #{}), py_opts:none(), infinity)
    catch
        throw:{badarg, Cause} -> ?BADARG([Code], Cause)
    end.

-spec stream_eval(code(), Locals :: kwargs()) -> {ok, [term()]} | {error, reason()}.
stream_eval(Code, Locals) ->
    try
        py_stream:collect(py_op:eval(Code, Locals), py_opts:none(), infinity)
    catch
        throw:{badarg, Cause} -> ?BADARG([Code, Locals], Cause)
    end.

-spec stream_eval(code(), Locals :: kwargs(), timeout() | stream_opts()) -> {ok, [term()]} | {error, reason()}.
stream_eval(Code, Locals, Opts) ->
    try
        {Limit, Call} = py_opts:stream(Opts, limit, infinity, 3),
        py_stream:collect(py_op:eval(Code, Locals), Call, Limit)
    catch
        throw:{badarg, Cause} -> ?BADARG([Code, Locals, Opts], Cause)
    end.

%% @doc Starts a call, and returns a reference for `await/1' and `cancel/1', which
%% are for the same process.
-spec call_async(target(), name(), Args :: [term()]) -> reference().
call_async(Mod, Fun, Args) ->
    try
        py_job:start(py_job:route(py_op:call(Mod, Fun, Args, #{}), py_opts:none()))
    catch
        throw:{badarg, Cause} -> ?BADARG([Mod, Fun, Args], Cause)
    end.

-spec call_async(target(), name(), Args :: [term()], kwargs()) -> reference().
call_async(Mod, Fun, Args, KwArgs) ->
    try
        py_job:start(py_job:route(py_op:call(Mod, Fun, Args, KwArgs), py_opts:none()))
    catch
        throw:{badarg, Cause} -> ?BADARG([Mod, Fun, Args, KwArgs], Cause)
    end.

%% @doc A timeout counts from here; `await/1' observes what is left of it.
-spec call_async(target(), name(), Args :: [term()], kwargs(), timeout() | opts()) -> reference().
call_async(Mod, Fun, Args, KwArgs, Opts) ->
    try
        py_job:start(py_job:route(py_op:call(Mod, Fun, Args, KwArgs), py_opts:call(Opts, 5)))
    catch
        throw:{badarg, Cause} -> ?BADARG([Mod, Fun, Args, KwArgs, Opts], Cause)
    end.

%% @doc The answer of a `call_async'. It is given once: then, and after
%% `{error, timeout}', the call is over.
-spec await(reference()) -> {ok, term()} | {error, reason()}.
await(Ref) ->
    try
        py_job:await(reference(Ref), deadline)
    catch
        throw:{badarg, Cause} -> ?BADARG([Ref], Cause)
    end.

-spec await(reference(), timeout()) -> {ok, term()} | {error, reason()}.
await(Ref, Timeout) ->
    try
        py_job:await(reference(Ref), py_opts:timeout(Timeout, 2))
    catch
        throw:{badarg, Cause} -> ?BADARG([Ref, Timeout], Cause)
    end.

%% @doc Ends a call that nobody wants any more. `await/1' then says
%% `{error, cancelled}'; without it nothing stays behind, nothing arrives.
-spec cancel(reference()) -> ok.
cancel(Ref) ->
    try
        py_job:cancel(reference(Ref))
    catch
        throw:{badarg, Cause} -> ?BADARG([Ref], Cause)
    end.

%% @doc What `sys.version' says.
-spec version() -> {ok, binary()} | {error, reason()}.
version() ->
    info({info, version}).

%% @doc `gc_stats', `gc_count' and `gc_threshold'; while memory is traced,
%% `traced_memory_current' and `traced_memory_peak' (bytes) too.
-spec memory_stats() -> {ok, map()} | {error, reason()}.
memory_stats() ->
    info({info, memory_stats}).

%% @doc A full collection: how many unreachable objects it found.
-spec gc() -> {ok, non_neg_integer()} | {error, reason()}.
gc() ->
    gc(2).

%% @doc Collects a generation and the younger ones.
-spec gc(Generation :: 0..2) -> {ok, non_neg_integer()} | {error, reason()}.
gc(Generation) when Generation =:= 0; Generation =:= 1; Generation =:= 2 ->
    info({info, gc, Generation});
gc(Generation) ->
    ?BADARG([Generation], {1, <<"Generation is not 0, 1 or 2">>}).

%% @doc Begins to trace Python's memory.
-spec tracemalloc_start() -> ok | {error, reason()}.
tracemalloc_start() ->
    tracemalloc_start(1).

%% @doc With that many frames kept for each block.
-spec tracemalloc_start(Frames :: 1..65535) -> ok | {error, reason()}.
tracemalloc_start(Frames) when is_integer(Frames), Frames >= 1, Frames =< 65535 ->
    done(info({info, tracemalloc_start, Frames}));
tracemalloc_start(Frames) ->
    ?BADARG([Frames], {1, <<"Frames is not an integer from 1 to 65535">>}).

-spec tracemalloc_stop() -> ok | {error, reason()}.
tracemalloc_stop() ->
    done(info({info, tracemalloc_stop})).

%% @doc Marks a binary as Python `bytes', whatever is in it.
-spec bytes(binary()) -> {'$bytes', binary()}.
bytes(Bin) when is_binary(Bin) ->
    {'$bytes', Bin};
bytes(Bin) ->
    ?BADARG([Bin], {1, <<"Bin is not a binary">>}).

%% @doc Marks a binary as a read-only `memoryview' on the binary itself: nothing is
%% copied, and the binary lives as long as Python holds the view.
-spec buffer(binary()) -> {'$buffer', binary()}.
buffer(Bin) when is_binary(Bin) ->
    {'$buffer', Bin};
buffer(Bin) ->
    ?BADARG([Bin], {1, <<"Bin is not a binary">>}).

%% @doc Marks a binary as a read-only array on the binary itself, row-major. Dtype
%% is a typestr of numpy, as `<<"<f8">>'.
-spec ndarray(Dtype :: name(), Shape :: tuple() | [non_neg_integer()], binary()) ->
          {'$ndarray', binary(), tuple(), binary()}.
ndarray(Dtype, Shape, Bin) when is_tuple(Shape) ->
    ndarray(Dtype, tuple_to_list(Shape), Shape, Bin);
ndarray(Dtype, Shape, Bin) ->
    ndarray(Dtype, Shape, Shape, Bin).

ndarray(Dtype, Dimensions, Given, Bin) ->
    try
        is_binary(Bin) orelse py_error:bad_argument(3, <<"Bin is not a binary">>),
        are_sizes(Dimensions)
            orelse py_error:bad_argument(2, <<"Shape is not a tuple or a list of sizes">>),
        {'$ndarray', py_names:code(py_names:name(Dtype, 1, <<"Dtype">>), 1), list_to_tuple(Dimensions), Bin}
    catch
        throw:{badarg, Cause} -> ?BADARG([Dtype, Given, Bin], Cause)
    end.

%% @doc Lets a Python object go now; without this it goes when Erlang drops the term. One that this process
%% got from another node goes when this process ends; `release/1' lets it go there.
-spec release(object()) -> ok.
release({Kind, Ref} = Object) when Kind =:= py_object, is_reference(Ref); Kind =:= generator, is_reference(Ref) ->
    case py_nif:release(Ref) of
        ok -> ok;
        {error, badarg} when node(Ref) =/= node() -> py_remote_agent:release(Ref);
        {error, badarg} -> ?BADARG([Object], {1, <<"Object holds a reference that is not to a Python object">>})
    end;
release(Object) ->
    ?BADARG([Object], {1, <<"Object is not {py_object, Ref} or {generator, Ref}">>}).

info(Op) ->
    py_job:run(py_job:route(Op, py_opts:none())).

done({ok, _}) -> ok;
done({error, _} = Error) -> Error.

reference(Ref) when is_reference(Ref) -> Ref;
reference(_Ref) -> py_error:bad_argument(1, <<"Ref is not a reference">>).

are_sizes([Size | Sizes]) when is_integer(Size), Size >= 0 -> are_sizes(Sizes);
are_sizes(Sizes) -> Sizes =:= [].
