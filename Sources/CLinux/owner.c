// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clinux.h"

#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x1000U
#endif

int cl_close_aside(const int *fds, int count, pid_t *pid) {
    pid_t parent = getpid();
    int pidfd = -1;
    struct clone_args args = {.flags = CLONE_FILES | CLONE_PIDFD,
                              .pidfd = (uint64_t)(uintptr_t)&pidfd};
    long made = syscall(SYS_clone3, &args, sizeof args);
    if (made < 0) return -1;
    if (made == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            for (int i = 0; i < count; i++) close(fds[i]);
        _exit(0);
    }
    *pid = (pid_t)made;
    return pidfd;
}

int cl_has_ended(pid_t pid) { return waitpid(pid, NULL, WNOHANG | __WALL) != 0; }

void cl_access_as(uid_t uid, gid_t gid) {
    setfsgid(gid);
    setfsuid(uid);
}

int cl_drop_resource(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2];
    if (syscall(SYS_capget, &header, sets) < 0) return -1;
    sets[CAP_TO_INDEX(CAP_SYS_RESOURCE)].effective &= ~CAP_TO_MASK(CAP_SYS_RESOURCE);
    return (int)syscall(SYS_capset, &header, sets);
}

int64_t cl_mount_id(int fd) {
    struct statx info;
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &info) < 0) return -1;
    if (!(info.stx_mask & STATX_MNT_ID)) {
        errno = ENOTSUP;
        return -1;
    }
    return (int64_t)info.stx_mnt_id;
}

int cl_reopen(int fd, int flags) {
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}
