// SPDX-License-Identifier: Apache-2.0
// Steps that make the jail's view of files: in the launcher (what the task's user may reach, and the
// base root that its tasks share) and in init (what one attempt adds).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "jail_internal.h"

static int fail(void) { return errno ? errno : EIO; }

// ---- in the launcher, on the host's mounts --------------------------------------------------

// The effective set is emptied as well: setfsuid alone keeps CAP_DAC_OVERRIDE under
// SECBIT_NO_SETUID_FIXUP, and root must not resolve a path that the task's user cannot reach.
static int as_user(const struct jail *j, const struct cl_jail_step *s) {
    if (!(s->flags & CL_STEP_KEEP_IDS)) {
        if (syscall(SYS_setgroups, (size_t)s->size, jail_text(j, s->data)) < 0) return fail();
        setfsgid((gid_t)s->b);
        setfsuid((uid_t)s->a);
        if ((uid_t)setfsuid((uid_t)-1) != (uid_t)s->a) return EPERM;
    }
    return jail_effective(0);
}

static int as_self(const struct cl_jail_step *s) {
    if (jail_effective(1)) return EPERM;
    if (s->flags & CL_STEP_KEEP_IDS) return 0;
    setfsuid(0);
    setfsgid(0);
    return syscall(SYS_setgroups, (size_t)0, NULL) < 0 ? fail() : 0;
}

static int open_path(struct jail *j, const struct cl_jail_step *s) {
    int fd = open(jail_text(j, s->from), O_PATH | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT && s->flags & CL_STEP_OPTIONAL ? 0 : fail();
    struct stat status;
    int error = 0;
    if (fstat(fd, &status) < 0) error = fail();
    else if (s->flags & CL_STEP_DIRECTORY && !S_ISDIR(status.st_mode)) error = ENOTDIR;
    else if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode) && !S_ISSOCK(status.st_mode))
        error = EINVAL;  // a FIFO or a device is not bound
    else if (s->flags & CL_STEP_OWNED && status.st_uid != (uid_t)s->b) {
        j->detail = CL_DETAIL_OWNER;
        j->value = status.st_uid;
        error = EPERM;
    }
    if (error) {
        close(fd);
        return error;
    }
    j->trees[s->a] = fd;
    j->kinds[s->a] = status.st_mode & S_IFMT;
    return 0;
}

// A clone that belongs to no namespace yet. Recursive in both calls: a file system mounted below the
// directory must be as powerless as the directory (mount_setattr(2), Linux 5.12).
static int clone_tree(int directory, const char *path, uint32_t flags) {
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

static int make_tree(struct jail *j, const struct cl_jail_step *s) {
    int fd = j->trees[s->a];
    if (fd < 0) return 0;
    int tree = clone_tree(fd, "", s->flags);
    close(fd);
    j->trees[s->a] = tree < 0 ? -1 : tree;
    return tree < 0 ? -tree : 0;
}

// ---- the base root --------------------------------------------------------------------------

static int new_root(const struct jail *j, const struct cl_jail_step *s) {
    const char *place = jail_text(j, s->from);
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return fail();
    if (mount("jail", place, "tmpfs", MS_NOSUID, jail_text(j, s->data)) < 0) return fail();
    return chdir(place) < 0 ? fail() : 0;
}

static int owned(const char *path, const struct cl_jail_step *s) {
    if (s->a == ~0ULL && s->b == ~0ULL) return 0;
    return chown(path, (uid_t)s->a, (gid_t)s->b) < 0 ? fail() : 0;
}

static int make_directory(const struct jail *j, const struct cl_jail_step *s) {
    const char *path = jail_text(j, s->to);
    if (mkdir(path, s->size) < 0 && errno != EEXIST) return fail();
    if (s->size & 01022 && chmod(path, s->size) < 0) return fail();  // what the umask took
    return owned(path, s);
}

static int make_file(const char *path, mode_t mode, const char *bytes, size_t count) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0) return fail();
    ssize_t wrote = count ? write(fd, bytes, count) : 0;
    int error = wrote < 0 ? fail() : (size_t)wrote < count ? ENOSPC : 0;
    close(fd);
    return error;
}

static int copy_file(const struct jail *j, const struct cl_jail_step *s) {
    int from = open(jail_text(j, s->from), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (from < 0) return s->flags & CL_STEP_OPTIONAL ? 0 : fail();
    int to = open(jail_text(j, s->to), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int error = to < 0 ? fail() : 0;
    for (ssize_t got = 1; !error && got > 0;) {
        got = sendfile(to, from, NULL, 1 << 20);
        if (got < 0) error = fail();
    }
    close(from);
    if (to >= 0) close(to);
    return error;
}

static int attach(int tree, const char *to) {
    return syscall(SYS_move_mount, tree, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? fail() : 0;
}

static int bind_tree(const struct jail *j, const struct cl_jail_step *s) {
    int tree = clone_tree(AT_FDCWD, jail_text(j, s->from), s->flags);
    if (tree < 0) return tree == -ENOENT && s->flags & CL_STEP_OPTIONAL ? 0 : -tree;
    int error = attach(tree, jail_text(j, s->to));
    close(tree);
    return error;
}

// A place to mount on, with its parents. Never through a link: the tree below is ours alone, but
// /usr and what is bound there is not.
static int make_point(const char *path, int is_directory) {
    char prefix[4096];
    size_t length = strlen(path);
    if (length >= sizeof prefix) return ENAMETOOLONG;
    memcpy(prefix, path, length + 1);
    for (char *slash = strchr(prefix + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(prefix, 0755) < 0 && errno != EEXIST && errno != EROFS) return fail();
        *slash = '/';
    }
    struct stat status;
    if (lstat(prefix, &status) == 0) return S_ISDIR(status.st_mode) == !!is_directory ? 0 : ENOTDIR;
    if (!is_directory) return make_file(prefix, 0644, NULL, 0);
    return mkdir(prefix, 0755) < 0 ? fail() : 0;
}

static int point_for_tree(const struct jail *j, const struct cl_jail_step *s) {
    if (!j->kinds[s->a]) return 0;
    return make_point(jail_text(j, s->to), S_ISDIR(j->kinds[s->a]));
}

static int pivot(void) {
    struct mount_attr readonly = {.attr_set = MOUNT_ATTR_RDONLY};
    if (syscall(SYS_mount_setattr, AT_FDCWD, ".", 0, &readonly, sizeof readonly) < 0) return fail();
    if (syscall(SYS_pivot_root, ".", ".") < 0) return fail();
    if (umount2(".", MNT_DETACH) < 0) return fail();
    return chdir("/") < 0 ? fail() : 0;
}

// ---- in init --------------------------------------------------------------------------------

// Not through a link: below another tree the place lies in a directory of the host, and its owner
// could lead what is mounted there over the jail's own places.
static int attach_at(int tree, const char *to) {
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
    int place = (int)syscall(SYS_openat2, AT_FDCWD, to, &how, sizeof how);
    if (place < 0) return fail();
    int error = 0;
    if (syscall(SYS_move_mount, tree, "", place, "",
                MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        error = fail();
    close(place);
    return error;
}

static int attach_tree(struct jail *j, const struct cl_jail_step *s) {
    int tree = j->trees[s->a];
    if (tree < 0) return 0;
    const char *to = jail_text(j, s->to);
    int error = attach_at(tree, to);
    if (error == ENOENT && s->flags & CL_STEP_OPTIONAL) {
        error = make_point(to, S_ISDIR(j->kinds[s->a]));
        if (!error) error = attach_at(tree, to);
    }
    close(tree);
    j->trees[s->a] = -1;
    return error;
}

// Something harmless on top (from), or a bind on itself made read-only. What is absent needs no
// cover. mount(2) rather than open_tree(2): a tree that finds no place waits for a grace period.
static int cover(const struct jail *j, const struct cl_jail_step *s) {
    const char *to = jail_text(j, s->to), *from = s->from ? jail_text(j, s->from) : to;
    unsigned long flags = MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
    if (mount(from, to, NULL, MS_BIND | (s->from ? 0 : MS_REC), NULL) < 0)
        return errno == ENOENT ? 0 : fail();
    if (s->from) return 0;
    return mount(NULL, to, NULL, flags, NULL) < 0 ? fail() : 0;
}

static int plain_mount(const char *type, const char *to, unsigned long flags, const char *options) {
    return mount(type, to, type, flags, options) < 0 ? fail() : 0;
}

static int subtree(const struct jail *j, const struct cl_jail_step *s) {
    return mount(jail_text(j, s->from), jail_text(j, s->to), NULL, MS_BIND, NULL) < 0 ? fail() : 0;
}

int jail_step(struct jail *j, const struct cl_jail_step *s) {
    const char *to = jail_text(j, s->to), *data = jail_text(j, s->data);
    errno = 0;
    switch ((enum cl_jail_op)s->op) {
    case CL_OP_AS_USER: return as_user(j, s);
    case CL_OP_OPEN: return open_path(j, s);
    case CL_OP_AS_SELF: return as_self(s);
    case CL_OP_TREE: return make_tree(j, s);
    case CL_OP_NEW_ROOT: return new_root(j, s);
    case CL_OP_MKDIR: return make_directory(j, s);
    case CL_OP_SYMLINK: return symlink(jail_text(j, s->from), to) < 0 ? fail() : 0;
    case CL_OP_FILE: return make_file(to, s->flags & 07777, data, s->size);
    case CL_OP_COPY: return copy_file(j, s);
    case CL_OP_BIND: return bind_tree(j, s);
    case CL_OP_NODE:
        if (mknod(to, S_IFCHR | s->size, makedev((unsigned)s->a, (unsigned)s->b)) < 0) return fail();
        return chmod(to, s->size) < 0 ? fail() : 0;
    case CL_OP_POINT: return point_for_tree(j, s);
    case CL_OP_DEVPTS:
        return plain_mount("devpts", to, MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620");
    case CL_OP_PIVOT: return pivot();
    case CL_OP_TMPFS: return plain_mount("tmpfs", to, MS_NOSUID | MS_NODEV, data);
    case CL_OP_SUBTREE: return subtree(j, s);
    case CL_OP_ATTACH: return attach_tree(j, s);
    case CL_OP_OVERLAY:
        return plain_mount("overlay", to, MS_RDONLY | MS_NOSUID | MS_NODEV, data);
    case CL_OP_PROC:
        return plain_mount("proc", to, MS_NOSUID | MS_NODEV | MS_NOEXEC, data);
    case CL_OP_COVER: return cover(j, s);
    default: return jail_task_step(j, s);
    }
}

int64_t jail_part(struct jail *j, struct cl_jail_part part, int *error) {
    for (uint32_t i = part.first; i < part.first + part.count; i++)
        if ((*error = jail_step(j, &j->steps[i]))) return i;
    return -1;
}
