// SPDX-License-Identifier: Apache-2.0
// A child of root that becomes another user, or one of the caller's own. A fork of its own memory, and
// nobody waits for its exec: what it looks up may hang (a file system that somebody serves).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clinux.h"
#include "jail_internal.h"

#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif

struct starting {
    const struct cl_spawn *request;
    const struct cl_spawn_owner *owner;
    int report;
    pid_t parent;
};

__attribute__((noreturn)) static void fail(const struct starting *s, char step, int error) {
    struct cl_spawn_failure failure;
    memset(&failure, 0, sizeof failure);
    failure.step = step;
    failure.error = error;
    (void)!write(s->report, &failure, sizeof failure);
    _exit(127);
}

static void check(const struct starting *s, char step, int failed) {
    if (failed) fail(s, step, errno);
}

// All three above 2 first: one may be another's number.
static void streams(const struct starting *s) {
    int from[3] = {s->request->stdin_fd, s->request->stdout_fd, s->request->stderr_fd};
    for (int i = 0; i < 3; i++) check(s, 'f', (from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 3)) < 0);
    for (int i = 0; i < 3; i++) check(s, 'f', dup2(from[i], i) < 0);
}

static void limit(const struct starting *s, int resource, uint64_t value, uint64_t beyond) {
    struct rlimit both = {.rlim_cur = value, .rlim_max = value + beyond};
    if (value) check(s, 'r', setrlimit((__rlimit_resource_t)resource, &both) < 0);
}

// Groups, gid, uid in this order; the kernel then takes root's capabilities away (capabilities(7)).
static void become(const struct starting *s) {
    const struct cl_spawn_owner *o = s->owner;
    int error = jail_drop_bounding();
    if (error) fail(s, 'i', error);
    check(s, 'i', syscall(SYS_setgroups, o->group_count, o->groups) < 0);
    check(s, 'i', syscall(SYS_setresgid, o->gid, o->gid, o->gid) < 0);
    check(s, 'i', syscall(SYS_setresuid, o->uid, o->uid, o->uid) < 0);
    // Until the execve this is root's memory, also where fs.suid_dumpable says that he may look.
    check(s, 'i', prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0);
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2];
    memset(none, 0, sizeof none);
    check(s, 'i', syscall(SYS_capset, &header, none) < 0);
    check(s, 'i', prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0);
    // A change of ids clears it.
    check(s, 's', prctl(PR_SET_PDEATHSIG, s->request->death_signal) < 0);
    if (getppid() != s->parent) _exit(127);
}

// Never waiting: a FIFO would, without its other end.
static void file(const struct starting *s, char step, const char *path, int flags, int to) {
    if (!path) return;
    struct stat found;
    int fd = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
    check(s, step, fd < 0 || fstat(fd, &found) < 0);
    if (!S_ISREG(found.st_mode)) fail(s, step, EINVAL);
    check(s, step, dup2(fd, to) < 0);
}

// As execvp(3): the first that is there, and of errors the one that says most.
__attribute__((noreturn)) static void execute(const struct starting *s) {
    int error = ENOENT;
    for (const char *const *path = s->owner->paths; *path; path++) {
        execve(*path, s->request->argv, s->request->envp);
        if (errno == EACCES) error = EACCES;
        else if (errno != ENOENT && errno != ENOTDIR) fail(s, 'x', errno);
    }
    fail(s, 'x', error);
}

__attribute__((noreturn)) static void child(const struct starting *s) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    const struct cl_spawn *r = s->request;
    if (r->procs >= 0) check(s, 'g', write(r->procs, "0", 1) < 0);
    if (r->new_session) check(s, 's', setsid() < 0);
    if (r->new_group) check(s, 's', setpgid(0, 0) < 0);
    streams(s);
    if (r->nice) check(s, 'r', setpriority(PRIO_PROCESS, 0, r->nice) < 0);
    limit(s, RLIMIT_DATA, r->memory_limit, 0);
    limit(s, RLIMIT_CPU, r->cpu_limit, 5);  // SIGXCPU, and 5 seconds later SIGKILL
    check(s, 'r', cl_lower_open_files(r->open_files) < 0);
    if (!s->owner->is_caller) become(s);
    else if (r->death_signal) {
        check(s, 's', prctl(PR_SET_PDEATHSIG, r->death_signal) < 0);
        if (getppid() != s->parent) _exit(127);
    }
    check(s, 'd', s->owner->directory ? chdir(s->owner->directory) < 0
                                      : fchdir(r->directory) < 0);
    file(s, 'n', s->owner->input, O_RDONLY, 0);
    file(s, 'o', s->owner->output, O_WRONLY | O_CREAT | O_APPEND, 1);
    execute(s);
}

pid_t cl_spawn_owner(const struct cl_spawn *request, const struct cl_spawn_owner *owner, int report,
                     int *pidfd) {
    struct starting starting = {
        .request = request, .owner = owner, .report = report, .parent = getpid()};
    *pidfd = -1;
    struct clone_args args = {.flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
                              .pidfd = (uint64_t)(uintptr_t)pidfd,
                              .exit_signal = SIGCHLD};
    if (request->cgroup >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)request->cgroup;
    }
    long pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) child(&starting);
    return (pid_t)pid;
}
