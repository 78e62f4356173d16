// SPDX-License-Identifier: Apache-2.0
// inject - run a program and kill it at its n-th system call, or have that call fail.
// usage: inject [-l FILE] [-c NAME,…] [-n N] [-m TIMES] [-k | -e ERRNO | -d MILLISECONDS] PROGRAM [ARGUMENT…]
//   -c NAME,…  count only these (default: all)      -n N     which call, from 1; 0 only watches
//   -k         SIGKILL before the call is made      -e NAME  the call is not made and fails with this errno
//   -m TIMES   so do those after it, so many in all  -d MS    the call is made so much later
//   -l FILE    write the names of the calls, one a line, in order
// Only the program itself is watched, not its children; after the deed it runs on unwatched. The exit status is its own, 128 + signal
// when one ended it; 125 when it cannot be watched. strace counts each kind of call by itself: here it is the n-th of all.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const struct { const char *name; long number; } calls[] = {
#define CALL(x) {#x, SYS_##x}
    CALL(read), CALL(write), CALL(pread64), CALL(pwrite64), CALL(readv), CALL(writev), CALL(pwritev2), CALL(openat), CALL(openat2),
    CALL(close), CALL(close_range), CALL(fstat), CALL(newfstatat), CALL(statx), CALL(statfs), CALL(fstatfs), CALL(lseek),
    CALL(mmap), CALL(munmap), CALL(mprotect), CALL(brk), CALL(madvise), CALL(getdents64), CALL(fcntl), CALL(flock), CALL(fsync),
    CALL(fdatasync), CALL(sync_file_range), CALL(ftruncate), CALL(fallocate), CALL(renameat), CALL(renameat2), CALL(rename),
    CALL(unlink), CALL(unlinkat), CALL(link), CALL(linkat), CALL(symlinkat), CALL(mkdir), CALL(mkdirat), CALL(rmdir), CALL(fchmod),
    CALL(fchmodat), CALL(fchown), CALL(fchownat), CALL(utimensat), CALL(readlinkat), CALL(faccessat2), CALL(getcwd), CALL(chdir),
    CALL(epoll_create1), CALL(epoll_ctl), CALL(epoll_wait), CALL(epoll_pwait), CALL(epoll_pwait2), CALL(inotify_init1),
    CALL(inotify_add_watch), CALL(inotify_rm_watch), CALL(signalfd4), CALL(timerfd_create), CALL(timerfd_settime), CALL(eventfd2),
    CALL(pipe2), CALL(dup), CALL(dup2), CALL(dup3), CALL(socket), CALL(socketpair), CALL(bind), CALL(listen), CALL(connect),
    CALL(accept4), CALL(sendmsg), CALL(sendto), CALL(recvmsg), CALL(recvfrom), CALL(sendmmsg), CALL(getsockopt), CALL(setsockopt),
    CALL(getsockname), CALL(memfd_create), CALL(clone), CALL(clone3), CALL(vfork), CALL(fork), CALL(execve), CALL(wait4), CALL(waitid),
    CALL(kill), CALL(pidfd_open), CALL(pidfd_send_signal), CALL(rt_sigaction), CALL(rt_sigprocmask), CALL(rt_sigtimedwait),
    CALL(prctl), CALL(getrandom), CALL(getpid), CALL(gettid), CALL(getuid), CALL(geteuid), CALL(prlimit64), CALL(sched_getaffinity),
    CALL(clock_gettime), CALL(clock_nanosleep), CALL(uname), CALL(sysinfo), CALL(futex), CALL(poll), CALL(ppoll), CALL(exit_group),
    CALL(setsid), CALL(setpgid), CALL(umask), CALL(io_setup), CALL(io_submit), CALL(io_getevents), CALL(mount), CALL(umount2), CALL(unshare),
};
static const struct { const char *name; int number; } errors[] = {
#define ERROR(x) {#x, x}
    ERROR(ENOSPC), ERROR(EIO), ERROR(EMFILE), ERROR(ENFILE), ERROR(EINTR), ERROR(EAGAIN), ERROR(ENOMEM), ERROR(EROFS), ERROR(EDQUOT),
    ERROR(EBUSY), ERROR(EPIPE), ERROR(ECONNRESET), ERROR(ENOBUFS), ERROR(EACCES), ERROR(ENOENT), ERROR(ENOLCK), ERROR(ECONNREFUSED),
};
enum { NCALLS = sizeof calls / sizeof calls[0], NERRORS = sizeof errors / sizeof errors[0] };

static int die(const char *what) {
    fprintf(stderr, "inject: error: unable to %s: %s, nothing was tried\n", what, strerror(errno));
    exit(125);
}
static int call_index(long number) {
    for (int i = 0; i < NCALLS; i++) if (calls[i].number == number) return i;
    return -1;
}
static void choose(char *list, char *wanted) {
    for (char *name = strtok(list, ","); name; name = strtok(NULL, ",")) {
        int hit = 0;
        for (int i = 0; i < NCALLS; i++) if (!strcmp(calls[i].name, name)) wanted[i] = 1, hit = 1;
        if (!hit) { fprintf(stderr, "inject: error: no call %s in its table\n", name); exit(2); }
    }
}
static int error_number(const char *name) {
    for (int i = 0; i < NERRORS; i++) if (!strcmp(errors[i].name, name)) return errors[i].number;
    fprintf(stderr, "inject: error: no error %s in its table\n", name);
    exit(2);
}
static void wait_for(long milliseconds) {
    struct timespec left = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    while (nanosleep(&left, &left) && errno == EINTR) {}
}
static pid_t child;
static void pass_on(int number) { if (child > 0) kill(child, number); }
static int finish(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

#ifdef __x86_64__
// At the entry: the call becomes none; at its exit the program is told why.
static void fail_call(pid_t child, int error) {
    struct user_regs_struct regs;
    int status;
    if (ptrace(PTRACE_GETREGS, child, 0, &regs)) return;
    regs.orig_rax = (unsigned long long)-1;
    ptrace(PTRACE_SETREGS, child, 0, &regs);
    if (ptrace(PTRACE_SYSCALL, child, 0, 0) || waitpid(child, &status, 0) < 0 || !WIFSTOPPED(status)) return;
    ptrace(PTRACE_GETREGS, child, 0, &regs);
    regs.rax = (unsigned long long)(long long)-error;
    ptrace(PTRACE_SETREGS, child, 0, &regs);
}
#else
#error "registers of this machine are not known"
#endif

int main(int argc, char **argv) {
    char wanted[NCALLS] = {0}, any = 1, kill_it = 0;
    const char *log_name = NULL;
    long n = 0, times = 1, seen = 0, delay = 0;
    int error = 0, option, status, in_call = 0;
    while ((option = getopt(argc, argv, "+l:c:n:m:ke:d:")) != -1) switch (option) {
        case 'l': log_name = optarg; break;
        case 'c': choose(optarg, wanted); any = 0; break;
        case 'n': n = atol(optarg); break;
        case 'm': times = atol(optarg); break;
        case 'k': kill_it = 1; break;
        case 'e': error = error_number(optarg); break;
        case 'd': delay = atol(optarg); break;
        default: return 2;
    }
    if (optind >= argc) return 2;
    FILE *log = log_name ? fopen(log_name, "we") : NULL;
    child = fork();
    if (child < 0) return die("fork");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (ptrace(PTRACE_TRACEME, 0, 0, 0)) _exit(125);
        execvp(argv[optind], argv + optind);
        _exit(127);
    }
    // What ends the watcher ends the watched; the signal that ends a daemon is passed on.
    signal(SIGTERM, pass_on);
    signal(SIGINT, SIG_IGN);
    if (waitpid(child, &status, 0) < 0) return die("wait");
    if (!WIFSTOPPED(status)) return finish(status);
    if (ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)) return die("watch");
    int signal_ = 0;
    for (;;) {
        if (ptrace(PTRACE_SYSCALL, child, 0, signal_)) break;
        signal_ = 0;
        while (waitpid(child, &status, 0) < 0) if (errno != EINTR) return die("wait");
        if (!WIFSTOPPED(status)) return finish(status);
        if (WSTOPSIG(status) != (SIGTRAP | 0x80)) { signal_ = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status); continue; }
        in_call = !in_call;
        if (!in_call) continue;
        struct user_regs_struct regs;
        if (ptrace(PTRACE_GETREGS, child, 0, &regs)) continue;
        int index = call_index((long)regs.orig_rax);
        if (log) fprintf(log, index < 0 ? "%s%llu\n" : "%s\n", index < 0 ? "call" : calls[index].name, regs.orig_rax), fflush(log);
        if (!any && (index < 0 || !wanted[index])) continue;
        if (++seen < n || n < 1) continue;
        if (kill_it) { kill(child, SIGKILL); continue; }
        if (delay) { wait_for(delay); if (seen < n + times - 1) continue; }
        if (error) fail_call(child, error);
        in_call = 0;
        if (seen < n + times - 1) continue;
        ptrace(PTRACE_SETOPTIONS, child, 0, 0);
        ptrace(PTRACE_DETACH, child, 0, 0);
        break;
    }
    while (waitpid(child, &status, 0) < 0) if (errno != EINTR) return die("wait");
    return finish(status);
}
