# What the dependency tests share; sourced. A user's view: a new project in a directory of its own names a
# git repository (here a clone of this one with what is not committed yet) as its dependency, builds, calls.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/erlpy-dependency.XXXXXX")
trap 'rm -rf "$work"' EXIT

# Nothing of the build or test run that this is a part of reaches the user's project.
unset MIX_ENV ERL_LIBS ERL_FLAGS REBAR_ROOT_DIR REBAR_DEPS_DIR ERLPY_CMAKE_ARGS ERLPY_AS_DEPENDENCY

# The working tree as one commit on its branch `main`.
repository=$work/repository
export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=test GIT_AUTHOR_EMAIL=test@localhost \
  GIT_COMMITTER_NAME=test GIT_COMMITTER_EMAIL=test@localhost
mkdir "$repository"
(cd "$root" && git ls-files -z --cached --others --exclude-standard |
  while IFS= read -r -d '' file; do if [ -e "$file" ]; then printf '%s\0' "$file"; fi; done |
  tar --null --files-from=- -cf -) | tar -xf - -C "$repository"
git -C "$repository" init --quiet
git -C "$repository" checkout --quiet -b main
git -C "$repository" add --all
git -C "$repository" commit --quiet --message "the working tree"

expect() {
  if [ "$1" != "$2" ]; then
    printf 'expected: %s\ngot:      %s\n' "$2" "$1" >&2
    exit 1
  fi
}
