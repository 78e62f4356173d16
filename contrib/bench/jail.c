// SPDX-License-Identifier: Apache-2.0
// The C programs that our jail is measured against: COUNT jailed runs, RUNNING at a time.
//   jail ns    COUNT RUNNING CGROUP PROGRAM   clone3(pid, mnt, ipc, uts) + seccomp + a fresh cgroup,
//                                             no mounts
//   jail net   COUNT RUNNING CGROUP PROGRAM   the same with a network namespace
//   jail fresh COUNT RUNNING CGROUP PROGRAM   the jail of taskrun, built from nothing each time
// CGROUP is a writable directory of the v2 hierarchy. Needs root.
#define _GNU_SOURCE
#include <fcntl.h>
#include <libgen.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "jail.h"

extern char **environ;

static const char *const denied[] = {
    "mount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount", "fsopen", "fsconfig",
    "fsmount", "fspick", "mount_setattr", "setns", "keyctl", "add_key", "request_key", "ptrace",
    "process_vm_readv", "process_vm_writev", "kcmp", "perf_event_open", "bpf", "userfaultfd",
    "io_uring_setup", "init_module", "finit_module", "delete_module", "kexec_load", "reboot",
    "swapon", "open_by_handle_at",
};

// Compiled once: a compilation takes milliseconds.
static struct sock_fprog compile(void)
{
    static struct sock_filter code[4096];
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int memory = memfd_create("filter", MFD_CLOEXEC);
    if (filter == NULL || memory < 0) die("make a filter");
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    for (size_t i = 0; i < sizeof denied / sizeof *denied; i++) {
        int number = seccomp_syscall_resolve_name(denied[i]);
        if (number >= 0) seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0);
    }
    if (seccomp_export_bpf(filter, memory) < 0) die("compile a filter");
    seccomp_release(filter);
    ssize_t bytes = pread(memory, code, sizeof code, 0);
    close(memory);
    if (bytes <= 0) die("read a filter");
    return (struct sock_fprog){(unsigned short)((size_t)bytes / sizeof *code), code};
}

int jail_confine(const struct sock_fprog *filter)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return 227;
    if (syscall(SYS_seccomp, 1 /* SET_MODE_FILTER */, 0, filter) < 0) return 228;
    return 0;
}

struct job {
    int fresh;
    int net;
    char **argv;
    const char *dir;
    const struct sock_fprog *filter;
    const char *cgroups;
};

struct slot {
    pid_t pid;
    char cgroup[256];
};

// A clone that shares no memory is fork(2) with namespaces: syscall(2) may return twice.
static pid_t start(const struct job *job, struct slot *slot, int number)
{
    snprintf(slot->cgroup, sizeof slot->cgroup, "%s/bench-%d-%d", job->cgroups, getpid(), number);
    if (mkdir(slot->cgroup, 0755) < 0) die("make a cgroup");
    int cgroup = open(slot->cgroup, O_DIRECTORY | O_CLOEXEC);
    if (cgroup < 0) die("open a cgroup");
    struct clone_args args = {
        .flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_INTO_CGROUP |
                 (job->net ? CLONE_NEWNET : 0),
        .exit_signal = SIGCHLD,
        .cgroup = (uint64_t)cgroup,
    };
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (pid < 0) die("clone3");
    if (pid == 0) {
        if (job->fresh) jail_fresh(job->argv, job->dir, job->filter);
        if (jail_confine(job->filter) == 0) execve(job->argv[0], job->argv, environ);
        _exit(127);
    }
    close(cgroup);
    return slot->pid = pid;
}

static void reap(struct slot *slots, int running)
{
    int status;
    pid_t pid = waitpid(-1, &status, 0);
    if (pid < 0) die("waitpid");
    if (status != 0) {
        fprintf(stderr, "bench: err: a jail ended with wait status %#x\n", status);
        exit(1);
    }
    for (int i = 0; i < running; i++)
        if (slots[i].pid == pid) {
            rmdir(slots[i].cgroup);
            slots[i].pid = 0;
        }
}

int main(int argc, char **argv)
{
    if (argc < 6) return 2;
    int count = atoi(argv[2]), running = atoi(argv[3]), started = 0;
    struct sock_fprog filter = compile();
    char *copy = strdup(argv[5]);
    struct job job = {.fresh = strcmp(argv[1], "fresh") == 0,
                      .net = strcmp(argv[1], "net") == 0,
                      .argv = argv + 5,
                      .dir = dirname(copy),
                      .filter = &filter,
                      .cgroups = argv[4]};
    struct slot slots[16] = {0};
    if (running < 1 || running > 16) return 2;
    double begin = now(), used = cpu();
    for (int ended = 0; ended < count; ended++) {
        for (int i = 0; i < running && started < count; i++)
            if (slots[i].pid == 0) start(&job, &slots[i], started++);
        reap(slots, running);
    }
    printf("%.1f %.1f\n", count / (now() - begin), (cpu() - used) * 1e6 / count);
    return 0;
}
