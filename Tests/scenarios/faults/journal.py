#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""journal.py tear|flip|zero SEGMENT [N]: damages a journal segment as a disk may.

tear  behind the last record the first N bytes of another one     flip  one bit of record N (from the end: negative)
zero  the last sector with data becomes zeros, after half a record was put there"""
import sys

deed, name = sys.argv[1:3]
with open(name, "r+b") as file:
    data = file.read()
    end = len(data.rstrip(b"\0"))
    if deed == "tear":
        last = data[data.rstrip(b"\0").rfind(b"\n", 0, end - 1) + 1:end]
        file.seek(end)
        file.write(last[:int(sys.argv[3])])
    elif deed == "zero":
        file.seek(end)
        file.write(b"0123abcd 77 " + b"x" * 700)
        file.seek((end + 712) // 512 * 512)
        file.write(bytes(512))
    elif deed == "flip":
        starts = [at + 1 for at in range(end - 1) if data[at:at + 1] == b"\n"]
        at = starts[int(sys.argv[3])] + 30
        file.seek(at)
        file.write(bytes([data[at] ^ 4]))
