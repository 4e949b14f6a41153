%% The application callback: starts the supervisors, and the pool `default', which
%% the application environment describes.
-module(erlang_python_app).
-behaviour(application).

-include_lib("kernel/include/logger.hrl").

-export([start/2, prep_stop/1, stop/1]).

%% Why it does not start is the reason of `default' alone, also in words.
-spec start(application:start_type(), term()) -> {ok, pid()} | {error, term()}.
start(_Type, _Args) ->
    case erlang_python_sup:start_link() of
        {ok, Pid} ->
            case py_pools_sup:start_pool(default, #{}) of
                {ok, _} ->
                    warn_of_unknown_keys(),
                    {ok, Pid};
                {error, Reason} ->
                    ?LOG_ERROR("erlang_python does not start: ~ts", [in_words(Reason)]),
                    end_supervisor(Pid),
                    {error, Reason}
            end;
        {error, Reason} ->
            {error, py_pool_sup:root_cause(Reason)}
    end.

%% Its supervisor ends one pool after the other, and each may take its time.
-spec prep_stop(State) -> State.
prep_stop(State) ->
    lists:foreach(fun py_pool_owner:stop_soon/1, py_pools_sup:names()),
    State.

-spec stop(term()) -> ok.
stop(_State) ->
    ok.

%% What is misspelt there has no effect, and nobody else would say so.
warn_of_unknown_keys() ->
    _ = [?LOG_WARNING("the environment of erlang_python has a key that means nothing: ~0tp", [Key])
         || {Key, _} <- application:get_all_env(erlang_python), not py_opts:is_known(Key)],
    ok.

in_words({bad_option, Key, Value}) ->
    io_lib:format("its environment has a bad value for ~0tp: ~0tP", [Key, Value, 20]);
in_words({Class, Message} = Reason) when is_atom(Class); is_binary(Class) ->
    case io_lib:printable_unicode_list(Message) of
        true -> io_lib:format("a worker of the pool default cannot start: ~ts: ~ts", [Class, Message]);
        false -> io_lib:format("~0tP", [Reason, 30])
    end;
in_words(Reason) ->
    io_lib:format("~0tP", [Reason, 30]).

end_supervisor(Pid) ->
    unlink(Pid),
    Monitor = erlang:monitor(process, Pid),
    exit(Pid, shutdown),
    receive
        {'DOWN', Monitor, process, Pid, _} -> ok
    end.
