// SPDX-License-Identifier: Apache-2.0
// Steps of the launcher on the host's mounts: what a unit names is opened here once, with the rights
// of the task's user, and used by descriptor from then on.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "jail_internal.h"

static int fail(void) { return errno ? errno : EIO; }

// ---- whose rights ---------------------------------------------------------------------------

// The effective set is emptied as well: setfsuid alone keeps CAP_DAC_OVERRIDE under
// SECBIT_NO_SETUID_FIXUP, and root must not resolve a path that the task's user cannot reach.
// Groups before the ids: without CAP_SETGID they cannot be set.
int jail_as_user(const struct jail *j, const struct cl_jail_step *s) {
    if (!(s->flags & CL_STEP_KEEP_IDS)) {
        if (syscall(SYS_setgroups, (size_t)s->size, jail_text(j, s->data)) < 0) return fail();
        setfsgid((gid_t)s->b);
        setfsuid((uid_t)s->a);
        if ((gid_t)setfsgid((gid_t)-1) != (gid_t)s->b) return EPERM;
        if ((uid_t)setfsuid((uid_t)-1) != (uid_t)s->a) return EPERM;
    }
    return jail_effective(0);
}

// A change of the file system's ids clears PDEATHSIG (prctl(2)): it is set again after the last one,
// and then the parent is looked for again.
int jail_as_self(int keep_ids) {
    if (jail_effective(1)) return EPERM;
    if (keep_ids) return 0;
    setfsuid(0);
    setfsgid(0);
    if (syscall(SYS_setgroups, (size_t)0, NULL) < 0) return fail();
    return jail_die_with_parent();
}

// ---- opening --------------------------------------------------------------------------------

// No magic links: /proc/PID/root and the like lead where no path does. A plain link is followed,
// with the user's rights, unless the step says that the last one is not.
static int open_as_asked(const struct cl_jail_step *s, const char *path, uint64_t flags) {
    struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS};
    if (flags & O_CREAT) how.mode = 0666;
    if (s->flags & CL_STEP_NO_LINK) how.flags |= O_NOFOLLOW;
    return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
}

// What the unit asked for, or the detail of what lies there.
static int examine(struct jail *j, const struct cl_jail_step *s, const struct stat *status) {
    mode_t kind = status->st_mode & S_IFMT;
    int is_good = s->flags & CL_STEP_FILE        ? kind == S_IFREG
                  : s->flags & CL_STEP_DIRECTORY ? kind == S_IFDIR
                                                 : kind == S_IFDIR || kind == S_IFREG ||
                                                       kind == S_IFSOCK;
    if (!is_good) {
        j->detail = CL_DETAIL_KIND;
        j->value = kind;
        return kind == S_IFLNK ? ELOOP : s->flags & CL_STEP_DIRECTORY ? ENOTDIR : EINVAL;
    }
    if (!(s->flags & CL_STEP_OWNED) || status->st_uid == (uid_t)s->b) return 0;
    j->detail = CL_DETAIL_OWNER;
    j->value = status->st_uid;
    return EPERM;
}

// O_PATH runs no code of a device, waits for no other end of a FIFO, breaks no lease.
static int open_place(struct jail *j, const struct cl_jail_step *s, struct stat *status) {
    int fd = open_as_asked(s, jail_text(j, s->from), O_PATH);
    if (fd < 0) return -fail();
    int error = fstat(fd, status) < 0 ? fail() : examine(j, s, status);
    if (!error) return fd;
    close(fd);
    return -error;
}

int jail_open_path(struct jail *j, const struct cl_jail_step *s) {
    struct stat status;
    int fd = open_place(j, s, &status);
    if (fd < 0) return fd == -ENOENT && s->flags & CL_STEP_OPTIONAL ? 0 : -fd;
    j->trees[s->a] = fd;
    j->kinds[s->a] = status.st_mode & S_IFMT;
    return 0;
}

// Once more, now with the rights to read or write it: the very file that was looked at. Not waiting
// for a lease; the flag is taken back, since the program inherits it.
static int reopen(int place, int flags) {
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", place);
    int fd = open(name, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    int error = fd < 0 ? fail() : fcntl(fd, F_SETFL, flags & O_APPEND) < 0 ? fail() : 0;
    close(place);
    if (error && fd >= 0) close(fd);
    return error ? -error : fd;
}

// A new file is made by O_EXCL: what appears meanwhile is looked at like everything else.
static int open_output(struct jail *j, const struct cl_jail_step *s) {
    for (int attempt = 0;; attempt++) {
        struct stat status;
        int place = open_place(j, s, &status);
        if (place >= 0) return reopen(place, O_WRONLY | O_APPEND);
        if (place != -ENOENT) return place;
        int fd = open_as_asked(s, jail_text(j, s->from),
                               O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOCTTY);
        if (fd >= 0) return fd;
        if (errno != EEXIST || attempt) return -fail();
    }
}

// What the program reads it could open again, through /proc/self/fd, and write or change its mode:
// not in a mount of its own that is read-only.
static int read_only(int place) {
    int error = jail_effective(1);
    int tree = error ? -error : jail_clone_tree(place, "", CL_STEP_READONLY);
    close(place);
    if (!jail_effective(0)) return tree;
    if (tree >= 0) close(tree);
    return -EPERM;
}

int jail_open_stream(struct jail *j, const struct cl_jail_step *s) {
    struct stat status;
    int fd = s->a == 0 ? open_place(j, s, &status) : open_output(j, s);
    if (fd >= 0 && s->a == 0) fd = read_only(fd);
    if (fd >= 0 && s->a == 0) fd = reopen(fd, O_RDONLY);
    if (fd < 0) return -fd;
    j->streams[s->a] = fd;
    return 0;
}

// The bytes never pass through this process: init copies them from file to file.
int jail_open_secret(struct jail *j, const struct cl_jail_step *s) {
    struct stat status;
    int fd = open_place(j, s, &status);
    if (fd >= 0) fd = reopen(fd, O_RDONLY);
    if (fd < 0) return -fd;
    j->secrets[s->a] = fd;
    return 0;
}

// ---- trees ----------------------------------------------------------------------------------

// A clone that belongs to no namespace yet. Recursive in both calls: a file system mounted below the
// directory must be as powerless as the directory (mount_setattr(2), Linux 5.12; an older kernel says
// ENOSYS, and there is no jail: its remount would miss what is mounted below).
int jail_clone_tree(int directory, const char *path, uint32_t flags) {
    unsigned how = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE |
                   (*path ? 0 : (unsigned)AT_EMPTY_PATH);
    int tree = (int)syscall(SYS_open_tree, directory, path, how);
    if (tree < 0) return -fail();
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_NOSUID, .propagation = MS_PRIVATE};
    if (!(flags & CL_STEP_KEEP_DEV)) attributes.attr_set |= MOUNT_ATTR_NODEV;
    if (flags & CL_STEP_READONLY) attributes.attr_set |= MOUNT_ATTR_RDONLY;
    if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes,
                sizeof attributes) == 0)
        return tree;
    int error = fail();
    close(tree);
    return -error;
}

int jail_make_tree(struct jail *j, const struct cl_jail_step *s) {
    int fd = j->trees[s->a];
    if (fd < 0) return 0;
    int tree = jail_clone_tree(fd, "", s->flags);
    close(fd);
    j->trees[s->a] = tree < 0 ? -1 : tree;
    return tree < 0 ? -tree : 0;
}
