%% Workers that do not end in time are replaced, within bounds.
-module(py_replacement_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

-define(SELF, "(__import__('os').getpid(), __import__('threading').get_ident())").

replacement_test_() ->
    py_test:cases(?MODULE).

sleep(Pool, Seconds) ->
    {error, timeout} = py:call(time, sleep, [Seconds], #{}, #{pool => Pool, timeout => 50}).

%% Where it is in the same interpreter; else it begins with an empty one.
case_namespace_is_inherited() ->
    py_test:with_pool(#{num_workers => 1}, fun(Pool) ->
        ok = py:exec("v = [1]", #{pool => Pool}),
        {ok, Before} = py:eval(?SELF, #{}, #{pool => Pool}),
        sleep(Pool, 3),
        case py_test:isolation() of
            shared ->
                ok = py:exec("v.append(2)", #{pool => Pool}),
                ?assertEqual({ok, [1, 2]}, py:eval("v", #{}, #{pool => Pool}));
            _ ->
                ?assertMatch({error, {'NameError', _}}, py:exec("v.append(2)", #{pool => Pool})),
                ok = py:exec("v = [3]", #{pool => Pool}),
                ?assertEqual({ok, [3]}, py:eval("v", #{}, #{pool => Pool}))
        end,
        {ok, After} = py:eval(?SELF, #{}, #{pool => Pool}),
        ?assertNotEqual(Before, After)
    end).

case_queued_jobs_move() ->
    py_test:with_pool(#{num_workers => 1}, fun(Pool) ->
        Parent = self(),
        spawn_link(fun() -> sleep(Pool, 5) end),
        timer:sleep(20),
        [spawn_link(fun() -> Parent ! {answer, I, py:eval("i", #{i => I}, #{pool => Pool})} end)
         || I <- lists:seq(1, 20)],
        {Time, _} = py_test:elapsed(fun() ->
            [receive {answer, I, Answer} -> ?assertEqual({ok, I}, Answer) end || I <- lists:seq(1, 20)]
        end),
        ?assert(Time < 1500)
    end).

case_replacement_is_bounded() ->
    case py_test:isolation() of
        process -> killed_again_and_again();
        _ -> abandoned_threads_are_bounded()
    end.

%% What hangs is killed: no thread is left behind, and nothing to bound.
killed_again_and_again() ->
    py_test:with_pool(#{num_workers => 1, max_abandoned => 0}, fun(Pool) ->
        [begin
             sleep(Pool, 30),
             ?assertEqual({ok, 2}, py:eval("1 + 1", #{}, #{pool => Pool, timeout => 5000}))
         end || _ <- lists:seq(1, 5)],
        ?assertMatch({ok, #{restarts := 5, abandoned := 0, overloads := 0}}, py_pool:stats(Pool))
    end).

abandoned_threads_are_bounded() ->
    py_test:with_pool(#{num_workers => 1, max_abandoned => 2}, fun(Pool) ->
        [begin
             sleep(Pool, 3),
             ?assertEqual({ok, 2}, py:eval("1 + 1", #{}, #{pool => Pool, timeout => 2000}))
         end || _ <- [1, 2]],
        sleep(Pool, 3),
        timer:sleep(300),
        {Time, Result} = py_test:elapsed(fun() -> py:eval("1 + 1", #{}, #{pool => Pool, timeout => 1000}) end),
        ?assertEqual({error, overload}, Result),
        ?assert(Time < 500),
        {ok, Stats} = py_pool:stats(Pool),
        ?assert(maps:get(abandoned, Stats) =< 2),
        %% When the sleepers wake, all is as before.
        timer:sleep(3500),
        ?assertEqual({ok, 2}, py:eval("1 + 1", #{}, #{pool => Pool})),
        py_test:wait_until(fun() -> {ok, #{abandoned := N}} = py_pool:stats(Pool), N =:= 0 end, 2000)
    end).

case_preload_and_objects_after_replacement() ->
    py_test:with_pool(#{num_workers => 1, preload => "import json"}, fun(Pool) ->
        Opts = #{pool => Pool},
        {ok, Object} = py:eval("[1, 2].__iter__()", #{}, Opts),
        sleep(Pool, 2),
        Inherited = case py_test:isolation() of shared -> {ok, 1}; _ -> {error, object_gone} end,
        ?assertEqual(Inherited, py:call(Object, '__next__', [])),
        ?assertEqual({ok, <<"{}">>}, py:eval("json.dumps({})", #{}, Opts))
    end).

case_overload_of_a_full_queue() ->
    py_test:with_pool(#{num_workers => 1, max_queue => 5}, fun(Pool) ->
        Opts = #{pool => Pool, worker => 1},
        Refs = [py:call_async(time, sleep, [0.3], #{}, Opts) || _ <- lists:seq(1, 12)],
        Answers = [py:await(Ref) || Ref <- Refs],
        ?assert(length([1 || {error, overload} <- Answers]) >= 6),
        ?assert(length([1 || {ok, none} <- Answers]) >= 5),
        ?assertEqual({ok, 2}, py:eval("1 + 1", #{}, Opts)),
        {ok, #{overloads := Overloads}} = py_pool:stats(Pool),
        ?assert(Overloads >= 6)
    end).
