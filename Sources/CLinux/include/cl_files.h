// SPDX-License-Identifier: Apache-2.0
// Files: names beneath a directory, leases, sealed memory, places of the kernel's own.
#ifndef CL_FILES_H
#define CL_FILES_H

#include <stdint.h>
#include <sys/types.h>

enum { CL_O_PATH = 010000000, CL_O_TMPFILE = 020200000 };
enum { CL_RENAME_NOREPLACE = 1, CL_RENAME_EXCHANGE = 2 };

/// openat2(2) with RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS|RESOLVE_NO_MAGICLINKS (Linux 5.6), O_CLOEXEC.
int cl_open_beneath(int directory, const char *path, int flags, mode_t mode);
int cl_openat(int directory, const char *path, int flags, mode_t mode);
/// F_SETLEASE(F_RDLCK): 0 when granted. SIGIO must be blocked.
int cl_lease_read(int fd);
int cl_lease_release(int fd);
int cl_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int cl_fallocate(int fd, int64_t offset, int64_t length);
/// A memfd with F_SEAL_WRITE|SHRINK|GROW|SEAL that holds the bytes.
int cl_memfd_sealed(const char *name, const void *bytes, size_t count);
/// 1 when all four seals are set, 0 when not.
int cl_memfd_is_sealed(int fd);
int cl_fcntl_flags(int fd);
int cl_set_nonblocking(int fd);
int cl_set_cloexec(int fd, int on);
/// getdents64(2): bytes of struct linux_dirent64, 0 at the end. The position is the descriptor's.
ssize_t cl_names(int directory, void *bytes, size_t count);
int cl_fcntl_dup(int fd, int lowest);
int cl_pipe(int fds[2], int nonblocking_read);
/// f_type of statfs(2).
int64_t cl_filesystem_type(int fd);
/// Free bytes for ordinary users and free inodes of the file system of fd.
int cl_filesystem_free(int fd, int64_t *bytes, int64_t *inodes, int64_t *total_bytes);
int cl_close_range(unsigned first, unsigned last);
/// Close-on-exec for all from `first` on.
int cl_cloexec_range(unsigned first);
int cl_setpgid_self(void);

// getxattr(2): bytes of the value, or -errno.
ssize_t cl_getxattr(const char *path, const char *name, void *value, size_t size);
#endif
