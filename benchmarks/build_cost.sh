#!/usr/bin/env bash
# What including the library costs: the time to compile, with -O2, a file that has one #include and no more. Run by
# `scripts/bench build_cost`. The best of three runs each; seconds of the processor are what is judged, as the time
# on the wall has in it what else the machine does.
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"

work=$(mktemp -d "${TMPDIR:-/tmp}/erlpy-build-cost.XXXXXX")
trap 'rm -rf "$work"' EXIT
python_include=$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("include"))')
compilers=(c++)
clang=$(find_clang)
if [ -n "$clang" ]; then compilers+=("$clang"); fi

# measure COMPILER HEADER: wall and processor seconds of the best run.
measure() {
  local TIMEFORMAT='%R %U %S'
  printf '#include <%s>\n' "$2" >"$work/unit.cpp"
  for _ in 1 2 3; do
    { time "$1" -std=c++20 -O2 -DERLPY_HAVE_ZLIB=1 -I "$root/include" -isystem "$python_include" \
      -c "$work/unit.cpp" -o "$work/unit.o" 2>"$work/errors"; } 2>&1 || { cat "$work/errors" >&2; return 1; }
  done | awk 'NR == 1 || $2 + $3 < best { best = $2 + $3; wall = $1 } END { printf "%.2f %.2f\n", wall, best }'
}

verdicts=()
title='Compiling a file that includes one header, seconds'
printf '%s\n%s\n' "$title" "${title//?/-}"
printf '%-28s %-16s %8s %10s %9s\n' compiler header wall processor expected
for compiler in "${compilers[@]}"; do
  name=$("$compiler" --version | sed -nE '1 { s/ *\(.*\)//; s/^(c|g)\+\+\S* /GCC /; p }')
  for wanted in 'erlpy/etf.hpp 2' 'erlpy/erlpy.hpp 12'; do
    read -r header limit <<<"$wanted"
    times=$(measure "$compiler" "$header") || die "$compiler does not compile <$header>"
    read -r wall processor <<<"$times"
    printf '%-28s %-16s %8s %10s %9s\n' "$name" "$header" "$wall" "$processor" "< $limit"
    verdict=$(awk -v t="$processor" -v l="$limit" 'BEGIN { print t < l ? "met" : "not met here" }')
    verdicts+=("expected <$header> under $limit s with $name: $processor s ($verdict)")
  done
done
printf '%s\n' "${verdicts[@]}"
