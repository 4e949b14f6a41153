%% The native functions. Nothing here runs Python on the calling thread: each
%% function looks, queues or cancels, and returns within microseconds (a big
%% argument is copied on a dirty CPU scheduler). User code calls `py' and
%% `py_pool'; this module is not an API.
-module(py_nif).

-export([pool_new/2, pool_start_worker/2, pool_process_ended/4, python_abi/0, pool_stop/1, pool_stats/1,
         submit/6, abandon/2, outcome/1, release/1, object_location/1,
         stream_pull/5, stream_push/4, stream_demand/2, stream_abandon/2, stream_close/2]).
-export_type([pool/0, job/0, object/0, op/0, stream/0, end_of_stream/0]).

-on_load(load/0).
-nifs([pool_new/2, pool_start_worker/2, pool_process_ended/4, python_abi/0, pool_stop/1, pool_stats/1,
       submit/6, abandon/2, outcome/1, release/1, object_location/1,
       stream_pull/5, stream_push/4, stream_demand/2, stream_abandon/2, stream_close/2]).

-type pool() :: reference().
-type job() :: reference().
%% The Ref of `{py_object, Ref}' and `{generator, Ref}'.
-type object() :: reference().

%% A Python iterable that one process steps: the one that the answer went to. It closes when that
%% process ends, or when nobody holds the reference.
-type stream() :: reference().
-type end_of_stream() :: {done, Returned :: term()} | {error, py:reason()}.

%% Names (Mod, Fun) are atoms or UTF-8 binaries, Code is a binary, KwArgs and
%% Locals are maps, Args is a proper list: `py' has made them so.
-type op() ::
        {stream, op()}  %% of call, eval or object: {ok, stream()} over the result
      | {object, {py_object | generator, object()}}
      | {call, Mod :: atom() | binary() | {py_object | generator, object()},
         Fun :: atom() | binary(), Args :: list(), KwArgs :: map()}
      | {map, Mod :: atom() | binary() | {py_object | generator, object()},
         Fun :: atom() | binary(), [Args :: list()]}
      | {eval, Code :: binary(), Locals :: map()}
      | {exec, Code :: binary()}
      | {info, version | memory_stats | tracemalloc_stop}
      | {info, gc, 0..2}
      | {info, tracemalloc_start, Frames :: pos_integer()}.

load() ->
    Dir = case code:priv_dir(erlang_python) of
              {error, bad_name} ->
                  filename:join(filename:dirname(filename:dirname(code:which(?MODULE))), "priv");
              Found ->
                  Found
          end,
    erlang:load_nif(filename:join(Dir, "erlpy_nif"), 0).

%% A native pool without workers yet, owned by the calling process: when that
%% process ends, the pool is stopped. Config is complete and checked:
%%   #{name := atom(), num_workers := pos_integer(), max_queue := pos_integer(),
%%     grace := Milliseconds, max_abandoned := non_neg_integer(),
%%     stack_size := Bytes, max_depth := pos_integer(),
%%     python := binary() (<<>>: the one built against), python_path := [binary()],
%%     preload := binary(), isolation := py_pool:isolation(),
%%     memory_limit := Bytes (0: none)}
-spec pool_new(Name :: atom(), Config :: map()) -> {ok, pool()} | {error, term()}.
pool_new(_Name, _Config) -> erlang:nif_error(not_loaded).

%% Starts worker Index (from 1), or adopts the one that runs. The caller gets
%% {py_worker, Pool, Index, ready} or {py_worker, Pool, Index, {failed, Reason}}
%% as a message; Reason is a py:reason() (a raising preload is {Class, Message}). Later {py_worker, Pool, Index,
%% replaced}, and of isolation `process' {launch, Said}: a worker process is to be started, and told Said;
%% {crashed, Why}: it has ended unasked, and another launch follows.
-spec pool_start_worker(pool(), pos_integer()) -> ok | {error, stopped}.
pool_start_worker(_Pool, _Index) -> erlang:nif_error(not_loaded).

%% Of a pool of isolation `process': the process that was launched for the worker, and told Said, has ended; How
%% as a text.
-spec pool_process_ended(pool(), pos_integer(), Said :: binary(), How :: binary()) -> ok.
pool_process_ended(_Pool, _Index, _Said, _How) -> erlang:nif_error(not_loaded).

%% The Python that this library was built with: <<"3.11">>, <<"3.13t">> if free-threaded.
-spec python_abi() -> binary().
python_abi() -> erlang:nif_error(not_loaded).

%% Ends the pool: queued and running calls get {error, {no_pool, Name}}, then the
%% owner gets {py_pool_stopped, Pool} once every worker thread that can end has.
-spec pool_stop(pool()) -> ok.
pool_stop(_Pool) -> erlang:nif_error(not_loaded).

%% See py_pool:stats/1 for the keys.
-spec pool_stats(pool()) -> map().
pool_stats(_Pool) -> erlang:nif_error(not_loaded).

%% Queues a job. Worker: 0 the least loaded, N that one, `bind' the next in turn
%% (for a caller that will be bound to it). An op on an object goes to the
%% object's own worker whatever Pool and Worker say. ReplyTo gets
%%   {py_response, Tag, Value} (Value is {ok, V}; `exec' and the commands
%%                              tracemalloc_*: {ok, none}) or
%%   {py_error, Tag, Reason};  a failing `map' has Reason {Index, Reason}.
%% Tag: a reference, or the atom `job': then the tag is the job itself.
%% Flags: 1 traceback, 2 atoms cross as erlang.Atom.
%% When ReplyTo dies, the job is abandoned. {error, Reason}: nothing was queued
%% and nothing is sent: overload | {no_pool, Name} | object_gone | badarg, or stale:
%% this module was unloaded meanwhile, and no longer knows the pool.
-spec submit(pool(), Worker :: non_neg_integer() | bind, ReplyTo :: pid(), Tag :: reference() | job,
             op(), Flags :: non_neg_integer()) ->
          {ok, job(), Worker :: pos_integer()} | {error, term()}.
submit(_Pool, _Worker, _ReplyTo, _Tag, _Op, _Flags) -> erlang:nif_error(not_loaded).

%% Gives a job up. `abandoned': no answer was sent and none will be, and Python
%% is being interrupted. `sent': the answer is in ReplyTo's mailbox, or will be
%% in a moment: receive it. Any later call answers as the first did.
-spec abandon(job(), Why :: timeout | cancelled) -> abandoned | sent.
abandon(_Job, _Why) -> erlang:nif_error(not_loaded).

%% What became of a job: open (not answered yet, or the answer waits in the
%% mailbox), timeout or cancelled (abandoned for that reason).
%% badarg when the reference is no job.
-spec outcome(job()) -> open | sent | timeout | cancelled.
outcome(_Job) -> erlang:nif_error(not_loaded).

%% Lets an object go now rather than when its last reference is collected.
-spec release(object()) -> ok | {error, badarg}.
release(_Object) -> erlang:nif_error(not_loaded).

%% Where an object lives.
-spec object_location(object()) -> {ok, PoolName :: atom(), Worker :: pos_integer()} | {error, object_gone | badarg}.
object_location(_Object) -> erlang:nif_error(not_loaded).

%% The functions of streams answer {error, not_owner} to other processes than the owner, and {error, closed} for
%% what is no stream (any more).

%% Asks for up to Count values. `wait': they come as {py_stream, Tag, Values, Next}, where Next is `more'
%% (another message follows), `stop' (that was all), or an end_of_stream(). Without TellEnd the end that
%% comes after values, and {done, _} in any case, waits for the next pull. Otherwise nothing is sent:
%% {ended, End}, `stop' ({done, _} is due), {error, subscribed | closed | worker_replaced | {no_pool, Name}}.
-spec stream_pull(stream(), Tag :: reference(), Count :: pos_integer() | infinity,
                  next | {send, term()} | {throw, {Class :: term(), Message :: term()}}, TellEnd :: boolean()) ->
          wait | stop | {ended, end_of_stream()} | {error, py:reason()}.
stream_pull(_Stream, _Tag, _Count, _What, _TellEnd) -> erlang:nif_error(not_loaded).

%% From now on values are pushed, each as {py_chunk, Tag, V}, as many as were asked for here and by
%% stream_demand/2. The end is {py_end, Tag} or {py_error, Tag, Reason} if Plain, else as of a pull.
-spec stream_push(stream(), Tag :: reference(), Count :: pos_integer(), Plain :: boolean()) ->
          wait | {ended, end_of_stream()} | {error, py:reason()}.
stream_push(_Stream, _Tag, _Count, _Plain) -> erlang:nif_error(not_loaded).

%% `ended': a message says so.
-spec stream_demand(stream(), Count :: pos_integer()) -> ok | ended | {error, py:reason()}.
stream_demand(_Stream, _Count) -> erlang:nif_error(not_loaded).

%% Gives a pull up, and closes the stream. {abandoned, Values}: no message will come, these were made.
%% `sent': a message was sent. `again' (unless ByForce): values are being converted, ask in a moment.
%% Where values came, now or before, the next pull says {error, timeout}.
-spec stream_abandon(stream(), ByForce :: boolean()) -> {abandoned, [term()]} | sent | again | {error, not_owner}.
stream_abandon(_Stream, _ByForce) -> erlang:nif_error(not_loaded).

%% Closes it. `wait': {py_stream, Tag, [], closed} comes when that is done. With `none' for a tag nothing is
%% closed: the end has been told, and that message is not wanted any more; `closed' says that it was sent.
-spec stream_close(stream(), Tag :: reference() | none) -> closed | wait | {error, not_owner | closed}.
stream_close(_Stream, _Tag) -> erlang:nif_error(not_loaded).
