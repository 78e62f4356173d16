#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hung.py DIRECTORY: a mount that hangs, as that of a dead server does. A FUSE server that says hello and then
answers nothing; when it ends, whoever waits gets ENOTCONN. Prints `ready`."""
import ctypes
import os
import struct
import sys

device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
libc = ctypes.CDLL(None, use_errno=True)
options = f"fd={device},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()},allow_other"
if libc.mount(b"hung", sys.argv[1].encode(), b"fuse", 6, options.encode()):
    sys.exit(f"hung.py: error: unable to mount: {os.strerror(ctypes.get_errno())}")
print("ready", flush=True)
while True:
    try:
        request = os.read(device, 1 << 20)
    except OSError:
        break  # unmounted
    _, opcode, unique = struct.unpack_from("=IIQ", request)
    if opcode == 26:  # FUSE_INIT: the version that the kernel speaks, no options
        major, minor = struct.unpack_from("=II", request, 40)
        answer = struct.pack("=IIIIHHIIHH", major, minor, 65536, 0, 12, 10, 65536, 1, 1, 0) + bytes(28)
        os.write(device, struct.pack("=IiQ", 16 + len(answer), 0, unique) + answer)
