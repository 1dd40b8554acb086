#!/usr/bin/env bash
# Makes a Docker daemon answer on this machine, for the tests of docker/engine and of the node.
#
#   docker.sh [start]   does nothing when a daemon answers; otherwise installs what is missing (apt-get, as root) and
#                       starts containerd and dockerd in the background. When it may not, it prints the commands to run
#                       and fails.
#   docker.sh stop      ends what start has started, and nothing else.
#   docker.sh status    says whether a daemon answers.
#
# Pid files and logs are in $OPENFLOW_SERVICES_DIR, by default /tmp/openflow-services. $DOCKER_HOST (unix://…) chooses
# another socket to look at; a daemon is only ever started on the default one.
set -euo pipefail

state=${OPENFLOW_SERVICES_DIR:-/tmp/openflow-services}/docker
default_host=unix:///var/run/docker.sock
host=${DOCKER_HOST:-$default_host}
containerd_socket=/run/containerd/containerd.sock

# Asks the API itself: a program called docker need not be Docker's client.
answers() {
  [[ $host == unix://* ]] || { echo "docker.sh: cannot ask $host, only unix:// sockets" >&2; return 1; }
  [[ -S ${host#unix://} ]] && [[ $(curl -s --max-time 5 --unix-socket "${host#unix://}" http://docker/_ping) == OK ]]
}

commands() {
  cat >&2 <<COMMANDS
docker.sh: no Docker daemon answers at $host. $1
As root, run:
  apt-get install -y --no-install-recommends docker.io iptables curl
  containerd &
  dockerd --containerd=$containerd_socket --live-restore &
or, where systemd runs: systemctl start docker
COMMANDS
  exit 1
}

install_missing() {
  local missing=()
  command -v dockerd >/dev/null && command -v containerd >/dev/null || missing+=(docker.io)
  command -v iptables >/dev/null || missing+=(iptables)
  command -v curl >/dev/null || missing+=(curl)
  ((${#missing[@]})) || return 0
  command -v apt-get >/dev/null || commands "There is no apt-get to install ${missing[*]} with."
  apt-get install -y --no-install-recommends "${missing[@]}" >"$state/apt.log" 2>&1 ||
    { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >>"$state/apt.log" 2>&1 ||
    commands "Installing ${missing[*]} failed, see $state/apt.log."
}

# runs PID NAME: looks at the command line, because after a reboot the number may be somebody else's, and because a
# killed process that nobody has reaped yet still has a number but no command line.
runs() { [[ $({ tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null) == *"$2"* ]]; }

alive() { [[ -f $state/$1.pid ]] && runs "$(<"$state/$1.pid")" "$1"; }

somebody_runs() {
  local comm
  for comm in /proc/[0-9]*/comm; do
    [[ $(cat "$comm" 2>/dev/null) == "$1" ]] && runs "$(basename "$(dirname "$comm")")" "$1" && return 0
  done
  return 1
}

# launch NAME COMMAND... runs it in a session of its own, so that it outlives the caller's terminal.
launch() {
  local name=$1
  shift
  setsid "$@" </dev/null >>"$state/$name.log" 2>&1 &
  echo $! >"$state/$name.pid"
}

# wait_for NAME CONDITION... returns once the condition holds; fails when the service has died or after 30 s.
wait_for() {
  local name=$1
  shift
  for _ in {1..300}; do
    "$@" && return 0
    kill -0 "$(<"$state/$name.pid")" 2>/dev/null || return 1 # a child of ours, so reaped when it is dead
    sleep 0.1
  done
  return 1
}

# containerd is a service of its own: one that dockerd starts itself dies with dockerd -9, and what it leaves blocks the
# next start. live-restore lets containers outlive the daemon.
start_containerd() {
  somebody_runs containerd && [[ -S $containerd_socket ]] && return 0
  launch containerd containerd
  wait_for containerd test -S $containerd_socket || commands "containerd did not start, see $state/containerd.log."
}

# The plain options first; then without what small kernels and nested containers lack: overlayfs, iptables.
start_dockerd() {
  local extra
  # What a dockerd -9 leaves; it would refuse to start as long as the process ID exists.
  [[ ! -f /var/run/docker.pid ]] || runs "$(</var/run/docker.pid)" dockerd || rm -f /var/run/docker.pid
  for extra in "" "--storage-driver=vfs" "--iptables=false --ip6tables=false" \
    "--storage-driver=vfs --iptables=false --ip6tables=false"; do
    # shellcheck disable=SC2086 # a list of options
    launch dockerd dockerd --containerd=$containerd_socket --live-restore --log-level=warn $extra
    wait_for dockerd answers && return 0
    stop_one dockerd
  done
  commands "dockerd did not start, see $state/dockerd.log."
}

start() {
  answers && return 0
  [[ $host == "$default_host" ]] || commands "DOCKER_HOST names it, so it is yours to start."
  ((EUID == 0)) || commands "This script may not start one: it does not run as root."
  mkdir -p "$state"
  exec 9>"$state/lock"
  flock 9 # two test runs that start at once make one daemon
  answers && return 0
  install_missing
  # Services must not inherit the lock.
  { start_containerd; start_dockerd; } 9>&-
}

stop_one() {
  alive "$1" || { rm -f "$state/$1.pid"; return 0; }
  local pid
  pid=$(<"$state/$1.pid")
  kill "$pid"
  for _ in {1..150}; do
    runs "$pid" "$1" || break
    sleep 0.1
  done
  ! runs "$pid" "$1" || kill -9 "$pid" 2>/dev/null || true
  rm -f "$state/$1.pid"
}

case ${1:-start} in
  start) start ;;
  stop) stop_one dockerd && stop_one containerd ;;
  status) answers && echo "a Docker daemon answers at $host" ;;
  *) sed -n '2,11s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
