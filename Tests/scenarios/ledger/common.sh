# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by the tests that need a ledger, behind lib.sh: a PostgreSQL of their own, by unix socket, or the test
# is skipped and says why.
# shellcheck source=contrib/sql/server.sh
. "$ROOT/contrib/sql/server.sh"
find_postgres >"$TMP/why" || skip_all "$(cat "$TMP/why")"
unset PGPASSWORD PGSERVICE PGHOSTADDR PGPORT PGOPTIONS PGDATABASE
start_postgres "$TMP/pg" -c fsync=off -c shared_buffers=32MB
TEST_PIDS+=("$POSTMASTER")

# A ledger with an hour of partitions: two days of them are not what most tests are about.
make_ledger() { # make_ledger DATABASE [FILE]
    psql -XAtq -v ON_ERROR_STOP=1 -d postgres -c "CREATE DATABASE $1"
    sed 's/hours_ahead int NOT NULL DEFAULT 48/hours_ahead int NOT NULL DEFAULT 1/' "${2:-$ROOT/contrib/sql/ledger.sql}" |
        psql -XAtq -v ON_ERROR_STOP=1 -d "$1" -1 -f -
}
