// SPDX-License-Identifier: Apache-2.0
// The jail's C half: a launcher process that starts jails, and the flat array of steps that it, the
// jail's init and the task walk. Swift fills the array; nothing here allocates, and nothing of Swift
// runs after the launcher was forked.
//
// Processes: P is taskrun; L0 its launcher, forked once; L a launcher of one slot, forked by L0, that
// sits in the slot's v1 cgroups; I is the jail's pid 1; T the payload. All but T are children of P
// (CLONE_PARENT), none of them ever execs, each dies with P (PR_SET_PDEATHSIG and its control socket).
#ifndef CL_JAIL_H
#define CL_JAIL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { CL_JAIL_TREES = 32, CL_JAIL_SCRATCH = CL_JAIL_TREES, CL_JAIL_AREA = 2 << 20, CL_JAIL_BASES = 8 };
enum { CL_JAIL_SECRETS = 32, CL_JAIL_SECRET_BYTES = 1 << 20 };

/// What one step does. `from`, `to` and `data` are offsets into the area, 0 for none.
enum cl_jail_op {
    // In L, on the host's mounts.
    CL_OP_AS_USER = 1,   // a uid, b gid, data groups, size their count: file access as the task's user
    CL_OP_OPEN,          // tree a := O_PATH of from; flags DIRECTORY FILE NO_LINK OPTIONAL, OWNED (b uid)
    CL_OP_STREAM,        // descriptor a (0, 1) := regular file from, to read, or to append to
    CL_OP_SECRET,        // secret a := regular file from, to read
    CL_OP_AS_SELF,       // back to L's own rights
    CL_OP_TREE,          // tree a := private recursive clone of it, nosuid nodev; CL_STEP_READONLY
    // In L, once a base: cwd is the new root, `to` is relative to it.
    CL_OP_NEW_ROOT,      // mount tree private, tmpfs (options in data) on from, chdir there
    CL_OP_MKDIR,         // to, mode size, owner a:b unless both are ~0
    CL_OP_SYMLINK,       // from at to
    CL_OP_FILE,          // to, mode flags, bytes data of size
    CL_OP_COPY,          // host file from into to; CL_STEP_OPTIONAL
    CL_OP_BIND,          // recursive clone of from on to; READONLY OPTIONAL KEEP_DEV
    CL_OP_NODE,          // character device to, mode size, number a:b
    CL_OP_POINT,         // mount point to (with parents) of the kind of tree a
    CL_OP_DEVPTS,        // own instance on to
    CL_OP_PIVOT,         // root read-only, pivot, host gone
    // In L, first of I's part: what I inherits at the clone.
    CL_OP_OOM_ADJUST,    // data of size
    // In I; paths are the jail's.
    CL_OP_ID_MAP,        // user namespace: data uid line, from gid line
    CL_OP_CGROUP_NS,
    CL_OP_TMPFS,         // on to, options data
    CL_OP_SUBTREE,       // directory from bound on to
    CL_OP_SUBMIT,        // the same, noexec; I keeps a descriptor of from for P
    CL_OP_ATTACH,        // tree a moved on to; CL_STEP_OPTIONAL: makes its point on the private tmpfs
    CL_OP_CREDENTIAL,    // secret a copied to, 0400, owner b, group size
    CL_OP_SEAL,          // to is read-only from now on
    CL_OP_OVERLAY,       // read-only overlay on to, options data
    CL_OP_PROC,          // on to, options data
    CL_OP_COVER,         // to read-only (from 0) or hidden by from; absent is fine
    CL_OP_LOOPBACK,
    CL_OP_RLIMIT,        // resource size, soft a, hard b
    CL_OP_NICE,          // a
    CL_OP_BOUNDING,      // drops the whole bounding set
    CL_OP_SECUREBITS,
    CL_OP_CLOSE,         // I keeps only control and the task's three descriptors
    // In T.
    CL_OP_GROUP,         // a process group of its own
    CL_OP_SESSION,       // a session of its own, and so a group
    CL_OP_IDS,           // a uid, b gid, data groups, size their count
    CL_OP_NO_CAPS,       // CL_STEP_CHECK: verify that nothing is left
    CL_OP_NO_NEW_PRIVS,
    CL_OP_LANDLOCK,      // execute below the root only; scopes a
    CL_OP_CHDIR,         // to
    CL_OP_DESCRIPTORS,
    CL_OP_FILTER,        // data of size: BPF
    CL_OP_EXEC,
};

enum {
    CL_STEP_READONLY = 1 << 16,
    CL_STEP_OPTIONAL = 1 << 17,
    CL_STEP_DIRECTORY = 1 << 18,
    CL_STEP_OWNED = 1 << 19,
    CL_STEP_KEEP_DEV = 1 << 20,
    CL_STEP_KEEP_IDS = 1 << 21,
    CL_STEP_FILE = 1 << 22,
    CL_STEP_NO_LINK = 1 << 23
};

struct cl_jail_step {
    uint32_t op;
    uint32_t flags;
    uint32_t code;   // exit code of systemd.exec(5) when it fails
    uint32_t size;
    uint64_t a, b;
    uint32_t from, to, data, unused;
};

struct cl_jail_part {
    uint32_t first, count;
};

/// One program of the attempt: a check or, last, the command.
struct cl_jail_run {
    uint32_t argv;   // offset of a null-terminated array of offsets; L turns them into pointers
    uint32_t check;  // 1: a status other than 0 ends the attempt
};

/// Lies at the start of the slot's shared area.
struct cl_jail_request {
    uint32_t generation;
    uint32_t length;           // bytes used
    uint64_t clone_flags;      // CLONE_NEW*
    uint32_t into_cgroup;      // 1: born in the slot's v2 cgroup
    uint32_t disk_poll;        // 1: watch the free space of the scratch
    uint32_t steps;            // offset of the steps
    uint32_t base_key;         // offset of a text: equal keys share a base
    struct cl_jail_part open, base, init, task;
    uint32_t runs, run_count;
    uint32_t envp;
    uint32_t scratch;          // path of the scratch
    uint32_t fault, fault_error;  // debug builds: index + 1 of the step that fails, ~0 the clone
};

enum cl_jail_kind {
    CL_JAIL_HELLO = 1,     // a slot's launcher stands; pid. error: there is none, or it ends
    CL_JAIL_STARTED,       // pid of I
    CL_JAIL_FAILED,        // a step failed: step, error, code, detail, run
    CL_JAIL_STEP_ENDED,    // run, status, usage; nothing of it is left alive
    CL_JAIL_SUBMIT,        // value: a descriptor that is P's from now on, -1 where P had no room for it;
                           // when asked for, else before the last STEP_ENDED if something lies there
};

/// What `value` of a report is: an owner; -; -; what L0 could not do; S_IFMT of what was found.
enum {
    CL_DETAIL_OWNER = 1,
    CL_DETAIL_INTERPRETER,
    CL_DETAIL_CLONE,
    CL_DETAIL_LAUNCHER,
    CL_DETAIL_KIND
};
/// What L0 does once.
enum cl_launcher_step {
    CL_LAUNCHER_NAMESPACES = 1,
    CL_LAUNCHER_MAP,
    CL_LAUNCHER_KEYRING,
    CL_LAUNCHER_BOUNDING,
    CL_LAUNCHER_SECUREBITS,
    CL_LAUNCHER_HOSTNAME,
    CL_LAUNCHER_SESSION
};
enum { CL_REPORT_LAST = 1, CL_REPORT_NO_BLOCK = 2, CL_REPORT_NO_INODE = 4 };

struct cl_jail_report {
    uint32_t generation;
    uint32_t kind;
    int32_t pid;
    uint32_t step;        // index into the steps; ~0: the clone itself
    int32_t error;        // errno
    uint32_t code;
    uint32_t detail;      // CL_DETAIL_*
    uint32_t run;
    int32_t status;       // as wait(2)
    uint32_t flags;       // CL_REPORT_*
    int64_t cpu_microseconds;
    int64_t max_rss_bytes;
    int64_t value;
    int64_t disk_bytes, disk_inodes;  // of the scratch, when it was full
};

enum cl_jail_order_kind { CL_ORDER_PROCEED = 1, CL_ORDER_SIGNAL = 2, CL_ORDER_SUBMIT = 3 };

struct cl_jail_order {
    uint32_t generation;
    uint32_t kind;
    int32_t signal;
};

struct cl_launcher {
    pid_t pid;
    int pidfd;
    int socket;       // orders to make slot launchers
};

/// Forks L0. Call it from the only thread, before the heap grows: every later fork copies L0's
/// page tables. `user_namespace` makes an ordinary user's launcher enter a user namespace of its own.
/// Returns 0; -1 with errno when the process cannot be made. A refused namespace is told by `errno`
/// of a later FAILED report.
int cl_jail_launcher(struct cl_launcher *launcher, int user_namespace);

struct cl_jail_slot {
    int launch;       // P's end: requests go out here
    int control;      // P's end: reports come in here, orders go out
    void *area;       // CL_JAIL_AREA bytes shared with L, I and T before exec
};

/// Makes a slot's launcher: it writes itself into each of the `procs` (v1 cgroup.procs, opened for
/// writing) and starts jails in `cgroup` (a v2 directory, or -1). Does not wait for it.
int cl_jail_slot(const struct cl_launcher *launcher, struct cl_jail_slot *slot, int cgroup,
                 const int *procs, int procs_count);
void cl_jail_slot_close(struct cl_jail_slot *slot);
/// Asks L to start the request that lies in the area. The descriptors are copied. `scratch`: the
/// detached mount that is tree CL_JAIL_SCRATCH, or -1.
int cl_jail_start(const struct cl_jail_slot *slot, uint32_t generation, int in, int out, int err,
                  int scratch);
/// 1: a report was read; 0: none waits; -1: errno, EPIPE when launcher and init are gone.
int cl_jail_receive(const struct cl_jail_slot *slot, struct cl_jail_report *report);
int cl_jail_order(const struct cl_jail_slot *slot, uint32_t generation, uint32_t kind, int signal);

/// An unsealed memfd, close-on-exec.
int cl_memfd(const char *name);
/// Landlock's ABI version, 0 when the kernel has none.
int cl_landlock_abi(void);
/// 0 when the process may make user and mount namespaces with mounts in them, else the errno.
int cl_probe_user_namespace(void);
/// Flag words for the plan's builder.
uint64_t cl_clone_word(char which);   // p m i u n U: CLONE_NEWPID NEWNS NEWIPC NEWUTS NEWNET NEWUSER

#endif
