#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: taskscale with real ones: the ledger's program asks a PostgreSQL, machines are jobs of Debian's Slurm, or
# instances that moto's server makes of what the real aws command line sends.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs taskscale python3
PROVIDERS=$ROOT/contrib/providers

# ---- the ledger's program

# shellcheck source=contrib/sql/server.sh
. "$ROOT/contrib/sql/server.sh"
if find_postgres >"$TMP/why"; then
    export PGOPTIONS='-c client_min_messages=warning -c statement_timeout=30s'
    start_postgres "$TMP/pg" -c fsync=off -c shared_buffers=32MB
    TEST_PIDS+=("$POSTMASTER")
    createdb ledger
    export PGDATABASE=ledger
    sed 's/hours_ahead int NOT NULL DEFAULT 48/hours_ahead int NOT NULL DEFAULT 1/' "$ROOT/contrib/sql/ledger.sql" | psql -Xq -1 -f -
    psql -Xq -c "CREATE ROLE n1 LOGIN IN ROLE ledger_node" -c "CREATE ROLE n2 LOGIN IN ROLE ledger_node" \
        -c "CREATE ROLE op LOGIN IN ROLE ledger_operator" -c "DO \$\$ BEGIN PERFORM ledger.add_node('n1'), ledger.add_node('n2'); END \$\$"
    ledger() { PGUSER=op "$PROVIDERS/ledger" "$@"; }
    is "of an empty ledger it tells" "$(ledger read)" "$(printf 'backlog 0 0 -\nnode n1 silent serving 0 0\nnode n2 silent serving 0 0')"
    # Two plans of 10 and 5 tasks; one is claimed.
    read -r A B < <(psql -XAtq -F ' ' -c "SELECT ledger.id_at(ledger.now_us() / 1000), ledger.id_at(ledger.now_us() / 1000 + 1)")
    PGUSER=n1 psql -XAtq -v ON_ERROR_STOP=1 -v a="$A" -v b="$B" >"$TMP/epoch" <<'END'
SELECT epoch FROM ledger.register(NULL, NULL, 0, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 4) \gset
SELECT ledger.push(:epoch, :'a', 0, NULL, NULL, NULL, 10, 1, 0, 'a', 'a', '\x01', '\x02', false, false);
SELECT ledger.push(:epoch, :'b', 0, NULL, NULL, NULL, 5, 0, 0, 'b', 'b', '\x01', '\x02', false, false);
SELECT n FROM ledger.claim(:epoch, 1);
END
    is "two plans are pushed, one is claimed" "$(tr '\n' ' ' <"$TMP/epoch")" "new new 10 "
    like "what waits, what is held, by whom" "$(ledger read | tr '\n' ' ')" \
        '^backlog 5 10 - node n1 live serving 1 [0-9]{16} node n2 silent serving 0 0 $'
    exits "a node drains" 0 ledger drain n1 on
    like "    and says so" "$(ledger read)" 'node n1 live draining 1'
    exits "and serves again" 0 ledger drain n1 off
    like "    and says so" "$(ledger read)" 'node n1 live serving 1'
    exits "a node that is none" 1 ledger drain "n3' OR true --" on
    like "    is named" "$(cat "$TMP/err")" "unable to drain n3' OR true --: the ledger has no such node"
    exits "a node's role may not" 3 env PGUSER=n1 "$PROVIDERS/ledger" read
    export LEDGER_URL="host=$PGHOST dbname=ledger user=op"
    printf '#!/bin/sh\n' >"$TMP/none" && chmod +x "$TMP/none"
    exits "taskscale by it" 0 taskscale --provider="$TMP/none" --ledger="$PROVIDERS/ledger" --target=10s --slots=1 --dry-run
    like "    counts both" "$(cat "$TMP/out")" '^5 tasks wait and 10 are held, of 10 s as --task-time says each: 15 machines of 1 slots'
    like "    and who serves" "$(cat "$TMP/out")" '1 nodes serve that are none of ours, 10 are wanted'
    stop_postgres
    exits "a ledger that is down" 2 "$PROVIDERS/ledger" read
    unset LEDGER_URL PGHOST PGUSER PGDATABASE PGOPTIONS
else
    skip "the ledger's program" "$(cat "$TMP/why")"
fi

# ---- a site: nodes are files, as in scale.t

SITE=$TMP/site
mkdir -p "$SITE/nodes"
chmod -R a+rwX "$TMP" 2>/dev/null || true
export SITE
cat >"$TMP/ledger" <<'END'
#!/bin/bash
set -eu
case $1 in
read)
    echo "backlog $(cat "$SITE/backlog")"
    for file in "$SITE"/nodes/*; do [ ! -e "$file" ] || echo "node ${file##*/} $(cat "$file")"; done
    ;;
drain) sed -i "s/serving\|draining/$([ "$3" = on ] && echo draining || echo serving)/" "$SITE/nodes/$2" ;;
esac
END
chmod +x "$TMP/ledger"
SCALE=(taskscale "--ledger=$TMP/ledger" --group=a-site --slots=4 --target=10s)
scale() { "${SCALE[@]}" --provider="$PROVIDER" "$@"; }
work() { echo "$*" >"$SITE/backlog"; }
listed() { "$PROVIDER" list --group a-site; }
count() { listed | grep -c "\"state\":\"$1\"" || true; }
is_count() { [ "$(count "$1")" -eq "$2" ]; } # is_count STATE N
ids() { listed | sed 's/.*"id":"\([^"]*\)".*/\1/'; }

# ---- what scancel may say, of a stand-in

PROVIDER=$PROVIDERS/slurm
mkdir "$TMP/stand-in"
cat >"$TMP/stand-in/scancel" <<END
#!/bin/bash
cat "$TMP/says" >&2
exit "\$(cat "$TMP/status")"
END
chmod +x "$TMP/stand-in/scancel"
destroys() { # destroys NAME WANT STATUS [LINE…]: scancel says the lines and exits with the status
    local name=$1 want=$2
    echo "$3" >"$TMP/status"
    shift 3
    printf '%s\n' "$@" | grep . >"$TMP/says" || true
    exits "$name" "$want" env "PATH=$TMP/stand-in:$PATH" "$PROVIDER" destroy --group a-site 7_0 7_1
}
error='scancel: error: Kill job error on job id'
destroys "machines are ended" 0 0
destroys "one that is not there has ended" 0 1 "$error 7_0: Invalid job id specified"
is "    and nothing is said of it" "$(cat "$TMP/err")" ""
destroys "one that ends has ended" 0 60 "$error 7_0: Job/step already completing or completed"
destroys "one that may not be ended is a failure" 1 1 "$error 7_0: Invalid job id specified" \
    "$error 7_1: Access/permission denied"
like "    which is said" "$(cat "$TMP/err")" 'job id 7_1: Access/permission denied.*unable to end all of 7_0 7_1'
unlike "    of that one alone" "$(cat "$TMP/err")" 'Invalid job id'
destroys "a controller that is not there is a failure" 1 1 \
    'scancel: error: slurm_kill_jobs: Unable to contact slurm controller (connect failure)'
destroys "so is a scancel that crashes" 1 139

# ---- Slurm

start_slurm() {
    local host
    host=$(hostname -s)
    mkdir "$TMP/slurm" "$TMP/slurm/state" "$TMP/slurm/spool"
    SLURM_CONF=$TMP/slurm/slurm.conf
    export SLURM_CONF
    # A cluster of one, whose controller, machine and authentication are nobody else's.
    dd if=/dev/urandom of="$TMP/slurm/key" bs=1024 count=1 2>/dev/null
    chmod 0400 "$TMP/slurm/key"
    munged --foreground --force --key-file="$TMP/slurm/key" --socket="$TMP/slurm/munge" --pid-file="$TMP/slurm/munge.pid" \
        --log-file="$TMP/slurm/munge.log" --seed-file="$TMP/slurm/seed" >"$TMP/slurm/munged" 2>&1 &
    TEST_PIDS+=($!)
    cat >"$SLURM_CONF" <<END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$1
SlurmdPort=$(($1 + 1))
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$TMP/slurm/munge
CredType=cred/munge
StateSaveLocation=$TMP/slurm/state
SlurmdSpoolDir=$TMP/slurm/spool
SlurmctldPidFile=$TMP/slurm/ctld.pid
SlurmdPidFile=$TMP/slurm/d.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SchedulerParameters=sched_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
MailProg=/bin/true
NodeName=$host NodeAddr=127.0.0.1 CPUs=16 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
    wait_until 20 test -S "$TMP/slurm/munge" || return 1
    slurmctld -D >"$TMP/slurm/ctld" 2>&1 &
    TEST_PIDS+=($!)
    slurmd -D >"$TMP/slurm/d" 2>&1 &
    TEST_PIDS+=($!)
    slurm_idle() { sinfo -h -o %T 2>/dev/null | grep -q '^idle$'; }
    wait_until 60 slurm_idle || {
        tail -n 5 "$TMP/slurm/ctld" "$TMP/slurm/d" | diag
        return 1
    }
}
if ! is_root; then
    skip "Slurm" "only root can run a cluster of its own"
elif ! command -v slurmctld slurmd munged sbatch >/dev/null; then
    skip "Slurm" "slurm-wlm is not installed"
elif ! start_slurm $((20000 + $$ % 10000)); then
    fail "Slurm starts"
else
    pass "Slurm starts"
    cat >"$TMP/pilot" <<END
#!/bin/bash
me=\${SLURM_ARRAY_JOB_ID}_\$SLURM_ARRAY_TASK_ID
trap 'rm -f "$SITE/nodes/\$me"; exit 0' TERM
echo "live serving 0 \$(date +%s)000000" >"$SITE/nodes/\$me"
while :; do sleep 0.1; done
END
    chmod +x "$TMP/pilot"
    work 120 0 1000000
    exits "without a pilot nothing is made" 75 scale --once
    like "    and it says what is missing" "$(cat "$TMP/err")" 'TASK_PILOT names no script'
    export TASK_PILOT=$TMP/pilot
    exits "with one" 0 scale --once
    ok "there are three jobs" wait_until 30 is_count up 3
    is "each a line" "$(listed | head -n 1 | sed 's/[0-9][0-9]*/N/g')" '{"id":"N_N","state":"up","group":"a-site","generation":"N","since":N}'
    AGE=$(($(date +%s) - $(listed | sed -n '1s/.*"since":\([0-9]*\).*/\1/p')))
    ok "since when is in seconds of UTC" test "$AGE" -ge 0 -a "$AGE" -lt 120
    nodes() { [ "$(find "$SITE/nodes" -type f | wc -l)" -eq "$1" ]; }
    ok "that became nodes" wait_until 30 nodes 3
    exits "another look" 0 scale --once
    is "makes no more" "$(ids | wc -l)" 3
    is "another group's are not listed" "$("$PROVIDER" list --group a)$("$PROVIDER" list --group site)" ""
    exits "who was killed before the answer" 0 scale --once --min=5
    is "    finds what was made" "$(ids | sort -u | wc -l)" 5
    work 0 0 -
    "${SCALE[@]}" --provider="$PROVIDER" --every=200ms --cool-down=1s --list-lag=0s </dev/null >"$TMP/loop.out" 2>"$TMP/loop.err" &
    LOOP=$!
    TEST_PIDS+=("$LOOP")
    all_gone() { [ -z "$(ids)" ]; }
    ok "nothing to do: all jobs end" wait_until 60 all_gone
    ok "their nodes had a minute to go, and went" wait_until 30 nodes 0
    work 80 0 1000000
    ok "work again: jobs again" wait_until 30 nodes 2
    kill "$LOOP"
    wait "$LOOP" || true
    # shellcheck disable=SC2046
    exits "destroy" 0 "$PROVIDER" destroy --group a-site $(ids) 99999_0
    ok "    ends them; one that is not there has ended" wait_until 60 all_gone
    # shellcheck disable=SC2046
    exits "    again, too" 0 "$PROVIDER" destroy --group a-site 99999_0
fi

# ---- EC2

PROVIDER=$PROVIDERS/ec2
rm -f "$SITE"/nodes/*
PYTHON=$ROOT/.build/python
if ! [ -x "$PYTHON/bin/moto_server" ]; then
    rm -rf "$PYTHON"
    { python3 -m venv "$PYTHON" && "$PYTHON/bin/pip" install -q --no-compile 'moto[server]==5.2.1' 'awscli==1.45.0'; } >"$TMP/pip" 2>&1 || true
fi
if ! [ -x "$PYTHON/bin/moto_server" ]; then
    skip "EC2" "moto and awscli can't be installed: $(tail -n 1 "$TMP/pip")"
else
    PORT=$((30000 + $$ % 10000))
    "$PYTHON/bin/moto_server" -H 127.0.0.1 -p "$PORT" >"$TMP/moto" 2>&1 &
    TEST_PIDS+=($!)
    export AWS_ENDPOINT_URL=http://127.0.0.1:$PORT AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x AWS_DEFAULT_REGION=us-east-1
    PATH=$PYTHON/bin:$PATH
    answers() { aws ec2 describe-regions >/dev/null 2>&1; }
    ok "moto's server answers" wait_until 60 answers
    IMAGE=$(aws ec2 describe-images --query 'Images[0].ImageId' --output text)
    work 120 0 1000000
    exits "without options nothing is made" 75 scale --once
    export TASK_EC2="--image-id $IMAGE --instance-type t3.micro"
    exits "with them" 0 scale --once
    is "there are three instances" "$(ids | wc -l)" 3
    like "each a line" "$(listed | head -n 1)" '^\{"id":"i-[0-9a-f]+","state":"(up|starting)","group":"a-site","generation":"[0-9]{16}","since":[0-9]{10}\}$'
    AGE=$(($(date +%s) - $(listed | sed -n '1s/.*"since":\([0-9]*\).*/\1/p')))
    ok "since when is in seconds of UTC" test "$AGE" -ge 0 -a "$AGE" -lt 120
    exits "another look" 0 scale --once
    is "makes no more" "$(ids | wc -l)" 3
    is "another group's are not listed" "$("$PROVIDER" list --group a)$("$PROVIDER" list --group site)" ""
    # Killed after the instances are there, before it hears of them.
    cat >"$TMP/dies" <<END
#!/bin/bash
"$PROVIDER" "\$@" >"$TMP/answer" || exit \$?
[ "\$1" != create ] || kill -9 \$PPID
cat "$TMP/answer"
END
    chmod +x "$TMP/dies"
    status=0
    PROVIDER=$TMP/dies scale --once --min=5 >"$TMP/out" 2>"$TMP/err" || status=$?
    is "killed between the machines and the answer" $status 137
    exits "the next look" 0 scale --once --min=5
    is "makes none twice" "$(ids | sort -u | wc -l)" 5
    for id in $(ids); do echo "live draining 0 1" >"$SITE/nodes/$id"; done
    work 0 0 -
    exits "drained ones" 0 scale --once
    is "are destroyed" "$(count up)$(count starting)" 00
    exits "destroy of one that is gone, and of one that never was" 0 "$PROVIDER" destroy --group a-site "$(basename "$(find "$SITE/nodes" -type f | head -n 1)")" i-0123456789abcdef0
    exits "no region's server" 75 env AWS_ENDPOINT_URL=http://127.0.0.1:1 AWS_MAX_ATTEMPTS=1 taskscale --provider="$PROVIDER" --ledger="$TMP/ledger" --once
    like "    is said" "$(cat "$TMP/err")" 'ec2 list --group task failed with status'
fi
done_testing
