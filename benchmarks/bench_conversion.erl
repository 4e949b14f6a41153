%% The directions of `benchmarks/conversion' that have NIF terms at one end: they are measured inside a VM,
%% by a NIF of their own. The rest, and what is printed, is in scripts/bench.
-module(bench_conversion).

-export([main/0]).
-export([run_nif/1]).

-nifs([run_nif/1]).

%% Arguments: the NIF without its extension, and then options of Google Benchmark.
main() ->
    [Nif | Options] = init:get_plain_arguments(),
    ok = erlang:load_nif(Nif, none),
    case run_nif([list_to_binary(Option) || Option <- Options]) of
        ok -> ok;
        {error, Reason} -> io:format(standard_error, "~ts~n", [Reason]), halt(1)
    end.

-spec run_nif([binary()]) -> ok | {error, string()}.
run_nif(_Options) ->
    erlang:nif_error(not_loaded).
