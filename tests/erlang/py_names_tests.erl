%% Names and source text as Python sees them: locals, keywords, encodings, deep code.
-module(py_names_tests).
-compile([export_all, nowarn_export_all]).
-include_lib("eunit/include/eunit.hrl").

names_test_() ->
    py_test:cases(?MODULE, 120).

%% Code is UTF-8, whatever a coding comment says.
case_coding_comment() ->
    ok = py:exec(<<"# -*- coding: latin-1 -*-\nx = 'é'\n"/utf8>>),
    ?assertEqual({ok, 1}, py:eval("len(x)")).

%% Atoms that mean a value are names where a name is wanted.
case_names_that_are_values_elsewhere() ->
    ?assertEqual({ok, 3}, py:eval("none + nil", #{none => 1, nil => 2})),
    ?assertEqual({ok, #{<<"undefined">> => 1, <<"true">> => 2}},
                 py:call(builtins, dict, [], #{undefined => 1, true => 2})).

case_normalised_names() ->
    ?assertEqual({ok, 7}, py:eval(<<"ﬁ"/utf8>>, #{<<"ﬁ"/utf8>> => 7})),
    ?assertEqual({ok, 8}, py:eval(<<"größe"/utf8>>, #{'größe' => 8})).

case_names_that_are_none() ->
    [?assertMatch({error, {'ValueError', _}}, py:eval("1", #{Name => 1}))
     || Name <- ['None', 'True', class, '__debug__', "a b", <<"1x">>, <<>>, "a.b"]].

case_yield_and_await_are_errors() ->
    [?assertMatch({error, {'SyntaxError', _}}, py:eval(Code, #{x => 1})) || Code <- ["(yield x)", "await x", "return x"]].

case_dotted_function() ->
    ?assertEqual({ok, <<"a/b">>}, py:call(os, 'path.join', [a, b])),
    ?assertEqual({ok, <<"a/b">>}, py:call('os.path', join, [a, b])).

%% What would run out of the C stack is a RecursionError, at any limit.
case_recursion_through_c() ->
    [begin
         Code = ["import sys, functools, json, pickle\nsys.setrecursionlimit(10**9)\n", Body],
         ?assertMatch({error, {'RecursionError', _}}, py:exec(Code))
     end
     || Body <- ["def f(x): return [0].sort(key=f)\nf(0)",
                 "class A:\n    def __lt__(self, other): return sorted([A(), A()])\nsorted([A(), A()])",
                 "def c(a, b): return sorted([1, 2], key=functools.cmp_to_key(c))\nc(1, 2)",
                 "deep = []\nfor i in range(500000): deep = [deep]\nrepr(deep)",
                 "deep = []\nfor i in range(500000): deep = [deep]\njson.dumps(deep)"]].

case_recursion_on_a_small_stack() ->
    py_test:with_pool(#{num_workers => 1, stack_size => 8 bsl 20}, fun(Pool) ->
        Code = "def g(n): return [n].sort(key=lambda x: g(n + 1))\ng(0)",
        ?assertMatch({error, {'RecursionError', _}}, py:exec(Code, #{pool => Pool}))
    end).

%% Code that goes looking for its arguments' list through the collector finds none.
case_arguments_are_out_of_reach() ->
    ok = py:exec("
import gc
def evil(*arguments):
    for one in gc.get_referrers(arguments[0]):
        if type(one) is list:
            for outer in gc.get_referrers(one):
                if type(outer) is list: outer.clear()
            one.clear()
    return arguments[0]
"),
    Texts = [<<"unique-", (integer_to_binary(I))/binary>> || I <- [1, 2, 3]],
    ?assertEqual({ok, Texts}, py:map('__main__', evil, [[T] || T <- Texts])),
    ?assertEqual({ok, hd(Texts)}, py:call('__main__', evil, Texts)).

case_complex_scalars_stay_whole() ->
    case py_test:has_numpy() of
        true ->
            ?assertMatch({ok, {py_object, _}}, py:eval("__import__('numpy').clongdouble(1 + 5j)")),
            ?assertMatch({ok, {'$ndarray', <<"|V4">>, {2}, <<0:64>>}},
                         py:eval("__import__('numpy').zeros(2, dtype=[('O', 'i4')])"));
        false ->
            py_test:no_numpy()
    end.
