%% What acts on this node for one process of another: it submits that process's calls as a process here
%% would, and sends the answers there. So a binding to a worker, the objects that the process was given, and
%% its streams belong to its agent, and end with it.
%%
%% The caller's link (py_remote_link) starts the agent at the first call, with no process in between, and the
%% caller keeps it for the calls that follow. The agent ends with the link, which ends with the caller; with the
%% application; and by itself when it has had nothing to do for a while and holds nothing. Whoever called at that
%% moment knows by the exit reason that the call was not begun.
-module(py_agent).
-behaviour(gen_server).

-include("py_pool.hrl").

-export([start/3]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).
-export_type([call/0, message/0]).

%% Raised with each change of the messages below.
-define(VERSION, 1).
%% Milliseconds without a message: then the agent sleeps, without the garbage of what went through it;
%% then it ends if it holds nothing.
-define(QUIET, 1000).
-define(IDLE, 60000).

%% Name of the pool, worker, time and flags, as of py_opts, with the time known.
-type call() :: {Pool :: atom(), Worker :: any | {pos_integer(), pos_integer()}, timeout(),
                 Flags :: non_neg_integer()}.

%% Alias is where the answer goes: {py_response, Alias, Answer} or {py_error, Alias, Reason} as from the native
%% side, {py_refused, Alias, Reason} if nothing was begun. The answer to opening a stream is
%% {ok, {py_stream, Id, Host}}. Questions are answered with {py_answer, Alias, Answer}. With Ack, another alias,
%% that one is first told {py_answer, Ack, begun | {refused, Reason}}.
-type message() :: {py_submit, Alias :: reference(), Ack :: none | reference(),
                    What :: call | {stream, Prefetch :: non_neg_integer()},
                    py_nif:op(), Objects :: [reference()], call()}
                 | {py_abandon, Alias :: reference(), timeout | cancelled}
                 | {py_ask, Alias :: reference(), {default_timeout, Pool :: atom()} | {release, py_nif:object()}
                                               | {stream, Id :: reference(), Objects :: [reference()],
                                                  py_agent_stream:question()}}
                 | {py_give_up, Id :: reference()}
                 %% By the hosts of streams.
                 | {py_opened, Alias :: reference(), Host :: pid()}
                 | {py_hold, Alias :: reference(), [reference()]}.

-record(call, {pool :: atom(),
               job :: py_nif:job(),
               timer :: reference() | none,
               host :: pid() | none}).  % of a stream that is being opened

%% `held': objects that the caller has, by the call or the stream that gave them.
-record(state, {link_monitor :: reference(),
                home_monitor :: reference(),
                stopped = false :: boolean(),
                ending = none :: none | reference(),  % the timer, while it sleeps
                calls = #{} :: #{reference() => #call{}},
                streams = #{} :: #{reference() => pid()},
                asked = #{} :: #{pid() => reference()},  % the last question to a stream, and who asked
                held = #{} :: #{py_nif:object() => reference()}}).

%% Called on this node by the caller's link. `none': for no pool in particular. Error: nobody was started.
-spec start(Version :: pos_integer(), Link :: pid(), Pool :: {pool, atom()} | none) ->
          {ok, pid(), DefaultTimeout :: timeout()} | {error, {no_pool, atom()} | {version, pos_integer()}}.
start(?VERSION, Link, Wanted) ->
    case {whereis(erlang_python_sup), default_timeout(Wanted)} of
        {Home, Timeout} when is_pid(Home), Timeout =/= no_pool ->
            {ok, Agent} = gen_server:start(?MODULE, {Link, Home}, []),
            {ok, Agent, Timeout};
        _ ->
            {error, {no_pool, name(Wanted)}}
    end;
start(_Version, _Link, _Wanted) ->
    {error, {version, ?VERSION}}.

default_timeout(none) ->
    infinity;
default_timeout({pool, Name}) ->
    case py_pool_owner:lookup(Name) of
        #py_pool{default_timeout = Timeout} -> Timeout;
        undefined -> no_pool
    end.

name({pool, Name}) -> Name;
name(none) -> default.

-spec init({pid(), pid()}) -> {ok, #state{}, timeout()}.
init({Link, Home}) ->
    process_flag(trap_exit, true),
    {ok, #state{link_monitor = erlang:monitor(process, Link),
                home_monitor = erlang:monitor(process, Home)}, ?QUIET}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, {error, unknown_call}, #state{}, timeout()}.
handle_call(_Request, _From, State) ->
    {reply, {error, unknown_call}, State, ?QUIET}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}, timeout()}.
handle_cast(_Request, State) ->
    {noreply, State, ?QUIET}.

-spec handle_info(message() | term(), #state{}) ->
          {noreply, #state{}, timeout() | hibernate} | {stop, {shutdown, idle | stopped | caller_gone}, #state{}}.
handle_info(timeout, State) ->
    {noreply, State#state{ending = erlang:start_timer(?IDLE - ?QUIET, self(), idle)}, hibernate};
handle_info({timeout, Timer, idle}, #state{ending = Timer} = State) ->
    ended(State#state{ending = none}, idle);
handle_info(Message, #state{ending = Timer} = State) when Timer =/= none ->
    _ = erlang:cancel_timer(Timer),
    handle_info(Message, State#state{ending = none});
handle_info({py_submit, Alias, Ack, What, Op, Objects, Call}, State) ->
    case begin_call(Alias, What, Op, Objects, Call) of
        {ok, Begun} ->
            acknowledge(Ack, begun),
            {noreply, State#state{calls = (State#state.calls)#{Alias => Begun}}, ?QUIET};
        {refused, Reason} when Ack =:= none ->
            Alias ! {py_refused, Alias, Reason},
            {noreply, State, ?QUIET};
        {refused, _} = Refused ->
            acknowledge(Ack, Refused),
            {noreply, State, ?QUIET}
    end;
handle_info({py_response, Alias, Answer} = Message, #state{calls = Calls} = State) when is_map_key(Alias, Calls) ->
    Held = hold(Alias, py_remote_objects:in(Answer), State),
    Alias ! Message,
    {noreply, without_call(Alias, Held), ?QUIET};
handle_info({py_error, Alias, _Reason} = Message, #state{calls = Calls} = State) when is_map_key(Alias, Calls) ->
    Alias ! Message,
    {noreply, without_call(Alias, State), ?QUIET};
handle_info({py_opened, Alias, Host}, #state{streams = Streams} = State) ->
    {noreply, without_call(Alias, State#state{streams = Streams#{Alias => Host}}), ?QUIET};
handle_info({py_hold, Alias, Refs}, State) ->
    {noreply, hold(Alias, Refs, State), ?QUIET};
handle_info({py_abandon, Alias, Why}, State) ->
    {noreply, abandon(Alias, Why, State), ?QUIET};
handle_info({timeout, Timer, Alias}, #state{calls = Calls} = State) ->
    case Calls of
        #{Alias := #call{timer = Timer} = Call} -> {noreply, overdue(Alias, Call, State), ?QUIET};
        _ -> {noreply, State, ?QUIET}
    end;
handle_info({py_ask, Alias, {default_timeout, Pool}}, State) ->
    Alias ! {py_answer, Alias, default_timeout({pool, Pool})},
    {noreply, State, ?QUIET};
handle_info({py_ask, Alias, {release, Ref}}, #state{held = Held} = State) ->
    Alias ! {py_answer, Alias, release(Ref)},
    {noreply, State#state{held = maps:remove(Ref, Held)}, ?QUIET};
handle_info({py_ask, Alias, {stream, Id, Objects, Question}}, #state{streams = Streams, asked = Asked} = State) ->
    case Streams of
        #{Id := Host} ->
            Host ! {py_ask, Alias, Objects, Question},
            {noreply, State#state{asked = Asked#{Host => Alias}}, ?QUIET};
        _ ->
            Alias ! {py_answer, Alias, {error, closed}},
            {noreply, State, ?QUIET}
    end;
handle_info({py_give_up, Id}, #state{streams = Streams} = State) ->
    _ = case Streams of
            #{Id := Host} -> Host ! py_give_up;
            _ -> ok
        end,
    {noreply, State, ?QUIET};
handle_info({'EXIT', Host, Reason}, State) ->
    {noreply, without_host(Host, Reason, State), ?QUIET};
handle_info({'DOWN', Monitor, process, _, _}, #state{link_monitor = Monitor} = State) ->
    {stop, {shutdown, caller_gone}, State};
handle_info({'DOWN', Monitor, process, _, _}, #state{home_monitor = Monitor, calls = Calls} = State) ->
    _ = [Alias ! {py_error, Alias, {no_pool, Name}} || {Alias, #call{pool = Name}} <- maps:to_list(Calls)],
    ended(State#state{calls = #{}, held = #{}, stopped = true}, stopped);
%% An answer that nobody wants any more, with the objects in it.
handle_info({py_response, _Alias, _Answer}, State) ->
    {noreply, State, 0};
handle_info(_Message, State) ->
    {noreply, State, ?QUIET}.

%% Ends unless something is left that only this process has. An end of the application leaves the streams: they
%% have their last word to say.
ended(#state{calls = Calls, streams = Streams, held = Held, stopped = Stopped} = State, Reason) ->
    case map_size(Calls) + map_size(Streams) + map_size(Held) of
        0 ->
            case Stopped orelse not py_job:is_bound() of
                true -> {stop, {shutdown, Reason}, State};
                false -> {noreply, State, hibernate}
            end;
        _ ->
            {noreply, State, hibernate}
    end.

acknowledge(none, _Answer) ->
    ok;
acknowledge(Ack, Answer) ->
    Ack ! {py_answer, Ack, Answer},
    ok.

begin_call(Alias, What, Op, Objects, Call) ->
    case py_remote_objects:alive(Objects) of
        true ->
            try py_job:route(Op, Call) of
                Route -> post(Alias, What, Route, Call)
            catch
                throw:{badarg, _Cause} = Misuse -> {refused, Misuse}
            end;
        false ->
            {refused, object_gone}
    end.

post(Alias, call, Route, Call) ->
    posted(Alias, py_job:post(Route, self(), Alias), Call, none);
post(Alias, {stream, Prefetch}, Route, {_, _, Timeout, _} = Call) ->
    Host = py_agent_stream:start_link(Alias, Timeout, Prefetch),
    posted(Alias, py_job:post(Route, Host, Alias), Call, Host).

%% The caller's own time is what counts; this one is for when the caller cannot be heard.
posted(Alias, {ok, Job}, {Name, _, Timeout, _}, Host) ->
    {ok, #call{pool = Name, job = Job, timer = timer(Timeout, Alias), host = Host}};
posted(_Alias, {error, Reason}, _Call, Host) ->
    end_host(Host),
    {refused, Reason}.

timer(infinity, _Alias) -> none;
timer(Timeout, Alias) -> erlang:start_timer(Timeout, self(), Alias).

without_call(Alias, #state{calls = Calls} = State) ->
    case maps:take(Alias, Calls) of
        {#call{timer = Timer}, Left} ->
            _ = Timer =:= none orelse erlang:cancel_timer(Timer),
            State#state{calls = Left};
        error ->
            State
    end.

%% A question that came too late for it is answered here; one that it has answered has no alias any more.
without_host(Host, Reason, #state{streams = Streams, asked = Asked, calls = Calls} = State) ->
    _ = case {Asked, Reason} of
            {#{Host := Alias}, normal} -> Alias ! {py_answer, Alias, {error, closed}};
            {#{Host := Alias}, _Killed} -> Alias ! {py_answer, Alias, {error, cancelled}};
            _ -> ok
        end,
    State#state{streams = maps:filter(fun(_, Pid) -> Pid =/= Host end, Streams),
                asked = maps:remove(Host, Asked),
                calls = maps:filter(fun(_, #call{host = Pid}) -> Pid =/= Host end, Calls)}.

overdue(Alias, #call{job = Job, host = Host} = Call, #state{calls = Calls} = State) ->
    case py_nif:abandon(Job, timeout) of
        abandoned ->
            end_host(Host),
            Alias ! {py_error, Alias, timeout},
            State#state{calls = maps:remove(Alias, Calls)};
        sent ->
            State#state{calls = Calls#{Alias := Call#call{timer = none}}}
    end.

%% The caller wants nothing of it any more: neither the answer, nor what came in an answer that it never saw.
abandon(Alias, Why, #state{calls = Calls, streams = Streams, held = Held} = State) ->
    case Calls of
        #{Alias := #call{job = Job, host = Host}} ->
            _ = py_nif:abandon(Job, Why),
            end_host(Host),
            without_call(Alias, State);
        _ ->
            end_host(maps:get(Alias, Streams, none)),
            State#state{streams = maps:remove(Alias, Streams),
                        held = maps:filter(fun(_, Giver) -> Giver =/= Alias end, Held)}
    end.

end_host(none) ->
    ok;
end_host(Host) ->
    true = exit(Host, kill),
    ok.

hold(Alias, Refs, #state{held = Held} = State) ->
    State#state{held = lists:foldl(fun(Ref, All) when node(Ref) =:= node() -> All#{Ref => Alias};
                                      (_Ref, All) -> All
                                   end, Held, Refs)}.

release(Ref) ->
    try
        py_nif:release(Ref)
    catch
        error:badarg -> {error, badarg}
    end.
