%% A stream as its owner holds it. `tag': what the messages of a stream that is read ahead carry.
-record(py_stream, {handle :: py_nif:stream(),
                    timeout :: timeout(),
                    prefetch :: non_neg_integer(),
                    tag :: reference()}).
