#!/usr/bin/env bash
# Makes PostgreSQL's programs available, for the tests of the catalogue and of a Temporal server of its own. Does nothing
# where they are. No server is started here: each test process starts one for itself (store/catalogue/postgrestest), in a folder
# and on a port of its own, and ends it.
set -euo pipefail

installed() { command -v initdb >/dev/null && command -v postgres >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }

installed && exit 0
if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
  echo "postgres.sh: tests need the programs of PostgreSQL 13 or later. As root, run: apt-get install -y postgresql" >&2
  exit 1
fi
# Only the programs are wanted, so Debian's own cluster is not made.
mkdir -p /etc/postgresql-common
[[ -e /etc/postgresql-common/createcluster.conf ]] ||
  echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
install=(apt-get install -y -q --no-install-recommends postgresql)
export DEBIAN_FRONTEND=noninteractive
"${install[@]}" || { apt-get update -q && "${install[@]}"; }
installed || { echo "postgres.sh: installed, but there is no initdb" >&2; exit 1; }
