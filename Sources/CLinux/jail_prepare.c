// SPDX-License-Identifier: Apache-2.0
// What L0 does once, for all jails: they inherit it.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "jail_internal.h"

static int fail(void) { return errno ? errno : EIO; }

static int write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return errno;
    int error = write(fd, text, strlen(text)) < 0 ? errno : 0;
    close(fd);
    return error;
}

// An ordinary user's launcher is the owner of a user namespace in which it may mount; each attempt
// gets one more below it, so that RLIMIT_NPROC counts the attempt alone. setgroups first, or gid_map
// is refused (user_namespaces(7)).
static int map_own_ids(unsigned uid, unsigned gid) {
    char map[64];
    snprintf(map, sizeof map, "%u %u 1", uid, uid);
    int error = write_file("/proc/self/uid_map", map);
    if (!error) error = write_file("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "%u %u 1", gid, gid);
    return error ? error : write_file("/proc/self/gid_map", map);
}

// What all jails inherit. The keyring is new and empty: that of whoever started taskrun would go
// with the jail, out of reach of keyctl(2) but not of what the kernel itself looks up there.
int jail_prepare(int user_namespace, enum cl_launcher_step *at) {
    unsigned uid = geteuid(), gid = getegid();
    int spaces = CLONE_NEWUTS | (user_namespace ? CLONE_NEWUSER | CLONE_NEWNS : 0), error;
    (void)jail_effective(1);  // taskrun may have put some aside by now
    // No jail has a terminal; each program has a process group (sched(7), autogroups: the kernel
    // schedules each session as a group of its own, which costs time and, on a busy machine, a late
    // first turn).
    *at = CL_LAUNCHER_SESSION;
    if (setsid() < 0) return fail();
    (void)write_file("/proc/self/oom_score_adj", "-1000");  // the victim is always a task
    *at = CL_LAUNCHER_KEYRING;
    // ENOSYS: a kernel without keys. EPERM has one meaning here (keyctl_join_session_keyring(3)): a
    // filter around us, as a container's, which is then around the jail as well.
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS &&
        errno != EPERM)
        return fail();
    *at = CL_LAUNCHER_NAMESPACES;
    if (unshare(spaces) < 0) return fail();
    *at = CL_LAUNCHER_MAP;
    if (user_namespace && (error = map_own_ids(uid, gid))) return error;
    *at = CL_LAUNCHER_HOSTNAME;  // each jail's begins as a copy of ours
    if (sethostname("task", 4) < 0) return fail();
    if (user_namespace) return 0;  // each jail has a set of its own to drop
    *at = CL_LAUNCHER_BOUNDING;
    if ((error = jail_drop_bounding())) return error;
    *at = CL_LAUNCHER_SECUREBITS;
    return jail_securebits();
}
