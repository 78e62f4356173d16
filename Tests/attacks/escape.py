# SPDX-License-Identifier: Apache-2.0
"""Ways out: the file system, mounts, namespaces, devices, other architectures."""

import ctypes
import os
import socket
import stat
import time

from attack import (absent, all_of, attack, call, machine_code, opens, pack, probe, reads, tried,
                    waited)

absent.family = __name__
X86 = ("x86_64",)
APPEND = os.O_WRONLY | os.O_APPEND


def made(path):
    """Makes a file or says why not; takes it away again."""
    outcome = opens(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    if outcome == "OK":
        os.unlink(path)
    return outcome


@probe(16, "write to /usr, /etc/passwd, /bin", wins=".*OK", jail="(EROFS|EACCES| )+$")
def base(c):
    return all_of([made("/usr/" + c["name"]), made("/etc/" + c["name"]), opens("/etc/passwd", APPEND),
                   opens("/bin/sync", APPEND), made("/usr/local/bin/" + c["name"])])


@probe(17, "write into the unit's directory", wins="OK", jail="EROFS$")
def unit_directory(c):
    return all_of([made(c["unit"] + "/x"), opens(c["unit"] + "/mine", APPEND)])


@probe(18, "a link to /etc/shadow in the working directory", wins=r"\d+ bytes", jail="ENOENT$")
def link(c):
    os.symlink("/etc/shadow", "l%d" % os.getpid())
    return reads("l%d" % os.getpid())


@probe(19, "ls W/../../..", wins="host", jail="jail$")
def parents(c):
    seen = os.listdir(os.getcwd() + 20 * "/..")
    return "jail" if "scratch" in seen and "boot" not in seen else "host"


@probe(20, "chroot, pivot_root", wins="(?!EPERM)", jail="EPERM$", needs=X86, closed=True)
def roots(c):
    return all_of([call(155, b".", b"."), tried(os.chroot, "/tmp")])


@probe(21, "mount, umount2, open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, mount_setattr",
       wins=".*OK", jail="EPERM$", needs=X86, closed=True)
def mounts(c):
    if c["free"]:
        call(272, 0x20000)  # a mount namespace: the others still need /proc
    return all_of([
        call(165, b"a", b"/tmp", b"tmpfs", 0, 0), call(166, b"/proc", 2), call(428, -100, b"/", 1),
        call(429, -100, b"/tmp", -100, b"/proc", 0), call(430, b"tmpfs", 0), call(431, 0, 0, 0, 0, 0),
        call(432, 0, 0, 0), call(433, -100, b"/", 0), call(442, -100, b"/", 0, bytes(32), 32)])


@probe(22, "statmount, listmount, open_tree_attr, file_getattr, file_setattr", wins="(?!ENOSYS$)",
       jail="ENOSYS$", needs=X86, why="the kernel is older than these calls")
def newer(c):
    return all_of(call(n, 0, 0, 0, 0, 0) for n in (457, 458, 467, 468, 469))


def forked(function):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if function() == "OK" else 1)
    return waited(pid)


@probe(23, "unshare, clone and clone3 of a user namespace", wins="OK exit 0",
       jail="EPERM EPERM ENOSYS EPERM$", needs=X86)
def namespaces(c):
    if c["free"]:
        return "OK " + forked(lambda: call(272, 0x10000000))
    # The kernel takes the low 32 bits of clone's flags.
    return " ".join([call(272, 0x10000000), call(56, 0x10000000 | 17, 0, 0, 0, 0),
                     call(435, bytes(88), 88), call(56, 1 << 40 | 0x10000000 | 17, 0, 0, 0, 0)])


@probe(24, "setns: own mount namespace, a pidfd", wins=".*OK", jail="EPERM$", needs=X86,
       closed=True)
def enter(c):
    fd = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    pidfd = os.pidfd_open(os.getpid())
    return all_of([call(308, fd, 0), call(308, pidfd, 0x20000)])


@probe(25, "name_to_handle_at, open_by_handle_at", wins="OK|OK .*", jail="EPERM$", needs=X86)
def handles(c):
    handle = pack("Ii128s", 128, 0, b"")
    mount = pack("i", 0)
    first = call(303, -100, b"/tmp", handle, mount, 0)
    fd = os.open("/tmp", os.O_RDONLY)
    return all_of([first, call(304, fd, handle, os.O_RDONLY | os.O_DIRECTORY)])


@probe(26, "mknod b 254 0", wins="OK", jail="EPERM$")
def node(c):
    path = "/tmp/" + c["name"] + ".vda"
    outcome = tried(os.mknod, path, 0o60600, os.makedev(254, 0))
    if outcome == "OK":
        os.unlink(path)
    return outcome


DEVICES = "vda sda mem port kmem loop-control kvm fuse net/tun vsock vhost-vsock kmsg console tty0 hda"


@probe(27, "the machine's devices: vda mem kvm fuse kmsg …", wins=".*OK", jail="ENOENT$")
def devices(c):
    return all_of({opens("/dev/" + d, os.O_RDONLY) for d in DEVICES.split()})


@probe(28, "mkdir /x, chmod /, make /dev/x", wins=".*OK", jail="EROFS$")
def root(c):
    path = "/" + c["name"]
    outcome = tried(os.mkdir, path)
    if outcome == "OK":
        os.rmdir(path)
    mode = os.stat("/").st_mode & 0o7777
    return all_of([outcome, tried(os.chmod, "/", mode), made("/dev/" + c["name"])])


@probe(29, "write to core_pattern, sysctls and sysrq-trigger", wins=".*OK", jail="(EROFS|EACCES| )+(null|ENOENT)$")
def settings(c):
    paths = ["kernel/core_pattern", "kernel/modprobe", "vm/drop_caches", "net/ipv4/ip_forward",
             "fs/binfmt_misc/register", "kernel/ns_last_pid"]
    got = [opens("/proc/sys/" + p, os.O_WRONLY) for p in paths if os.path.exists("/proc/sys/" + p)]
    trigger = "/proc/sysrq-trigger"
    if os.path.exists(trigger) and os.stat(trigger).st_rdev == os.makedev(1, 3):
        return all_of(got) + " null"
    return all_of(got) + " " + opens(trigger, os.O_WRONLY)


@attack(30, "a crash: core file in W, and the helper of a piped core_pattern",
        wins=".*core", jail="SIGABRT, nothing$")
def crash(t):
    script = "ulimit -c unlimited 2>/dev/null; cd %s; kill -ABRT $$" % t.work
    before = set(os.listdir(t.work))
    if t.is_free:
        t.free_shell(script)
    else:
        end = t.unit(shell=script).run()
        if end.signal != "ABRT":
            return "signal %s" % end.signal

    def left():
        return {f for f in os.listdir(t.work) if f not in before} | set(t.core_helper())
    # A helper runs after the end, and nothing tells of one that does not come.
    end = time.monotonic() + (10 if t.is_free else 0.2)
    while not left() and time.monotonic() < end:
        time.sleep(0.01)
    new = left()
    for file in new:
        os.unlink(os.path.join(t.work, file))
    return "SIGABRT, " + ("core: " + " ".join(sorted(new)) if new else "nothing")


@probe(31, "/sys/fs/cgroup, release_agent", wins="[1-9]|.*OK", jail="ENOENT ENOENT$")
def cgroups(c):
    agent = opens("/sys/fs/cgroup/memory/release_agent", os.O_WRONLY)
    return "%s %s" % (tried(os.listdir, "/sys/fs/cgroup"), agent)


def connect(address):
    with socket.socket(socket.AF_UNIX) as client:
        return tried(client.connect, address)


@probe(32, "connect to a socket of the host, by path", wins="OK", jail="ENOENT$")
def path_socket(c):
    return all_of([connect(c["socket"])])


@probe(33, "connect to a socket of the host, by abstract name", wins="OK", jail="EPERM$",
       weak=("landlock6", "OK$"))
def abstract_socket(c):
    return connect("\0" + c["abstract"])


@probe(34, "ptrace, memory, descriptors of init and of the victim", wins=".*OK",
       jail="EPERM ENOENT EPERM EPERM EPERM$", needs=X86, modes=("root", "nobody", "user"))
def trace(c):
    pid = c["victim"] if c["free"] else 1
    outcome = call(101, 16, pid, 0, 0)
    if outcome == "OK":
        os.waitpid(pid, 0x40000000)
        call(101, 17, pid, 0, 0)
    pidfd = os.pidfd_open(pid)
    local = pack("QQ", 0, 0)
    return " ".join([outcome, opens("/proc/%d/mem" % pid, os.O_RDWR), call(438, pidfd, 0, 0),
                     call(310, pid, local, 1, local, 1, 0), call(312, pid, pid, 0, 0, 0)])


absent(35, "write into a package's layer", "Packages= come with a later issue")


@probe(36, "int 0x80", wins="exit 0", jail="SIGSYS$", needs=X86,
       why="this kernel has no 32-bit calls")
def int80(c):
    return machine_code(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # getpid of i386


@probe(37, "a system call of x32", wins="OK", jail="SIGSYS$", needs=X86,
       why="this kernel has no x32 calls")
def x32(c):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if call(0x40000000 + 39) == "OK" else 3)
    outcome = waited(pid)
    return "OK" if outcome == "exit 0" else outcome


CONTROLS = (0x5412, 0x541c, 0x5423, 0x541d, 0x401c5820, 0x40086602, 0x40046602)


@probe(38, "ioctl(1<<32|TIOCSTI), TIOCSTI, TIOCLINUX, TIOCSETD, TIOCCONS",
       wins="(?!EPERM$)", jail="EPERM$", needs=X86)
def terminal(c):
    _, slave = os.openpty()
    zero = pack("i", 0)
    return all_of(call(16, slave, high | request, zero)
                  for high in (0, 1 << 32) for request in CONTROLS[:4])


@probe(39, "personality(READ_IMPLIES_EXEC)", wins="OK", jail="ENOSYS$", needs=X86)
def personality(c):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if call(135, 0x0400000) == "OK" else 1)
    return "OK" if waited(pid) == "exit 0" else call(135, 0x0400000)


@probe(108, "hard links to /usr/bin/su and /etc/ssl in W", wins=".*OK|EXDEV", jail="EXDEV$")
def hard_links(c):
    target = "h%d" % os.getpid()
    got = tried(os.link, "/usr/bin/su", target)
    if got == "OK":
        os.unlink(target)
    return all_of([got, tried(os.link, "/usr/bin/env", target)])


@probe(109, "every file that can be opened for writing, but for W and its own",
       wins="[1-9]", jail="none$", slow=True)
def writable(c):
    own = tuple(p + "/" for p in (os.getcwd(), "/tmp", "/scratch", "/dev/pts", "/dev/shm",
                                  "/proc/self", "/proc/thread-self", "/dev/fd"))
    fine = {"/dev/" + n for n in "null zero full random urandom tty ptmx stdin stdout stderr".split()}
    # Anybody's, and of his own descriptor: a file of triggers.
    fine |= {"/proc/pressure/" + n for n in ("io", "cpu", "memory", "irq")}
    found = []
    places = ["/", ] if not c["free"] else ["/etc", "/dev", "/proc/sys/kernel", "/var/tmp", "/run"]
    for top in places:
        for at, inner, files in os.walk(top):
            if at.startswith("/proc/") and at.split("/")[2].isdigit() or at == "/usr/share":
                inner[:] = []
                continue
            for file in files:
                path = os.path.join(at, file)
                if path in fine or path.startswith(own) or os.path.islink(path):
                    continue
                if os.access(path, os.W_OK) and _opens_for_writing(path):
                    found.append(path)
    return "%d: %s" % (len(found), " ".join(found[:9])) if found else "none"


def _opens_for_writing(path):
    """A device is believed without opening it: on a host that could arm a watchdog."""
    status = os.stat(path)
    if stat.S_ISREG(status.st_mode):
        return opens(path, APPEND) == "OK"
    return (os.major(status.st_rdev), os.minor(status.st_rdev)) != (1, 3)


@attack(110, "the parent of the current directory is moved out of W meanwhile, then ../..",
        wins=".*secret", jail="ENOENT$", why="the kernel refuses `..` only at the edge of a bind")
def moved(t):
    os.makedirs(t.work + "/a/b", exist_ok=True)
    t.give(t.work + "/a", t.work + "/a/b")
    outside = t.base + "/moved-" + t.mode
    script = ("cd %s/a/b; touch %s/ready; n=0; while [ -e %s/ready ] && [ $n -lt 400 ]; do "
              "sleep 0.02; n=$((n+1)); done; cat ../../secret.txt 2>&1" % (t.work, t.work, t.work))
    run = t.start(shell=script)
    t.wait_for(t.work + "/ready")
    os.rename(t.work + "/a", outside)
    os.unlink(t.work + "/ready")
    end = run.end()
    return "secret" if "secret-of-host" in end.out else "ENOENT" if "No such" in end.out else end.out


def _own_program(t, lines):
    """Runs a copy of taskrun that belongs to the task's user; the copy's mode afterwards."""
    place = t.directory("own", 0o755)
    program = os.path.join(place, "taskrun")
    t.copy(t.taskrun, program, 0o755)
    t.copy(t.shared_object("exe.so"), os.path.join(place, "exe.so"), 0o755)
    end = t.unit(directory=place, **lines).run(program=program)
    mode = os.stat(program).st_mode & 0o777
    return "%s, mode %o" % ("exit %s" % end.status, mode)


@attack(111, "command=/proc/self/exe with LD_PRELOAD: chmod of the host's taskrun", wins="777",
        jail="exit 126, mode 755$", needs=("cc",), weak=("landlock2", "exit 0, mode 777$"))
def own_executable(t):
    if t.is_free:
        program = t.copy("/bin/true", t.base + "/own-" + t.mode, 0o755)
        t.give(program)
        t.free_shell("chmod 777 " + program)
        return "%o" % (os.stat(program).st_mode & 0o777)
    return _own_program(t, {"command": "/proc/self/exe",
                            "environment": "LD_PRELOAD=/run/task/dir/exe.so"})


@attack(112, "#!/proc/self/exe: the same by a script", wins="777", jail="exit 126, mode 755$",
        needs=("cc",), weak=("landlock2", "exit 0, mode 777$"))
def own_interpreter(t):
    if t.is_free:
        return own_executable.__wrapped__(t) if hasattr(own_executable, "__wrapped__") else \
            own_executable(t)
    return _own_program(t, {"command": "./x", "files": {"x": "#!/proc/self/exe\n"},
                            "environment": "LD_PRELOAD=/run/task/dir/exe.so"})


@probe(113, "memfd of the task's own program: the filter stays", wins="OK OK",
       jail="OK EPERM$", needs=X86)
def memfd(c):
    program = os.memfd_create("p")
    with open("/bin/true", "rb") as file:
        os.write(program, file.read())
    pid = os.fork()
    if pid == 0:
        os.execve(program, ["true"], {})
    return "%s %s" % ("OK" if waited(pid) == "exit 0" else "?",
                      "OK" if c["free"] else call(165, b"a", b"/tmp", b"tmpfs", 0, 0))


CALLS32 = """
import ctypes, errno, mmap, struct
def call(number, *arguments):
    code = b'\\x53'                                         # push rbx
    for register, value in zip((0xb8, 0xbb, 0xb9, 0xba, 0xbe, 0xbf), (number, *arguments)):
        code += bytes([register]) + struct.pack('<I', value & 0xffffffff)
    area = mmap.mmap(-1, 4096, prot=7)
    area.write(code + b'\\xcd\\x80\\x5b\\xc3')                # int 0x80, pop rbx, ret
    result = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(area)))()
    return errno.errorcode.get(-result, str(-result)) if result < 0 else 'OK'
USER, ROOT = 0x10000000, 65536
refused = {'mount': (21,), 'umount': (22, 0), 'umount2': (52, 0, 2), 'pivot_root': (217, 0, 0),
  'chroot': (61, 0), 'setns': (346, 0, 0), 'unshare': (310, USER), 'clone': (120, USER | 17, 0),
  'socketcall': (102, 1, 0), 'ipc': (117, 23, 0), 'ptrace': (26, 16, 1), 'keyctl': (288, 0, -3, 0),
  'add_key': (286,), 'bpf': (357, 0), 'perf': (336,), 'prlimit64': (340, 1, 0, 0, 0),
  'open_by_handle_at': (342,), 'process_vm_readv': (347, 1), 'kexec': (283,), 'vm86': (166,),
  'vm86old': (113,), 'modify_ldt': (123,), 'iopl': (110, 3), 'ioperm': (101,), 'syslog': (103, 3),
  'stime': (25, 0), 'settimeofday': (79,), 'clock_settime': (264,), 'clock_settime64': (404,),
  'reboot': (88,), 'swapon': (87,), 'ioctl': (54, 0, 0x5412, 0), 'userfaultfd': (374, 0),
  'io_uring': (425, 1, 0), 'open_tree': (428, -100, 0, 1), 'fsopen': (430, 0, 0), 'adjtimex': (124,),
  'uselib': (86,), 'create_module': (127,), 'sysctl': (149,), 'clock_adjtime64': (405,)}
got = {n: call(*c, *([0] * (6 - len(c)))) for n, c in refused.items()}
print(sorted((n, o) for n, o in got.items() if o not in ('EPERM', 'ENOSYS')),
      call(435, 0, 0), call(136, 0x400000), call(359, 40, 1, 0), call(360, 40, 1, 0, 0),
      call(359, 2, 5, 132), call(20))
"""


@attack(132, "SystemCallArchitectures=native x86: the same by 32-bit calls", wins="",
        why="nothing to allow", needs=X86,
        jail=r"\[\] ENOSYS ENOSYS EAFNOSUPPORT EAFNOSUPPORT EPROTONOSUPPORT OK$")
def calls32(t):
    if t.is_free:
        return ""
    end = t.unit(python=CALLS32, jail=("SystemCallArchitectures=native x86",)).run()
    return end.out.strip() or end.err
