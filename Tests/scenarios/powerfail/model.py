# SPDX-License-Identifier: Apache-2.0
"""What a disk may hold of a spool after a power failure, from the system calls before it.

As on ext4: a sync of a directory makes all creations, renames and unlinks before it durable, of
later ones a prefix survives; a sync of a file makes its bytes durable, else they are whole, cut or
gone; of the journal's writes a prefix survives, and perhaps a part of the next.
"""
import os
import re

DIRS = ["incoming", "tmp", "ready", "active", "deferred", "hold", "failed", "rejected", "units",
        "journal"]
CALLS = "openat,write,pwrite64,fsync,fdatasync,renameat,renameat2,unlinkat,ftruncate,utimensat"


class Node:
    """A file: its writes in order, and how many of them are durable."""

    def __init__(self, data=b"", mtime=None):
        self.base, self.writes, self.synced, self.mtime = data, [], 0, mtime

    def content(self, count):
        data = bytearray(self.base)
        for at, value in self.writes[:count]:
            if value is None:  # a new size
                del data[at:]
            at = len(data) if at is None else at
            data.extend(bytes(max(0, at - len(data))))
            data[at:at + len(value or b"")] = value or b""
        return bytes(data)

    def after_cut(self, is_segment, choose):
        if self.synced == len(self.writes):
            return self.content(self.synced)
        kept = choose.randint(self.synced, len(self.writes))
        data = self.content(kept)
        if not is_segment:
            return choose.choice([self.content(len(self.writes)), data, bytes(len(data)),
                                  data[:choose.randint(0, len(data))]])
        if kept < len(self.writes) and choose.random() < 0.3:
            at, value = self.writes[kept]
            if at is not None and value:
                part = value[:choose.randint(0, len(value))]
                data = data[:at] + part + data[at + len(part):]
        return data


class Disk:
    """The names that are seen, those that are durable, and what is between them."""

    def __init__(self, spool):
        self.spool, self.seen, self.pending = spool, {}, []
        for folder in DIRS:
            for name in os.listdir(os.path.join(spool, folder)):
                if not name.startswith("."):
                    self.read(folder, name)
        if os.path.exists(os.path.join(spool, "checkpoint")):
            self.read("", "checkpoint")
        self.durable = dict(self.seen)

    def read(self, folder, name):
        path = os.path.join(self.spool, folder, name)
        with open(path, "rb") as file:
            self.seen[folder, name] = Node(file.read(), os.stat(path).st_mtime)

    @staticmethod
    def apply(names, operation):
        source, target, node = operation
        if source is not None:
            node = names.pop(source, None)
        if target is not None and node is not None:
            names[target] = node

    def names(self, source, target, node=None):
        self.pending.append((source, target, node))
        self.apply(self.seen, self.pending[-1])

    def create(self, key):
        if key in self.seen:
            self.seen[key].writes.append((0, None))
        else:
            self.names(None, key, Node())

    def write(self, key, at, value):
        if key in self.seen:
            self.seen[key].writes.append((at, value))

    def sync(self, key):
        if key[1] == "":
            for operation in self.pending:
                self.apply(self.durable, operation)
            self.pending = []
        elif key in self.seen:
            self.seen[key].synced = len(self.seen[key].writes)

    def stamp(self, key, when):
        if key in self.seen:
            self.seen[key].mtime = when

    def cut(self, choose):
        """Puts one of the disks that may be into the spool; says how much of the names is left."""
        kept = choose.randint(0, len(self.pending))
        for operation in self.pending[:kept]:
            self.apply(self.durable, operation)
        for folder in DIRS:
            for name in os.listdir(os.path.join(self.spool, folder)):
                if not name.startswith("."):
                    os.unlink(os.path.join(self.spool, folder, name))
        if os.path.exists(os.path.join(self.spool, "checkpoint")):
            os.unlink(os.path.join(self.spool, "checkpoint"))
        for key, node in sorted(self.durable.items()):
            path = os.path.join(self.spool, *filter(None, key))
            with open(path, "wb") as file:
                file.write(node.after_cut(key[0] == "journal", choose))
            os.chmod(path, 0o600)
            if node.mtime:
                os.utime(path, (node.mtime, node.mtime))
        return "%d of %d" % (kept, len(self.pending))


# ---- from a trace of taskd to operations

PATTERNS = {
    "renameat": r'\d+<(.*?)>, "(.*?)", \d+<(.*?)>, "(.*?)"',
    "unlinkat": r'\d+<(.*?)>, "(.*?)"',
    "openat": r'\S+?<(.*?)>, "(.*?)", (\S+)',
    "write": r'\d+<(.*?)>, "(.*?)", \d+$',
    "pwrite64": r'\d+<(.*?)>, "(.*?)", \d+, (\d+)$',
    "ftruncate": r"\d+<(.*?)>, (\d+)$",
    "fsync": r"\d+<(.*?)>$",
    "utimensat": r"\d+<(.*?)>, NULL, \[UTIME_OMIT, \{tv_sec=(\d+), tv_nsec=(\d+)",
}
PATTERNS["renameat2"], PATTERNS["fdatasync"] = PATTERNS["renameat"], PATTERNS["fsync"]


class Trace:
    def __init__(self, spool):
        self.spool = spool

    def read(self, file):
        """(time, operation on a Disk) of each call that succeeded and concerns the spool."""
        with open(file, errors="replace") as lines:
            for line in lines:
                call = re.match(r"(\d+\.\d+) (\w+)\((.*)\)\s+= (\d+|\?)", line)
                found = call and call[2] in PATTERNS and re.match(PATTERNS[call[2]], call[3])
                if not found or call[4] == "?" and not self.has_happened(call[2], found):
                    continue
                operation = self.operation(call[2], found)
                if operation:
                    yield float(call[1]), operation

    @staticmethod
    def path(*parts):
        return "/".join(bytes.fromhex(part.replace("\\x", "")).decode(errors="replace")
                        for part in parts)

    def has_happened(self, call, found):
        """taskd was killed in this call: asks the file system whether it was carried out."""
        if call.startswith("rename"):
            return not os.path.lexists(self.path(found[1], found[2]))
        if call == "unlinkat":
            return not os.path.lexists(self.path(found[1], found[2]))
        if call == "openat":
            return os.path.lexists(self.path(found[1], found[2]))
        if call in ("write", "pwrite64") and self.key(found[1]):
            data = bytes.fromhex(found[2].replace("\\x", ""))
            with open(self.path(found[1]), "rb") as file:
                file.seek(int(found[3]) if call == "pwrite64" else 0)
                return file.read(len(data)) == data
        return False

    def key(self, *path):
        """(directory, name); the name of a directory is empty; None for what is not looked at."""
        whole = self.path(*path)
        if whole != self.spool and not whole.startswith(self.spool + "/"):
            return None
        parts = (whole[len(self.spool) + 1:].split("/") + ["", ""])[:2]
        if parts[0] in DIRS:
            return None if parts[1].startswith(".") else (parts[0], parts[1])
        if parts[0] == "checkpoint":
            return "", "checkpoint"
        return ("", "") if parts[0] == "" else None

    def operation(self, call, found):
        if call.startswith("rename"):
            source, target = self.key(found[1], found[2]), self.key(found[3], found[4])
            return source and target and (lambda disk: disk.names(source, target))
        if call in ("unlinkat", "openat"):
            key = self.key(found[1], found[2])
            if not key or call == "openat" and "O_CREAT" not in found[3]:
                return None
            return lambda disk: disk.create(key) if call == "openat" else disk.names(key, None)
        key = self.key(found[1])
        if not key:
            return None
        if call in ("fsync", "fdatasync"):
            return lambda disk: disk.sync(key)
        if call == "utimensat":
            return lambda disk: disk.stamp(key, int(found[2]) + int(found[3]) / 1e9)
        if call == "ftruncate":
            return lambda disk: disk.write(key, int(found[2]), None)
        data = bytes.fromhex(found[2].replace("\\x", ""))
        return lambda disk: disk.write(key, int(found[3]) if call == "pwrite64" else None, data)
