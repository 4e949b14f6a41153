%% The relays of py_pool:request/1, each on its own.
-module(py_relay_sup).
-behaviour(supervisor).

-export([start_link/0, start_relay/4]).
-export([init/1]).

-spec start_link() -> supervisor:startlink_ret().
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

%% Error: the application is not running.
-spec start_relay(call | stream, Tag :: reference(), Ref :: reference(), Consumer :: pid()) ->
          {ok, pid()} | {error, not_started}.
start_relay(Kind, Tag, Ref, Consumer) ->
    try supervisor:start_child(?MODULE, [Kind, Tag, Ref, Consumer]) of
        {ok, Pid} -> {ok, Pid}
    catch
        exit:{_, {supervisor, _, _}} -> {error, not_started};
        exit:{_, {gen_server, call, _}} -> {error, not_started}
    end.

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    Flags = #{strategy => simple_one_for_one, intensity => 3, period => 10},
    Relay = #{id => py_relay,
              start => {py_relay, start_link, []},
              restart => temporary,
              shutdown => brutal_kill},
    {ok, {Flags, [Relay]}}.
