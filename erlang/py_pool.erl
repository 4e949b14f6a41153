%% @doc Pools of Python workers: start them here, or put `child_spec/2' into a
%% supervisor of your own. The application's own pool is `default'.
%%
%% Options: `isolation' (`shared', `subinterpreter', `process'), `num_workers',
%% `max_queue' (calls waiting at one worker), `grace' (milliseconds that a call gets to
%% end after its time-out), `max_abandoned' (threads that never ended, at most),
%% `default_timeout', `python', `python_path', `preload', `stack_size' (bytes),
%% `max_depth' (of nested values), `memory_limit' (bytes, of a process). What is not
%% given is as in the application environment.
-module(py_pool).

-include("py_pool.hrl").

-export([start/2, stop/1, child_spec/2, stats/1, request/1]).
-export_type([opts/0, isolation/0, stats/0, request/0]).

-type opts() :: #{num_workers => pos_integer(),
                  isolation => isolation(),
                  max_queue => pos_integer(),
                  grace => non_neg_integer(),
                  max_abandoned => non_neg_integer(),
                  default_timeout => timeout(),
                  python => string() | binary(),
                  python_path => [string() | binary()],
                  preload => py:code(),
                  stack_size => pos_integer(),
                  max_depth => pos_integer(),
                  memory_limit => pos_integer() | infinity}.

%% What a worker is: a thread in the VM's interpreter, a thread with an interpreter of its own, or an OS process.
-type isolation() :: shared | subinterpreter | process.

-type stats() :: #{workers := [worker_stats()],
                   queued := non_neg_integer(),
                   calls := non_neg_integer(),
                   errors := non_neg_integer(),
                   timeouts := non_neg_integer(),
                   overloads := non_neg_integer(),
                   restarts := non_neg_integer(),
                   abandoned := non_neg_integer(),
                   objects := non_neg_integer(),
                   streams := non_neg_integer(),
                   busy_us := non_neg_integer(),
                   gil_stalled := boolean(),
                   parallel := boolean(),
                   leaked_interpreters := non_neg_integer()}.

-type worker_stats() :: #{index := pos_integer(),
                          state := down | starting | idle | busy | stuck,
                          queued := non_neg_integer(),
                          calls := non_neg_integer(),
                          errors := non_neg_integer(),
                          restarts := non_neg_integer(),
                          objects := non_neg_integer(),
                          streams := non_neg_integer(),
                          busy_us := non_neg_integer()}.

%% @doc Starts a pool under the application's supervisor, and returns when all its
%% workers are ready. Errors: `{bad_option, Key, Value}', `{already_started, Pid}',
%% `{not_started, erlang_python}', and the exception of a preload, as `py:call/3'
%% would show it.
-spec start(Name :: atom(), opts()) -> {ok, pid()} | {error, term()}.
start(Name, Opts) ->
    try check(Name, Opts) of
        ok -> py_pools_sup:start_pool(Name, Opts)
    catch
        throw:{badarg, Cause} -> erlang:error(badarg, [Name, Opts], py_error:info(Cause))
    end.

%% @doc Stops a pool that `start/2' started. Calls under way answer
%% `{error, {no_pool, Name}}'. A pool of another supervisor, `default' too, is
%% that supervisor's to stop: `{error, supervised}'.
-spec stop(Name :: atom()) -> ok | {error, {no_pool, atom()} | supervised}.
stop(Name) when is_atom(Name) ->
    case Name =/= default andalso py_pools_sup:stop_pool(Name) of
        ok -> ok;
        _ ->
            case running(Name) of
                undefined -> {error, {no_pool, Name}};
                _ -> {error, supervised}
            end
    end;
stop(Name) ->
    erlang:error(badarg, [Name], py_error:info({1, <<"Name is not an atom">>})).

%% @doc For the `init/1' of a supervisor. Options are checked when it starts.
-spec child_spec(Name :: atom(), opts()) -> supervisor:child_spec().
child_spec(Name, Opts) ->
    try check(Name, Opts) of
        ok ->
            #{id => {py_pool, Name},
              start => {py_pool_sup, start_link, [Name, Opts]},
              type => supervisor,
              shutdown => infinity}
    catch
        throw:{badarg, Cause} -> erlang:error(badarg, [Name, Opts], py_error:info(Cause))
    end.

%% @doc Counters of a pool, since it started, and what it is doing now: cheap to
%% read. `queued' counts the calls that wait, `overloads' those that were refused,
%% `timeouts' those given up by their callers' time-outs, `restarts' the workers that were replaced,
%% `abandoned' the threads that were replaced and still run, `objects' the Python
%% objects that Erlang holds, `streams' the generators that are open, `busy_us' the microseconds spent in calls.
%% `gil_stalled': C code keeps the GIL, and nothing of Python runs until it returns.
%% `parallel': the workers run Python code at the same time. `leaked_interpreters': those
%% of this VM that could not be ended.
-spec stats(Name :: atom()) -> {ok, stats()} | {error, {no_pool, atom()}}.
stats(Name) when is_atom(Name) ->
    case running(Name) of
        #py_pool{native = Native, owner = Owner} ->
            try
                {ok, py_nif:pool_stats(Native)}
            catch
                error:badarg ->
                    ok = py_pool_owner:stale(Owner),
                    {error, {no_pool, Name}}
            end;
        undefined ->
            {error, {no_pool, Name}}
    end;
stats(Name) ->
    erlang:error(badarg, [Name], py_error:info({1, <<"Name is not an atom">>})).

-type request() :: {call, Ref :: reference(), pid(), py:name(), py:name(), Args :: [term()], py:kwargs()}
                 | {eval, Ref :: reference(), pid(), py:code(), Locals :: py:kwargs()}
                 | {exec, Ref :: reference(), pid(), py:code()}
                 | {stream, Ref :: reference(), pid(), py:name(), py:name(), Args :: [term()], py:kwargs()}
                 | {stream_eval, Ref :: reference(), pid(), py:code(), Locals :: py:kwargs()}.

%% @doc Has the answer sent to a process, of any node: `{py_response, Ref, {ok, V}}' (of exec `{ok, none}'), or
%% `{py_error, Ref, Reason}'; of a stream `{py_chunk, Ref, V}' each, then `{py_end, Ref}' or
%% `{py_error, Ref, Reason}'. A stream pauses while the mailbox of that process is more than 1,000 messages
%% longer than it was, and closes when the process ends.
-spec request(request()) -> ok.
request(Request) ->
    try py_relay:request(Request)
    catch
        throw:{badarg, {_, Text}} -> erlang:error(badarg, [Request], py_error:info({1, Text}))
    end.

%% A pool whose owner was killed once too often is still published.
running(Name) ->
    case py_pool_owner:lookup(Name) of
        #py_pool{owner = Owner} = Pool ->
            case is_process_alive(Owner) of
                true -> Pool;
                false -> undefined
            end;
        undefined ->
            undefined
    end.

%% The name of the owner's process is made from the pool's, and is an atom too.
check(Name, _Opts) when not is_atom(Name) ->
    py_error:bad_argument(1, <<"Name is not an atom">>);
check(_Name, Opts) when not is_map(Opts) ->
    py_error:bad_argument(2, <<"Opts is not a map">>);
check(Name, _Opts) ->
    case length(atom_to_list(Name)) =< 247 of
        true -> ok;
        false -> py_error:bad_argument(1, <<"Name is longer than 247 characters">>)
    end.
