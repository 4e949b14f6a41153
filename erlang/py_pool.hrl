%% What a call needs to know of its pool. Published in persistent_term under
%% {py_pool, Name} by py_pool_owner, so that no process is on a call's way.
-record(py_pool, {
    native :: py_nif:pool(),
    name :: atom(),
    %% Differs between two pools that had the same name one after the other.
    incarnation :: integer(),
    size :: pos_integer(),
    default_timeout :: timeout(),
    program :: file:filename_all() | none,  % of worker processes
    owner :: pid()
}).
