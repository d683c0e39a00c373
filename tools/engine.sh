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

NAME (a-z, 0-9, -; "default") tells several private engines apart. WINGMAN_ENGINE_PATIENCE is how many seconds
dockerd gets to answer (60). Exit codes: 0 done, 1 failed (the reason and the log are named), 2 usage, 3 not
running, 4 this machine cannot run one (the reason is named).
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
patience=${WINGMAN_ENGINE_PATIENCE:-60}
[[ $patience =~ ^[1-9][0-9]{0,3}$ ]] || { say "WINGMAN_ENGINE_PATIENCE must be seconds, 1 to 9999"; exit 2; }
[[ $command != image || $reference =~ ^[a-z0-9][a-z0-9/_.-]*:[A-Za-z0-9_.-]+$ ]] || { say "REFERENCE must be name:tag"; exit 2; }

run=/run/wingman-engine/$name
all=/var/lib/wingman-engine
data=$all/$name
socket=$run/docker.sock
pidfile=$run/dockerd.pid
log=$data/dockerd.log
address=unix://$socket

pid_of_ours() { # the pid file may be stale, and the number somebody else's by now
  local pid
  pid=$(cat "$pidfile" 2>/dev/null) || return 1
  tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "--pidfile $pidfile" && printf '%s' "$pid"
}
engine() { docker -H "$address" "$@"; }
answers() { timeout 5 docker -H "$address" version --format '{{.Server.Version}}' >/dev/null 2>&1; }

running() { kill -0 "$1" 2>/dev/null; }
gone() { ! running "$1"; }

wait_for() { # wait_for SECONDS COMMAND...
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.2
  done
}

await() { # await PID: 0 once the engine answers, 1 once the process is gone, 2 where neither happens in time
  local deadline=$((SECONDS + patience))
  until answers; do
    running "$1" || return 1
    ((SECONDS < deadline)) || return 2
    sleep 0.2
  done
}

need_root_and_linux() {
  [[ $(uname -s) == Linux ]] || give_up "a private engine needs Linux" "install Docker, or set WINGMAN_DOCKER_HOST to an engine's socket"
  ((EUID == 0)) || give_up "a private engine needs root" "run this as root, or set WINGMAN_DOCKER_HOST to an engine's socket"
}

missing() { # the programs that are not there, of those an engine needs
  local program
  for program in dockerd docker iptables ip; do command -v "$program" >/dev/null || printf '%s\n' "$program"; done
}

install_engine() {
  local lacking packages=() program
  lacking=$(missing)
  [[ -n $lacking ]] || return 0
  command -v apt-get >/dev/null || give_up "no ${lacking//$'\n'/, } here, and no apt-get to install it" "install Docker, then try again"
  export DEBIAN_FRONTEND=noninteractive
  timeout 300 apt-get update >"$data/apt.log" 2>&1 || say "apt-get update failed; going on with what it knows (see $data/apt.log)"
  for program in $lacking; do
    case $program in
      dockerd) packages+=(docker.io) ;;
      docker) if apt-cache show docker-cli >/dev/null 2>&1; then packages+=(docker-cli); else packages+=(docker.io); fi ;;
      iptables) packages+=(iptables) ;;
      ip) packages+=(iproute2) ;;
    esac
  done
  say "installing ${packages[*]} from Debian's packages"
  timeout 900 apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=120 "${packages[@]}" >>"$data/apt.log" 2>&1 ||
    { say "apt-get could not install ${packages[*]}; see $data/apt.log"; exit 1; }
  lacking=$(missing)
  [[ -z $lacking ]] || { say "${packages[*]} brought no ${lacking//$'\n'/, }; see $data/apt.log"; exit 1; }
}

claim_number() { # of this engine's bridge and subnet: one that no other has, kept with the data
  local first number step
  cat "$data/number" 2>/dev/null && return
  first=$(printf '%s' "$name" | cksum | cut -d' ' -f1)
  for ((step = 0; step < 250; step++)); do
    number=$(((first + step) % 250 + 1))
    grep -qsx "$number" "$all"/*/number && continue
    ip link show "$(bridge_of "$number")" >/dev/null 2>&1 && continue
    [[ -z $(ip -4 route show root "172.30.$number.0/24") ]] || continue
    printf '%s\n' "$number" | tee "$data/number"
    return
  done
  return 1
}
bridge_of() { printf 'wm-%03d' "$1"; }

make_bridge() { # make_bridge NUMBER: also completes one that was left half made
  local bridge
  bridge=$(bridge_of "$1")
  ip link show "$bridge" >/dev/null 2>&1 || ip link add name "$bridge" type bridge || return
  ip addr replace "172.30.$1.1/24" dev "$bridge" && ip link set "$bridge" up
}

remove_bridge() {
  local number
  if number=$(cat "$data/number" 2>/dev/null); then ip link delete "$(bridge_of "$number")" 2>/dev/null || true; fi
}

abandon() { # abandon PID: a dockerd that we started, and that nobody will use
  kill "$1" 2>/dev/null || true
  wait_for 30 gone "$1" || kill -KILL "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
  remove_bridge
}

start() {
  need_root_and_linux
  local pid number state=0
  if pid_of_ours >/dev/null && answers; then printf '%s\n' "$address"; return 0; fi
  mkdir -p "$run" "$data" || exit 1
  exec 9>"$data/lock"
  flock -w 120 9 || { say "another start has been running for two minutes"; exit 1; }
  install_engine
  if pid=$(pid_of_ours); then
    await "$pid" || state=$?
    case $state in
      0) printf '%s\n' "$address"; return 0 ;;
      2) say "dockerd runs (process $pid) but did not answer within $patience s; see $log"
        say "way out: wait, or end it with kill $pid, then try again"
        exit 1 ;;
    esac
  fi
  exec 8>"$all/.starting" # dockerds that start at the same time undo each other's firewall rules
  flock -w 300 8 || { say "another engine has been starting for five minutes"; exit 1; }
  number=$(claim_number) || { say "all 250 subnets of 172.30.0.0/16 are taken"; exit 1; }
  make_bridge "$number" || { remove_bridge; give_up "this machine does not let us make a network bridge (CAP_NET_ADMIN is missing?)" "run this where that is allowed, or set WINGMAN_DOCKER_HOST to an engine's socket"; }
  rm -f "$socket" "$pidfile"
  setsid dockerd --data-root "$data/root" --exec-root "$run/exec" --pidfile "$pidfile" --host "$address" \
    --bridge "$(bridge_of "$number")" --log-level warn >>"$log" 2>&1 8>&- 9>&- </dev/null &
  pid=$!
  state=0
  trap 'abandon "$pid"; say "stopped before the engine answered"; exit 1' INT TERM HUP
  await "$pid" || state=$?
  trap - INT TERM HUP
  case $state in
    0) printf '%s\n' "$address"; return 0 ;;
    1) say "dockerd ended before it answered; the end of $log:" ;;
    *) say "dockerd did not answer within $patience s and was stopped; the end of $log:" ;;
  esac
  abandon "$pid"
  tail -n 5 "$log" >&2
  exit 1
}

stop() {
  need_root_and_linux
  local pid
  if pid=$(pid_of_ours); then
    kill "$pid" 2>/dev/null || true
    wait_for 60 gone "$pid" || { say "dockerd (process $pid) did not stop within 60 s"; exit 1; }
  fi
  remove_bridge
}

purge() {
  need_root_and_linux
  if [[ -d $data/root ]] && (start) >/dev/null; then
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
