// SPDX-License-Identifier: Apache-2.0
// Shared by the jail's files; nothing of it is for Swift.
#ifndef JAIL_INTERNAL_H
#define JAIL_INTERNAL_H

#include <sys/syscall.h>
#include <unistd.h>

#include "clinux.h"

// I has those of the programs where they want them; they are all that a program inherits.
enum { FD_IN = 0, FD_OUT = 1, FD_ERR = 2, FD_CONTROL = 3, FD_SUBMIT = 4 };

struct jail {
    struct cl_jail_request *request;  // = the area's start
    const struct cl_jail_step *steps;
    int trees[CL_JAIL_TREES + 1];     // the last: CL_JAIL_SCRATCH
    uint32_t kinds[CL_JAIL_TREES + 1];   // S_IFMT of what was opened, 0 when absent
    int control;
    int in, out, err;
    int streams[2];                   // opened by steps, in place of in and out; -1
    int secrets[CL_JAIL_SECRETS];
    uint64_t secret_bytes;            // copied so far
    int submits;                      // 1: FD_SUBMIT is the directory for drops, and P has it not
    uint32_t run;                     // which program is being started
    uint32_t detail;                  // set by the step that failed
    int64_t value;
};

static inline const char *jail_text(const struct jail *j, uint32_t offset) {
    return offset ? (const char *)j->request + offset : (const char *)0;
}

/// Performs a step; 0 or the errno.
int jail_step(struct jail *j, const struct cl_jail_step *s);
int jail_task_step(struct jail *j, const struct cl_jail_step *s);
int jail_as_user(const struct jail *j, const struct cl_jail_step *s);
int jail_as_self(int keep_ids);
int jail_open_path(struct jail *j, const struct cl_jail_step *s);
int jail_open_stream(struct jail *j, const struct cl_jail_step *s);
int jail_open_secret(struct jail *j, const struct cl_jail_step *s);
/// A detached recursive clone; its descriptor, or -errno.
int jail_clone_tree(int directory, const char *path, uint32_t flags);
int jail_make_tree(struct jail *j, const struct cl_jail_step *s);
/// In L0 and L: SIGKILL when taskrun dies; 0, or ESRCH when it is dead already.
int jail_die_with_parent(void);
/// Performs a part in order; the index of the step that failed and *error, or -1.
int64_t jail_part(struct jail *j, struct cl_jail_part part, int *error);
/// The whole life of I. Never returns.
__attribute__((noreturn)) void jail_init_main(struct jail *j);
void jail_send(int control, const struct cl_jail_report *report);
/// The same with a descriptor; 0 or the errno.
int jail_send_descriptor(int control, const struct cl_jail_report *report, int fd);
__attribute__((noreturn)) void jail_launcher_main(int socket, pid_t parent, int user_namespace);
int jail_clone(struct jail *j, int cgroup, uint64_t flags);
/// In L: its oom_score_adj, opened once at a fixed descriptor. What a jail inherits is set just before
/// the clone, L's own right after.
void jail_oom_open(int fd);
int jail_oom_adjust(const struct jail *j);
void jail_oom_own(void);
/// In L0, once: 0, or the errno of the step that failed.
int jail_prepare(int user_namespace, enum cl_launcher_step *at);
/// In L0: see jail_libraries.c.
void jail_shed_libraries(void);
int jail_drop_bounding(void);
int jail_securebits(void);
/// The effective set: all that is permitted, or nothing.
int jail_effective(int on);

#endif
