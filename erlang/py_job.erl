%% The way of one call: which worker it goes to, the submission, and the answer.
%% No process stands between the caller and the worker.
-module(py_job).

-include("py_pool.hrl").

-export([route/2, run/1, attempt/1, open/2, start/1, try_start/1, post/3, await/2, cancel/1, is_bound/0, is_bound/1]).
-export([receive_answer/2, drop/1, default_timeout/1]).
-export_type([route/0]).

-opaque route() :: {py_nif:op(), #py_pool{}, Worker :: non_neg_integer() | bind | {bind, pos_integer()},
                    Flags :: non_neg_integer(), timeout()}
                 | {py_nif:op(), {remote, py_remote:place(), py_opts:local()}}
                 | {error, py:reason()}.

%% In the process dictionary: #{PoolName => {Incarnation, Worker}}.
-define(BOUND, '$py_bound').
%% In the process dictionary, one for each job of call_async that was neither
%% awaited nor cancelled: its deadline, or why it never started, or what py_remote
%% knows of it.
-define(OPEN(Ref), {'$py_async', Ref}).
%% In the process dictionary: how the last jobs ended that the native side does not
%% know of as this process does: those that were cancelled when their answer was
%% there already, and those of other nodes.
-define(LATE, '$py_ended_late').
-define(MAX_LATE, 64).

%% Throws (py_error) on a worker that the pool does not have, and on a reference
%% that is none to a Python object.
-spec route(py_nif:op(), py_opts:call()) -> route().
route(Op, {remote, _Place, _Call} = Remote) ->
    {Op, Remote};
route({stream, Source}, Call) ->
    case route(Source, Call) of
        {error, _} = Error -> Error;
        Route -> setelement(1, Route, {stream, Source})
    end;
route({object, {_, Ref}} = Op, Call) ->
    route_object(Op, Ref, Call, <<"Source">>);
route({_, {Kind, Ref}, _, _, _} = Op, Call) when Kind =:= py_object; Kind =:= generator ->
    route_object(Op, Ref, Call, <<"Mod">>);
route({map, {Kind, Ref}, _, _} = Op, Call) when Kind =:= py_object; Kind =:= generator ->
    route_object(Op, Ref, Call, <<"Mod">>);
route(Op, {Name, Wanted, Timeout, Flags}) ->
    case py_pool_owner:lookup(Name) of
        #py_pool{} = Pool -> {Op, Pool, worker(Wanted, Pool, Op), Flags, timeout(Timeout, Pool)};
        undefined -> {error, {no_pool, Name}}
    end.

%% An object is served where it lives, whatever the options say.
route_object(Op, Ref, {_Name, _Wanted, Timeout, Flags} = Call, What) ->
    case location(Ref) of
        {ok, Name, Worker} ->
            case py_pool_owner:lookup(Name) of
                #py_pool{} = Pool -> {Op, Pool, Worker, Flags, timeout(Timeout, Pool)};
                undefined -> {error, object_gone}
            end;
        {error, object_gone} ->
            {error, object_gone};
        {error, badarg} when node(Ref) =/= node() ->
            {Op, {remote, node(Ref), Call}};
        {error, badarg} ->
            py_error:bad_argument(1, <<What/binary, " holds a reference that is not to a Python object">>)
    end.

location(Ref) ->
    try
        py_nif:object_location(Ref)
    catch
        error:badarg -> {error, badarg}
    end.

worker(any, #py_pool{name = Name, incarnation = Incarnation}, Op) ->
    case get(?BOUND) of
        #{Name := {Incarnation, Worker}} ->
            Worker;
        _ ->
            case py_op:uses_main(Op) of
                true -> bind;
                false -> 0
            end
    end;
%% A process without a worker of its own gets the one it names.
worker({Worker, _Position}, #py_pool{size = Size} = Pool, Op) when Worker =< Size ->
    case worker(any, Pool, Op) of
        bind -> {bind, Worker};
        _ -> Worker
    end;
worker({Worker, Position}, #py_pool{name = Name, size = Size}, _Op) ->
    Text = io_lib:format("Opts asks for worker ~b, but pool ~tp has ~b", [Worker, Name, Size]),
    py_error:bad_argument(Position, unicode:characters_to_binary(Text)).

timeout(default, #py_pool{default_timeout = Timeout}) -> Timeout;
timeout(Timeout, _Pool) -> Timeout.

-spec run(route()) -> {ok, term()} | {error, py:reason() | {pos_integer(), py:reason()}}.
run({Op, {remote, Place, Call}}) ->
    py_remote:run(Op, Place, Call);
run(Route) ->
    case attempt(Route) of
        {refused, Reason} -> {error, Reason};
        Answer -> Answer
    end.

%% The same on this node, which tells what was refused from what was run and failed. The
%% reference is made where it is received on, so that the compiler can skip what was in
%% the mailbox before.
-spec attempt(route()) -> {ok, term()} | {error, term()} | {refused, term()}.
attempt({Op, #py_pool{native = Native} = Pool, Worker, Flags, Timeout}) ->
    Ref = make_ref(),
    case py_nif:submit(Native, slot(Worker), self(), Ref, Op, Flags) of
        {ok, Job, Index} ->
            bind(Worker, Pool, Index),
            answer(Job, Ref, Timeout);
        {error, Reason} ->
            {refused, refused(Reason, Pool)}
    end;
attempt({error, Reason}) ->
    {refused, Reason}.

answer(Job, Ref, Timeout) ->
    receive
        {py_response, Ref, Answer} -> Answer;
        {py_error, Ref, Reason} -> {error, Reason}
    after Timeout ->
        case py_nif:abandon(Job, timeout) of
            abandoned ->
                {error, timeout};
            sent ->
                receive
                    {py_response, Ref, Answer} -> Answer;
                    {py_error, Ref, Reason} -> {error, Reason}
                end
        end
    end.

%% Opens a stream; with the time of its steps. One of another node reads ahead there.
-spec open(route(), Prefetch :: non_neg_integer()) ->
          {ok, py_nif:stream() | {remote, py_remote_agent:agent(), reference(), Owner :: pid()}, timeout()}
        | {error, py:reason()}.
open({Op, {remote, Place, Call}}, Prefetch) ->
    py_remote:open(Op, Prefetch, Place, Call);
open(Route, _Prefetch) ->
    case run(Route) of
        {ok, Handle} -> {ok, Handle, element(5, Route)};
        {error, _} = Error -> Error
    end.

%% `stale': the NIF's module was deleted and loaded anew. Its owner makes a new pool.
refused(badarg, _Pool) ->
    error(badarg);
refused(stale, #py_pool{name = Name, owner = Owner}) ->
    ok = py_pool_owner:stale(Owner),
    {no_pool, Name};
refused(Reason, _Pool) ->
    Reason.

slot({bind, Worker}) -> Worker;
slot(Worker) -> Worker.

bind({bind, Worker}, Pool, _Index) ->
    bind(bind, Pool, Worker);
bind(bind, #py_pool{name = Name, incarnation = Incarnation}, Index) ->
    Bound = case get(?BOUND) of
                undefined -> #{};
                Map -> Map
            end,
    _ = put(?BOUND, Bound#{Name => {Incarnation, Index}}),
    ok;
bind(_Worker, _Pool, _Index) ->
    ok.

%% Starts a job and returns its reference; what refuses it is for await/2 to say.
-spec start(route()) -> reference().
start({Op, {remote, Place, Call}}) ->
    started(py_remote:start(Op, Place, Call));
start(Route) ->
    started(try_start(Route)).

started({ok, Job, Open}) ->
    _ = put(?OPEN(Job), Open),
    Job;
started({refused, Reason}) ->
    Ref = make_ref(),
    _ = put(?OPEN(Ref), {failed, Reason}),
    Ref.

%% The job, and the time until which it may be waited for.
-spec try_start(route()) -> {ok, py_nif:job(), infinity | integer()} | {refused, term()}.
try_start({Op, #py_pool{native = Native} = Pool, Worker, Flags, Timeout}) ->
    case py_nif:submit(Native, slot(Worker), self(), job, Op, Flags) of
        {ok, Job, Index} ->
            bind(Worker, Pool, Index),
            {ok, Job, deadline(Timeout)};
        {error, Reason} ->
            {refused, refused(Reason, Pool)}
    end;
try_start({error, Reason}) ->
    {refused, Reason}.

%% The answer goes to another process, under a tag of its own. There is no deadline.
-spec post(route(), ReplyTo :: pid(), Tag :: reference()) -> {ok, py_nif:job()} | {error, py:reason()}.
post({Op, #py_pool{native = Native} = Pool, Worker, Flags, _Timeout}, ReplyTo, Tag) ->
    case py_nif:submit(Native, slot(Worker), ReplyTo, Tag, Op, Flags) of
        {ok, Job, Index} ->
            bind(Worker, Pool, Index),
            {ok, Job};
        {error, Reason} ->
            {error, refused(Reason, Pool)}
    end;
post({error, _Reason} = Error, _ReplyTo, _Tag) ->
    Error;
post({_Op, {remote, _Place, _Call}}, _ReplyTo, _Tag) ->
    {error, object_gone}.

%% Of a pool of this node.
-spec default_timeout(Pool :: atom()) -> timeout().
default_timeout(Name) ->
    case py_pool_owner:lookup(Name) of
        #py_pool{default_timeout = Timeout} -> Timeout;
        undefined -> infinity
    end.

%% Whether this process has to stay with a worker of some pool, or of that one.
-spec is_bound() -> boolean().
is_bound() ->
    get(?BOUND) =/= undefined.

-spec is_bound(Pool :: atom()) -> boolean().
is_bound(Name) ->
    case {get(?BOUND), py_pool_owner:lookup(Name)} of
        {#{Name := {Incarnation, _}}, #py_pool{incarnation = Incarnation}} -> true;
        _ -> false
    end.

deadline(infinity) -> infinity;
deadline(Timeout) -> erlang:monotonic_time(millisecond) + Timeout.

%% `deadline' is what the call's own options left of its time. Throws when Ref is
%% no job of this process, or one whose answer was given.
-spec await(reference(), deadline | timeout()) -> {ok, term()} | {error, py:reason()}.
await(Ref, Timeout) ->
    case erase(?OPEN(Ref)) of
        undefined -> finished(Ref);
        {failed, Reason} -> {error, Reason};
        {remote, Deadline, _, _} = Open -> await_remote(Ref, remaining(Timeout, Deadline), Open);
        Deadline -> receive_answer(Ref, remaining(Timeout, Deadline))
    end.

await_remote(Ref, Timeout, Open) ->
    case py_remote:await(Ref, Timeout, Open) of
        {error, timeout} = Error -> late(Ref, timeout), Error;
        Answer -> Answer
    end.

remaining(deadline, infinity) -> infinity;
remaining(deadline, Deadline) -> max(0, Deadline - erlang:monotonic_time(millisecond));
remaining(Timeout, _Deadline) -> Timeout.

%% Of a job that is its own tag.
-spec receive_answer(py_nif:job(), timeout()) -> {ok, term()} | {error, term()}.
receive_answer(Ref, Timeout) ->
    receive
        {py_response, Ref, Answer} -> Answer;
        {py_error, Ref, Reason} -> {error, Reason}
    after Timeout ->
        case py_nif:abandon(Ref, timeout) of
            abandoned -> {error, timeout};
            sent -> receive_answer(Ref, infinity)
        end
    end.

%% Without an entry the job was awaited or cancelled here, or is another process's.
finished(Ref) ->
    case outcome(Ref) of
        cancelled -> {error, cancelled};
        timeout -> {error, timeout};
        _ -> unknown(Ref)
    end.

late() ->
    case get(?LATE) of
        undefined -> [];
        List -> List
    end.

late(Ref, Outcome) ->
    _ = put(?LATE, lists:sublist([{Ref, Outcome} | late()], ?MAX_LATE)),
    ok.

-spec cancel(reference()) -> ok.
cancel(Ref) ->
    case erase(?OPEN(Ref)) of
        undefined ->
            case outcome(Ref) of
                open -> unknown(Ref);
                none -> unknown(Ref);
                _ -> ok
            end;
        {failed, _Reason} ->
            late(Ref, cancelled);
        {remote, _, _, _} = Open ->
            ok = py_remote:cancel(Ref, Open),
            late(Ref, cancelled);
        _Deadline ->
            drop(Ref)
    end.

%% Gives a job up that is its own tag, with its answer.
-spec drop(py_nif:job()) -> ok.
drop(Ref) ->
    case py_nif:abandon(Ref, cancelled) of
        abandoned -> ok;
        sent -> drop_answer(Ref), late(Ref, cancelled)
    end.

drop_answer(Ref) ->
    receive
        {py_response, Ref, _Answer} -> ok;
        {py_error, Ref, _Reason} -> ok
    end.

outcome(Ref) ->
    case lists:keyfind(Ref, 1, late()) of
        {Ref, Outcome} ->
            Outcome;
        false ->
            try
                py_nif:outcome(Ref)
            catch
                error:badarg -> none
            end
    end.

-spec unknown(reference()) -> no_return().
unknown(_Ref) ->
    py_error:bad_argument(1, <<"Ref is not of a call that this process has under way">>).
