# The target erlpy::erlang: the directory of erl_nif.h, as the installed `erl` names it.
set(ERLPY_ERLANG_INCLUDE_DIR "" CACHE PATH "Directory of erl_nif.h; empty: ask erl")
find_program(ERLPY_ERL erl DOC "The Erlang VM whose headers are used")

set(erlpy_erlang_include "${ERLPY_ERLANG_INCLUDE_DIR}")
if(NOT erlpy_erlang_include)
  if(NOT ERLPY_ERL)
    message(FATAL_ERROR "No erl in the path: install Erlang/OTP, or set ERLPY_ERLANG_INCLUDE_DIR")
  endif()
  execute_process(
    COMMAND "${ERLPY_ERL}" -noshell -eval
      "io:put_chars([code:root_dir(), \"/usr/include\"]), erlang:halt(0)."
    OUTPUT_VARIABLE erlpy_erlang_include
    RESULT_VARIABLE erlpy_erl_status)
  if(NOT erlpy_erl_status EQUAL 0)
    message(FATAL_ERROR "${ERLPY_ERL} does not run: ${erlpy_erl_status}")
  endif()
endif()
if(NOT EXISTS "${erlpy_erlang_include}/erl_nif.h")
  message(FATAL_ERROR "No erl_nif.h in ${erlpy_erlang_include} (Debian: install erlang-dev)")
endif()

add_library(erlpy_erlang INTERFACE)
add_library(erlpy::erlang ALIAS erlpy_erlang)
target_include_directories(erlpy_erlang SYSTEM INTERFACE "${erlpy_erlang_include}")
