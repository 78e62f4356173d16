// SPDX-License-Identifier: Apache-2.0
// Project quotas (quotactl(2), ioctl_fs(2)): ext4 and XFS.
#ifndef CL_QUOTA_H
#define CL_QUOTA_H

#include <stdint.h>

/// 0 when the file system of a directory holds project limits, else the errno (Linux 5.14).
int cl_quota_probe(int fd);
/// Puts an empty directory, and all that will be made in it, into a project.
int cl_quota_project(int fd, uint32_t project);
/// Sets a project's hard limits; 0 for none. Bytes are rounded up to 1024.
int cl_quota_limit(int fd, uint32_t project, uint64_t bytes, uint64_t inodes);
/// A detached mount of a directory, nosuid and nodev; -1 with errno.
int cl_quota_tree(int fd);

#endif
