// SPDX-License-Identifier: Apache-2.0
// Steps that change what a process may do: in init, and in T between vfork and execve.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <net/if.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "jail_internal.h"

static int fail(void) { return errno ? errno : EIO; }

// Kernel headers of 6.1 do not know scopes (landlock(7), ABI 6, Linux 6.12).
struct landlock_attributes {
    uint64_t handled_access_fs, handled_access_net, scoped;
};

static int capabilities(struct __user_cap_data_struct *sets, int write) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    return (int)syscall(write ? SYS_capset : SYS_capget, &header, sets);
}

int jail_effective(int on) {
    struct __user_cap_data_struct sets[2];
    if (capabilities(sets, 0) < 0) return fail();
    for (int i = 0; i < 2; i++) sets[i].effective = on ? sets[i].permitted : 0;
    return capabilities(sets, 1) < 0 ? fail() : 0;
}

static int no_capabilities(void) {
    struct __user_cap_data_struct sets[2];
    memset(sets, 0, sizeof sets);
    if (capabilities(sets, 1) < 0 || capabilities(sets, 0) < 0) return fail();
    for (int i = 0; i < 2; i++)
        if (sets[i].effective | sets[i].permitted | sets[i].inheritable) return EPERM;
    return 0;
}

int jail_drop_bounding(void) {
    for (unsigned long i = 0; i < 64; i++)
        if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0) return errno == EINVAL ? 0 : fail();
    return 0;
}

int jail_securebits(void) {
    unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                         SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                         SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
    return prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0 ? fail() : 0;
}

static int write_existing(const char *path, const char *bytes, size_t count) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return fail();
    int error = write(fd, bytes, count) < 0 ? fail() : 0;
    close(fd);
    return error;
}

// The files of /proc/self belong to root while the process is not dumpable, and root is not mapped
// yet: so dumpable for the three writes. setgroups first, or gid_map is refused (user_namespaces(7)).
static int id_map(const struct jail *j, const struct cl_jail_step *s) {
    const char *uid = jail_text(j, s->data), *gid = jail_text(j, s->from);
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    int error = write_existing("/proc/self/uid_map", uid, strlen(uid));
    if (!error) error = write_existing("/proc/self/setgroups", "deny", 4);
    if (!error) error = write_existing("/proc/self/gid_map", gid, strlen(gid));
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return error;
}

static int loopback(void) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return fail();
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int error = ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? fail() : 0;
    close(fd);
    return error;
}

static int limit(const struct cl_jail_step *s) {
    struct rlimit both = {.rlim_cur = s->a, .rlim_max = s->b}, now;
    if (setrlimit((__rlimit_resource_t)s->size, &both) == 0) return 0;
    // An ordinary user cannot raise: what he already has is the nearest.
    if (errno != EPERM || getrlimit((__rlimit_resource_t)s->size, &now) < 0) return fail();
    if (both.rlim_max > now.rlim_max) both.rlim_max = now.rlim_max;
    if (both.rlim_cur > both.rlim_max) both.rlim_cur = both.rlim_max;
    return setrlimit((__rlimit_resource_t)s->size, &both) < 0 ? fail() : 0;
}

// Raw calls: glibc's wrappers signal threads that are not there. Groups before gid before uid:
// afterwards it is not permitted. The memory is init's until the exec, and with fs.suid_dumpable=1
// the change of ids would open it to the user's other processes: closed again before the
// capabilities go, which keep everybody out until then (ptrace(2), access mode checking).
static int identity(const struct jail *j, const struct cl_jail_step *s) {
    uid_t uid = (uid_t)s->a, gid = (gid_t)s->b;
    uid_t real, effective, saved;
    if (s->flags & CL_STEP_KEEP_IDS) return 0;
    if (syscall(SYS_setgroups, (size_t)s->size, jail_text(j, s->data)) < 0) return fail();
    if (syscall(SYS_setresgid, gid, gid, gid) < 0) return fail();
    if (syscall(SYS_setresuid, uid, uid, uid) < 0) return fail();
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (getresuid(&real, &effective, &saved) < 0) return fail();
    return real == uid && effective == uid && saved == uid ? 0 : EPERM;
}

// Programs that lie below the jail's root are executed, no others: /proc/self/exe, which at the first
// execve is taskrun, leads to the host's own file, and from a process that runs it it could be changed
// with its owner's rights. Once file rights are handled, links and renames between directories need
// a right as well (landlock(7), ABI 2).
static int allow_below_root(int rules, uint64_t rights) {
    struct landlock_path_beneath_attr below = {.allowed_access = rights};
    below.parent_fd = open("/", O_PATH | O_CLOEXEC);
    if (below.parent_fd < 0) return fail();
    int error = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &below, 0) < 0
                    ? fail()
                    : 0;
    close(below.parent_fd);
    return error;
}

static int landlock(uint64_t scopes) {
    uint64_t rights = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_REFER;
    struct landlock_attributes attributes = {.handled_access_fs = rights, .scoped = scopes};
    int rules = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
    if (rules < 0) return fail();
    int error = allow_below_root(rules, rights);
    if (!error && syscall(SYS_landlock_restrict_self, rules, 0) < 0) error = fail();
    close(rules);
    return error;
}

// Everything above 2 is closed, also what was close-on-exec: two nets.
static int descriptors(void) {
    return syscall(SYS_close_range, 3, ~0U, 0) < 0 ? fail() : 0;
}

static int filter(const struct jail *j, const struct cl_jail_step *s) {
    struct sock_fprog program = {.len = (unsigned short)(s->size / sizeof(struct sock_filter)),
                                 .filter = (struct sock_filter *)(uintptr_t)jail_text(j, s->data)};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? fail() : 0;
}

static const char *variable(char *const *environment, const char *name) {
    size_t length = strlen(name);
    for (; *environment; environment++)
        if (!strncmp(*environment, name, length) && (*environment)[length] == '=')
            return *environment + length + 1;
    return NULL;
}

static int run_program(struct jail *j, const char *path, char **argv, char **envp) {
    execve(path, argv, envp);
    int error = fail();
    struct stat status;
    // ENOENT of a file that exists is about its interpreter or loader.
    if (error == ENOENT && stat(path, &status) == 0) j->detail = CL_DETAIL_INTERPRETER;
    return error;
}

// PATH is searched in the jail, with the jail's PATH. EACCES is remembered, as execvp(3) does.
static int execute(struct jail *j) {
    char *area = (char *)j->request;
    const struct cl_jail_run *runs = (const void *)(area + j->request->runs);
    char **argv = (char **)(void *)(area + runs[j->run].argv);
    char **envp = (char **)(void *)(area + j->request->envp);
    const char *name = argv[0];
    if (!*name) return ENOENT;
    if (strchr(name, '/')) return run_program(j, name, argv, envp);
    const char *search = variable(envp, "PATH");
    int error = ENOENT;
    char path[4096];
    for (const char *end; search && *search; search = *end ? end + 1 : end) {
        end = strchrnul(search, ':');
        size_t length = (size_t)(end - search), name_length = strlen(name);
        if (!length || length + name_length + 2 > sizeof path) continue;
        memcpy(path, search, length);
        path[length] = '/';
        memcpy(path + length + 1, name, name_length + 1);
        int got = run_program(j, path, argv, envp);
        if (got == EACCES) error = EACCES;
        else if (got != ENOENT && got != ENOTDIR) return got;
        if (j->detail) return got;
    }
    return error;
}

int jail_task_step(struct jail *j, const struct cl_jail_step *s) {
    const char *to = jail_text(j, s->to);
    errno = 0;
    switch ((enum cl_jail_op)s->op) {
    case CL_OP_OOM_ADJUST: return 0;  // L did it before the clone
    case CL_OP_ID_MAP: return id_map(j, s);
    case CL_OP_CGROUP_NS: return unshare(CLONE_NEWCGROUP) < 0 ? fail() : 0;
    case CL_OP_LOOPBACK: return loopback();
    case CL_OP_RLIMIT: return limit(s);
    case CL_OP_NICE:
        return setpriority(PRIO_PROCESS, 0, (int)(int64_t)s->a) < 0 ? fail() : 0;
    case CL_OP_BOUNDING: return jail_drop_bounding();
    case CL_OP_SECUREBITS: return jail_securebits();
    case CL_OP_CLOSE: return syscall(SYS_close_range, FD_CONTROL + 1 + j->submits, ~0U, 0) < 0 ? fail() : 0;
    case CL_OP_GROUP: return setpgid(0, 0) < 0 ? fail() : 0;
    case CL_OP_SESSION: return setsid() < 0 ? fail() : 0;
    case CL_OP_IDS: return identity(j, s);
    case CL_OP_NO_CAPS: return no_capabilities();
    case CL_OP_NO_NEW_PRIVS: return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? fail() : 0;
    case CL_OP_LANDLOCK: return landlock(s->a);
    case CL_OP_CHDIR: return chdir(to) < 0 ? fail() : 0;
    case CL_OP_DESCRIPTORS: return descriptors();
    case CL_OP_FILTER: return filter(j, s);
    case CL_OP_EXEC: return execute(j);
    default: return ENOSYS;
    }
}
