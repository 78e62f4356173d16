// SPDX-License-Identifier: Apache-2.0
// What a service of root does for others: with their rights, and with what they passed.
#ifndef CL_OWNER_H
#define CL_OWNER_H

#include <stdint.h>
#include <sys/types.h>

/// Closes descriptors in a process of its own that shares the table of descriptors (CLONE_FILES), and
/// ends without a signal. Returns its pidfd, -1 with errno: then they are still open.
int cl_close_aside(const int *fds, int count, pid_t *pid);

/// Whether such a process has ended; it is reaped by that.
int cl_has_ended(pid_t pid);

/// File access as this user (setfsuid(2), setfsgid(2)), without root's capabilities for it; 0 and 0:
/// as root again. For a caller whose effective uid is 0.
void cl_access_as(uid_t uid, gid_t gid);

/// Takes CAP_SYS_RESOURCE out of the effective set: root's reserve of a disk, and quotas, hold.
int cl_drop_resource(void);

/// The id of the mount that a descriptor is on, -1 with errno (statx(2), STATX_MNT_ID, Linux 5.8).
int64_t cl_mount_id(int fd);

/// Another description of an open file (open(2) of /proc/self/fd).
int cl_reopen(int fd, int flags);

#endif
