# What the scripts share; sourced, never run. Sets `root` (the clone) and PYTHON, and makes both known to
# what is started from here.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

# Text in and out of Erlang and Python is UTF-8, whatever a bare machine is set to.
case "${LC_ALL:-${LC_CTYPE:-${LANG:-}}}" in
  *[Uu][Tt][Ff]*8*) ;;
  *) export LC_ALL=C.UTF-8 ;;
esac

if [ -z "${PYTHON:-}" ]; then
  if [ -x /usr/bin/python3 ] || ! command -v python3 >/dev/null; then
    PYTHON=/usr/bin/python3
  else
    PYTHON=$(command -v python3)
  fi
fi
export PYTHON

app_dir=$root/_build/default/lib/erlang_python

die() {
  printf '%s\n' "$*" >&2
  exit 1
}

# quietly LOG COMMAND...: runs the command with its output in LOG, and shows that only if it fails.
quietly() {
  local log=$1
  shift
  mkdir -p "$(dirname "$log")"
  local status=0
  "$@" >"$log" 2>&1 || status=$?
  [ "$status" -ne 0 ] || return 0
  cat "$log" >&2
  return "$status"
}

# The number of compilers at a time: JOBS, else the processors, bounded by 1.5 GB of memory for each.
jobs_count() {
  local processors memory
  if [ -n "${JOBS:-}" ]; then
    echo "$JOBS"
    return
  fi
  processors=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
  memory=$(awk '/^MemAvailable:/ { print int($2 / 1500000) }' /proc/meminfo 2>/dev/null || echo "$processors")
  [ "${memory:-1}" -ge 1 ] || memory=1
  if [ "$memory" -lt "$processors" ]; then echo "$memory"; else echo "$processors"; fi
}

# Another Python of Debian's besides its own, with headers: its path. Nothing if there is none.
find_other_python() {
  local python own
  own=$(readlink -f /usr/bin/python3 2>/dev/null || true)
  for python in /usr/bin/python3.*; do
    if [[ $python =~ ^/usr/bin/python3\.[0-9]+$ ]] && [ "$python" != "$own" ] &&
      [ -e "/usr/include/${python##*/}/Python.h" ]; then
      echo "$python"
      return
    fi
  done
}

# The clang that tests use, a command: version 19, else the newest one after it. Nothing if there is none, or none
# that has its run-time libraries, which sanitizers and fuzzers need.
find_clang() {
  local version command runtime
  for version in 19 $(seq 40 -1 20) ""; do
    command=clang++${version:+-$version}
    command -v "$command" >/dev/null || continue
    [ "$("$command" -dumpversion | cut -d . -f 1)" -ge 19 ] || continue
    runtime=$("$command" -print-resource-dir)/lib
    [ -n "$(find "$runtime/" -name 'libclang_rt.fuzzer*' -print -quit 2>/dev/null)" ] || continue
    echo "$command"
    return
  done
}
