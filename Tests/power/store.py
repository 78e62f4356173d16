# SPDX-License-Identifier: Apache-2.0
"""A file system on a disk that remembers its writes: blockfs below a loop device."""
import ctypes
import errno
import fcntl
import os
import struct
import subprocess
import time

LIBC = ctypes.CDLL(None, use_errno=True)
LOOP_SET_FD, LOOP_CLR_FD, LOOP_CONFIGURE, LOOP_CTL_GET_FREE = 0x4C00, 0x4C01, 0x4C0A, 0x4C82
AUTOCLEAR, NODEV_NOSUID = 4, 2 | 4


class FileSystem:
    """How one kind is made and mounted, and what of a write its disk keeps whole."""

    def __init__(self, make, megabytes, sector, options):
        self.make, self.bytes, self.sector, self.options = make, megabytes << 20, sector, options


# ext4 mends torn blocks from its journal. XFS and Btrfs promise nothing below a block of theirs that
# they write in place (headers, the superblock): their disks have sectors of 4 KiB.
KINDS = {
    "ext4": FileSystem("mkfs.ext4 -q -b 4096 -g 4096 -E lazy_itable_init=0,lazy_journal_init=0", 64, 512, ""),
    "xfs": FileSystem("mkfs.xfs -q -f -s size=4096", 300, 4096, ""),
    "btrfs": FileSystem("mkfs.btrfs -q -f", 128, 4096, ""),
}


class Store:
    def __init__(self, folder, blockfs, kind):
        self.kind, self.system = kind, KINDS[kind]
        self.files, self.mount_point = os.path.join(folder, "disk"), os.path.join(folder, "mnt")
        os.makedirs(self.files)
        os.makedirs(self.mount_point)
        self.is_mounted, self.device, self.repaired = False, None, 0
        self.server = subprocess.Popen([blockfs, self.files, str(self.system.bytes)], stdin=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while not os.path.exists(self.files + "/disk"):
            if self.server.poll() is not None or time.monotonic() > end:
                raise OSError("no disk: blockfs does not serve here")
            time.sleep(0.005)

    # ---- the disk

    def order(self, words):
        """Gives blockfs a command; its answer."""
        fd = os.open(self.files + "/ctl", os.O_RDWR)
        try:
            os.write(fd, words.encode())
            parts, at = [], 0
            while True:
                part = os.pread(fd, 1 << 20, at)
                if not part:
                    return b"".join(parts).decode(errors="replace")
                parts.append(part)
                at += len(part)
        finally:
            os.close(fd)

    def mark(self, words):
        """Puts words between the writes: what they say had happened before the next write."""
        fd = os.open(self.files + "/mark", os.O_WRONLY)
        os.write(fd, words.encode())
        os.close(fd)

    def entries(self, second=False):
        """The recording: a tuple (kind, words) an entry."""
        return [tuple(line.split(" ", 2)[1:]) for line in
                self.order("list2" if second else "list").splitlines()]

    # ---- the loop device

    def attach(self):
        """A loop device that goes with its last user; the descriptor that holds it until then."""
        backing = os.open(self.files + "/disk", os.O_RDWR)
        control = os.open("/dev/loop-control", os.O_RDWR)
        try:
            for _ in range(100):
                self.device = "/dev/loop%d" % fcntl.ioctl(control, LOOP_CTL_GET_FREE)
                device = os.open(self.device, os.O_RDWR)
                info = bytearray(232)
                struct.pack_into("I", info, 52, AUTOCLEAR)
                config = struct.pack("II", backing, self.system.sector) + bytes(info) + bytes(64)
                try:
                    fcntl.ioctl(device, LOOP_CONFIGURE, config)
                    return device
                except OSError as error:  # another was quicker
                    os.close(device)
                    if error.errno != errno.EBUSY:
                        raise
            raise OSError("no free loop device")
        finally:
            os.close(control)
            os.close(backing)

    def make(self):
        device = self.attach()
        try:
            subprocess.run(self.system.make.split() + [self.device], check=True, stdout=subprocess.DEVNULL)
        finally:
            os.close(device)

    def mount(self, options=""):
        device = self.attach()
        try:
            words = ",".join(filter(None, [self.system.options, options]))
            number = self.try_mount(words)
            if number == errno.EBADMSG and self.kind == "ext4":
                # Its superblock is two sectors, of which one was written: a machine that boots runs fsck.
                subprocess.run(["e2fsck", "-fy", "-B", "4096", "-b", "4096", self.device], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                self.repaired += 1
                number = self.try_mount(words)
            if number:
                raise OSError(number, "mount: " + os.strerror(number))
            self.is_mounted = True
        finally:
            os.close(device)

    def try_mount(self, words):
        """0 or the errno."""
        failed = LIBC.mount(self.device.encode(), self.mount_point.encode(), self.kind.encode(), NODEV_NOSUID, words.encode())
        return ctypes.get_errno() if failed else 0

    def unmount(self):
        if not self.is_mounted:
            return
        end = time.monotonic() + 10
        while LIBC.umount2(self.mount_point.encode(), 0):
            if ctypes.get_errno() != errno.EBUSY or time.monotonic() > end:
                raise OSError(ctypes.get_errno(), "umount: " + os.strerror(ctypes.get_errno()))
            time.sleep(0.005)
        self.is_mounted = False
        if self.kind == "btrfs":  # else the next, which is older, is taken for a stale copy of it
            subprocess.run(["btrfs", "device", "scan", "--forget", self.device],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def close(self):
        try:
            self.unmount()
        except OSError:
            LIBC.umount2(self.mount_point.encode(), 2)  # MNT_DETACH
        LIBC.umount2(self.files.encode(), 2)
        self.server.kill()
        self.server.wait()
