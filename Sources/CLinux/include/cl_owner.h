// SPDX-License-Identifier: Apache-2.0
// What a service of root does for others: with their rights, and with what they passed.
#ifndef CL_OWNER_H
#define CL_OWNER_H

#include <stdint.h>
#include <sys/types.h>

/// Closes a descriptor that a stranger passed, in a process of its own that shares the table of
/// descriptors: close(2) may wait for as long as he likes (SO_LINGER, a file system that he serves).
/// Where that can't be had, or 32 such processes wait, the descriptor stays open.
void cl_close_aside(int fd);

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
