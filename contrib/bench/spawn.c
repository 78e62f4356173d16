// SPDX-License-Identifier: Apache-2.0
// The loops that our pool is measured against: COUNT runs of a program, RUNNING at a time.
//   spawn posix  COUNT RUNNING PROGRAM [ARG…]   posix_spawn, waitpid
//   spawn clone3 COUNT RUNNING PROGRAM [ARG…]   clone3(VM, VFORK, PIDFD), epoll on pidfds
//   spawn once   COUNT 1 PROGRAM [ARG…]         one run of a program that does COUNT tasks
//   spawn each   COUNT 1 PROGRAM [ARG…]         one after another; prints the median in ms
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

extern char **environ;

static void check(int status)
{
    if (status != 0) {
        fprintf(stderr, "bench: err: a program ended with wait status %#x\n", status);
        exit(1);
    }
}

static pid_t start(char **argv)
{
    pid_t pid;
    errno = posix_spawn(&pid, argv[0], NULL, NULL, argv, environ);
    if (errno != 0) die("posix_spawn");
    return pid;
}

static void loop_posix(int count, int running, char **argv)
{
    int started = 0, status;
    for (; started < running && started < count; started++) start(argv);
    for (int ended = 0; ended < count; ended++) {
        if (waitpid(-1, &status, 0) < 0) die("waitpid");
        check(status);
        if (started < count) {
            start(argv);
            started++;
        }
    }
}

// clone3 by hand: the child goes on in our frame, as with vfork, so no function may return
// between the call and its exec. That is why it is not syscall(2).
static inline long raw_clone3(struct clone_args *args)
{
    long result;
#if defined(__x86_64__)
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"((long)SYS_clone3), "D"(args), "S"(sizeof *args)
                     : "rcx", "r11", "memory");
#elif defined(__aarch64__)
    register long x0 __asm__("x0") = (long)args;
    register long x1 __asm__("x1") = sizeof *args;
    register long x8 __asm__("x8") = SYS_clone3;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x1), "r"(x8) : "memory");
    result = x0;
#endif
    return result;
}

static int start_clone3(char **argv)
{
    int pidfd = -1;
    struct clone_args args = {
        .flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
    };
    long pid = raw_clone3(&args);
    if (pid == 0) {
        execve(argv[0], argv, environ);
        _exit(127);
    }
    if (pid < 0) {
        errno = (int)-pid;
        die("clone3");
    }
    return pidfd;
}

static void watch(int epoll, int pidfd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = pidfd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, pidfd, &event) < 0) die("epoll_ctl");
}

static void reap(int epoll, int pidfd)
{
    siginfo_t info = {0};
    if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0) die("waitid");
    if (info.si_code != CLD_EXITED || info.si_status != 0) check(info.si_status | 0x100);
    // DEL before close: a child on its way through exec may still hold a copy.
    epoll_ctl(epoll, EPOLL_CTL_DEL, pidfd, NULL);
    close(pidfd);
}

static void loop_clone3(int count, int running, char **argv)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC), started = 0, ended = 0;
    struct epoll_event events[16];
    for (; started < running && started < count; started++) watch(epoll, start_clone3(argv));
    while (ended < count) {
        int n = epoll_wait(epoll, events, 16, 10000);
        if (n <= 0) die("epoll_wait");
        for (int i = 0; i < n; i++, ended++) {
            reap(epoll, events[i].data.fd);
            if (started < count) {
                watch(epoll, start_clone3(argv));
                started++;
            }
        }
    }
    close(epoll);
}

static void each(int count, char **argv)
{
    double *took = calloc((size_t)count, sizeof *took);
    int status;
    if (took == NULL) die("allocate");
    for (int i = 0; i < count; i++) {
        double begin = now();
        waitpid(start(argv), &status, 0);
        took[i] = (now() - begin) * 1e3;
    }
    printf("%.2f\n", quantile(took, (size_t)count, 0.5));
}

int main(int argc, char **argv)
{
    if (argc < 5) return 2;
    const char *how = argv[1];
    int count = atoi(argv[2]), running = atoi(argv[3]), status;
    double begin = now(), used = cpu();
    if (strcmp(how, "posix") == 0) loop_posix(count, running, argv + 4);
    else if (strcmp(how, "clone3") == 0) loop_clone3(count, running, argv + 4);
    else if (strcmp(how, "once") == 0) {
        if (waitpid(start(argv + 4), &status, 0) < 0) die("waitpid");
        check(status);
    } else if (strcmp(how, "each") == 0) {
        each(count, argv + 4);
        return 0;
    } else return 2;
    printf("%.1f %.1f\n", count / (now() - begin), (cpu() - used) * 1e6 / count);
    return 0;
}
