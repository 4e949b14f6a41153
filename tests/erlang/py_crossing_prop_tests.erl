%% Runs the properties of prop_py_crossing.
-module(py_crossing_prop_tests).
-include_lib("eunit/include/eunit.hrl").

properties_test_() ->
    {setup, fun py_test:start/0, fun py_test:stop/1,
     [{timeout, 300, {atom_to_list(Name), fun() -> holds(Name, Tests) end}}
      || {Name, Tests} <- [{prop_round_trip, 2000}, {prop_arguments, 500}, {prop_atoms_kept, 500},
                           {prop_integer_text, 500}, {prop_float_text, 500}]]}.

holds(Name, Tests) ->
    ok = py:exec(<<"def both(a, b): return [a, b]">>),
    Options = [{numtests, Tests}, {max_size, 30}, long_result, {on_output, fun(_, _) -> ok end}],
    case proper:quickcheck(prop_py_crossing:Name(), Options) of
        true -> ok;
        Found -> error({counterexample, io_lib:format("~0tp", [Found])})
    end.
