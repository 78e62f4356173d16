// SPDX-License-Identifier: Apache-2.0
// taskrun's end of its launchers.
#define _GNU_SOURCE
#include "jail_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "cl_socket.h"
#include "jail_internal.h"

union rights {
    struct cmsghdr header;
    char space[CMSG_SPACE(WIRE_DESCRIPTORS * sizeof(int))];
};

int wire_send(int socket, const struct wire_order *order, const int *fds, int count, int flags) {
    struct iovec part = {.iov_base = (void *)(uintptr_t)order, .iov_len = sizeof *order};
    union rights rights;
    memset(&rights, 0, sizeof rights);
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &rights,
                             .msg_controllen = CMSG_SPACE((size_t)count * sizeof(int))};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
    memcpy(CMSG_DATA(header), fds, (size_t)count * sizeof(int));
    return sendmsg(socket, &message, flags | MSG_NOSIGNAL) < 0 ? -1 : 0;
}

int wire_receive(int socket, struct wire_order *order, int *fds, int capacity, int flags) {
    struct iovec part = {.iov_base = order, .iov_len = sizeof *order};
    union rights rights;
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &rights,
                             .msg_controllen = sizeof rights};
    ssize_t got;
    do got = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got <= 0) return -1;
    int count = 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        int *given = (int *)(void *)CMSG_DATA(header);
        int n = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (int i = 0; i < n; i++)
            if (count < capacity) fds[count++] = given[i];
            else close(given[i]);
    }
    return got == (ssize_t)sizeof *order ? count : 0;
}

int cl_jail_launcher(struct cl_launcher *launcher, int user_namespace) {
    int pair[2], pidfd = -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return -1;
    pid_t parent = getpid();
    struct clone_args args = {.flags = CLONE_PIDFD, .exit_signal = SIGCHLD,
                              .pidfd = (uint64_t)(uintptr_t)&pidfd};
    // No handler of the parent's may run in the child.
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    long pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) jail_launcher_main(pair[1], parent, user_namespace);
    int saved = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(pair[1]);
    launcher->pid = (pid_t)pid;
    launcher->pidfd = pidfd;
    launcher->socket = pair[0];
    if (pid > 0) return 0;
    close(pair[0]);
    errno = saved;
    return -1;
}

static int slot_parts(struct cl_jail_slot *slot, int theirs[3]) {
    int launch[2], control[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, launch) < 0) return -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0) {
        close(launch[0]);
        close(launch[1]);
        return -1;
    }
    slot->launch = launch[0];
    slot->control = control[0];
    theirs[0] = launch[1];
    theirs[1] = control[1];
    theirs[2] = cl_memfd("jail");
    slot->area = theirs[2] < 0 || ftruncate(theirs[2], CL_JAIL_AREA) < 0
                     ? MAP_FAILED
                     : mmap(NULL, CL_JAIL_AREA, PROT_READ | PROT_WRITE, MAP_SHARED, theirs[2], 0);
    return slot->area == MAP_FAILED ? -1 : 0;
}

int cl_jail_slot(const struct cl_launcher *launcher, struct cl_jail_slot *slot, int cgroup,
                 const int *procs, int procs_count) {
    int fds[WIRE_DESCRIPTORS], count = 3;
    slot->area = MAP_FAILED;
    slot->launch = slot->control = -1;
    fds[0] = fds[1] = fds[2] = -1;
    struct wire_order order = {.has_cgroup = cgroup >= 0};
    int failed = slot_parts(slot, fds) < 0;
    if (cgroup >= 0) fds[count++] = cgroup;
    for (int i = 0; i < procs_count && count < WIRE_DESCRIPTORS; i++) fds[count++] = procs[i];
    failed = failed || wire_send(launcher->socket, &order, fds, count, 0) < 0;
    int saved = errno;
    for (int i = 0; i < 3; i++)
        if (fds[i] >= 0) close(fds[i]);
    if (failed) cl_jail_slot_close(slot);
    errno = saved;
    return failed ? -1 : 0;
}

void cl_jail_slot_close(struct cl_jail_slot *slot) {
    if (slot->area != MAP_FAILED) munmap(slot->area, CL_JAIL_AREA);
    if (slot->launch >= 0) close(slot->launch);
    if (slot->control >= 0) close(slot->control);
    slot->area = MAP_FAILED;
    slot->launch = slot->control = -1;
}

int cl_jail_start(const struct cl_jail_slot *slot, uint32_t generation, int in, int out, int err,
                  int scratch) {
    struct wire_order order = {.generation = generation};
    int fds[4] = {in, out, err, scratch};
    return wire_send(slot->launch, &order, fds, scratch < 0 ? 3 : 4, MSG_DONTWAIT);
}

int jail_send_descriptor(int control, const struct cl_jail_report *report, int fd) {
    struct iovec part = {.iov_base = (void *)(uintptr_t)report, .iov_len = sizeof *report};
    union rights rights;
    memset(&rights, 0, sizeof rights);
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &rights,
                             .msg_controllen = CMSG_SPACE(sizeof(int))};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    return sendmsg(control, &message, MSG_NOSIGNAL) < 0 ? errno : 0;
}

int cl_jail_receive(const struct cl_jail_slot *slot, struct cl_jail_report *report) {
    struct iovec part = {.iov_base = report, .iov_len = sizeof *report};
    union rights rights;
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &rights,
                             .msg_controllen = CMSG_SPACE(sizeof(int))};
    ssize_t got = cl_recvmsg(slot->control, &message);
    if (got == (ssize_t)sizeof *report) {
        // One at most: only init sends one, and no task has this socket.
        const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        int fd = -1;
        if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
            header->cmsg_len == CMSG_LEN(sizeof(int)))
            memcpy(&fd, CMSG_DATA(header), sizeof fd);
        if (report->kind == CL_JAIL_SUBMIT) report->value = fd;
        else if (fd >= 0) close(fd);
        return 1;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    errno = EPIPE;
    return -1;
}

int cl_jail_order(const struct cl_jail_slot *slot, uint32_t generation, uint32_t kind, int signal) {
    struct cl_jail_order order = {.generation = generation, .kind = kind, .signal = signal};
    ssize_t sent = send(slot->control, &order, sizeof order, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? -1 : 0;
}

int cl_memfd(const char *name) { return memfd_create(name, MFD_CLOEXEC); }

int cl_landlock_abi(void) {
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1U);
    return abi < 0 ? 0 : (int)abi;
}

uint64_t cl_clone_word(char which) {
    switch (which) {
    case 'p': return CLONE_NEWPID;
    case 'm': return CLONE_NEWNS;
    case 'i': return CLONE_NEWIPC;
    case 'u': return CLONE_NEWUTS;
    case 'n': return CLONE_NEWNET;
    case 'U': return CLONE_NEWUSER;
    default: return 0;
    }
}

// A child tries, so that the caller stays where it is: the namespace, its map and a first mount
// (some machines refuse only the mount).
static int probe_child(void) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) return errno;
    return mount("probe", "/tmp", "tmpfs", 0, NULL) < 0 ? errno : 0;
}

int cl_probe_user_namespace(void) {
    struct clone_args args = {.exit_signal = SIGCHLD};
    long pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid < 0) return errno;
    if (pid == 0) _exit(probe_child());
    int status = 0;
    while (waitpid((pid_t)pid, &status, 0) < 0 && errno == EINTR) {}
    return WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
}
