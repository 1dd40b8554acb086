#!/usr/bin/env bash
# Makes a RabbitMQ broker and the Python packages available by which FATE's components talk: the tests of dialect/fateflow start
# brokers themselves, each its own. Does nothing where all are there; leaves no service running.
set -euo pipefail

if command -v rabbitmq-server >/dev/null && /usr/bin/python3 -c 'import grpc, pika, requests' 2>/dev/null; then
  exit 0
fi
if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
  echo "rabbitmq.sh: the tests need a RabbitMQ broker. As root, run: apt-get install -y --no-install-recommends rabbitmq-server python3-grpcio python3-pika python3-requests" >&2
  exit 1
fi
# The package would start a server of its own; policy-rc.d is how Debian lets one say no.
if [[ ! -e /usr/sbin/policy-rc.d ]]; then
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod +x /usr/sbin/policy-rc.d
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends rabbitmq-server python3-grpcio python3-pika python3-requests
