// SPDX-License-Identifier: Apache-2.0
// I, the jail's pid 1: finishes the jail, starts the programs one after another, reaps everything,
// reports. Its exit makes the kernel kill and reap what is left of the pid namespace.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>

#include "clone_entry.h"
#include "jail_internal.h"

enum { DISK_POLL_MS = 250, STACK = 64 * 1024 };

void jail_send(int control, const struct cl_jail_report *report) {
    // Blocking on purpose: the reader drains before it starts anything else, and a report that is
    // lost would leave a slot taken for ever. A dead reader is EPIPE.
    (void)send(control, report, sizeof *report, MSG_NOSIGNAL);
}

static void send_failure(struct jail *j, int64_t step, int error) {
    struct cl_jail_report report = {.generation = j->request->generation,
                                    .kind = CL_JAIL_FAILED,
                                    .step = (uint32_t)step,
                                    .error = error,
                                    .code = j->steps[step].code,
                                    .detail = j->detail,
                                    .run = j->run,
                                    .value = j->value};
    jail_send(FD_CONTROL, &report);
}

// ---- T --------------------------------------------------------------------------------------

// With CLONE_VM|CLONE_VFORK T writes what failed into I's memory; I sleeps until T has exec'ed or
// exited, so nothing races. The memory is not dumpable, so nobody can trace it meanwhile.
struct start {
    struct jail *jail;
    int64_t failed;
    int error;
};

static void task_main(void *argument) {
    struct start *start = argument;
    struct jail *j = start->jail;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    start->failed = jail_part(j, j->request->task, &start->error);
    _exit(1);
}

static char task_stack[STACK] __attribute__((aligned(16)));

static pid_t start_task(struct jail *j, struct start *start) {
    struct clone_args args = {.flags = CLONE_VM | CLONE_VFORK | CLONE_CLEAR_SIGHAND,
                              .exit_signal = SIGCHLD,
                              .stack = (uint64_t)(uintptr_t)task_stack,
                              .stack_size = sizeof task_stack};
    start->jail = j;
    start->failed = -1;
    start->error = 0;
    return (pid_t)cl_clone_entry(&args, task_main, start);
}

// ---- waiting --------------------------------------------------------------------------------

struct watch {
    pid_t task;         // 0 once it ended
    int status;
    int alone;          // nothing is left in the jail
    uint32_t disk_full;  // CL_REPORT_NO_*
    int64_t disk_bytes, disk_inodes;
    int proceed;
};

// Space is given and counted by the page: what smaller blocks leave of a quota is no room.
static void look_at_disk(const struct jail *j, struct watch *watch) {
    struct statfs info;
    if (!j->request->disk_poll) return;
    if (statfs(jail_text(j, j->request->scratch), &info) < 0) return;
    const uint64_t page = 4096;
    int no_block = info.f_bavail * (uint64_t)info.f_bsize < page;
    if (!no_block && info.f_ffree != 0) return;
    watch->disk_full |= no_block ? CL_REPORT_NO_BLOCK : CL_REPORT_NO_INODE;
    uint64_t used = (info.f_blocks - info.f_bfree) * (uint64_t)info.f_bsize;
    watch->disk_bytes = (int64_t)((used + page - 1) / page * page);
    watch->disk_inodes = (int64_t)(info.f_files - info.f_ffree);
}

static void reap(struct watch *watch) {
    for (;;) {
        int status;
        pid_t got = wait4(-1, &status, WNOHANG | __WALL, NULL);
        if (got < 0 && errno == EINTR) continue;
        watch->alone = got < 0;  // ECHILD: every process of the namespace descends from I
        if (got <= 0) return;
        if (got != watch->task) continue;
        watch->task = 0;
        watch->status = status;
    }
}

// ---- drops ----------------------------------------------------------------------------------

// What the task drops would be lost: the attempt ends instead, and says that its jail was killed.
static void give_directory(struct jail *j) {
    struct cl_jail_report report = {.generation = j->request->generation, .kind = CL_JAIL_SUBMIT};
    if (!j->submits) return;
    if (jail_send_descriptor(FD_CONTROL, &report, FD_SUBMIT)) _exit(1);
    close(FD_SUBMIT);
    j->submits = 0;
}

// Not by its size: of a quota directory that says nothing.
static int has_drops(void) {
    struct {
        uint64_t ino;
        int64_t off;
        uint16_t length;
        char rest[510];
    } entries;
    int names = 0;
    for (;;) {
        ssize_t got = cl_names(FD_SUBMIT, &entries, sizeof entries);
        if (got <= 0) return got < 0 || names > 2;  // . and ..
        for (ssize_t at = 0; at < got; names++) {
            uint16_t length;
            memcpy(&length, (char *)&entries + at + 16, sizeof length);
            at += length;
        }
        if (names > 2) return 1;
    }
}

// Orders of an earlier attempt in this slot may still lie in the socket.
static void obey(struct jail *j, struct watch *watch) {
    struct cl_jail_order order;
    ssize_t got = recv(FD_CONTROL, &order, sizeof order, MSG_DONTWAIT);
    if (got == 0) _exit(0);  // taskrun is gone: so is the jail
    if (got != (ssize_t)sizeof order || order.generation != j->request->generation) return;
    if (order.kind == CL_ORDER_PROCEED) watch->proceed = 1;
    if (order.kind == CL_ORDER_SUBMIT) give_directory(j);
    if (order.kind == CL_ORDER_SIGNAL && watch->task > 0) (void)kill(watch->task, order.signal);
}

static void pause_for_news(struct jail *j, struct watch *watch) {
    struct pollfd control = {.fd = FD_CONTROL, .events = POLLIN};
    struct timespec quarter = {.tv_nsec = DISK_POLL_MS * 1000000L};
    sigset_t none;  // SIGCHLD is blocked but for this moment
    sigemptyset(&none);
    int ready = ppoll(&control, 1, j->request->disk_poll ? &quarter : NULL, &none);
    if (ready > 0) obey(j, watch);
    if (ready == 0) look_at_disk(j, watch);
}

// Until T and all that it left behind is gone. What has forked and detached itself is killed here,
// so that whoever reads the output then sees its end.
static void wait_for_task(struct jail *j, struct watch *watch) {
    int killing = 0;
    for (;;) {
        reap(watch);
        if (!watch->task && !killing) look_at_disk(j, watch);
        if (watch->alone) return;
        if (!watch->task) {
            (void)kill(-1, SIGKILL);
            killing = 1;
        }
        pause_for_news(j, watch);
    }
}

// ---- the whole life -------------------------------------------------------------------------

// Only what signals a task of another uid; permitted is what a later program's ids need until then.
static void keep_only_kill(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2];
    memset(sets, 0, sizeof sets);
    sets[0].effective = sets[0].permitted = 1U << CAP_KILL;
    (void)syscall(SYS_capset, &header, sets);
}

static int64_t cpu_of_children(int64_t *max_rss) {
    struct rusage used;
    if (getrusage(RUSAGE_CHILDREN, &used) < 0) return 0;
    *max_rss = (int64_t)used.ru_maxrss * 1024;
    return ((int64_t)used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 +
           used.ru_utime.tv_usec + used.ru_stime.tv_usec;
}

__attribute__((noreturn)) static void give_up(struct jail *j, int64_t step, int error) {
    send_failure(j, step, error);
    _exit((int)j->steps[step].code);
}

// Returns 1 when another program follows.
static int run_one(struct jail *j, int64_t *cpu_before) {
    const struct cl_jail_run *runs = (const void *)((char *)j->request + j->request->runs);
    int is_last = j->run + 1 == j->request->run_count;
    struct start start;
    struct watch watch = {0};
    watch.task = start_task(j, &start);
    if (watch.task < 0) give_up(j, j->request->task.first, errno);
    if (is_last) keep_only_kill();
    if (start.failed >= 0) give_up(j, start.failed, start.error);
    wait_for_task(j, &watch);
    int stop = is_last || (runs[j->run].check && watch.status != 0);
    struct cl_jail_report report = {.generation = j->request->generation,
                                    .kind = CL_JAIL_STEP_ENDED,
                                    .run = j->run,
                                    .status = watch.status,
                                    .flags = (stop ? CL_REPORT_LAST : 0) | watch.disk_full,
                                    .disk_bytes = watch.disk_bytes,
                                    .disk_inodes = watch.disk_inodes};
    int64_t cpu = cpu_of_children(&report.max_rss_bytes);
    report.cpu_microseconds = cpu - *cpu_before;
    *cpu_before = cpu;
    if (stop && j->submits && has_drops()) give_directory(j);
    jail_send(FD_CONTROL, &report);
    while (!stop && !watch.proceed) pause_for_news(j, &watch);
    return !stop;
}

static void on_child(int signal) { (void)signal; }

// The null device that came is the host's: root's task would own it and could change its mode, which
// no read-only mount forbids there. The jail has one of its own.
static int own_null(int fd) {
    struct stat status;
    if (fstat(fd, &status) < 0) _exit(1);
    if (!S_ISCHR(status.st_mode)) return fd;
    int own = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (own < 0) _exit(1);
    return own;
}

static void prepare(struct jail *j) {
    // The launcher's own setting ended with the clone. A parent that died before this line has
    // closed the other end of the control socket.
    struct pollfd control = {.fd = FD_CONTROL, .events = 0};
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || poll(&control, 1, 0) < 0 ||
        control.revents & POLLHUP)
        _exit(1);
    // /proc/1 is closed to T even with the same uid.
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) _exit(1);
    umask(022);
    if (dup3(j->streams[0] >= 0 ? j->streams[0] : own_null(j->in), FD_IN, 0) < 0 ||
        dup3(j->streams[1] >= 0 ? j->streams[1] : own_null(j->out), FD_OUT, 0) < 0 ||
        dup3(j->err, FD_ERR, 0) < 0)
        _exit(1);
    struct sigaction action = {.sa_handler = on_child};
    sigaction(SIGCHLD, &action, NULL);
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_SETMASK, &child, NULL);
}

void jail_init_main(struct jail *j) {
    prepare(j);
    int error = 0;
    j->run = 0;
    int64_t failed = jail_part(j, j->request->init, &error);
    if (failed >= 0) give_up(j, failed, error);
    int64_t cpu = 0;
    while (run_one(j, &cpu)) j->run++;
    _exit(0);
}
