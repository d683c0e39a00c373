#!/usr/bin/env bash
# Refuses secrets in what git keeps: environment files by their names, everything else by detect-secrets.
#
#   tools/secret_scan.sh                 the whole index
#   tools/secret_scan.sh --staged        what the next commit adds (.githooks/pre-commit)
#   tools/secret_scan.sh --since COMMIT  what each commit after COMMIT adds (.github/workflows/secret-scan.yml):
#                                        what a later commit takes away again is in the history all the same
#   tools/secret_scan.sh --accept        have .secrets.baseline say of everything in the index that it is no secret
#
# What git keeps is looked at, not the working tree, and with the configuration that is kept with it: .secrets.baseline
# holds the detectors and what was looked at and is no secret. A finding is told by file, line and kind, never shown.
# Nothing leaves the machine. Exit codes: 0 clean, 1 refused, 2 the scan cannot be made.
set -euo pipefail

top=$(git rev-parse --show-toplevel)
cd "$top"
PATH="$top/.venv/bin:$PATH"
command -v detect-secrets-hook >/dev/null || { echo "secret scan: no detect-secrets; run make setup" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for name in .secrets.baseline tools/wingman_key.py; do
  mkdir -p "$(dirname "$work/kept/$name")"
  git show ":$name" >"$work/kept/$name"
done

# scan WHAT: the files whose names come on standard input, each ended by NUL, as the index in GIT_INDEX_FILE has them.
scan() {
  local what=$1 refused=0 name code=0 tree="$work/tree"
  local -a names=()
  shopt -s nocasematch
  while IFS= read -r -d '' name; do
    if [[ "/$name" =~ /\.env[^/]*(/|$) && ! "$name" =~ \.example$ ]]; then
      printf 'secret scan: %s: %q is an environment file; only *.example is kept\n' "$what" "$name" >&2
      refused=1
    fi
    names+=("$name")
  done
  shopt -u nocasematch
  ((${#names[@]})) || return 0
  rm -rf "$tree"
  cp -R "$work/kept" "$tree"
  printf '%s\0' "${names[@]}" | git checkout-index --force --prefix="$tree/" -z --stdin
  env -u GIT_DIR -u GIT_INDEX_FILE git init --quiet "$tree" # the scanner asks git about its baseline
  # 3: a finding of the baseline has moved to another line, which only its copy here has to know.
  (cd "$tree" && env -u GIT_DIR -u GIT_INDEX_FILE \
    detect-secrets-hook --no-verify --baseline .secrets.baseline -- "${names[@]}") >"$work/said" 2>&1 || code=$?
  case $code in
    0 | 3) ;;
    1)
      printf 'secret scan: %s: a secret, or what looks like one\n' "$what" >&2
      grep -E '^(Secret Type|Location):' "$work/said" >&2 || { cat "$work/said" >&2; return 2; }
      echo "Is it none? tools/secret_scan.sh --accept says so in .secrets.baseline. Has it left this machine? Rotate it." >&2
      refused=1
      ;;
    *) cat "$work/said" >&2; return 2 ;;
  esac
  return $refused
}

case "${1:-}" in
  '') git ls-files -z | scan "the index" ;;
  --staged)
    git diff --cached --name-only --diff-filter=d -z | scan "this commit"
    ;;
  --accept) detect-secrets scan --no-verify --baseline .secrets.baseline ;;
  --since)
    worst=0
    export GIT_INDEX_FILE="$work/index"
    for commit in $(git rev-list --reverse "$2..HEAD"); do
      git read-tree "$commit"
      code=0
      git diff-tree -r -m --root --no-commit-id --name-only --diff-filter=d -z "$commit" | scan "${commit:0:12}" || code=$?
      ((code <= worst)) || worst=$code
    done
    exit "$worst"
    ;;
  *) sed -n '2,/^$/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
