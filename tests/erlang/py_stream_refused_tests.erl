%% What is no stream, is no stream any more, or is another's: a clear error each, and
%% nothing stays open. Misuse of the documented types is badarg, with error information
%% that names the argument.
-module(py_stream_refused_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

-import(py_stream_test, [open/2, open_eval/1, value/1]).

refused_test_() ->
    py_stream_test:cases(?MODULE).

%% As every way to open a stream has it: {error, E}.
every_way(Code) ->
    Ref = make_ref(),
    ok = py_pool:request({stream_eval, Ref, self(), Code, #{}}),
    Pushed = receive {py_error, Ref, Reason} -> {error, Reason} after 5000 -> error(not_told) end,
    ?assertEqual([], py_test:mailbox()),
    [py_stream:open({eval, Code, #{}}), py:stream_eval(Code), py:stream_eval(Code, #{}, #{limit => 3}),
     py:stream_eval(Code, #{}, 5000), Pushed].

refused(Code, Class, Needle) ->
    [begin
         {error, {Got, Message}} = Answer,
         ?assertEqual({Code, Class}, {Code, Got}),
         ?assertNotEqual({Message, nomatch}, {Message, string:find(Message, Needle)})
     end || Answer <- every_way(Code)].

%% Not an iterable -----------------------------------------------------------------

case_not_an_iterable() ->
    refused("7", 'TypeError', "'int' object is not iterable"),
    refused("None", 'TypeError', "'NoneType' object is not iterable"),
    refused("1.5", 'TypeError', "'float' object is not iterable"),
    refused("len", 'TypeError', "is not iterable"),
    refused("int", 'TypeError', "'type' object is not iterable"),
    refused("object()", 'TypeError', "'object' object is not iterable").

case_no_value_at_all() ->
    refused("nope", 'NameError', "nope"),
    refused("1 +", 'SyntaxError', ""),
    refused("1/0", 'ZeroDivisionError', "zero"),
    ?assertMatch({error, {'ModuleNotFoundError', _}}, py:stream(no_such_module, f, [])),
    ?assertMatch({error, {'AttributeError', _}}, py:stream(math, no_such_function, [])),
    ?assertMatch({error, {'TypeError', _}}, py:stream(builtins, range, [])),
    ?assertMatch({error, {'ModuleNotFoundError', _}}, py_stream:open({call, no_such_module, f, [], #{}})).

classes() ->
    ok = py:exec("
class IterRaises:
    def __iter__(self):
        raise KeyError('in iter')

class IterIsNone:
    __iter__ = None

class IterGivesAnInt:
    def __iter__(self):
        return 7

class AsyncIterRaises:
    def __aiter__(self):
        raise KeyError('in aiter')

class AsyncIterGivesAnInt:
    def __aiter__(self):
        return 7

class NextRaises:
    def __iter__(self):
        return self

    def __next__(self):
        raise KeyError('in next')

class AsyncNextRaises:
    def __aiter__(self):
        return self

    async def __anext__(self):
        raise KeyError('in anext')

class AsyncNextGivesAnInt:
    def __aiter__(self):
        return self

    def __anext__(self):
        return 7

class Itself:
    def __iter__(self):
        return self

    def __next__(self):
        return self

class Exits:
    def __iter__(self):
        return self

    def __next__(self):
        raise SystemExit(3)

def raises_at_once():
    raise KeyError('at once')
    yield

async def araises_at_once():
    raise KeyError('at once')
    yield

def gives_itself():
    me = yield
    while True:
        yield me
").

case_iter_is_broken() ->
    classes(),
    [begin
         Answers = [py:stream('__main__', Class, []), py_stream:open({call, '__main__', Class, [], #{}})],
         [?assertMatch({error, {Error, _}} when Error =:= Expected, Answer) || Answer <- Answers]
     end || {Class, Expected} <- [{'IterRaises', 'KeyError'}, {'IterIsNone', 'TypeError'}, {'IterGivesAnInt', 'TypeError'},
                                  {'AsyncIterRaises', 'KeyError'}, {'AsyncIterGivesAnInt', 'TypeError'}]],
    ?assertEqual({error, {'KeyError', "'in iter'"}}, py:stream('__main__', 'IterRaises', [])).

%% The stream opens, for nothing has run; the first step says it.
case_the_first_step_raises() ->
    classes(),
    [begin
         Error = {error, {'KeyError', Message}},
         ?assertEqual(Error, py:stream('__main__', Fun, [])),
         ?assertEqual(Error, py:stream('__main__', Fun, [], #{}, #{limit => 1})),
         ?assertEqual({ok, []}, py:stream('__main__', Fun, [], #{}, #{limit => 0})),
         [begin
              Stream = open(Fun, []),
              ?assertEqual(Error, Step(Stream)),
              ?assertEqual({error, closed}, py_stream:next(Stream))
          end || Step <- [fun py_stream:next/1, fun(S) -> py_stream:take(S, 3) end, fun py_stream:to_list/1,
                          fun(S) -> py_stream:foreach(fun(_) -> ok end, S) end]],
         Pushed = open(Fun, []),
         {ok, Ref} = py_stream:subscribe(Pushed, #{demand => 3}),
         receive {py_error, Ref, Reason} -> ?assertEqual(Error, {error, Reason}) after 3000 -> error(not_told) end,
         ?assertEqual([], py_test:mailbox())
     end || {Fun, Message} <- [{'NextRaises', "'in next'"}, {'AsyncNextRaises', "'in anext'"},
                               {raises_at_once, "'at once'"}, {araises_at_once, "'at once'"}]],
    ?assertMatch({error, {'TypeError', _}}, py:stream('__main__', 'AsyncNextGivesAnInt', [])).

%% Not even this ends the VM, or the worker.
case_system_exit() ->
    classes(),
    ?assertMatch({error, {'SystemExit', _}}, py:stream('__main__', 'Exits', [])),
    Stream = open('Exits', []),
    ?assertMatch({error, {'SystemExit', "3"}}, py_stream:next(Stream)),
    ?assertEqual(2, value("1 + 1")).

%% An iterator that gives itself, for ever.
case_gives_itself_for_ever() ->
    Error = {error, {'ValueError', "'Itself' object returns itself as its next value, without end"}},
    py_test:in_process(fun() ->
        classes(),
        ?assertEqual(Error, py_stream:next(open('Itself', []))),
        ?assertEqual(Error, py_stream:take(open('Itself', []), 1000)),
        ?assertEqual(Error, py:stream('__main__', 'Itself', [])),
        ?assertEqual(Error, py_stream:fold(fun(_, N) -> N + 1 end, 0, open('Itself', []))),
        {error, Reason} = Error,
        {ok, Ref} = py_stream:subscribe(open('Itself', []), #{demand => 2}),
        receive {py_error, Ref, Told} -> ?assertEqual(Reason, Told) after 3000 -> error(not_told) end
    end),
    py_test:wait_until(fun() -> py_stream_test:open_streams() =:= 0 end, 3000).

%% A generator that yields itself: each is a reference to it.
case_a_generator_gives_itself() ->
    py_test:in_process(fun() ->
        classes(),
        {ok, {generator, _} = Generator} = py:call('__main__', gives_itself, []),
        {ok, Stream} = py_stream:open(Generator),
        {ok, none} = py_stream:next(Stream),
        {ok, {generator, _} = Self} = py_stream:send(Stream, Generator),
        {ok, Again} = py_stream:open(Self),
        {ok, {generator, _}} = py_stream:next(Again),
        {ok, [_, _, _]} = py_stream:take(Stream, 3),
        ok = py_stream:close(Stream),
        ?assertEqual({done, none}, py_stream:next(Again))
    end),
    py_test:wait_until(fun() -> py_stream_test:open_streams() =:= 0 end, 3000).

case_a_value_that_does_not_cross() ->
    ok = py:exec("def odd():\n    yield 1\n    yield '\\ud800'\n    yield 2"),
    Stream = open(odd, []),
    ?assertEqual({ok, [1]}, py_stream:take(Stream, 5)),
    ?assertMatch({error, {'UnicodeEncodeError', _}}, py_stream:next(Stream)),
    ?assertEqual({error, closed}, py_stream:next(Stream)),
    ?assertMatch({error, {'UnicodeEncodeError', _}}, py:stream('__main__', odd, [])).

%% What is sent in and thrown -------------------------------------------------------

case_send_and_throw_to_what_has_none() ->
    [begin
         Stream = open_eval(Code),
         {ok, 1} = py_stream:next(Stream),
         ?assertMatch({error, {'TypeError', _}}, py_stream:send(Stream, 5)),
         ?assertMatch({error, {'TypeError', _}}, py_stream:throw(Stream, 'ValueError', "x")),
         ?assertEqual({ok, [2, 3]}, py_stream:take(Stream, 9)),
         ?assertEqual({done, none}, py_stream:next(Stream))
     end || Code <- ["[1, 2, 3]", "iter([1, 2, 3])", "map(abs, [1, 2, 3])", "range(1, 4)"]].

case_send_what_does_not_cross() ->
    ok = py:exec("def echo():\n    got = None\n    while True:\n        got = yield got"),
    Stream = open(echo, []),
    {ok, none} = py_stream:next(Stream),
    ?assertMatch({error, {'ValueError', _}}, py_stream:send(Stream, #{a => 1, <<"a">> => 2})),
    ?assertEqual({ok, 5}, py_stream:send(Stream, 5)),
    ok = py_stream:close(Stream).

%% Other streams ----------------------------------------------------------------------

%% Everything that can be asked of a stream.
steps() ->
    [{next, fun py_stream:next/1},
     {take, fun(S) -> py_stream:take(S, 2) end},
     {send, fun(S) -> py_stream:send(S, none) end},
     {throw, fun(S) -> py_stream:throw(S, 'ValueError', "x") end},
     {to_list, fun py_stream:to_list/1},
     {fold, fun(S) -> py_stream:fold(fun(V, _) -> V end, none, S) end},
     {foreach, fun(S) -> py_stream:foreach(fun(_) -> ok end, S) end},
     {subscribe, fun(S) -> py_stream:subscribe(S, #{demand => 1}) end}].

case_after_its_end() ->
    Ended = fun() -> S = open_eval("iter([1])"), {ok, 1} = py_stream:next(S), {done, none} = py_stream:next(S), S end,
    Failed = fun() -> S = open_eval("(1 / x for x in [0])"), {error, {_, _}} = py_stream:next(S), S end,
    Closed = fun() -> S = open_eval("iter([1, 2])"), ok = py_stream:close(S), S end,
    Listed = fun() -> S = open_eval("iter([1, 2])"), {ok, [1, 2]} = py_stream:to_list(S), S end,
    [?assertEqual({Name, {error, closed}}, {Name, Step(Make())})
     || Make <- [Ended, Failed, Closed, Listed], {Name, Step} <- steps()],
    [?assertEqual(ok, py_stream:close(Make())) || Make <- [Ended, Failed, Closed, Listed]],
    ?assertEqual([], py_test:mailbox()).

case_from_another_process() ->
    Stream = open_eval("iter([1, 2, 3])"),
    [?assertEqual({Name, {error, not_owner}}, {Name, py_test:in_process(fun() -> Step(Stream) end)})
     || {Name, Step} <- steps() ++ [{demand, fun(S) -> py_stream:demand(S, 1) end}, {close, fun py_stream:close/1}]],
    ?assertEqual({ok, [1, 2, 3]}, py_stream:to_list(Stream)).

case_when_it_is_subscribed() ->
    Stream = open_eval("iter(range(100))"),
    ?assertEqual({error, not_subscribed}, py_stream:demand(Stream, 1)),
    {ok, Ref} = py_stream:subscribe(Stream, #{demand => 1}),
    receive {py_chunk, Ref, 0} -> ok end,
    [?assertEqual({Name, {error, subscribed}}, {Name, Step(Stream)}) || {Name, Step} <- steps()],
    ok = py_stream:demand(Stream, 1),
    receive {py_chunk, Ref, 1} -> ok end,
    ok = py_stream:close(Stream),
    ?assertEqual([], py_test:mailbox()).

case_an_object_that_is_gone() ->
    {ok, {generator, _} = Generator} = py:eval("(x for x in [1])"),
    ok = py:release(Generator),
    ?assertEqual({error, object_gone}, py_stream:open(Generator)).

case_a_pool_that_is_not_there() ->
    ?assertEqual({error, {no_pool, nowhere}}, py_stream:open({eval, "[1]", #{}}, #{pool => nowhere})),
    ?assertEqual({error, {no_pool, nowhere}}, py:stream_eval("[1]", #{}, #{pool => nowhere, limit => 1})),
    ?assertEqual({error, {no_pool, nowhere}}, py:stream(builtins, range, [1], #{}, #{pool => nowhere})).

%% Badarg -------------------------------------------------------------------------------

case_badarg() ->
    Stream = open_eval("iter(range(10))"),
    [try py_test:badarg(Fun, Position, Needle)
     catch Class:Reason:Stack -> erlang:raise(Class, {Title, Reason}, Stack)
     end || {Title, Fun, Position, Needle} <- table(Stream)],
    %% None of them did anything to it.
    ?assertEqual({ok, 0}, py_stream:next(Stream)),
    ?assertEqual([], py_test:mailbox()),
    ok = py_stream:close(Stream).

table(Stream) ->
    open_table() ++ step_table(Stream) ++ whole_table(Stream) ++ py_table() ++ request_table().

open_table() ->
    [{Title, fun() -> py_stream:open(Source) end, 1, Needle}
     || {Title, Source, Needle} <-
            [{"no source", nonsense, "Source"},
             {"source: code alone", "range(3)", "Source"},
             {"source: call of 3", {call, math, sqrt}, "Source"},
             {"source: call without keywords", {call, math, sqrt, []}, "Source"},
             {"source: eval without locals", {eval, "1"}, "Source"},
             {"source: exec", {exec, "1"}, "Source"},
             {"source: object without reference", {py_object, 1}, "Source"},
             {"source: generator without reference", {generator, self()}, "Source"},
             {"source: reference to nothing", {py_object, make_ref()}, "reference"},
             {"source: arguments", {call, math, sqrt, 1, #{}}, "Args"},
             {"source: improper arguments", {call, math, sqrt, [1 | 2], #{}}, "Args"},
             {"source: keywords", {call, math, sqrt, [], []}, "KwArgs"},
             {"source: module", {call, 1, sqrt, [], #{}}, "Mod"},
             {"source: function", {call, math, 1, [], #{}}, "Fun"},
             {"source: code", {eval, 1, #{}}, "Code"},
             {"source: locals", {eval, "1", [{x, 1}]}, "Locals"}]]
    ++
    [{Title, fun() -> py_stream:open({eval, "[1]", #{}}, Opts) end, 2, Needle}
     || {Title, Opts, Needle} <-
            [{"options: list", [], "Opts"},
             {"options: bare timeout", 100, "Opts"},
             {"options: unknown", #{tiemout => 1}, "tiemout"},
             {"options: limit", #{limit => 1}, "limit"},
             {"options: prefetch", #{prefetch => -1}, "prefetch"},
             {"options: prefetch of atoms", #{prefetch => all}, "prefetch"},
             {"options: timeout", #{timeout => soon}, "Timeout"},
             {"options: pool", #{pool => "default"}, "pool"},
             {"options: worker", #{worker => 0}, "worker"},
             {"options: worker that is not there", #{worker => 1000}, "worker 1000"},
             {"options: traceback", #{traceback => 1}, "traceback"},
             {"options: atoms", #{atoms => binary}, "atoms"}]].

step_table(Stream) ->
    [{Title, fun() -> Step(no_stream) end, Position, "Stream"}
     || {Title, Step, Position} <-
            [{"next: no stream", fun py_stream:next/1, 1},
             {"next/2: no stream", fun(S) -> py_stream:next(S, 1) end, 1},
             {"take: no stream", fun(S) -> py_stream:take(S, 1) end, 1},
             {"take/3: no stream", fun(S) -> py_stream:take(S, 1, 1) end, 1},
             {"send: no stream", fun(S) -> py_stream:send(S, 1) end, 1},
             {"throw: no stream", fun(S) -> py_stream:throw(S, 'ValueError', "") end, 1},
             {"to_list: no stream", fun py_stream:to_list/1, 1},
             {"fold: no stream", fun(S) -> py_stream:fold(fun(_, _) -> ok end, ok, S) end, 3},
             {"foreach: no stream", fun(S) -> py_stream:foreach(fun(_) -> ok end, S) end, 2},
             {"subscribe: no stream", fun(S) -> py_stream:subscribe(S, #{demand => 1}) end, 1},
             {"demand: no stream", fun(S) -> py_stream:demand(S, 1) end, 1},
             {"close: no stream", fun py_stream:close/1, 1}]]
    ++
    [{"take of " ++ Shown, fun() -> py_stream:take(Stream, N) end, 2, "N"} || {Shown, N} <- counts()]
    ++ [{"take/3 of " ++ Shown, fun() -> py_stream:take(Stream, N, 100) end, 2, "N"} || {Shown, N} <- counts()]
    ++ [{"demand of " ++ Shown, fun() -> py_stream:demand(Stream, N) end, 2, "N"} || {Shown, N} <- counts()]
    ++ [{"subscribe with " ++ Shown, fun() -> py_stream:subscribe(Stream, #{demand => N}) end, 2, "demand"}
        || {Shown, N} <- counts()]
    ++ [{"subscribe", fun() -> py_stream:subscribe(Stream, Opts) end, 2, "demand"}
        || Opts <- [#{}, 5, [{demand, 5}], #{demand => 5, more => 1}, #{"demand" => 5}]]
    ++ [{"next: timeout", fun() -> py_stream:next(Stream, soon) end, 2, "Timeout"},
        {"next: negative timeout", fun() -> py_stream:next(Stream, -1) end, 2, "Timeout"},
        {"take: timeout", fun() -> py_stream:take(Stream, 1, 1.5) end, 3, "Timeout"},
        {"throw: class", fun() -> py_stream:throw(Stream, 1, "x") end, 2, "Class"},
        {"throw: class that is no text", fun() -> py_stream:throw(Stream, <<255>>, "x") end, 2, "Class"},
        {"throw: message", fun() -> py_stream:throw(Stream, 'ValueError', {x}) end, 3, "Message"}].

counts() ->
    [{"0", 0}, {"a negative number", -1}, {"a float", 1.0}, {"an atom", all}, {"too many", 1 bsl 64}].

whole_table(Stream) ->
    [{"fold: no fun", fun() -> py_stream:fold(foo, 0, Stream) end, 1, "Fun"},
     {"fold: fun of one", fun() -> py_stream:fold(fun(_) -> ok end, 0, Stream) end, 1, "Fun"},
     {"foreach: no fun", fun() -> py_stream:foreach(foo, Stream) end, 1, "Fun"},
     {"foreach: fun of two", fun() -> py_stream:foreach(fun(_, _) -> ok end, Stream) end, 1, "Fun"}].

py_table() ->
    [{"stream: module", fun() -> py:stream(1, f, []) end, 1, "Mod"},
     {"stream: function", fun() -> py:stream(math, 1, []) end, 2, "Fun"},
     {"stream: arguments", fun() -> py:stream(math, sqrt, 16) end, 3, "Args"},
     {"stream: improper arguments", fun() -> py:stream(math, sqrt, [1 | 2], #{}) end, 3, "Args"},
     {"stream: keywords", fun() -> py:stream(math, sqrt, [1], []) end, 4, "KwArgs"},
     {"stream: keywords and options", fun() -> py:stream(math, sqrt, [1], x, #{}) end, 4, "KwArgs"},
     {"stream: timeout", fun() -> py:stream(math, sqrt, [1], #{}, soon) end, 5, "Timeout"},
     {"stream: limit", fun() -> py:stream(math, sqrt, [1], #{}, #{limit => -1}) end, 5, "limit"},
     {"stream: prefetch", fun() -> py:stream(math, sqrt, [1], #{}, #{prefetch => 1}) end, 5, "prefetch"},
     {"stream_eval: code", fun() -> py:stream_eval(1) end, 1, "Code"},
     {"stream_eval: code that is no text", fun() -> py:stream_eval(<<255>>) end, 1, "Code"},
     {"stream_eval: locals", fun() -> py:stream_eval("1", [{x, 1}]) end, 2, "Locals"},
     {"stream_eval: timeout", fun() -> py:stream_eval("[1]", #{}, -1) end, 3, "Timeout"},
     {"stream_eval: limit", fun() -> py:stream_eval("[1]", #{}, #{limit => many}) end, 3, "limit"},
     {"stream_eval: infinite limit", fun() -> py:stream_eval("[1]", #{}, #{limit => infinity}) end, 3, "limit"},
     {"stream_eval: unknown option", fun() -> py:stream_eval("[1]", #{}, #{limits => 1}) end, 3, "limits"}].

request_table() ->
    R = make_ref(),
    P = self(),
    [{"request: " ++ Title, fun() -> py_pool:request(Request) end, 1, Needle}
     || {Title, Request, Needle} <-
            [{"an atom", stream, "Request"},
             {"unknown", {stream_exec, R, P, "1"}, "Request"},
             {"stream_eval without locals", {stream_eval, R, P, "[1]"}, "Request"},
             {"stream without keywords", {stream, R, P, math, sqrt, [1]}, "Request"},
             {"exec with locals", {exec, R, P, "1", #{}}, "Request"},
             {"an integer as reference", {eval, 1, P, "1", #{}}, "reference"},
             {"a name for a pid", {eval, R, init, "1", #{}}, "pid"},
             {"reference and pid the wrong way", {stream_eval, P, R, "[1]", #{}}, "reference"},
             {"an integer as reference of a stream", {stream, 1, P, math, sqrt, [1], #{}}, "reference"},
             {"a name for the pid of a stream", {stream_eval, R, init, "1", #{}}, "pid"},
             {"an integer as reference of exec", {exec, 1, P, "1"}, "reference"},
             {"an integer as reference of a call", {call, 1, P, math, sqrt, [1], #{}}, "reference"},
             {"module", {call, R, P, 1, sqrt, [1], #{}}, "Mod"},
             {"function", {stream, R, P, math, 1, [1], #{}}, "Fun"},
             {"arguments", {stream, R, P, math, sqrt, 1, #{}}, "Args"},
             {"keywords", {call, R, P, math, sqrt, [1], []}, "KwArgs"},
             {"code", {exec, R, P, 1}, "Code"},
             {"code of a stream", {stream_eval, R, P, 1, #{}}, "Code"},
             {"locals", {eval, R, P, "1", [{x, 1}]}, "Locals"},
             {"locals of a stream", {stream_eval, R, P, "1", [{x, 1}]}, "Locals"}]].
