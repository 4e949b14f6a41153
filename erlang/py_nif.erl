%% The native functions. Nothing here runs Python on the calling thread: each
%% function looks, queues or cancels, and returns within microseconds (a big
%% argument is copied on a dirty CPU scheduler). User code calls `py' and
%% `py_pool'; this module is not an API.
-module(py_nif).

-export([pool_new/2, pool_start_worker/2, pool_stop/1, pool_stats/1,
         submit/6, abandon/2, outcome/1, release/1, object_location/1]).
-export_type([pool/0, job/0, object/0, op/0]).

-on_load(load/0).
-nifs([pool_new/2, pool_start_worker/2, pool_stop/1, pool_stats/1,
       submit/6, abandon/2, outcome/1, release/1, object_location/1]).

-type pool() :: reference().
-type job() :: reference().
%% The Ref of `{py_object, Ref}' and `{generator, Ref}'.
-type object() :: reference().

%% Names (Mod, Fun) are atoms or UTF-8 binaries, Code is a binary, KwArgs and
%% Locals are maps, Args is a proper list: `py' has made them so.
-type op() ::
        {call, Mod :: atom() | binary() | {py_object | generator, object()},
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
%%     preload := binary()}
-spec pool_new(Name :: atom(), Config :: map()) -> {ok, pool()} | {error, term()}.
pool_new(_Name, _Config) -> erlang:nif_error(not_loaded).

%% Starts worker Index (from 1), or adopts the one that runs. The caller gets
%% {py_worker, Pool, Index, ready} or {py_worker, Pool, Index, {failed, Reason}}
%% as a message; Reason is a py:reason() (a raising preload is {Class, Message}).
-spec pool_start_worker(pool(), pos_integer()) -> ok | {error, stopped}.
pool_start_worker(_Pool, _Index) -> erlang:nif_error(not_loaded).

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
