%% Misuse of the documented types is badarg, with error information that names the
%% argument; and the pool goes on.
-module(py_badarg_tests).
-include_lib("eunit/include/eunit.hrl").

badarg_test_() ->
    {setup, fun py_test:start/0, fun py_test:stop/1,
     [{Title, fun() -> py_test:badarg(Fun, Position, Needle) end} || {Title, Fun, Position, Needle} <- table()]
     ++ [?_assertEqual({ok, 2}, py:eval("1 + 1"))]}.

table() ->
    call_table() ++ code_table() ++ option_table() ++ other_table() ++ pool_table().

call_table() ->
    [{"module: integer", fun() -> py:call(1, f, []) end, 1, "Mod"},
     {"module: tuple", fun() -> py:call({a, b}, f, []) end, 1, "Mod"},
     {"module: not UTF-8", fun() -> py:call(<<255>>, f, []) end, 1, "Mod"},
     {"module: no string", fun() -> py:call([math, a], f, []) end, 1, "Mod"},
     {"function: integer", fun() -> py:call(math, 1, []) end, 2, "Fun"},
     {"function: surrogate", fun() -> py:call(math, [16#D800], []) end, 2, "Fun"},
     {"arguments: no list", fun() -> py:call(math, sqrt, 16) end, 3, "Args"},
     {"arguments: improper", fun() -> py:call(math, sqrt, [16 | 1]) end, 3, "Args"},
     {"arguments: a tuple", fun() -> py:call(math, sqrt, {16}, #{}) end, 3, "Args"},
     {"keywords: a list", fun() -> py:call(math, sqrt, [1], [{a, 1}]) end, 4, "KwArgs"},
     {"keywords: integer key", fun() -> py:call(math, sqrt, [1], #{1 => 1}) end, 4, "KwArgs"},
     {"keywords: one key twice", fun() -> py:call(builtins, dict, [], #{"a" => 1, <<"a">> => 2}) end, 4, "KwArgs"},
     {"keywords in async", fun() -> py:call_async(math, sqrt, [1], nope) end, 4, "KwArgs"},
     {"arguments in async", fun() -> py:call_async(math, sqrt, x) end, 3, "Args"},
     {"options in async", fun() -> py:call_async(math, sqrt, [1], #{}, -1) end, 5, "Timeout"},
     {"map: no list", fun() -> py:map(math, sqrt, x) end, 3, "ArgsList"},
     {"map: no list in it", fun() -> py:map(math, sqrt, [[1], 2]) end, 3, "ArgsList"},
     {"map: improper", fun() -> py:map(math, sqrt, [[1] | 2]) end, 3, "ArgsList"},
     {"map: improper in it", fun() -> py:map(math, sqrt, [[1 | 2]]) end, 3, "ArgsList"},
     {"map: options", fun() -> py:map(math, sqrt, [[1]], soon) end, 4, "Timeout"}].

code_table() ->
    [{"eval: integer", fun() -> py:eval(1) end, 1, "Code"},
     {"eval: map", fun() -> py:eval(#{}) end, 1, "Code"},
     {"eval: not UTF-8", fun() -> py:eval(<<"'", 255, "'">>) end, 1, "Code"},
     {"eval: bad list", fun() -> py:eval([$1, a]) end, 1, "Code"},
     {"eval: locals", fun() -> py:eval("1", [{x, 1}]) end, 2, "Locals"},
     {"eval: local that is no name", fun() -> py:eval("1", #{{x} => 1}) end, 2, "Locals"},
     {"exec: integer", fun() -> py:exec(1) end, 1, "Code"},
     {"exec: options", fun() -> py:exec("1", forever) end, 2, "Timeout"}].

option_table() ->
    [{Title, fun() -> py:eval("1", #{}, Opts) end, 3, Needle}
     || {Title, Opts, Needle} <-
            [{"negative timeout", -1, "Timeout"},
             {"float timeout", 1.5, "Timeout"},
             {"timeout too large", 1 bsl 32, "Timeout"},
             {"list of options", [{timeout, 1}], "Timeout"},
             {"timeout option", #{timeout => soon}, "Timeout"},
             {"pool option", #{pool => "default"}, "pool"},
             {"worker option", #{worker => 0}, "worker"},
             {"worker that is not there", #{worker => 1000}, "worker 1000"},
             {"traceback option", #{traceback => 1}, "traceback"},
             {"atoms option", #{atoms => binary}, "atoms"},
             {"unknown option", #{tiemout => 1}, "tiemout"},
             {"option of another kind", #{"timeout" => 1}, "timeout"}]].

other_table() ->
    [{"gc", fun() -> py:gc(3) end, 1, "Generation"},
     {"gc: atom", fun() -> py:gc(all) end, 1, "Generation"},
     {"tracemalloc", fun() -> py:tracemalloc_start(0) end, 1, "Frames"},
     {"bytes", fun() -> py:bytes("abc") end, 1, "Bin"},
     {"buffer", fun() -> py:buffer(<<1:3>>) end, 1, "Bin"},
     {"ndarray: dtype", fun() -> py:ndarray(1, {1}, <<>>) end, 1, "Dtype"},
     {"ndarray: shape", fun() -> py:ndarray("<f8", {-1}, <<>>) end, 2, "Shape"},
     {"ndarray: shape of atoms", fun() -> py:ndarray("<f8", [x], <<>>) end, 2, "Shape"},
     {"ndarray: data", fun() -> py:ndarray("<f8", {1}, []) end, 3, "Bin"}].

pool_table() ->
    [{"start: name", fun() -> py_pool:start("p", #{}) end, 1, "Name"},
     {"start: long name", fun() -> py_pool:start(list_to_atom(lists:duplicate(255, $a)), #{}) end, 1, "Name"},
     {"start: options", fun() -> py_pool:start(p, []) end, 2, "Opts"},
     {"child_spec: name", fun() -> py_pool:child_spec(1, #{}) end, 1, "Name"},
     {"child_spec: options", fun() -> py_pool:child_spec(p, x) end, 2, "Opts"},
     {"stop", fun() -> py_pool:stop(1) end, 1, "Name"},
     {"stats", fun() -> py_pool:stats("p") end, 1, "Name"}].

%% What a user sees in the shell.
shell_test() ->
    try py:call(math, sqrt, 16, #{}, 100) of
        _ -> error(no_badarg)
    catch
        error:badarg:Stack ->
            ?assertMatch([{py, call, [math, sqrt, 16, #{}, 100], _} | _], Stack),
            ?assertEqual(#{3 => <<"Args is not a proper list">>}, py_error:format_error(badarg, Stack))
    end.
