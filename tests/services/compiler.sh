#!/usr/bin/env bash
# Makes a C compiler available, which the race detector needs. Does nothing where there is one.
set -euo pipefail

command -v "${CC:-gcc}" >/dev/null && exit 0
if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
  echo "compiler.sh: the race detector needs a C compiler. As root, run: apt-get install -y gcc libc6-dev" >&2
  exit 1
fi
apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q gcc libc6-dev
