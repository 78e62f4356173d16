# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0
# A Debian 12 with systemd for scenarios that boot one. IMAGE: made once, never written to again.
needs mmdebstrap

IMAGE=$ROOT/.build/bookworm.3 # another number where something else is in it
make_image() {
    local part
    mkdir -p "$ROOT/.build"
    part=$(mktemp -d "$ROOT/.build/bookworm.XXXXXX")
    chmod 0755 "$part"
    # shellcheck disable=SC2016
    timeout -s KILL 240 mmdebstrap --variant=essential \
        --include=systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,passwd,libstdc++6 \
        --include=libseccomp2,libsqlite3-0,libyaml-0-2,libzstd1,procps,python3 \
        --customize-hook='chroot "$1" useradd -m -s /bin/bash alice' \
        bookworm "$part" >"$TMP/image" 2>&1 </dev/null && mv -T "$part" "$IMAGE" && return
    rm -rf --one-file-system "$part"
    [ -d "$IMAGE" ] # another run was quicker
}
[ -d "$IMAGE" ] || make_image || skip_all "no image of Debian 12: $(grep -a . "$TMP/image" | tail -n 1)"
