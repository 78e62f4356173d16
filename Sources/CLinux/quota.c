// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "jail_internal.h"

#ifndef SYS_quotactl_fd
#define SYS_quotactl_fd 443
#endif

int cl_quota_probe(int fd) {
    struct fs_quota_statv state = {.qs_version = FS_QSTATV_VERSION1};
    if (syscall(SYS_quotactl_fd, fd, QCMD(Q_XGETQSTATV, PRJQUOTA), 0, &state) < 0) return errno;
    return state.qs_flags & FS_QUOTA_PDQ_ENFD ? 0 : ESRCH;
}

int cl_quota_project(int fd, uint32_t project) {
    struct fsxattr attributes;
    if (ioctl(fd, FS_IOC_FSGETXATTR, &attributes) < 0) return -1;
    attributes.fsx_projid = project;
    attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
    return ioctl(fd, FS_IOC_FSSETXATTR, &attributes);
}

int cl_quota_limit(int fd, uint32_t project, uint64_t bytes, uint64_t inodes) {
    struct if_dqblk limits = {.dqb_bhardlimit = (bytes + 1023) / 1024,
                              .dqb_ihardlimit = inodes,
                              .dqb_valid = QIF_LIMITS};
    return (int)syscall(SYS_quotactl_fd, fd, QCMD(Q_SETQUOTA, PRJQUOTA), project, &limits);
}

int cl_quota_tree(int fd) {
    int tree = jail_clone_tree(fd, "", 0);
    if (tree >= 0) return tree;
    errno = -tree;
    return -1;
}
