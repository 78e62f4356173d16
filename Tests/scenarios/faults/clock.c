// SPDX-License-Identifier: Apache-2.0
// clock - run a program whose clock of the day is set forth or back while it runs.
// usage: clock FILE PROGRAM [ARGUMENT…]
// FILE holds the seconds by which CLOCK_REALTIME differs, as text; it is read at each call. The clocks that count from the boot
// stay. Only the program itself is watched (ptrace(2)), not its children. It is told of no vDSO, so that each look at a clock is a
// system call. The exit status is the program's, 128 + signal when one ended it; 125 when it cannot be watched.
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
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

static pid_t child;
static const char *file;
static void pass_on(int number) { if (child > 0) kill(child, number); }
static int finish(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }
static int die(const char *what) {
    fprintf(stderr, "clock: error: unable to %s: %s, nothing was run\n", what, strerror(errno));
    return 125;
}
static long offset(void) {
    char text[32] = "";
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    if (read(fd, text, sizeof text - 1) < 0) text[0] = 0;
    close(fd);
    return atol(text);
}
static long peek(unsigned long at) { return ptrace(PTRACE_PEEKDATA, child, at, 0); }

// The program has just been executed: argc, argv, environment and auxiliary vector are on its stack.
static void hide_vdso(void) {
    struct user_regs_struct regs;
    if (ptrace(PTRACE_GETREGS, child, 0, &regs)) return;
    unsigned long at = regs.rsp + 8 * (unsigned long)(peek(regs.rsp) + 2);
    while (peek(at)) at += 8;
    for (at += 8; peek(at) != AT_NULL; at += 16)
        if (peek(at) == AT_SYSINFO_EHDR) ptrace(PTRACE_POKEDATA, child, at, AT_IGNORE);
}
// A call has returned: what it said of the day is changed.
static void shift(const struct user_regs_struct *entry) {
    struct user_regs_struct regs;
    unsigned long at = 0;
    if (entry->orig_rax == SYS_clock_gettime && (entry->rdi == CLOCK_REALTIME || entry->rdi == CLOCK_REALTIME_COARSE)) at = entry->rsi;
    else if (entry->orig_rax == SYS_gettimeofday) at = entry->rdi;
    else if (entry->orig_rax != SYS_time) return;
    if (at) { ptrace(PTRACE_POKEDATA, child, at, peek(at) + offset()); return; }
    if (ptrace(PTRACE_GETREGS, child, 0, &regs)) return;
    regs.rax += (unsigned long)offset();
    ptrace(PTRACE_SETREGS, child, 0, &regs);
}

int main(int argc, char **argv) {
    int status, in_call = 0, signal_ = 0;
    struct user_regs_struct entry = {0};
    if (argc < 3) return 2;
    file = argv[1];
    child = fork();
    if (child < 0) return die("fork");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (ptrace(PTRACE_TRACEME, 0, 0, 0)) _exit(125);
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    signal(SIGTERM, pass_on);
    signal(SIGINT, SIG_IGN);
    if (waitpid(child, &status, 0) < 0) return die("wait");
    if (!WIFSTOPPED(status)) return finish(status);
    if (ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACEEXEC)) return die("watch");
    hide_vdso();
    for (;;) {
        if (ptrace(PTRACE_SYSCALL, child, 0, signal_)) break;
        signal_ = 0;
        while (waitpid(child, &status, 0) < 0) if (errno != EINTR) return die("wait");
        if (!WIFSTOPPED(status)) return finish(status);
        if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8)) { hide_vdso(); continue; }
        if (WSTOPSIG(status) != (SIGTRAP | 0x80)) { signal_ = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status); continue; }
        in_call = !in_call;
        if (in_call) ptrace(PTRACE_GETREGS, child, 0, &entry);
        else shift(&entry);
    }
    while (waitpid(child, &status, 0) < 0) if (errno != EINTR) return die("wait");
    return finish(status);
}
