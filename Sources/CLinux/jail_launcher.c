// SPDX-License-Identifier: Apache-2.0
// L0, forked once by taskrun, and L, one a slot: they hold prepared roots, so that an attempt copies
// a namespace of some ten mounts, pivots nowhere and unmounts nothing (an unmount waits for a grace
// period of the kernel, which follows the machine's load).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "jail_internal.h"
#include "jail_wire.h"

// Fixed places of L0 and L: 0-2 and 4-6 are /dev/null, so that what arrives by SCM_RIGHTS lies above.
enum { FD_ORDERS = 7, FD_HOST = 8, FD_CGROUP = 9, FD_OOM = 10, FD_FREE = 11 };

struct base {
    char key[2048];
    uint64_t used;
    int mounts;      // the mount namespace
};

struct launcher {
    pid_t parent;
    int user_namespace;
    int refused;     // errno of what L0 could not do, 0 when all is done
    enum cl_launcher_step refused_at;
    int current;     // which mount namespace this process is in: index of a base, -1 the host's
    uint64_t clock;
    struct base bases[CL_JAIL_BASES];
};

static struct launcher launcher;

static int fail(void) { return errno ? errno : EIO; }

// ---- a base ---------------------------------------------------------------------------------

static int enter(int which) {
    if (launcher.current == which) return 0;
    int fd = which < 0 ? FD_HOST : launcher.bases[which].mounts;
    if (setns(fd, CLONE_NEWNS) < 0) return errno;
    launcher.current = which;
    return 0;
}

// Kinds belong to the key: a mount point is a directory or a file.
static int make_key(const struct jail *j, char key[2048]) {
    const char *text = jail_text(j, j->request->base_key);
    size_t length = strlen(text);
    if (length + CL_JAIL_TREES + 1 > 2048) return ENAMETOOLONG;
    memcpy(key, text, length);
    for (int i = 0; i < CL_JAIL_TREES; i++)
        key[length++] = j->kinds[i] == S_IFDIR ? 'd' : j->kinds[i] ? 'f' : '-';
    key[length] = 0;
    return 0;
}

static int place_for_base(const char *key, int *found) {
    int oldest = 0;
    for (int i = 0; i < CL_JAIL_BASES; i++) {
        struct base *base = &launcher.bases[i];
        if (base->key[0] && !strcmp(base->key, key)) {
            *found = 1;
            return i;
        }
        if (base->used < launcher.bases[oldest].used) oldest = i;
    }
    *found = 0;
    return oldest;
}

static int64_t build_base(struct jail *j, int place, int *error) {
    struct base *base = &launcher.bases[place];
    base->key[0] = 0;
    base->used = 0;
    if (base->mounts > 0) close(base->mounts);
    base->mounts = 0;
    int64_t failed = j->request->base.first;
    if ((*error = enter(-1)) || unshare(CLONE_NEWNS) < 0) {
        if (!*error) *error = errno;
        return failed;
    }
    // The host's /proc is still there; the base may have none.
    base->mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    launcher.current = place;
    if (base->mounts < 0) {
        *error = errno;
        base->mounts = 0;
    } else
        failed = jail_part(j, j->request->base, error);
    // Half a root is of no use: nothing holds its mounts once this process has left them.
    if (*error) {
        if (base->mounts > 0) close(base->mounts);
        base->mounts = 0;
        launcher.current = CL_JAIL_BASES;  // nowhere
        (void)enter(-1);
    }
    return failed;
}

static int64_t ensure_base(struct jail *j, int *error) {
    char key[2048];
    int found = 0;
    if ((*error = make_key(j, key))) return j->request->base.first;
    int place = place_for_base(key, &found);
#ifdef CL_JAIL_FAULTS
    struct cl_jail_part part = j->request->base;
    uint32_t fault = j->request->fault;
    if (fault > part.first && fault <= part.first + part.count) found = 0;
#endif
    if (!found) {
        int64_t failed = build_base(j, place, error);
        if (*error) return failed;
        strcpy(launcher.bases[place].key, key);
    }
    launcher.bases[place].used = ++launcher.clock;
    *error = enter(place);
    return j->request->base.first;
}

// ---- one request ----------------------------------------------------------------------------

static void relocate(char *area, uint32_t offset) {
    uint64_t *slots = (uint64_t *)(void *)(area + offset);
    for (; *slots; slots++) *slots += (uint64_t)(uintptr_t)area;
}

static void relocate_all(struct jail *j) {
    char *area = (char *)j->request;
    const struct cl_jail_run *runs = (const void *)(area + j->request->runs);
    for (uint32_t i = 0; i < j->request->run_count; i++) relocate(area, runs[i].argv);
    relocate(area, j->request->envp);
}

// A step that failed between AS_USER and AS_SELF leaves L with the user's rights.
static void back_to_self(void) {
    (void)jail_as_self(launcher.user_namespace);
}

static void report_failure(struct jail *j, int64_t step, int error, uint32_t detail) {
    struct cl_jail_report report = {.generation = j->request->generation,
                                    .kind = CL_JAIL_FAILED,
                                    .pid = -1,
                                    .step = (uint32_t)step,
                                    .error = error,
                                    .code = detail == CL_DETAIL_CLONE ? 226 : j->steps[step].code,
                                    .detail = detail ? detail : j->detail,
                                    .value = j->value};
    if (detail == CL_DETAIL_LAUNCHER) report.value = launcher.refused_at;
    jail_send(FD_CONTROL, &report);
}

// A fork: I needs memory of its own, L goes on serving. CLONE_PARENT makes I taskrun's own child, so
// that taskrun has its status; the exit signal is then L's (SIGCHLD) and must be 0 here.
static long clone_init(const struct jail *j) {
#ifdef CL_JAIL_FAULTS
    if (j->request->fault == ~0U) {
        errno = (int)j->request->fault_error;
        return -1;
    }
#endif
    struct clone_args args = {.flags = CLONE_PARENT | j->request->clone_flags};
    if (j->request->into_cgroup) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = FD_CGROUP;
    }
    return syscall(SYS_clone3, &args, sizeof args);
}

static long clone_adjusted(const struct jail *j) {
    long pid = clone_init(j);
    if (pid != 0) jail_oom_own();
    return pid;
}

static void start(struct jail *j) {
    int error = launcher.refused;
    if (error) return report_failure(j, j->request->base.first, error, CL_DETAIL_LAUNCHER);
    relocate_all(j);
    if (j->request->open.count && (error = enter(-1)))
        return report_failure(j, j->request->open.first, error, 0);
    int64_t failed = jail_part(j, j->request->open, &error);
    if (failed >= 0) {
        back_to_self();
        return report_failure(j, failed, error, 0);
    }
    failed = ensure_base(j, &error);
    if (error) return report_failure(j, failed, error, 0);
    if ((error = jail_oom_adjust(j))) return report_failure(j, j->request->init.first, error, 0);
    long pid = clone_adjusted(j);
    if (pid == 0) jail_init_main(j);
    if (pid < 0) return report_failure(j, j->request->base.first, errno, CL_DETAIL_CLONE);
    struct cl_jail_report report = {
        .generation = j->request->generation, .kind = CL_JAIL_STARTED, .pid = (int32_t)pid};
    jail_send(FD_CONTROL, &report);
}

// Owns the scratch, not the streams.
static void serve(struct cl_jail_request *area, const int fds[3], int scratch) {
    struct jail j = {.request = area, .control = FD_CONTROL,
                     .in = fds[0], .out = fds[1], .err = fds[2]};
    j.steps = (const void *)((char *)area + area->steps);
    j.streams[0] = j.streams[1] = -1;
    for (int i = 0; i < CL_JAIL_TREES; i++) j.trees[i] = -1;
    j.trees[CL_JAIL_SCRATCH] = scratch;
    for (int i = 0; i < CL_JAIL_SECRETS; i++) j.secrets[i] = -1;
    start(&j);
    for (int i = 0; i < 2; i++)
        if (j.streams[i] >= 0) close(j.streams[i]);
    for (int i = 0; i <= CL_JAIL_TREES; i++)
        if (j.trees[i] >= 0) close(j.trees[i]);
    for (int i = 0; i < CL_JAIL_SECRETS; i++)
        if (j.secrets[i] >= 0) close(j.secrets[i]);
}

// ---- the processes --------------------------------------------------------------------------

int jail_die_with_parent(void) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return fail();
    return getppid() == launcher.parent ? 0 : ESRCH;
}

static void die_with_parent(void) {
    if (jail_die_with_parent() || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) _exit(1);
}

// Without its place a process would go on with another's descriptor: taskrun sees the end instead.
static void put(int from, int to) {
    if (dup3(from, to, O_CLOEXEC) < 0) _exit(1);
}

static void join(const int *procs, int count) {
    for (int i = 0; i < count; i++) (void)!write(procs[i], "0", 1);
}

// There is no L, or it ends, for want of what errno says: nothing of an attempt has run.
static void say_none(int control, pid_t pid) {
    struct cl_jail_report none = {.kind = CL_JAIL_HELLO, .pid = pid, .error = errno};
    jail_send(control, &none);
}

__attribute__((noreturn)) static void slot_main(const int *fds, int count, int has_cgroup) {
    die_with_parent();
    void *area = mmap(NULL, CL_JAIL_AREA, PROT_READ | PROT_WRITE, MAP_SHARED, fds[2], 0);
    if (area == MAP_FAILED) {
        say_none(fds[1], getpid());
        _exit(1);
    }
    int first = has_cgroup ? 4 : 3;
    join(fds + first, count - first);
    // The received numbers lie above FD_FREE, so none of these overwrites another.
    put(fds[1], FD_CONTROL);
    put(fds[0], FD_ORDERS);
    if (has_cgroup) put(fds[3], FD_CGROUP);
    (void)syscall(SYS_close_range, FD_FREE, ~0U, 0);
    jail_oom_open(FD_OOM);
    struct cl_jail_report hello = {.kind = CL_JAIL_HELLO, .pid = getpid()};
    jail_send(FD_CONTROL, &hello);
    for (;;) {
        struct wire_order order;
        int got[4];
        int received = wire_receive(FD_ORDERS, &order, got, 4, 0);
        if (received < 0) _exit(0);
        if (received >= 3) serve(area, got, received > 3 ? got[3] : -1);
        for (int i = 0; i < received && i < 3; i++) close(got[i]);
    }
}

static void make_slot(void) {
    struct wire_order order;
    int fds[WIRE_DESCRIPTORS];
    int count = wire_receive(FD_ORDERS, &order, fds, WIRE_DESCRIPTORS, 0);
    if (count < 0) _exit(0);
    struct clone_args args = {.flags = CLONE_PARENT};
    long pid = count >= 3 ? syscall(SYS_clone3, &args, sizeof args) : 1;
    if (pid == 0) slot_main(fds, count, order.has_cgroup);
    if (pid < 0) say_none(fds[1], 0);
    for (int i = 0; i < count; i++) close(fds[i]);
}

static void arrange_descriptors(int socket) {
    int orders = fcntl(socket, F_DUPFD_CLOEXEC, 64);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (orders < 0 || null < 0) _exit(1);
    for (int i = 0; i < FD_FREE; i++)
        if (i != null) put(null, i);
    put(orders, FD_ORDERS);
    (void)syscall(SYS_close_range, FD_FREE, ~0U, 0);
}

void jail_launcher_main(int socket, pid_t parent, int user_namespace) {
    launcher.parent = parent;
    launcher.user_namespace = user_namespace;
    launcher.current = -1;
    cl_signals_default();
    jail_shed_libraries();
    umask(022);
    arrange_descriptors(socket);
    launcher.refused = jail_prepare(user_namespace, &launcher.refused_at);
    die_with_parent();  // after the last change of credentials, which clears it
    int host = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    put(host, FD_HOST);  // ends where there is none
    close(host);
    for (;;) make_slot();
}
