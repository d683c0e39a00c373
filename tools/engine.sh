#!/usr/bin/env bash
# A private Docker engine for machines without one: its own data, socket, pid file and bridge, so that it
# touches no other engine. Needs root on a Debian-like Linux; says what to do where that is not so.
set -euo pipefail

usage() {
  cat <<'EOF'
usage: tools/engine.sh start|stop|status|purge [NAME]
       tools/engine.sh image REFERENCE [NAME]

  start   install Docker's engine from Debian's packages if there is none, start it, print its address
  status  print the address and exit 0 if it answers, else exit 3
  stop    stop the engine; images and containers stay for the next start
  purge   stop it and delete everything it holds
  image   make a small image (a static busybox) under REFERENCE on the engine, without a registry

NAME (a-z, 0-9, -; "default") tells several private engines apart. Exit codes: 0 done, 1 failed (the reason
and the log are named), 2 usage, 3 not running, 4 this machine cannot run one (the reason is named).
EOF
}

say() { printf 'engine: %s\n' "$*" >&2; }
give_up() { say "$1"; say "way out: $2"; exit 4; }

command=${1:-}
case "$command" in
  start | stop | status | purge) name=${2:-default} reference="" ;;
  image) reference=${2:-} name=${3:-default} ;;
  -h | --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac
[[ $name =~ ^[a-z0-9-]{1,20}$ ]] || { say "NAME must be 1 to 20 of a-z, 0-9 and -"; exit 2; }
[[ $command != image || $reference =~ ^[a-z0-9][a-z0-9/_.-]*:[A-Za-z0-9_.-]+$ ]] || { say "REFERENCE must be name:tag"; exit 2; }

run=/run/wingman-engine/$name
data=/var/lib/wingman-engine/$name
socket=$run/docker.sock
pidfile=$run/dockerd.pid
log=$data/dockerd.log
address=unix://$socket
number=$(($(printf '%s' "$name" | cksum | cut -d' ' -f1) % 250 + 1))
bridge=wm-$(printf '%03d' "$number")

pid_of_ours() { # the pid file may be stale, and the number somebody else's by now
  local pid
  pid=$(cat "$pidfile" 2>/dev/null) || return 1
  tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "--pidfile $pidfile" && printf '%s' "$pid"
}
engine() { docker -H "$address" "$@"; }
answers() { timeout 5 docker -H "$address" version --format '{{.Server.Version}}' >/dev/null 2>&1; }

wait_for() { # wait_for SECONDS COMMAND...
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.2
  done
}

apt_install() {
  say "installing $* from Debian's packages"
  apt-get install -y --no-install-recommends "$@" >"$data/apt.log" 2>&1 ||
    { apt-get update >>"$data/apt.log" 2>&1 && apt-get install -y --no-install-recommends "$@" >>"$data/apt.log" 2>&1; } ||
    { say "apt-get could not install $*; see $data/apt.log"; exit 1; }
}

need_root_and_linux() {
  [[ $(uname -s) == Linux ]] || give_up "a private engine needs Linux" "install Docker, or set WINGMAN_DOCKER_HOST to an engine's socket"
  ((EUID == 0)) || give_up "a private engine needs root" "run this as root, or set WINGMAN_DOCKER_HOST to an engine's socket"
}

install_engine() {
  local packages=()
  command -v dockerd >/dev/null || packages+=(docker.io)
  command -v docker >/dev/null || { apt-cache show docker-cli >/dev/null 2>&1 && packages+=(docker-cli); }
  command -v iptables >/dev/null || packages+=(iptables)
  command -v ip >/dev/null || packages+=(iproute2)
  ((${#packages[@]})) || return 0
  command -v apt-get >/dev/null || give_up "no Docker engine here, and no apt-get to install one" "install Docker, then try again"
  DEBIAN_FRONTEND=noninteractive apt_install "${packages[@]}"
}

start() {
  need_root_and_linux
  if pid_of_ours >/dev/null && wait_for 10 answers; then printf '%s\n' "$address"; return 0; fi
  mkdir -p "$run" "$data"
  exec 9>"$data/lock"
  command -v flock >/dev/null && { flock -w 120 9 || { say "another start has been running for two minutes"; exit 1; }; }
  if pid_of_ours >/dev/null && wait_for 10 answers; then printf '%s\n' "$address"; return 0; fi
  install_engine
  if ! ip link show "$bridge" >/dev/null 2>&1; then
    ip link add name "$bridge" type bridge
    ip addr add "172.30.$number.1/24" dev "$bridge"
    ip link set "$bridge" up
  fi
  rm -f "$socket" "$pidfile"
  setsid dockerd --data-root "$data/root" --exec-root "$run/exec" --pidfile "$pidfile" --host "$address" \
    --bridge "$bridge" --log-level warn >>"$log" 2>&1 9>&- </dev/null &
  if ! wait_for 60 answers; then
    say "dockerd did not answer within 60 s; the end of $log:"
    tail -n 5 "$log" >&2
    exit 1
  fi
  printf '%s\n' "$address"
}

stop() {
  need_root_and_linux
  local pid
  if pid=$(pid_of_ours); then
    kill "$pid"
    wait_for 60 eval "! kill -0 $pid 2>/dev/null" || { say "dockerd (pid $pid) did not stop within 60 s"; exit 1; }
  fi
  ip link delete "$bridge" 2>/dev/null || true
}

purge() {
  if start >/dev/null 2>&1; then
    engine ps -aq | xargs -r timeout 120 docker -H "$address" rm -f >/dev/null 2>&1 || true
  fi
  stop
  awk -v data="$data/" -v run="$run/" 'index($2, data) == 1 || index($2, run) == 1 {print $2}' /proc/mounts | sort -r |
    while read -r place; do umount "$place" || { say "$place is still mounted; nothing below it is deleted"; exit 1; }; done
  rm -rf --one-file-system "$data" "$run"
}

image() {
  answers || { say "the engine $name is not running"; exit 3; }
  engine image inspect "$reference" >/dev/null 2>&1 && return 0
  root=$(mktemp -d)
  trap 'rm -rf "$root"' EXIT
  if ! static_busybox "$root/busybox"; then
    say "no static busybox on this machine; pulling one"
    timeout 120 docker -H "$address" pull -q busybox:stable >/dev/null || { say "no registry answers, and no apt-get"; exit 1; }
    engine tag busybox:stable "$reference"
    return 0
  fi
  mkdir -p "$root/tree/bin" "$root/tree/etc" "$root/tree/tmp"
  cp "$root/busybox" "$root/tree/bin/busybox"
  local applet
  "$root/busybox" --list | while read -r applet; do
    [[ $applet == busybox ]] || ln -s busybox "$root/tree/bin/$applet"
  done
  printf 'root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n' >"$root/tree/etc/passwd"
  tar -C "$root/tree" -c . | engine import -c 'ENV PATH=/bin' -c 'CMD ["sh"]' - "$reference" >/dev/null
}

static_busybox() { # static_busybox TARGET: unpack Debian's package without installing it
  local target=$1 scratch
  scratch=$(mktemp -d)
  if (cd "$scratch" && { apt-get download busybox-static || { apt-get update && apt-get download busybox-static; }; }) >/dev/null 2>&1; then
    dpkg-deb -x "$scratch"/busybox-static_*.deb "$scratch/out"
    find "$scratch/out" -type f -name busybox -exec install -m 0755 {} "$target" \;
  fi
  rm -rf "$scratch"
  [[ -s $target ]]
}

case "$command" in
  start) start ;;
  status) answers || { say "the engine $name is not running"; exit 3; }
    printf '%s\n' "$address" ;;
  stop) stop ;;
  purge) purge ;;
  image) image ;;
esac
