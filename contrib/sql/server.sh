# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0
# A PostgreSQL server of one's own, for tests and measurements, by unix socket in a private
# directory. Sourced, never run, after setup.sh. The caller has `set -euo pipefail`.

# Puts the server's programs on PATH; prints why there are none and returns 1.
find_postgres() {
    local bin major
    bin=$(command -v pg_ctl || find /usr/lib/postgresql -path '*/bin/pg_ctl' 2>/dev/null | sort -V | tail -n 1)
    [ -n "$bin" ] || {
        echo "PostgreSQL is not installed: $(apt_line postgresql)"
        return 1
    }
    PATH=$(dirname "$(readlink -f "$bin")"):$PATH
    major=$(postgres --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
    [ "$major" -ge 15 ] || {
        echo "PostgreSQL $major is too old: the ledger needs 15"
        return 1
    }
    AS_PG=()
    [ "$(id -u)" -eq 0 ] || return 0
    getent passwd postgres >/dev/null || {
        echo "no user postgres, and a server does not run as root"
        return 1
    }
    AS_PG=(setpriv --reuid=postgres --regid=postgres --init-groups --)
}
postgres_says() { # postgres_says COMMAND…: as the server's user; what it says is told only when it fails
    (cd "$PGHOST" && "${AS_PG[@]}" "$@" >"$PGHOST.says" 2>&1) || {
        cat "$PGHOST.says" >&2
        return 1
    }
}
# start_postgres DIRECTORY [OPTION…]: the server's pid in $POSTMASTER; psql's way to it is exported.
start_postgres() {
    export PGHOST=$1 PGUSER=owner PGDATABASE=postgres
    shift
    mkdir "$PGHOST"
    [ ${#AS_PG[@]} -eq 0 ] || chown postgres "$PGHOST"
    postgres_says initdb -D "$PGHOST/data" -A trust -U owner
    postgres_says pg_ctl -D "$PGHOST/data" -l "$PGHOST/log" -w -t 60 start \
        -o "-k $PGHOST -c listen_addresses='' -c dynamic_shared_memory_type=mmap $*"
    POSTMASTER=$("${AS_PG[@]}" head -n 1 "$PGHOST/data/postmaster.pid")
}
stop_postgres() { postgres_says pg_ctl -D "$PGHOST/data" -m fast -w stop; }
