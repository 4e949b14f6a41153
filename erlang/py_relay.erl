%% What stands between a worker and the consumer of a py_pool:request/1: of a stream always, for it keeps
%% within the room of the consumer's mailbox; of a call only where the consumer lives on another node.
%%
%% The relay owns the stream, and works on the node of the worker: the consumer's node need not run this
%% application.
-module(py_relay).
-behaviour(gen_server).

-export([request/1, start_link/4]).
-export([init/1, handle_continue/2, handle_call/3, handle_cast/2, handle_info/2]).

%% How much longer the consumer's mailbox may get than it was.
-define(ROOM, 1000).
%% Values asked for at a time. After each half it is looked how the consumer does.
-define(WINDOW, 500).
%% How long to wait for a consumer that is behind, in milliseconds.
-define(PAUSE, 5).

-record(state, {kind :: call | stream,
                consumer :: pid(),
                ref :: reference(),
                monitor :: reference(),
                start_length = 0 :: non_neg_integer(),
                tag :: reference(),               % of what the native side sends
                stream :: py_nif:stream() | undefined,
                open = 0 :: non_neg_integer()}).  % values asked for that have not come

%% Throws what py_op throws, with the request as argument 1.
-spec request(py_pool:request()) -> ok.
request({call, Ref, Pid, Mod, Fun, Args, KwArgs}) ->
    post(Ref, Pid, fun() -> py_op:call(Mod, Fun, Args, KwArgs) end);
request({eval, Ref, Pid, Code, Locals}) ->
    post(Ref, Pid, fun() -> py_op:eval(Code, Locals) end);
request({exec, Ref, Pid, Code}) ->
    post(Ref, Pid, fun() -> py_op:exec(Code) end);
request({stream, Ref, Pid, Mod, Fun, Args, KwArgs}) ->
    relay(Ref, Pid, fun() -> py_op:call(Mod, Fun, Args, KwArgs) end);
request({stream_eval, Ref, Pid, Code, Locals}) ->
    relay(Ref, Pid, fun() -> py_op:eval(Code, Locals) end);
request(_Request) ->
    py_error:bad_argument(1, <<"Request is none of the forms that py_pool:request knows">>).

post(Ref, Pid, Make) ->
    case addressed(Ref, Pid) of
        true when node(Pid) =:= node() ->
            case py_job:post(py_job:route(Make(), py_opts:none()), Pid, Ref) of
                {ok, _Job} -> ok;
                {error, Reason} -> refuse(Pid, Ref, Reason)
            end;
        true ->
            relayed(call, py_job:route(Make(), py_opts:none()), Ref, Pid)
    end.

relay(Ref, Pid, Make) ->
    true = addressed(Ref, Pid),
    relayed(stream, py_job:route({stream, Make()}, py_opts:none()), Ref, Pid).

%% The caller submits, for it is the caller that is bound to a worker; the answer goes to the relay.
relayed(Kind, Route, Ref, Pid) ->
    Tag = make_ref(),
    case py_relay_sup:start_relay(Kind, Tag, Ref, Pid) of
        {ok, Relay} ->
            case py_job:post(Route, Relay, Tag) of
                {ok, _Job} -> ok;
                {error, Reason} -> refuse(Relay, Tag, Reason)
            end;
        {error, not_started} ->
            refuse(Pid, Ref, {no_pool, default})
    end.

addressed(Ref, Pid) when is_reference(Ref), is_pid(Pid) -> true;
addressed(_Ref, _Pid) -> py_error:bad_argument(1, <<"Request has no reference and pid after its name">>).

refuse(Pid, Ref, Reason) ->
    Pid ! {py_error, Ref, Reason},
    ok.

-spec start_link(call | stream, Tag :: reference(), Ref :: reference(), Consumer :: pid()) -> {ok, pid()}.
start_link(Kind, Tag, Ref, Consumer) ->
    {ok, _Pid} = gen_server:start_link(?MODULE, {Kind, Tag, Ref, Consumer}, []).

-spec init({call | stream, reference(), reference(), pid()}) -> {ok, #state{}, {continue, measure}}.
init({Kind, Tag, Ref, Consumer}) ->
    Monitor = erlang:monitor(process, Consumer),
    {ok, #state{kind = Kind, consumer = Consumer, ref = Ref, monitor = Monitor, tag = Tag}, {continue, measure}}.

-spec handle_continue(measure, #state{}) -> {noreply, #state{}}.
handle_continue(measure, #state{kind = stream} = State) ->
    {noreply, State#state{start_length = max(0, mailbox(State))}};
handle_continue(measure, State) ->
    {noreply, State}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, {error, unknown_call}, #state{}}.
handle_call(_Request, _From, State) ->
    {reply, {error, unknown_call}, State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_Request, State) ->
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, normal, #state{}}.
handle_info({py_chunk, Tag, Value}, #state{tag = Tag, consumer = Consumer, ref = Ref, open = Open} = State) ->
    Consumer ! {py_chunk, Ref, Value},
    case Open - 1 of
        Left when Left =< ?WINDOW div 2 -> more(State#state{open = Left});
        Left -> {noreply, State#state{open = Left}}
    end;
handle_info({py_end, Tag}, #state{tag = Tag} = State) ->
    last({py_end, State#state.ref}, State);
handle_info({py_error, Tag, Reason}, #state{tag = Tag} = State) ->
    last({py_error, State#state.ref, Reason}, State);
handle_info({py_response, Tag, {ok, Handle}}, #state{kind = stream, tag = Tag} = State) ->
    push(State#state{stream = Handle});
handle_info({py_response, Tag, Answer}, #state{tag = Tag} = State) ->
    last({py_response, State#state.ref, Answer}, State);
handle_info(look, State) ->
    more(State);
handle_info({'DOWN', Monitor, process, _, _}, #state{monitor = Monitor} = State) ->
    {stop, normal, State};
handle_info(_Other, State) ->
    {noreply, State}.

push(#state{stream = Handle, tag = Tag} = State) ->
    case py_nif:stream_push(Handle, Tag, ?WINDOW, true) of
        wait -> {noreply, State#state{open = ?WINDOW}};
        {error, Reason} -> last({py_error, State#state.ref, Reason}, State)
    end.

%% Asks for more as far as the consumer has room.
more(#state{stream = Handle, open = Open, start_length = Length} = State) ->
    Room = Length + ?ROOM - mailbox(State) - Open,
    case min(Room, ?WINDOW - Open) of
        Count when Count >= ?WINDOW div 2; Count > 0, Open =:= 0 ->
            %% What stands against it comes as a message, or has come.
            _ = py_nif:stream_demand(Handle, Count),
            {noreply, State#state{open = Open + Count}};
        _ when Open > 0 ->
            {noreply, State};
        _ ->
            _ = erlang:send_after(?PAUSE, self(), look),
            {noreply, State}
    end.

last(Message, #state{consumer = Consumer} = State) ->
    Consumer ! Message,
    {stop, normal, State}.

%% -1: it is gone.
mailbox(#state{consumer = Consumer}) when node(Consumer) =:= node() ->
    case process_info(Consumer, message_queue_len) of
        {message_queue_len, Length} -> Length;
        undefined -> -1
    end;
mailbox(#state{consumer = Consumer}) ->
    try erpc:call(node(Consumer), erlang, process_info, [Consumer, message_queue_len]) of
        {message_queue_len, Length} -> Length;
        undefined -> -1
    catch
        error:{erpc, _} -> -1
    end.
