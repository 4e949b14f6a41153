%% A stream as its owner holds it. `handle': of another node, who knows it there by what, and the owner.
%% `tag': what the messages of a stream that is read ahead carry.
-record(py_stream, {handle :: py_nif:stream() | {remote, py_remote_agent:agent(), Id :: reference(), Owner :: pid()},
                    timeout :: timeout(),
                    prefetch :: non_neg_integer(),
                    tag :: reference()}).
