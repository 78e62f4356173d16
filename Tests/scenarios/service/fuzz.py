# SPDX-License-Identifier: Apache-2.0
"""Packets for the root service that begin as right ones: some word, number, length, percent code, blob
or descriptor of each is not what it was. The same seed gives the same packets."""
import fcntl
import hashlib
import os
import random
import socket

RUN = "01m88gw5xr1c3076pf4v8mtxa3"
NUMBERS = ["0", "1", "-1", "00", "+5", "4294967295", "4294967296", "9223372036854775807", "9223372036854775808",
           "18446744073709551615", "18446744073709551616", "99999999999999999999999", "1e9", "", "0x10", "1.5", " 7"]
SPANS = ["1s", "0", "infinity", "9223372036854775807", "9223372036854775807us", "99999999999h", "-1s", "1s 1s", "x"]
SIZES = ["1", "0", "64M", "infinity", "9223372036854775807", "8796093022207M", "16777216T", "-1", "1K K", "%"]
TEXTS = ["", "a", "%00", "%", "%zz", "%0a", "%20", "%ff%fe", "a" * 5000, "../../etc", "/", "//", "/proc/self/fd/3", "é"]
DIRECTIVES = {
    "MaxTime": SPANS, "TimeoutStopSec": SPANS, "MaxCPUTime": SPANS, "RestartSec": SPANS,
    "LimitMem": SIZES, "LimitDisk": SIZES, "MemoryHigh": SIZES, "LogLimit": SIZES + ["1M:fail", ":fail"],
    "LimitTasks": NUMBERS, "LimitCPU": ["1%", "150%", "0%", "9223372036854775807%", "99999999999999999%", "x%"],
    "Nice": NUMBERS + ["5", "19", "-20"], "Priority": NUMBERS, "Restart": NUMBERS,
    "KillSignal": ["TERM", "SIGKILL", "0", "64", "65", "-9", "99999999999", "STOP", "x"],
    "SuccessExitStatus": NUMBERS + ["TERM"], "User": TEXTS + ["root", "nobody", "daemon"], "Group": TEXTS + ["root"],
    "SupplementaryGroups": TEXTS + ["root", "disk"], "WorkingDirectory": TEXTS + ["/tmp", "/root"], "Dir": TEXTS + ["/root"],
    "Jail": ["yes", "strict", "no", "maybe"], "PrivateNetwork": ["yes", "no", "2"], "ProcSubset": ["pid", "all", "x"],
    "BindPaths": TEXTS + ["/tmp:/x", ":", "a:b:c", "-/none"], "BindReadOnlyPaths": TEXTS + ["/etc:/y", "/root"],
    "StandardInput": ["null", "text:x", "file:/etc/shadow", "file:", "file:/dev/zero"] + TEXTS,
    "StandardOutput": ["null", "log", "file:/root/x", "file:/tmp/none/x"] + TEXTS, "Type": ["exec", "runner", "x"],
    "SystemCallFilter": ["@debug", "~mount", "@x", ""], "SystemCallArchitectures": ["native", "x86", "x"],
    "LoadCredential": ["a:/etc/passwd", "a", ":", "../a:/x"], "env": ["A=b", "=", "A", "PATH=", "LD_PRELOAD=/x"] + TEXTS,
    "arg": TEXTS, "check": ["a=true", "a", "=true", "b=%22"] + TEXTS, "file": TEXTS + ["x:755:" + "0" * 64, "x:9:1", "::"],
    "Nonsense": TEXTS, "blobs": NUMBERS,
}


class Fuzz:
    def __init__(self, seed, here):
        self.random = random.Random(seed)
        self.here = here
        self.number = 0

    def one(self, values):
        return values[self.random.randrange(len(values))]

    def chance(self, share):
        return self.random.random() < share

    def coded(self, text):
        if self.chance(0.1):
            return text
        return "".join(c if "!" <= c <= "~" and c not in "%=" else f"%{ord(c) & 255:02x}" for c in text)

    def job(self):
        self.number += 1
        words = [f"{RUN}.{self.number}", f"a={1 if self.chance(0.9) else self.one(NUMBERS)}", self.one(["x", "y", "systemd:x"])]
        fields = {"command": self.one(["true", "true", "echo", "./x", "/nowhere", ""]), "MaxTime": "5s"}
        parts = [f"{k}={v}" for k, v in fields.items() if self.chance(0.95)]
        for _ in range(self.random.randrange(6)):
            key = self.one(list(DIRECTIVES))
            parts.append(f"{key}={self.coded(self.one(DIRECTIVES[key]))}")
        self.random.shuffle(parts)
        blobs = b""
        if self.chance(0.3):
            data = self.random.randbytes(self.random.randrange(3000))
            digest = hashlib.sha256(data).hexdigest()
            size = len(data) if self.chance(0.7) else self.one([0, 1, len(data) + 1, 1 << 40, -1])
            blobs = f"blob file x {digest if self.chance(0.8) else 'f' * 64} {size}\n".encode() + data + b"\n"
            parts.append(f"file=x:{self.one(['755', '7777', '9'])}:{digest}")
            parts.append(f"blobs={1 if self.chance(0.8) else self.one(NUMBERS)}")
        return f"run {self.number} {' '.join(words)} {' '.join(parts)}\n".encode() + blobs

    def line(self):
        pick = self.random.random()
        if pick < 0.75:
            return self.job()
        return self.one([
            f"kill {RUN}.{self.random.randrange(1, self.number + 2)} a=1 grace={self.one(NUMBERS)}\n",
            f"ack {self.one(NUMBERS)}\n", "drain x\n", "slots 5\n", f"hello {self.one(NUMBERS)} x\n",
            f"log {self.one(TEXTS + ['00000001-taskd-000002', '00000001-taskd-000001'])}\n",
            f"sealed {self.one(NUMBERS)}\n", f"event 1 {RUN}\n", f"running {RUN}.0 a=1\n", "\n", "\0\n",
        ]).encode()

    def broken(self, data):
        """Bytes flipped, cut out, doubled, or numbers in it changed."""
        data = bytearray(data)
        for _ in range(self.random.randrange(1, 4)):
            if not data:
                break
            at = self.random.randrange(len(data))
            what = self.random.random()
            if what < 0.3:
                data[at] = self.random.randrange(256)
            elif what < 0.5:
                del data[at:at + self.random.randrange(1, 20)]
            elif what < 0.7:
                data[at:at] = data[at:at + self.random.randrange(1, 50)]
            else:
                digits = [i for i, b in enumerate(data) if 48 <= b <= 57]
                if digits:
                    at = self.one(digits)
                    data[at:at + 1] = self.one(NUMBERS).encode()
        return bytes(data)

    def memory(self, data):
        fd = os.memfd_create("job", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
        os.write(fd, data)
        if self.chance(0.1):
            os.ftruncate(fd, self.random.randrange(len(data) + 1))
        elif self.chance(0.1):
            os.ftruncate(fd, len(data) * 3)
        if self.chance(0.8):
            fcntl.fcntl(fd, 1033, 15)
        elif self.chance(0.5):
            fcntl.fcntl(fd, 1033, self.random.randrange(16))
        return fd

    def strange(self):
        """A descriptor of something else."""
        pick = self.random.randrange(5)
        if pick == 0:
            return os.open("/dev/zero", os.O_RDONLY)
        if pick == 1:
            return os.pipe2(os.O_CLOEXEC)[self.random.randrange(2)]
        if pick == 2:
            return os.open(self.here, os.O_RDONLY)
        if pick == 3:
            return socket.socket().detach()
        return os.open(self.here + "/x.log", os.O_RDWR | os.O_CREAT)

    def packet(self):
        data = b"".join(self.line() for _ in range(self.random.randrange(1, 4)))
        if self.chance(0.3):
            data = self.broken(data)
        fds = []
        if self.chance(0.15):
            fds.append(self.memory(data))
            data = f"sealed {len(data) if self.chance(0.8) else self.one(NUMBERS)}\n".encode()
            if self.chance(0.2):
                fds.append(self.strange())
        elif self.chance(0.1):
            fds.append(self.strange())
        return data[:65536], fds
