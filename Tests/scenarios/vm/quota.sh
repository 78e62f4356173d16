#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: where a disk has project quotas, private files that are large beside LimitMem= lie there: held to
# the byte and the inode, not charged to memory, not to be left, gone afterwards. Run by vm.t, whose
# machine has such a disk at /var/lib/task/scratch.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/../lib.sh"
needs taskrun python3
PLACE=/var/lib/task/scratch
mountpoint -q "$PLACE" || skip_all "no disk at $PLACE"

cd "$TMP/user" && chmod 711 "$TMP/user"
unit() { # unit NAME MEM DISK SHELL [SERVICE-LINE…]
    printf '#!/bin/sh\n%s\n' "$4" >"$1.sh"
    printf '%s\n' '[Service]' "LimitMem=$2" "LimitDisk=$3" 'User=alice' "${@:5}" '[Command]' \
        "command=\"./$1.sh\"" >"$1.task"
    chmod 755 "$1.sh"
}
run() { # run NAME STATUS
    rm -f events
    exits "$1: status $2" "$2" timeout -s KILL 100 taskrun --slots=1 --events="$PWD/events" "$PWD/$1.task"
    said=$(grep -a ' end [^ ]*\.0 ' events | tail -n 1 | sed 's/%20/ /g; s/%3D/=/g')
}
planned() { taskrun --plan "$PWD/$1.task"; }
empty() { [ -z "$(find "$PLACE" -mindepth 1 -maxdepth 1 -name '1[0-9]*')" ]; }

unit large 64M 48M "head -c 100000000 /dev/zero >\$TASK_SCRATCH/x"
unit small 64M 8M 'true'
unit free infinity 48M 'true'
like "the plan says quota" "$(planned large)" 'quota +/tmp /scratch /dev/shm +size=48M inodes=3072 nosuid nodev +# LimitDisk, a project of its own in /var/lib/task/scratch'
like "a small one is memory" "$(planned small)" 'tmpfs +/tmp /scratch /dev/shm'
like "and one without LimitMem=" "$(planned free)" 'tmpfs +/tmp /scratch /dev/shm'
run large 1
like "it ends for its disk, not for its memory, at 48M" "$said" 'reason=disk .*LimitDisk=48M: .* were full \(48M\)'
# Blocks of 1 KiB: with 0 to 3 taken before, at most one of the four leaves no part of a page.
stat -f -c %S "$PLACE" | grep -qx 1024 || bail "the disk's blocks are not smaller than a page"
for odd in 0 1 2 3; do
    unit "odd$odd" 64M 48M "head -c $((odd * 1024)) /dev/zero >\$TASK_SCRATCH/odd
head -c 100000000 /dev/zero >\$TASK_SCRATCH/x"
    run "odd$odd" 1
    like "full with $odd blocks of 1 KiB before" "$said" 'reason=disk .* were full \(48M\)'
done
unit spread 64M 48M "for i in /tmp/x /dev/shm/x \$TASK_SCRATCH/x; do head -c 20000000 /dev/zero >\$i || exit 5; done"
run spread 1
like "three places count together" "$said" 'reason=disk exit=5'
unit inodes 64M 48M 'cd /tmp; seq 5000 | xargs touch'
run inodes 1
like "files are counted" "$said" 'reason=disk .*\(all 3072 inodes\)'
unit fits 64M 48M "head -c 40000000 /dev/zero >/tmp/x; ls /tmp \$TASK_SCRATCH /dev/shm | wc -l; id -un"
unit again 64M 48M "head -c 40000000 /dev/zero >/tmp/y; ls /tmp; stat -c %U:%a \$TASK_SCRATCH"
sed -i '1i [Dependencies]\nRequires=fits.task' again.task
exits "two in one slot, one after another, have all of it" 0 taskrun --slots=1 "$PWD/again.task"
is "and neither sees the other's" "$(tail -n 2 "$TMP/out")" $'y\nalice:700'

# FS_IOC_FSSETXATTR: the owner of a file may take it out of its project (chattr -p 0).
cat >leave.py <<'END'
import fcntl, os, struct, sys
f = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
x = bytearray(28)
try:
    fcntl.ioctl(f, 0x801c581f, x)
    struct.pack_into("I", x, 12, 0)
    struct.pack_into("I", x, 0, 0)
    fcntl.ioctl(f, 0x401c5820, bytes(x))
    print("left")
except OSError as e:
    print(e.errno)
END
mkdir "$PLACE/free" && chown alice "$PLACE/free"
is "without a jail the owner leaves a project" \
    "$(setpriv --reuid=alice --regid=alice --clear-groups python3 - "$PLACE/free/x" <leave.py)" left
rm -r "$PLACE/free"
unit leave 64M 48M 'exec python3 - /tmp/x <<END
'"$(cat leave.py)"'
END'
run leave 0
like "in it he does not" "$(cat "$TMP/out")" '^1$'

unit deep 64M 48M 'exec python3 -c "
import os
for i in range(1500): os.mkdir(\"d\"); os.chdir(\"d\")"'
run deep 0
ok "what was left there is removed" wait_until 60 empty
unit lives 64M 48M 'echo x >/tmp/x; echo there; exec sleep 300'
taskrun "$PWD/lives.task" >"$TMP/lives" &
PID=$!
disown "$PID"
TEST_PIDS+=("$PID")
ok "one that runs has its own" wait_until 30 grep -q there "$TMP/lives"
taskrun "$PWD/small.task"
unlike "another taskrun leaves it" "$(ls "$PLACE")" gone
ok "so it is there" test -n "$(find "$PLACE" -maxdepth 1 -name '1[0-9]*')"
kill -s KILL "$PID"
wait_until 20 gone "$PID"
taskrun "$PWD/small.task"
ok "after a kill -9 the next one removes it" wait_until 60 empty
like "a place without quota is not used, and why" "$(taskrun --scratch=/usr "$PWD/small.task" 2>&1)" 'unable to use /usr for scratch: .*prjquota'
done_testing
