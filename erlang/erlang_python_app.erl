%% The application callback: checks the environment, starts the supervisors.
-module(erlang_python_app).
-behaviour(application).

-export([start/2, stop/1]).

-spec start(application:start_type(), term()) -> {ok, pid()} | {error, term()}.
start(_Type, _Args) ->
    case erlang_python_sup:start_link() of
        {ok, Pid} -> {ok, Pid};
        {error, Reason} -> {error, py_pool_sup:root_cause(Reason)}
    end.

-spec stop(term()) -> ok.
stop(_State) ->
    ok.
