// SPDX-License-Identifier: Apache-2.0
// Starting and waiting for processes.
#ifndef CL_SPAWN_H
#define CL_SPAWN_H

#include <stdint.h>
#include <sys/types.h>

struct cl_spawn {
    const char *path;           // looked up as given, no PATH search
    char *const *argv;
    char *const *envp;
    int directory;              // fchdir to it when >= 0
    int stdin_fd;               // -1: /dev/null is not opened here; pass a descriptor
    int stdout_fd;
    int stderr_fd;
    int keep_fd;                // becomes descriptor 3 when >= 0
    int new_session;            // setsid
    int new_group;              // setpgid; without a new session a child stays in the caller's
    int death_signal;           // sent to the child when the caller dies (PR_SET_PDEATHSIG), 0: none
    int nice;
    int idle_io;                // its I/O waits for that of all others (ioprio_set(2), idle class)
    uint64_t memory_limit;      // RLIMIT_DATA bytes, 0: none
    uint64_t cpu_limit;         // RLIMIT_CPU seconds (5 more: SIGKILL), 0: none
    uint64_t open_files;        // RLIMIT_NOFILE's soft limit, where it is higher; 0: the caller's
    int cgroup;                 // v2 directory to be born in, -1: the caller's
    int procs;                  // v1 cgroup.procs to enter, -1: none
};

/// Who a child of root becomes, and what it then looks up with his rights alone.
struct cl_spawn_owner {
    int is_caller;              // the caller himself: all below but the paths is nothing
    uid_t uid;
    gid_t gid;
    const gid_t *groups;        // supplementary ones
    size_t group_count;
    const char *directory;      // NULL: the request's descriptor
    const char *const *paths;   // tried in order in place of the request's path; ended by NULL
    const char *input;          // files in place of stdin_fd and stdout_fd: read; appended to
    const char *output;         // NULL: none
};

/// What such a child writes to `report` when it does not get as far as its program.
struct cl_spawn_failure {
    char step;                  // as cl_spawn_start has it; 'i': identity, 'n' and 'o': its files
    int error;
};

/// Starts a program by clone3(CLONE_VM|CLONE_VFORK|CLONE_PIDFD|CLONE_CLEAR_SIGHAND): the cost does
/// not depend on the caller's memory. Returns the pid and puts a close-on-exec pidfd into *pidfd.
/// On failure returns -1 with errno of the step that failed; *step names it: 'c' clone, 'd' chdir,
/// 'g' cgroup, 's' session or death signal, 'r' resource limit, 'f' descriptors, 'x' execve. Nothing is left behind.
/// Every other descriptor of the caller must be close-on-exec. Never call it with two threads.
/// exec wakes the caller before close-on-exec has run: a descriptor closed by the caller at once may
/// still be held by the child for microseconds (remove it from epoll before close).
pid_t cl_spawn_start(const struct cl_spawn *request, int *pidfd, char *step);

/// Starts a program as another user, with no capability, an empty bounding set and no_new_privs; or as
/// the caller, with all that he has.
/// By fork, and without waiting: a path of his may hang. `report` is a pipe, close-on-exec at both
/// ends: at the child's end it holds a cl_spawn_failure if the program was never executed.
pid_t cl_spawn_owner(const struct cl_spawn *request, const struct cl_spawn_owner *owner, int report,
                     int *pidfd);

/// Lowers the caller's soft limit of descriptors; 0: leaves it. -1 with errno.
int cl_lower_open_files(uint64_t soft);

struct cl_usage {
    int64_t cpu_microseconds;   // user and system
    int64_t max_rss_bytes;
};

/// waitid(P_PIDFD, WEXITED|WNOHANG): 1 when it ended (status as wait(2) has it), 0 when it runs.
int cl_wait_pidfd(int pidfd, int *status, struct cl_usage *usage);
int cl_wait_pid(pid_t pid, int *status, struct cl_usage *usage, int block);

static inline int cl_status_exited(int status) { return (status & 0x7f) == 0; }
static inline int cl_status_code(int status) { return (status >> 8) & 0xff; }
static inline int cl_status_signal(int status) { return status & 0x7f; }

#endif
