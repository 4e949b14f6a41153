# The imported target erlpy::python: headers and library of one CPython, named by its interpreter.
#
# In:  ERLPY_PYTHON (cache), else the environment's PYTHON, else /usr/bin/python3, else python3.
# Out: erlpy::python, ERLPY_PYTHON_EXECUTABLE, ERLPY_PYTHON_VERSION, and ERLPY_PYTHON_ABI: the version, with a `t`
#      for a free-threaded build. Or else erlpy_missing: what is not there, and how to get it.
#
# The interpreter itself is asked: of several Pythons on a machine, exactly the named one is used.
set(ERLPY_PYTHON "" CACHE FILEPATH "The Python interpreter to build against")

set(erlpy_python_given "${ERLPY_PYTHON}")
if(NOT erlpy_python_given)
  set(erlpy_python_given "$ENV{PYTHON}")
endif()
if(NOT erlpy_python_given AND EXISTS /usr/bin/python3)
  set(erlpy_python_given /usr/bin/python3)
elseif(NOT erlpy_python_given)
  set(erlpy_python_given python3)
endif()

execute_process(
  COMMAND "${erlpy_python_given}" -c [=[
import os, sys, sysconfig
var = sysconfig.get_config_var
version = '%d.%d' % sys.version_info[:2]
abi = version + getattr(sys, 'abiflags', '')
names = [var('LDLIBRARY') or '', 'libpython%s.so' % abi, 'libpython%s.dylib' % abi]
places = [var('LIBDIR'), os.path.join(var('LIBDIR') or '', var('MULTIARCH') or ''), var('LIBPL'),
          var('PYTHONFRAMEWORKPREFIX'), os.path.join(sys.base_prefix, 'lib')]
found = [os.path.join(place, name) for name in names for place in places
         if name and not name.endswith('.a') and place and os.path.exists(os.path.join(place, name))]
includes = [sysconfig.get_path('include'), sysconfig.get_path('platinclude'), var('INCLUDEPY')]
have_headers = [path for path in includes if path and os.path.exists(os.path.join(path, 'Python.h'))]
print(sys.executable)
print(version)
print(version + ('t' if var('Py_GIL_DISABLED') else ''))
print(found[0] if found else '-')
print(have_headers[0] if have_headers else '-')
]=]
  OUTPUT_VARIABLE erlpy_python_answer
  ERROR_VARIABLE erlpy_python_error
  RESULT_VARIABLE erlpy_python_status
  OUTPUT_STRIP_TRAILING_WHITESPACE)
if(NOT erlpy_python_status EQUAL 0)
  set(erlpy_missing "${erlpy_python_given} does not run as a Python 3: ${erlpy_python_status} ${erlpy_python_error}")
  return()
endif()

string(REPLACE "\n" ";" erlpy_python_answer "${erlpy_python_answer}")
list(GET erlpy_python_answer 0 ERLPY_PYTHON_EXECUTABLE)
list(GET erlpy_python_answer 1 ERLPY_PYTHON_VERSION)
list(GET erlpy_python_answer 2 ERLPY_PYTHON_ABI)
list(GET erlpy_python_answer 3 erlpy_python_library)
list(GET erlpy_python_answer 4 erlpy_python_include)
if(ERLPY_PYTHON_VERSION VERSION_LESS 3.8)
  set(erlpy_missing "${ERLPY_PYTHON_EXECUTABLE} is Python ${ERLPY_PYTHON_VERSION}; 3.8 is the oldest that works")
elseif(erlpy_python_include STREQUAL "-")
  set(erlpy_missing "${ERLPY_PYTHON_EXECUTABLE} has no Python.h: install its headers (Debian: python3-dev)")
elseif(erlpy_python_library STREQUAL "-")
  string(CONCAT erlpy_missing "${ERLPY_PYTHON_EXECUTABLE} has no shared libpython "
    "(Debian: libpython3-dev; CPython's own build: configure --enable-shared)")
endif()
if(erlpy_missing)
  return()
endif()
if(NOT erlpy_FIND_QUIETLY)
  message(STATUS "Python ${ERLPY_PYTHON_VERSION}: ${ERLPY_PYTHON_EXECUTABLE}, ${erlpy_python_library}")
endif()

if(NOT TARGET erlpy::python)
  add_library(erlpy::python UNKNOWN IMPORTED GLOBAL)
  set_target_properties(erlpy::python PROPERTIES
    IMPORTED_LOCATION "${erlpy_python_library}"
    INTERFACE_INCLUDE_DIRECTORIES "${erlpy_python_include}")
endif()
