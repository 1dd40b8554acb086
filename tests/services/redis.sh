#!/usr/bin/env bash
# Makes redis-server available, which the tests of store/messages/redis and store/events/redis start themselves, each its own. Does
# nothing where there is one; leaves no service running.
set -euo pipefail

command -v redis-server >/dev/null && exit 0
if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
  echo "redis.sh: the tests need redis-server 7 or later. As root, run: apt-get install -y --no-install-recommends redis-server" >&2
  exit 1
fi
# The package would start a server of its own; policy-rc.d is how Debian lets one say no.
if [[ ! -e /usr/sbin/policy-rc.d ]]; then
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod +x /usr/sbin/policy-rc.d
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends redis-server
