%% Starting, stopping, halting, and reloading the NIF, each in a VM of its own.
-module(py_lifecycle_SUITE).
-export([all/0, suite/0]).
-export([start_alone/1, start_stop_20_times/1, halt_while_busy/1, stop_while_busy/1, reload_under_load/1]).

suite() -> [{timetrap, {minutes, 3}}].

all() -> [start_alone, start_stop_20_times, halt_while_busy, stop_while_busy, reload_under_load].

passes(Call, Timeout) ->
    {Status, Output, Time} = py_test:vm(Call, Timeout),
    ct:log("~ts", [Output]),
    {0, {match, _}} = {Status, re:run(Output, "passed")},
    Time.

start_alone(_Config) ->
    passes("py_vm_cases:start_alone()", 30000).

start_stop_20_times(_Config) ->
    passes("py_vm_cases:start_stop()", 120000).

%% The VM's own start and half a second of getting busy are not the halt's.
halt_while_busy(_Config) ->
    Alone = passes("py_vm_cases:start_alone()", 30000),
    Time = passes("py_vm_cases:halt_busy()", 30000),
    true = Time - Alone - 500 < 2000.

stop_while_busy(_Config) ->
    Alone = passes("py_vm_cases:start_alone()", 30000),
    Time = passes("py_vm_cases:stop_busy()", 30000),
    true = Time - Alone - 500 < 4000.

reload_under_load(_Config) ->
    passes("py_vm_cases:reload()", 120000).
