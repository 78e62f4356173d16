// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "clinux.h"

_Static_assert((int)CL_IN == (int)EPOLLIN && (int)CL_OUT == (int)EPOLLOUT, "epoll words");
_Static_assert(CL_IN_MOVED_TO == IN_MOVED_TO && CL_IN_CLOSE_WRITE == IN_CLOSE_WRITE, "inotify words");

int cl_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

static int epoll_control(int epoll, int operation, int fd, uint32_t events, uint64_t token) {
    struct epoll_event event = {.events = events, .data.u64 = token};
    return epoll_ctl(epoll, operation, fd, &event);
}

int cl_epoll_add(int epoll, int fd, uint32_t events, uint64_t token) {
    return epoll_control(epoll, EPOLL_CTL_ADD, fd, events, token);
}

int cl_epoll_modify(int epoll, int fd, uint32_t events, uint64_t token) {
    return epoll_control(epoll, EPOLL_CTL_MOD, fd, events, token);
}

int cl_epoll_delete(int epoll, int fd) { return epoll_control(epoll, EPOLL_CTL_DEL, fd, 0, 0); }

int cl_epoll_wait(int epoll, struct cl_event *events, int capacity, int timeout_ms) {
    struct epoll_event got[64];
    if (capacity > 64) capacity = 64;
    int count = epoll_wait(epoll, got, capacity, timeout_ms);
    for (int i = 0; i < count; i++) {
        events[i].events = got[i].events;
        events[i].token = got[i].data.u64;
    }
    return count;
}

int cl_signalfd(const int *signals, int count) {
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < count; i++) sigaddset(&set, signals[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0) return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int cl_signalfd_read(int fd) {
    struct signalfd_siginfo info;
    ssize_t got = read(fd, &info, sizeof info);
    if (got == (ssize_t)sizeof info) return (int)info.ssi_signo;
    return got < 0 && errno != EAGAIN && errno != EINTR ? -1 : 0;
}

int cl_signal_block(int signal) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    return sigprocmask(SIG_BLOCK, &set, NULL);
}

int cl_signal_ignore(int signal_number) {
    return signal(signal_number, SIG_IGN) == SIG_ERR ? -1 : 0;
}

void cl_signals_default(void) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int i = 1; i < 65; i++) (void)sigaction(i, &action, NULL);
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

int cl_walltimer(void) { return timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK); }

int cl_walltimer_set(int fd, int64_t microseconds) {
    if (microseconds < 1) microseconds = 1;
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(microseconds / 1000000),
                                           .tv_nsec = (long)(microseconds % 1000000) * 1000}};
    return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &when, NULL);
}

void cl_walltimer_read(int fd) {
    uint64_t count;
    // ECANCELED: the clock was set, which is what one wanted to know.
    if (read(fd, &count, sizeof count) < 0) return;
}

int cl_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

int cl_timerfd(void) { return timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK); }

int cl_timerfd_set(int fd, int64_t microseconds) {
    struct itimerspec spec = {
        .it_value = {.tv_sec = microseconds / 1000000, .tv_nsec = microseconds % 1000000 * 1000}};
    return timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

int cl_inotify_init(void) { return inotify_init1(IN_CLOEXEC | IN_NONBLOCK); }

int cl_inotify_add(int fd, const char *path, uint32_t mask) {
    return inotify_add_watch(fd, path, mask);
}

int cl_inotify_remove(int fd, int watch) { return inotify_rm_watch(fd, watch); }

int cl_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int cl_pidfd_send_signal(int pidfd, int signal) {
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

static int64_t clock_microseconds(clockid_t clock) {
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t cl_realtime(void) { return clock_microseconds(CLOCK_REALTIME); }
int64_t cl_boottime(void) { return clock_microseconds(CLOCK_BOOTTIME); }

void cl_pause(int64_t microseconds) {
    static int slack_is_set;
    if (!slack_is_set) slack_is_set = prctl(PR_SET_TIMERSLACK, 1UL) == 0;
    struct timespec span = {.tv_sec = microseconds / 1000000,
                            .tv_nsec = microseconds % 1000000 * 1000};
    (void)nanosleep(&span, NULL);
}

int cl_getrandom(void *bytes, size_t count) {
    return getrandom(bytes, count, 0) == (ssize_t)count ? 0 : -1;
}

int cl_prctl_pdeathsig(int signal) { return prctl(PR_SET_PDEATHSIG, signal); }

int cl_prctl_subreaper(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }
