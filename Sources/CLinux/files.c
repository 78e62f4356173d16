// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "clinux.h"

_Static_assert(CL_O_PATH == O_PATH && CL_O_TMPFILE == O_TMPFILE, "open words");

int cl_open_beneath(int directory, const char *path, int flags, mode_t mode) {
    // O_TMPFILE contains O_DIRECTORY; openat2 refuses a mode where nothing is made.
    int creates = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
    struct open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC),
        .mode = creates ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

int cl_openat(int directory, const char *path, int flags, mode_t mode) {
    return openat(directory, path, flags | O_CLOEXEC | O_NOCTTY, mode);
}

int cl_lease_read(int fd) { return fcntl(fd, F_SETLEASE, F_RDLCK); }
int cl_lease_release(int fd) { return fcntl(fd, F_SETLEASE, F_UNLCK); }

int cl_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    return renameat2(from_dir, from, to_dir, to, flags);
}

int cl_fallocate(int fd, int64_t offset, int64_t length) { return fallocate(fd, 0, offset, length); }

static const int all_seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

int cl_memfd_sealed(const char *name, const void *bytes, size_t count) {
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return -1;
    size_t done = 0;
    while (done < count) {
        ssize_t wrote = write(fd, (const char *)bytes + done, count - done);
        if (wrote < 0) goto fail;
        done += (size_t)wrote;
    }
    if (fcntl(fd, F_ADD_SEALS, all_seals) < 0) goto fail;
    return fd;
fail:;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

int cl_memfd_is_sealed(int fd) {
    int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & all_seals) == all_seals;
}

int cl_fcntl_flags(int fd) { return fcntl(fd, F_GETFL); }

int cl_set_nonblocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

int cl_set_cloexec(int fd, int on) { return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0); }

ssize_t cl_names(int directory, void *bytes, size_t count) {
    return syscall(SYS_getdents64, directory, bytes, count);
}

int cl_fcntl_dup(int fd, int lowest) { return fcntl(fd, F_DUPFD_CLOEXEC, lowest); }

int cl_pipe(int fds[2], int nonblocking_read) {
    if (pipe2(fds, O_CLOEXEC) < 0) return -1;
    if (!nonblocking_read || cl_set_nonblocking(fds[0]) == 0) return 0;
    int saved = errno;
    close(fds[0]);
    close(fds[1]);
    errno = saved;
    return -1;
}

int64_t cl_filesystem_type(int fd) {
    struct statfs info;
    return fstatfs(fd, &info) < 0 ? -1 : (int64_t)info.f_type;
}

int cl_filesystem_free(int fd, int64_t *bytes, int64_t *inodes, int64_t *total_bytes) {
    struct statfs info;
    if (fstatfs(fd, &info) < 0) return -1;
    *bytes = (int64_t)info.f_bavail * info.f_bsize;
    *total_bytes = (int64_t)info.f_blocks * info.f_bsize;
    // File systems without an inode table (btrfs) say 0 of 0: that is no shortage.
    *inodes = info.f_files == 0 ? INT64_MAX : (int64_t)info.f_ffree;
    return 0;
}

int cl_close_range(unsigned first, unsigned last) {
    return (int)syscall(SYS_close_range, first, last, 0);
}

int cl_cloexec_range(unsigned first) {
    return (int)syscall(SYS_close_range, first, ~0U, 1U << 2);  // CLOSE_RANGE_CLOEXEC
}

int cl_setpgid_self(void) { return setpgid(0, 0); }

ssize_t cl_getxattr(const char *path, const char *name, void *value, size_t size)
{
    ssize_t count = getxattr(path, name, value, size);
    return count < 0 ? -errno : count;
}
