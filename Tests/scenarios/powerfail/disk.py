#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a power failure does to a spool on disk, for powerfail.t.

disk.py cut SPOOL REGEX      the journal ends before the first record of taskd that matches
disk.py tear SPOOL           the last record of taskd is half there, followed by rubbish
disk.py plan SPOOL ID        the plan that the accept of ID carries
disk.py rekey SPOOL ID FILE [VERB]  the accept of ID was that of FILE: inode, times
"""
import os
import re
import subprocess
import sys
import urllib.parse

TABLE = []
for n in range(256):
    for _ in range(8):
        n = (n >> 1) ^ (0x82F63B78 if n & 1 else 0)
    TABLE.append(n)


def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 255] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def segments(spool):
    """Paths of taskd's segments, oldest first, whether sealed or not."""
    folder = os.path.join(spool, "journal")
    names = sorted(n for n in os.listdir(folder)
                   if "-taskd-" in n and n.endswith((".open", ".sealed")))
    return [os.path.join(folder, name) for name in names]


def lines(path):
    """(offset, bytes) of each record of a segment."""
    return records(open(path, "rb").read())


def records(data):
    data = data.rstrip(b"\0")
    at = data.find(b"\n") + 1
    while 0 < at < len(data):
        end = data.find(b"\n", at)
        if end < 0:
            return
        yield at, data[at:end]
        at = end + 1


def cut(spool, pattern):
    paths = segments(spool)
    for index, path in enumerate(paths):
        for at, line in lines(path):
            if re.search(pattern.encode(), line):
                os.truncate(path, at)
                for later in paths[index + 1:]:
                    os.unlink(later)
                return
    sys.exit("no record matches " + pattern)


def tear(spool):
    path = segments(spool)[-1]
    at, line = list(lines(path))[-1]
    with open(path, "r+b") as file:
        file.truncate(at + len(line) // 2)
        file.seek(0, 2)
        file.write(b"\xff\0\xfe rubbish")


def whole_segments(spool):
    """Bytes of taskd's segments, compressed ones too, oldest first; the original counts where both are there."""
    folder = os.path.join(spool, "journal")
    found = {}
    for name in sorted(n for n in os.listdir(folder) if "-taskd-" in n):
        stem, _, kind = name.rpartition(".")
        if kind in ("open", "sealed"):
            found[stem] = open(os.path.join(folder, name), "rb").read()
        elif kind == "zst" and stem not in found:
            found[stem] = subprocess.run(["zstd", "-dcq", os.path.join(folder, name)], check=True, capture_output=True).stdout
    return [found[stem] for stem in sorted(found)]


def all_records(spool):
    return [line.split(b" ", 3)[3].decode() for data in whole_segments(spool)
            for _, line in records(data) if line.count(b" ") > 3]


def plan(spool, run):
    for path in segments(spool):
        for _, line in lines(path):
            found = re.search(rb" accept %s .* plan=(\S+)" % run.encode(), line)
            if found:
                sys.stdout.buffer.write(urllib.parse.unquote_to_bytes(found[1]))


def rekey(spool, run, file, verb="accept"):
    status = os.stat(file)
    new = {"inode": status.st_ino, "mtime": status.st_mtime_ns // 1000,
           "ctime": status.st_ctime_ns // 1000}
    for path in segments(spool):
        seed = crc32c(re.sub(r"\.\w+$", "", os.path.basename(path)).encode())
        for at, line in lines(path):
            if not re.search(rb" %s %s .*inode=" % (verb.encode(), run.encode()), line):
                continue
            changed = line
            for key, value in new.items():
                width = len(re.search(rb" %s=(\d+)" % key.encode(), line)[1])
                changed = re.sub(rb" %s=\d+" % key.encode(),
                                 b" %s=%0*d" % (key.encode(), width, value), changed)
            if len(changed) != len(line):
                sys.exit("the identity has another length")
            body = changed[8:] + b"\n"
            with open(path, "r+b") as segment:
                segment.seek(at)
                segment.write(b"%08x" % crc32c(body, seed) + body)
            return
    sys.exit("no %s of %s" % (verb, run))


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
