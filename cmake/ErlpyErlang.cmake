# Erlang's headers, for NIF libraries: the directory of erl_nif.h, as the installed `erl` names it. A program that
# is no NIF does without.
#
# In:  ERLPY_ERLANG_INCLUDE_DIR (cache), else `erl` is asked.
# Out: erlpy_erlang_missing: why there are none, empty where they are there; erlpy_add_nif_requirements().
set(ERLPY_ERLANG_INCLUDE_DIR "" CACHE PATH "Directory of erl_nif.h; empty: ask erl")
find_program(ERLPY_ERL erl DOC "The Erlang VM whose headers are used")

set(erlpy_erlang_missing "")
set(erlpy_erlang_include "${ERLPY_ERLANG_INCLUDE_DIR}")
if(NOT erlpy_erlang_include)
  if(NOT ERLPY_ERL)
    set(erlpy_erlang_missing "No erl in the path: install Erlang/OTP, or set ERLPY_ERLANG_INCLUDE_DIR")
    return()
  endif()
  execute_process(
    COMMAND "${ERLPY_ERL}" -noshell -eval
      "io:put_chars([code:root_dir(), \"/usr/include\"]), erlang:halt(0)."
    OUTPUT_VARIABLE erlpy_erlang_include
    ERROR_QUIET
    RESULT_VARIABLE erlpy_erl_status
    TIMEOUT 60)
  if(NOT erlpy_erl_status EQUAL 0)
    set(erlpy_erlang_missing "${ERLPY_ERL} does not run: ${erlpy_erl_status}")
    return()
  endif()
endif()
if(NOT EXISTS "${erlpy_erlang_include}/erl_nif.h")
  set(erlpy_erlang_missing "No erl_nif.h in ${erlpy_erlang_include} (Debian: install erlang-dev)")
  return()
endif()

# erlpy_add_nif_requirements(<interface target>): what a NIF library needs besides what every program does.
function(erlpy_add_nif_requirements target)
  target_link_libraries(${target} INTERFACE erlpy::erlpy)
  target_include_directories(${target} SYSTEM INTERFACE "${erlpy_erlang_include}")
  if(APPLE)
    target_link_options(${target} INTERFACE -undefined dynamic_lookup)
  else()
    # The threads of a pool outlive a purge of the module: the code must stay mapped.
    target_link_options(${target} INTERFACE -Wl,-z,nodelete)
  endif()
endfunction()
