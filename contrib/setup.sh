# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0
# What quickstart, check and bench share: where things are, packages, and the compiler.
# Sourced, never run. The caller has `set -euo pipefail`.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Release programs with the Swift runtime inside, in a scratch path of their own: SwiftPM can't
# link tests after a build with --static-swift-stdlib in the same one.
STATIC=$ROOT/.build/static
RELEASE=$STATIC/release

# What the build needs: libraries by their headers, and what the Swift toolchain itself expects.
BUILD_PACKAGES=(
    libseccomp-dev libsystemd-dev libsqlite3-dev libyaml-dev libzstd-dev libpq-dev pkg-config
    ca-certificates gcc git libc6-dev libstdc++-12-dev binutils libcurl4 libedit2 libxml2 libncurses6 tzdata zlib1g
)

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
    say "err: $1"
    exit "${2:-1}"
}

# Names those of the given packages that are not installed.
missing_packages() {
    local name
    for name in "$@"; do
        dpkg-query -W -f '${db:Status-Abbrev}' "$name" 2>/dev/null | grep -q '^.i' || echo "$name"
    done
}

apt_line() { echo "apt-get update && apt-get install -y --no-install-recommends $*"; }

# Installs packages as root; an ordinary user gets the line to run. 1 if any is still missing.
install_packages() {
    local missing
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -eq 0 ] && return 0
    if [ "$(id -u)" -ne 0 ]; then
        say "missing packages; as root: $(apt_line "${missing[@]}")"
        return 1
    fi
    say "installing ${missing[*]}"
    local -x DEBIAN_FRONTEND=noninteractive
    timeout -s KILL 300 apt-get update -q >/dev/null || say "warning: apt-get update failed"
    local line=(apt-get install -q -y --no-install-recommends)
    timeout -s KILL 600 "${line[@]}" "${missing[@]}" >/dev/null || {
        local name # one that is not to be had must not keep the others away
        for name in "${missing[@]}"; do
            timeout -s KILL 300 "${line[@]}" "$name" >/dev/null || say "no package $name here"
        done
    }
    [ -z "$(missing_packages "${missing[@]}")" ]
}

# Puts swift on PATH; says in a sentence why there is none.
find_swift() {
    local dir version
    for dir in "" /opt/swift/usr/bin "$HOME/.local/share/swiftly/bin" /usr/local/swift/usr/bin; do
        [ -z "$dir" ] && command -v swift >/dev/null && break
        [ -n "$dir" ] && [ -x "$dir/swift" ] && PATH=$dir:$PATH && break
    done
    command -v swift >/dev/null ||
        die "no swift on PATH, in /opt/swift or in ~/.local/share/swiftly: install Swift 6.3 from https://www.swift.org/install/linux/" 69
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
    [ -n "$version" ] || die "$(command -v swift) does not start: try \`swift --version\`" 69
    [ "$(printf '6.2\n%s\n' "$version" | sort -V | head -n 1)" = 6.2 ] ||
        die "Swift $version is too old: 6.2 or newer is needed (https://www.swift.org/install/linux/)" 69
}

# A scratch path that was moved or copied with its tree can't be built in again: Swift's module
# cache in it names the old place ("missing required module 'SwiftShims'"). It is made anew.
settle() { # settle SCRATCH
    if [ -e "$1/.place" ] && [ "$(cat "$1/.place")" != "$1" ]; then
        say "$1 comes from $(cat "$1/.place"): it is built anew"
        rm -rf --one-file-system "$1"
    fi
    mkdir -p "$1"
    echo "$1" >"$1/.place"
}

# The release programs, once for quickstart, scenarios and bench.
build_release() {
    settle "$STATIC"
    timeout -s KILL 1500 swift build --package-path "$ROOT" --scratch-path "$STATIC" -c release \
        --static-swift-stdlib -Xswiftc -warnings-as-errors \
        --explicit-target-dependency-import-check error
}

# wait_until SECONDS COMMAND…: 0 once the command succeeds, 1 when the time is over.
wait_until() {
    local end=$((SECONDS + $1 + 1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.05
    done
}

# Has this process ended? A zombie has.
gone() { ! kill -0 "$1" 2>/dev/null || [ "$(cut -d ' ' -f 3 "/proc/$1/stat" 2>/dev/null)" = Z ]; }

# pool_pid SPOOL: the taskrun that holds this spool's run.lock, by the kernel's table of locks.
pool_pid() {
    local inode
    [ -e "$1/run.lock" ] || return 1
    inode=$(stat -c %i "$1/run.lock")
    awk -v inode="$inode" '{ n = split($6, at, ":") } $2 == "FLOCK" && at[n] == inode { print $5 }' \
        /proc/locks | head -n 1 | grep .
}
