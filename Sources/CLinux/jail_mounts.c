// SPDX-License-Identifier: Apache-2.0
// Steps that make the jail's view of files: in the launcher the base root that a slot's tasks share,
// and in init what one attempt adds.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "jail_internal.h"

static int fail(void) { return errno ? errno : EIO; }

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
    int tree = jail_clone_tree(AT_FDCWD, jail_text(j, s->from), s->flags);
    if (tree < 0) return tree == -ENOENT && s->flags & CL_STEP_OPTIONAL ? 0 : -tree;
    int error = attach(tree, jail_text(j, s->to));
    close(tree);
    return error;
}

static int make_last(int parent, const char *name, int is_directory) {
    struct stat status;
    if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
        if (S_ISLNK(status.st_mode)) return ELOOP;
        return S_ISDIR(status.st_mode) == !!is_directory ? 0 : is_directory ? ENOTDIR : EISDIR;
    }
    if (errno != ENOENT) return fail();
    if (is_directory) return mkdirat(parent, name, 0755) < 0 ? fail() : 0;
    int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) return fail();
    close(fd);
    return 0;
}

// A place to mount on, with its parents; name by name and never through a link. In the launcher the
// root is still the host's: below the bound /usr or /etc an absolute link would lead out of the new
// root, and root would make the place there.
static int make_point(const char *path, int is_directory) {
    char name[256];
    int error = 0, at = open(*path == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (at < 0) return fail();
    for (path += *path == '/'; !error; ) {
        const char *end = strchrnul(path, '/');
        size_t length = (size_t)(end - path);
        if (length >= sizeof name) error = ENAMETOOLONG;
        if (error) break;
        memcpy(name, path, length);
        name[length] = 0;
        if (!*end) error = make_last(at, name, is_directory);
        if (error || !*end) break;
        (void)mkdirat(at, name, 0755);  // what is missing then, the next line says
        int next = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0) error = fail();
        close(at);
        at = next;
        path = end + 1;
    }
    if (at >= 0) close(at);
    return error;
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

static int remount_readonly(const char *to) {
    unsigned long flags = MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
    return mount(NULL, to, NULL, flags, NULL) < 0 ? fail() : 0;
}

// Something harmless on top (from), or a bind on itself made read-only. What is absent needs no
// cover. mount(2) rather than open_tree(2): a tree that finds no place waits for a grace period.
static int cover(const struct jail *j, const struct cl_jail_step *s) {
    const char *to = jail_text(j, s->to), *from = s->from ? jail_text(j, s->from) : to;
    if (mount(from, to, NULL, MS_BIND | (s->from ? 0 : MS_REC), NULL) < 0)
        return errno == ENOENT ? 0 : fail();
    return s->from ? 0 : remount_readonly(to);
}

// A credential: the mode first, so that nobody but its owner ever had it open.
static int copy_secret(struct jail *j, const struct cl_jail_step *s) {
    int from = j->secrets[s->a];
    int to = open(jail_text(j, s->to), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0400);
    int error = to < 0 ? fail() : 0;
    for (ssize_t got = 1; !error && got > 0;) {
        got = sendfile(to, from, NULL, CL_JAIL_SECRET_BYTES + 1 - j->secret_bytes);
        if (got < 0) error = fail();
        else if ((j->secret_bytes += (uint64_t)got) > CL_JAIL_SECRET_BYTES) error = EFBIG;
    }
    if (!error && fchown(to, (uid_t)s->b, (gid_t)s->size) < 0) error = fail();
    if (to >= 0) close(to);
    return error;
}

static int plain_mount(const char *type, const char *to, unsigned long flags, const char *options) {
    return mount(type, to, type, flags, options) < 0 ? fail() : 0;
}

static int subtree(const struct jail *j, const struct cl_jail_step *s) {
    return mount(jail_text(j, s->from), jail_text(j, s->to), NULL, MS_BIND, NULL) < 0 ? fail() : 0;
}

// What lies there is data of the task: taskrun reads it by this descriptor, nobody executes it. Most
// tasks drop nothing, and then taskrun never has it.
static int submit_directory(struct jail *j, const struct cl_jail_step *s) {
    const char *from = jail_text(j, s->from), *to = jail_text(j, s->to);
    unsigned long flags = MS_BIND | MS_REMOUNT | MS_NOSUID | MS_NODEV | MS_NOEXEC;
    if (mount(from, to, NULL, MS_BIND, NULL) < 0) return fail();
    if (mount(NULL, to, NULL, flags, NULL) < 0) return fail();
    int fd = open(from, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return fail();
    int error = dup3(fd, FD_SUBMIT, O_CLOEXEC) < 0 ? fail() : 0;
    close(fd);
    j->submits = !error;
    return error;
}

int jail_step(struct jail *j, const struct cl_jail_step *s) {
    const char *to = jail_text(j, s->to), *data = jail_text(j, s->data);
    errno = 0;
    switch ((enum cl_jail_op)s->op) {
    case CL_OP_AS_USER: return jail_as_user(j, s);
    case CL_OP_OPEN: return jail_open_path(j, s);
    case CL_OP_STREAM: return jail_open_stream(j, s);
    case CL_OP_SECRET: return jail_open_secret(j, s);
    case CL_OP_AS_SELF: return jail_as_self(!!(s->flags & CL_STEP_KEEP_IDS));
    case CL_OP_TREE: return jail_make_tree(j, s);
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
        return plain_mount("devpts", to, MS_NOSUID | MS_NOEXEC,
                           "newinstance,ptmxmode=0666,mode=620,max=256");
    case CL_OP_PIVOT: return pivot();
    case CL_OP_TMPFS: return plain_mount("tmpfs", to, MS_NOSUID | MS_NODEV, data);
    case CL_OP_SUBTREE: return subtree(j, s);
    case CL_OP_SUBMIT: return submit_directory(j, s);
    case CL_OP_ATTACH: return attach_tree(j, s);
    case CL_OP_CREDENTIAL: return copy_secret(j, s);
    case CL_OP_SEAL: return remount_readonly(to);
    case CL_OP_OVERLAY:
        return plain_mount("overlay", to, MS_RDONLY | MS_NOSUID | MS_NODEV, data);
    case CL_OP_PROC:
        return plain_mount("proc", to, MS_NOSUID | MS_NODEV | MS_NOEXEC, data);
    case CL_OP_COVER: return cover(j, s);
    default: return jail_task_step(j, s);
    }
}

#ifdef CL_JAIL_FAULTS
// Tests only: a debug build is told which step fails. Release builds have no such code.
static int fault(const struct jail *j, uint32_t step) {
    return j->request->fault == step + 1 ? (int)j->request->fault_error : 0;
}
#else
#define fault(j, step) 0
#endif

int64_t jail_part(struct jail *j, struct cl_jail_part part, int *error) {
    for (uint32_t i = part.first; i < part.first + part.count; i++) {
        *error = fault(j, i);
        if (!*error) *error = jail_step(j, &j->steps[i]);
        if (*error) return i;
    }
    return -1;
}
