// SPDX-License-Identifier: Apache-2.0
// The jail of taskrun written as one would write it without a prepared base: root directory,
// /etc, /dev, /proc and /tmp are built for each run. The steps are taskrun --plan's.
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "jail.h"

#define NEWROOT "/tmp"

static void step(int ok, const char *what)
{
    if (ok < 0) {
        fprintf(stderr, "bench: err: unable to build a jail: %s: %s\n", what, strerror(errno));
        _exit(226);
    }
}

// A detached, private copy of a host directory or file, put into the new root.
static void bring(const char *from, const char *to, uint64_t attributes)
{
    struct mount_attr set = {.attr_set = attributes};
    int tree = open_tree(AT_FDCWD, from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (tree < 0 && errno == ENOENT) return;
    step(tree, from);
    step(mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &set, sizeof set), from);
    step(move_mount(tree, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH), to);
    close(tree);
}

static void text(const char *path, const char *content)
{
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    step(file, path);
    step((int)write(file, content, strlen(content)), path);
    close(file);
}

static void skeleton(void)
{
    static const char *const directories[] = {
        "usr", "etc", "etc/ssl", "etc/ld.so.conf.d", "etc/alternatives", "dev", "tmp", "scratch",
        "proc", "sys", "run", "run/task", "run/task/dir", "root", "home", "var",
    };
    step(mount("none", NEWROOT, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,nr_inodes=512,mode=755"), "root");
    step(chdir(NEWROOT), "chdir");
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
        step(mkdir(directories[i], 0755), directories[i]);
    step(symlink("usr/bin", "bin"), "bin");
    step(symlink("usr/sbin", "sbin"), "sbin");
    step(symlink("usr/lib", "lib"), "lib");
    step(symlink("usr/lib64", "lib64"), "lib64");
    bring("/usr", "usr", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
}

static void etc(void)
{
    uint64_t closed = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    text("etc/passwd", "root:x:0:0::/scratch:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n");
    text("etc/group", "root:x:0:\nnogroup:x:65534:\n");
    text("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n");
    text("etc/hosts", "127.0.0.1 localhost task\n");
    text("etc/hostname", "task\n");
    text("etc/ld.so.cache", "\n");
    text("etc/resolv.conf", "\n");
    bring("/etc/ld.so.cache", "etc/ld.so.cache", closed);
    bring("/etc/ld.so.conf.d", "etc/ld.so.conf.d", closed);
    bring("/etc/ssl", "etc/ssl", closed);
    bring("/etc/alternatives", "etc/alternatives", closed);
    bring("/etc/resolv.conf", "etc/resolv.conf", closed);
}

static void dev(void)
{
    static const struct { const char *name; unsigned major, minor; } nodes[] = {
        {"dev/null", 1, 3}, {"dev/zero", 1, 5}, {"dev/full", 1, 7},
        {"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0},
    };
    step(mount("none", "dev", "tmpfs", MS_NOSUID, "size=64k,mode=755"), "dev");
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
        step(mknod(nodes[i].name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)), nodes[i].name);
    step(symlink("/proc/self/fd", "dev/fd"), "dev/fd");
    step(symlink("/proc/self/fd/0", "dev/stdin"), "dev/stdin");
    step(symlink("/proc/self/fd/1", "dev/stdout"), "dev/stdout");
    step(symlink("/proc/self/fd/2", "dev/stderr"), "dev/stderr");
    step(symlink("pts/ptmx", "dev/ptmx"), "dev/ptmx");
    step(mkdir("dev/pts", 0755) | mkdir("dev/shm", 01777), "dev/pts");
    step(mount("none", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666"), "devpts");
}

static void scratch(void)
{
    step(mount("none", "scratch", "tmpfs", MS_NOSUID | MS_NODEV, "size=1g,nr_inodes=65536"), "scratch");
    step(mkdir("scratch/tmp", 01777) | mkdir("scratch/shm", 01777), "scratch");
    step(mount("scratch/tmp", "tmp", NULL, MS_BIND, NULL), "tmp");
    step(mount("scratch/shm", "dev/shm", NULL, MS_BIND, NULL), "shm");
}

static void proc(void)
{
    static const char *const directories[] = {"irq", "bus", "fs", "acpi", "scsi"};
    static const char *const files[] = {"sysrq-trigger", "kcore", "keys", "kallsyms", "timer_list", "latency_stats"};
    char path[64];
    step(mount("none", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=invisible"), "proc");
    bring("proc/sys", "proc/sys", MOUNT_ATTR_RDONLY);
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
        snprintf(path, sizeof path, "proc/%s", directories[i]);
        if (access(path, F_OK) == 0) bring(path, path, MOUNT_ATTR_RDONLY);
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "proc/%s", files[i]);
        if (access(path, F_OK) == 0) step(mount("dev/null", path, NULL, MS_BIND, NULL), path);
    }
}

static void close_root(void)
{
    struct mount_attr closed = {.attr_set = MOUNT_ATTR_RDONLY};
    step(mount_setattr(AT_FDCWD, "dev", 0, &closed, sizeof closed), "dev");
    step(mount_setattr(AT_FDCWD, ".", 0, &closed, sizeof closed), "root");
    step((int)syscall(SYS_pivot_root, ".", "."), "pivot_root");
    step(umount2(".", MNT_DETACH), "umount");
    step(chdir("/"), "chdir");
    step(sethostname("task", 4), "sethostname");
}

static void limits(void)
{
    static const struct { int which; rlim_t value; } values[] = {
        {RLIMIT_CORE, 1}, {RLIMIT_MEMLOCK, 65536}, {RLIMIT_MSGQUEUE, 0}, {RLIMIT_NOFILE, 1024},
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct rlimit limit = {values[i].value, values[i].value};
        step(setrlimit((__rlimit_resource_t)values[i].which, &limit), "setrlimit");
    }
    text("proc/self/oom_score_adj", "200");
}

static void drop_capabilities(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {0};
    step((int)syscall(SYS_capset, &header, none), "capset");
}

// Landlock's scopes (ABI 6) where the kernel has them; Debian 12's header does not know them yet.
static void landlock(void)
{
    struct { uint64_t fs, net, scoped; } ruleset = {0, 0, 3};
    int rules = (int)syscall(444, &ruleset, sizeof ruleset, 0);
    if (rules >= 0) {
        syscall(446, rules, 0);
        close(rules);
    }
}

static _Noreturn void payload(char **argv, const struct sock_fprog *filter)
{
    char *environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/scratch", NULL};
    char path[256];
    setsid();
    for (int capability = 0; capability <= 40; capability++) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    step(prctl(PR_SET_SECUREBITS, SECURE_ALL_BITS | SECURE_ALL_LOCKS, 0, 0, 0), "securebits");
    step(setgroups(0, NULL), "setgroups");
    step(setresgid(0, 0, 0) | setresuid(0, 0, 0), "setresuid");
    drop_capabilities();
    step(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
    landlock();
    step(chdir("/scratch"), "chdir");
    close_range(3, ~0U, 0);
    if (jail_confine(filter) != 0) _exit(228);
    snprintf(path, sizeof path, "/run/task/dir/%s", strrchr(argv[0], '/') + 1);
    execve(path, argv, environment);
    _exit(203);
}

_Noreturn void jail_fresh(char **argv, const char *dir, const struct sock_fprog *filter)
{
    siginfo_t info = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    setsid();
    umask(0);
    step(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private");
    int tree = open_tree(AT_FDCWD, dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    struct mount_attr closed = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};
    step(tree, dir); // before the new root covers it
    step(mount_setattr(tree, "", AT_EMPTY_PATH, &closed, sizeof closed), dir);
    skeleton();
    etc();
    dev();
    scratch();
    proc();
    step(move_mount(tree, "", AT_FDCWD, "run/task/dir", MOVE_MOUNT_F_EMPTY_PATH), dir);
    close(tree);
    close_root();
    limits();
    pid_t pid = fork();
    step(pid, "fork");
    if (pid == 0) payload(argv, filter);
    drop_capabilities();
    step(waitid(P_PID, (id_t)pid, &info, WEXITED), "waitid");
    _exit(info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status);
}
