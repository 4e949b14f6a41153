%% Workers that share what Python has once in an interpreter, at the same time. With a GIL they take turns;
%% on a free-threaded build they do not. A value that other workers change meanwhile crosses as it was at one
%% moment, or as a RuntimeError, and nothing crashes.
%%
%% ERLPY_STRESS_SECONDS: how long each case takes (2).
-module(py_race_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

race_test_() ->
    py_test:cases(?MODULE, 60 + 4 * seconds()).

seconds() ->
    list_to_integer(os:getenv("ERLPY_STRESS_SECONDS", "2")).

%% A module of that name for all workers of the interpreter.
share(Name, Code) ->
    Define = ["import sys, types\nshared = types.ModuleType('", Name, "')\nexec(", python_text(Code),
              ", shared.__dict__)\nsys.modules['", Name, "'] = shared"],
    ok = py:exec(Define).

python_text(Code) ->
    ["'''", Code, "'''"].

%% Runs each function again and again, all in processes of their own, for the time of a case; what went wrong
%% in any of them comes out here. How often they ran.
together(Funs) ->
    Until = erlang:monotonic_time(millisecond) + 1000 * seconds(),
    Runs = [spawn_monitor(fun() -> exit({ran, repeat(Fun, Until, 0)}) end) || Fun <- Funs],
    [receive
         {'DOWN', Monitor, process, Pid, {ran, Count}} -> Count;
         {'DOWN', Monitor, process, Pid, Reason} -> error(Reason)
     end || {Pid, Monitor} <- Runs].

repeat(Fun, Until, Count) ->
    case erlang:monotonic_time(millisecond) < Until of
        true -> Fun(), repeat(Fun, Until, Count + 1);
        false -> Count
    end.

%% Each attempt takes what is there at a moment: Check gets it. The other outcome is a RuntimeError. In the
%% expression the module is `m`.
look(Module, Expression, Check) ->
    Code = iolist_to_binary(["[", Expression, " for m in (__import__('", Module, "'),)][0]"]),
    fun() ->
        case py:eval(Code) of
            {ok, Value} -> Check(Value);
            {error, {'RuntimeError', _}} -> ok
        end
    end.

change(Module, Function) ->
    Name = list_to_binary(Module),
    fun() -> {ok, none} = py:call(Name, Function, [200]) end.

all_equal([]) -> ok;
all_equal([First | Rest]) -> true = lists:all(fun(Each) -> Each =:= First end, Rest), ok.

%% Shorter than what a conversion takes in one go, so that with a GIL it is whole too.
case_list_that_is_replaced() ->
    share("race_list", "things = [0] * 500\ndef change(n):\n    for i in range(n): things[:] = [i] * 500\n"),
    Look = look("race_list", "m.things", fun(List) -> 500 = length(List), all_equal(List) end),
    Nested = look("race_list", "(m.things, [m.things])",
                  fun({One, [Other]}) -> all_equal(One), all_equal(Other) end),
    together([change("race_list", change), Look, Look, Nested]).

case_list_that_grows_and_shrinks() ->
    share("race_queue", "things = list(range(100))\n"
          "def grow(n):\n    for i in range(n): things.append(i)\n"
          "def shrink(n):\n    for i in range(n):\n        if things: things.pop()\n    del things[50:]\n"),
    Look = look("race_queue", "m.things", fun(List) -> true = lists:all(fun is_integer/1, List) end),
    together([change("race_queue", grow), change("race_queue", shrink), Look, Look]).

case_dict_that_is_updated() ->
    share("race_dict", "things = dict.fromkeys(range(300), 0)\nnews = [dict.fromkeys(range(300), i) for i in range(4)]\n"
          "def change(n):\n    for i in range(n): things.update(news[i % 4])\n"),
    Look = look("race_dict", "m.things",
                fun(Map) -> 300 = map_size(Map), all_equal(maps:values(Map)) end),
    together([change("race_dict", change), Look, Look, Look]).

case_dict_that_grows_and_shrinks() ->
    share("race_keys", "things = {}\n"
          "def grow(n):\n    for i in range(n): things['key %d' % i] = [i]\n"
          "def shrink(n):\n    for i in range(n): things.pop('key %d' % i, None)\n"),
    Look = look("race_keys", "m.things",
                fun(Map) -> [<<"key ", _/binary>> = Key || {Key, [I]} <- maps:to_list(Map), is_integer(I)] end),
    together([change("race_keys", grow), change("race_keys", shrink), Look, Look]).

case_set_that_changes() ->
    share("race_set", "things = set()\n"
          "def grow(n):\n    for i in range(n): things.add(i)\n"
          "def shrink(n):\n    for i in range(n): things.discard(i)\n"),
    Look = look("race_set", "m.things", fun(Set) -> Set = ordsets:from_list(Set) end),
    Again = look("race_set", "{'s': m.things, 'f': frozenset(range(5))}",
                 fun(#{<<"f">> := Frozen}) -> [0, 1, 2, 3, 4] = Frozen end),
    together([change("race_set", grow), change("race_set", shrink), Look, Again]).

case_fields_and_bytes() ->
    share("race_fields", "import dataclasses\n@dataclasses.dataclass\nclass Point:\n    x: int\n    y: list\n"
          "things = Point(0, [])\nroom = bytearray(1000)\n"
          "def change(n):\n    for i in range(n):\n        things.x = i\n        things.y = [i]\n"
          "def fill(n):\n    for i in range(n): room[:] = bytes([i % 256]) * 1000\n"),
    Look = look("race_fields", "m.things", fun(#{<<"x">> := X, <<"y">> := Y}) -> true = is_integer(X) andalso is_list(Y) end),
    Bytes = look("race_fields", "m.room", fun(Bin) -> 1000 = byte_size(Bin) end),
    together([change("race_fields", change), change("race_fields", fill), Look, Bytes]).

%% Text whose UTF-8 form Python keeps beside it, made by whoever asks first.
case_text_that_all_read() ->
    share("race_text", "things = []\ndef change(n):\n    things[:] = ['\\\\u00e9t\\\\u00e9 %d' % i for i in range(n)]\n"),
    Look = look("race_text", "m.things", fun(List) -> true = lists:all(fun(<<"ét"/utf8, _/binary>>) -> true end, List) end),
    together([change("race_text", change), Look, Look, Look]).

%% An object that several workers call, while references to it come and go.
case_object_that_all_hold() ->
    share("race_object", "class Thing:\n    def __init__(self): self.seen = 0\n    def look(self, other):\n"
          "        self.seen += 1\n        return other is self\nthings = [Thing() for _ in range(10)]\n"
          "def change(n):\n    things[:] = [Thing() for _ in range(10)]\n"),
    Hold = look("race_object", "m.things", fun(Objects) ->
        [{ok, true} = py:call(Object, look, [Object]) || Object <- Objects],
        [ok = py:release(Object) || Object <- Objects]
    end),
    together([change("race_object", change), Hold, Hold, Hold]).

%% Streams, awaited calls, time-outs and collections beside each other.
case_all_at_once() ->
    share("race_mix", "import asyncio, gc\nthings = {'a': [1, 2, 3]}\n"
          "def count(n):\n    for i in range(n):\n        things[i % 50] = [i]\n        yield things\n"
          "async def acount(n):\n    for i in range(n):\n        await asyncio.sleep(0)\n        yield i\n"
          "async def nap():\n    await asyncio.sleep(0.001)\n    return 1\n"
          "def spin():\n    while True: pass\n"
          "def collect(n):\n    gc.collect()\n"),
    Stream = fun() -> served(fun() -> py:stream(race_mix, count, [20]) end, fun(Values) -> 20 = length(Values) end) end,
    Async = fun() ->
        served(fun() -> py_stream:open({call, race_mix, acount, [30], #{}}) end, fun(Handle) ->
            served(fun() -> py_stream:take(Handle, 5) end, fun(Values) -> [0, 1, 2, 3, 4] = Values end),
            ok = py_stream:close(Handle)
        end)
    end,
    Nap = fun() -> served(fun() -> py:call(race_mix, nap, []) end, fun(1) -> ok end) end,
    Spin = fun() -> served(fun() -> py:call(race_mix, spin, [], #{}, 20) end, fun(never) -> ok end) end,
    Collect = fun() -> served(fun() -> py:call(race_mix, collect, [1]) end, fun(none) -> ok end) end,
    [true = Count > 0 || Count <- together([Stream, Stream, Async, Async, Nap, Nap, Spin, Collect])],
    ?assertEqual({ok, 2}, py:eval("1 + 1")).

%% Spinning takes its worker away from streams, where the machine is too busy to interrupt it in time.
served(Call, Check) ->
    case Call() of
        {ok, Value} -> Check(Value);
        {error, Reason} when Reason =:= timeout; Reason =:= worker_replaced; Reason =:= overload -> ok
    end.
