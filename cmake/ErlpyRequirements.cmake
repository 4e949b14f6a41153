# What the library needs of a machine: Python, Boost.PFR, threads, and zlib if it is there. Looked for where the
# library is built with, so by an installed package again in each project that uses it.
#
# Out: erlpy_missing: what is not there and how to get it, empty where all is there;
#      what ErlpyPython.cmake says; erlpy_add_requirements().
set(erlpy_missing "")

include("${CMAKE_CURRENT_LIST_DIR}/ErlpyPython.cmake")
if(erlpy_missing)
  return()
endif()

# Boost's own CMake package is not asked: distributions that have it leave it out of the headers' package.
find_path(ERLPY_PFR_INCLUDE_DIR boost/pfr.hpp
  HINTS ${BOOST_ROOT} ENV BOOST_ROOT PATH_SUFFIXES include
  DOC "Directory of boost/pfr.hpp")
if(NOT ERLPY_PFR_INCLUDE_DIR)
  string(CONCAT erlpy_missing "No boost/pfr.hpp: install the headers of Boost 1.75 or later "
    "(Debian: libboost-dev; Debian 12: libboost1.81-dev), or set ERLPY_PFR_INCLUDE_DIR")
  return()
endif()

find_package(Threads QUIET)
if(NOT TARGET Threads::Threads)
  set(erlpy_missing "CMake finds no thread library (is C or C++ a language of the project?)")
  return()
endif()
find_package(ZLIB QUIET)

# erlpy_add_requirements(<interface target>): links it with all that was found. Nothing of that goes into an
# installed package, whose users may have it elsewhere.
function(erlpy_add_requirements target)
  target_include_directories(${target} SYSTEM INTERFACE "$<BUILD_INTERFACE:${ERLPY_PFR_INCLUDE_DIR}>")
  target_link_libraries(${target} INTERFACE
    $<BUILD_INTERFACE:erlpy::python> $<BUILD_INTERFACE:Threads::Threads>)
  foreach(library IN LISTS CMAKE_DL_LIBS)
    target_link_libraries(${target} INTERFACE "$<BUILD_INTERFACE:${library}>")
  endforeach()
  if(TARGET ZLIB::ZLIB)
    target_compile_definitions(${target} INTERFACE $<BUILD_INTERFACE:ERLPY_HAVE_ZLIB=1>)
    target_link_libraries(${target} INTERFACE $<BUILD_INTERFACE:ZLIB::ZLIB>)
  endif()
endfunction()
