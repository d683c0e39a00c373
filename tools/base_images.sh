#!/usr/bin/env bash
# Base images for a machine without an image registry, from Debian's packages: a Python one to build Wingman's images
# on, and a stand-in for the postgres image. Needs root on a Debian-like Linux.
set -euo pipefail

usage() {
  cat <<'USAGE'
usage: tools/base_images.sh [ADDRESS]

Makes wingman-base/python:local and wingman-base/postgres:local on the engine at ADDRESS (DOCKER_HOST, else the
machine's), and prints the settings that have the compose files use them. What debootstrap makes is kept in
WINGMAN_CACHE (data/cache), by content: the second time takes seconds. Exit codes: 0 done, 1 failed, 4 this machine
cannot.
USAGE
}

say() { printf 'base images: %s\n' "$*" >&2; }

case "${1:-}" in -h | --help) usage; exit 0 ;; esac
address=${1:-${DOCKER_HOST:-unix:///var/run/docker.sock}}
here=$(cd "$(dirname "$0")" && pwd)
cache=${WINGMAN_CACHE:-$here/../data/cache}
suite=bookworm
mirror=http://deb.debian.org/debian
authorities=/etc/ssl/certs/ca-certificates.crt
packages=ca-certificates,python3,python3-venv,python3-pip
excluded=(/usr/share/doc /usr/share/man /usr/share/locale /usr/share/info)

((EUID == 0)) || { say "root is needed to unpack a system"; exit 4; }
command -v apt-get >/dev/null || { say "no apt-get here: this needs a Debian-like Linux"; exit 4; }
mkdir -p "$cache"
exec 9>"$cache/lock"
flock -w 600 9 || { say "another one has been running for ten minutes"; exit 1; }

install_debootstrap() {
  command -v debootstrap >/dev/null && return
  say "installing debootstrap"
  { DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends debootstrap ||
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends debootstrap; }; } >/dev/null 2>&1 ||
    { say "apt-get could not install debootstrap"; exit 4; }
}

unpack() { # unpack TARBALL: a small Debian with Python, and the authorities that this machine trusts
  local tarball=$1 root
  install_debootstrap
  root=$(mktemp -d "$cache/root.XXXXXX")
  # shellcheck disable=SC2064 # the directory's name is known now
  trap "rm -rf --one-file-system '$root'" EXIT
  say "making $(basename "$tarball") (once; about a minute)"
  debootstrap --variant=minbase --include="$packages" "$suite" "$root" "$mirror" >"$cache/debootstrap.log" 2>&1 ||
    { say "debootstrap failed; the end of $cache/debootstrap.log:"; tail -n 5 "$cache/debootstrap.log" >&2; exit 1; }
  [[ ! -s $authorities ]] || { mkdir -p "$root/etc/ssl/certs" && cp "$authorities" "$root$authorities"; }
  printf 'force-unsafe-io\n' >"$root/etc/dpkg/dpkg.cfg.d/in-images"
  printf 'path-exclude=%s/*\n' "${excluded[@]}" >>"$root/etc/dpkg/dpkg.cfg.d/in-images"
  (cd "$root" && for place in "${excluded[@]}" /var/cache/apt /var/lib/apt/lists /var/log; do rm -rf ".$place"/*; done)
  tar --numeric-owner -C "$root" -c . >"$tarball.new"
  mv "$tarball.new" "$tarball"
  rm -rf --one-file-system "$root"
}

digest() { sha256sum | cut -c 1-16; }

made_of=$({ printf '%s\n' "$suite" "$mirror" "$packages" "${excluded[@]}"; cat "$authorities" 2>/dev/null; } | digest)
python=$cache/python-$made_of.tar
[[ -s $python ]] || unpack "$python"
there=$(docker -H "$address" image inspect -f '{{.Config.Labels.content}}' wingman-base/python:local 2>/dev/null || true)
[[ $there == "$made_of" ]] || # the same again would be another image, and what was built on it stale
  docker -H "$address" import -c 'CMD ["python3"]' -c "LABEL content=$made_of" "$python" wingman-base/python:local >/dev/null

postgres=$cache/postgres-$({ echo "$made_of"; cat "$here"/postgres-stand-in/*; } | digest).tar
if [[ ! -s $postgres ]]; then
  say "making $(basename "$postgres") (once; about a minute)"
  docker -H "$address" build -q -t wingman-base/postgres:local "$here/postgres-stand-in" >"$cache/postgres.log" 2>&1 ||
    { say "the build failed; the end of $cache/postgres.log:"; tail -n 5 "$cache/postgres.log" >&2; exit 1; }
  docker -H "$address" save wingman-base/postgres:local >"$postgres.new"
  mv "$postgres.new" "$postgres"
else
  docker -H "$address" load -q <"$postgres" >/dev/null
fi
printf '%s\n' WINGMAN_PYTHON_IMAGE=wingman-base/python:local WINGMAN_POSTGRES_IMAGE=wingman-base/postgres:local
