#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: limits hold on a real cgroup v2 under systemd, as root and as a user to whom a cgroup is
# delegated; to one who has none the record says which are weak. Quotas, and a clock that is set. Debian's own
# kernel, in QEMU.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs taskd taskrun taskdep task tasklog
is_root || skip_all "not root: the disk of the machine is made with mount(8)"
needs qemu-system-x86_64 mke2fs busybox cpio dpkg-deb
[ "$(uname -m)" = x86_64 ] || skip_all "this is $(uname -m): the machine is made for x86_64"
# shellcheck source=Tests/scenarios/bookworm.sh
. "$(dirname "$0")/bookworm.sh"

# ---- the kernel: Debian's cloud kernel, unpacked, not installed

KERNEL=$ROOT/.build/kernel
make_kernel() {
    local part package
    package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
    [ -n "$package" ] || { echo "apt knows no linux-image-cloud-amd64" && return 1; }
    part=$(mktemp -d "$ROOT/.build/kernel.XXXXXX")
    (cd "$part" && timeout -s KILL 200 apt-get download -q "$package" && dpkg-deb -x ./*.deb . && rm ./*.deb) ||
        { rm -rf "$part" && return 1; }
    mv -T "$part" "$KERNEL" 2>/dev/null || rm -rf "$part"
    [ -d "$KERNEL" ]
}
[ -d "$KERNEL" ] || make_kernel >"$TMP/kernel" 2>&1 || skip_all "no kernel: $(tail -n 1 "$TMP/kernel")"

# ---- its first process: loads what finds the disk, and gives way to systemd

mkdir -p "$TMP/ram"/{bin,r,dev,proc,m}
MODULES='virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk overlay quota_tree quota_v2'
for module in $MODULES; do
    find "$KERNEL/lib/modules" -name "$module.ko" -exec cp {} "$TMP/ram/m/" \;
done
cp "$(command -v busybox)" "$TMP/ram/bin/busybox"
cat >"$TMP/ram/init" <<END
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for m in $MODULES; do [ ! -e /m/\$m.ko ] || /bin/busybox insmod /m/\$m.ko; done
n=0
until [ -e /dev/vda ] || [ \$n -gt 100 ]; do /bin/busybox sleep 0.1; n=\$((n + 1)); done
/bin/busybox mount -t ext4 /dev/vda /r && /bin/busybox mount --move /dev /r/dev &&
    exec /bin/busybox switch_root /r /lib/systemd/systemd
END
chmod 755 "$TMP/ram/init"
(cd "$TMP/ram" && find . | cpio -o -H newc --quiet | gzip -1) >"$TMP/ram.gz"

# ---- its disk: the image, our programs, the scenarios, and what to do

mke2fs -q -t ext4 -d "$IMAGE" "$TMP/disk.img" 1200M || bail "no disk"
mke2fs -q -t ext4 -O quota,project -E quotatype=prjquota "$TMP/quota.img" 256M || bail "no second disk"
mkdir "$TMP/mnt"
mount -o loop "$TMP/disk.img" "$TMP/mnt" || skip_all "no loop device can be mounted here"
unmount() {
    ! mountpoint -q "$TMP/mnt" || umount "$TMP/mnt"
    cleanup
}
trap unmount EXIT
mkdir -p "$TMP/mnt/opt/task/bin" "$TMP/mnt/opt/task/Tests" "$TMP/mnt/opt/task/contrib"
cp "$BIN"/{task,taskd,taskrun,taskdep,tasklog} "$TMP/mnt/opt/task/bin"
cp -r "$ROOT/Tests/scenarios" "$ROOT/Tests/attacks" "$TMP/mnt/opt/task/Tests/"
for source in "$ROOT"/Tests/attacks/*.c; do # no compiler inside
    cc -shared -fPIC -O -o "$TMP/mnt/opt/task/Tests/attacks/$(basename "${source%.c}").so" "$source" ||
        skip_all "no C compiler"
done
cp -r "$ROOT/contrib/setup.sh" "$ROOT/contrib/systemd" "$TMP/mnt/opt/task/contrib/"
cat >"$TMP/mnt/etc/systemd/system/scenario.service" <<'END'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
Delegate=yes
ExecStart=/bin/bash /opt/task/inside
ExecStopPost=/bin/systemctl --no-block poweroff
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
TimeoutStartSec=1700
END
cat >"$TMP/mnt/opt/task/inside" <<'END'
export PATH=/opt/task/bin:/usr/sbin:/usr/bin:/sbin:/bin TASKSPOOL_BIN=/opt/task/bin HOME=/root
stty -F /dev/console -onlcr 2>/dev/null
cd /opt/task
# said NAME COMMAND…: its output, each line behind its name, then its status
said() {
    local name=$1 status=0
    timeout -s KILL 600 "${@:2}" </dev/null >/tmp/said 2>&1 || status=$?
    sed "s/^/@$name: /" /tmp/said
    echo "@$name= $status"
}
alice=(systemd-run --wait --pipe -q -p User=alice -p WorkingDirectory=/opt/task
    -E "PATH=$PATH" -E TASKSPOOL_BIN=/opt/task/bin -E HOME=/home/alice)
printf '[Service]\nLimitMem=64M\n[Command]\ncommand="true"\n' >/tmp/limits.task
echo "@cgroups: $(stat -fc %T /sys/fs/cgroup)"
said root taskrun --plan /tmp/limits.task
said rootfail bash Tests/scenarios/failures.t
said user "${alice[@]}" -p Delegate=yes taskrun --plan /tmp/limits.task
said userfail "${alice[@]}" -p Delegate=yes bash Tests/scenarios/failures.t
said manager setpriv --reuid=alice --regid=alice --init-groups env HOME=/home/alice \
    "XDG_RUNTIME_DIR=/run/user/$(id -u alice)" systemd-run --user --scope -q -p Delegate=yes \
    sh -c 'taskrun --plan /tmp/limits.task; exit'
said none "${alice[@]}" taskrun --plan /tmp/limits.task
said nonefail "${alice[@]}" bash Tests/scenarios/failures.t
said rootlimits bash Tests/scenarios/limits.t
said userlimits "${alice[@]}" -p Delegate=yes bash Tests/scenarios/limits.t
said rootbreed bash Tests/scenarios/descendants.t
mkdir -p /var/lib/task/scratch && mount -o prjquota /dev/vdb /var/lib/task/scratch
said quota bash Tests/scenarios/vm/quota.sh
umount /var/lib/task/scratch && rmdir /var/lib/task/scratch
said clock bash Tests/scenarios/vm/clock.sh
# The attacks that are quick without a processor of its own; their table goes to the console, too.
export ATTACKS_OWN_MACHINE=yes ATTACKS_DEADLINE=90
attacks=(python3 -B Tests/attacks/run.py --taskrun=/opt/task/bin/taskrun --quick
    "--uid=$(id -u alice)" --binaries=Tests/attacks --table=/tmp/table)
said attacks "${attacks[@]}" --columns=free,root,user
said table cat /tmp/table
echo "@done"
END
mkdir -p "$TMP/mnt/etc/systemd/system/multi-user.target.wants" "$TMP/mnt/var/lib/systemd/linger"
touch "$TMP/mnt/var/lib/systemd/linger/alice"
ln -s ../scenario.service "$TMP/mnt/etc/systemd/system/multi-user.target.wants/"
ln -sf /dev/null "$TMP/mnt/etc/systemd/system/serial-getty@ttyS0.service"
umount "$TMP/mnt"

# ---- it runs; a processor in software: no KVM is asked for

timeout -s KILL 1740 qemu-system-x86_64 -accel tcg,thread=multi -smp 2 -m 1200 -nographic -no-reboot \
    -nodefaults -serial stdio -kernel "$KERNEL"/boot/vmlinuz-* -initrd "$TMP/ram.gz" \
    -drive "file=$TMP/disk.img,if=virtio,format=raw" \
    -drive "file=$TMP/quota.img,if=virtio,format=raw" -append 'console=ttyS0 quiet panic=-1' \
    </dev/null >"$TMP/console" 2>"$TMP/qemu.err" || true
tr -d '\r' <"$TMP/console" | grep -a '^@' >"$TMP/said" ||
    skip_all "the machine does not start: $(tail -n 1 "$TMP/qemu.err")"

said() { sed -n "s/^@$1: //p" "$TMP/said"; }
passes() { # passes NAME TEXT: a scenario inside
    is "$2" "$(sed -n "s/^@$1= //p" "$TMP/said")" 0
    is "… and all its tests" "$(said "$1" | grep -a -A3 -B3 '^not ok' || true)" ""
    like "… which are some" "$(said "$1" | grep -c '^ok')" '^[1-9][0-9]'
}
ok "the script inside came to its end" grep -q '^@done' "$TMP/said"
is "its cgroups are v2 alone" "$(said cgroups)" cgroup2fs
like "root has limits by cgroup" "$(said root)" 'memory:v2 pids:v2 cpu:v2'
passes rootfail "failures.t as root"
like "a user with a delegated unit has them, too" "$(said user)" 'memory:v2 pids:v2 cpu:v2'
like "… and nothing is weak" "$(said user)" 'weak: none'
passes userfail "failures.t as that user"
like "a scope of the user's own manager as well" "$(said manager)" 'memory:v2 pids:v2 cpu:v2'
like "without a delegated cgroup the plan names the weak" "$(said none)" 'weak: LimitMem'
passes nonefail "failures.t as a user without a cgroup"
passes rootlimits "limits.t as root and as a user without a cgroup"
passes userlimits "limits.t as a user to whom a cgroup is delegated"
passes rootbreed "descendants.t as root and as an ordinary user"
passes quota "a disk with project quotas"
passes clock "a clock that is set"
passes attacks "the attacks, as root and as an ordinary user"
[ -z "${ATTACKS_TABLE-}" ] || said table >"$ATTACKS_TABLE.vm"
done_testing
