// SPDX-License-Identifier: Apache-2.0
// epoll, signalfd, timerfd, inotify, pidfd.
#ifndef CL_LOOP_H
#define CL_LOOP_H

#include <stdint.h>
#include <sys/types.h>

enum {
    CL_IN = 0x001,
    CL_PRI = 0x002,
    CL_OUT = 0x004,
    CL_ERR = 0x008,
    CL_HUP = 0x010,
    CL_RDHUP = 0x2000
};

struct cl_event {
    uint32_t events;
    uint64_t token;
};

int cl_epoll_create(void);
int cl_epoll_add(int epoll, int fd, uint32_t events, uint64_t token);
int cl_epoll_modify(int epoll, int fd, uint32_t events, uint64_t token);
int cl_epoll_delete(int epoll, int fd);
/// Fills at most `capacity` (<= 64) events; timeout in milliseconds, -1 for ever.
int cl_epoll_wait(int epoll, struct cl_event *events, int capacity, int timeout_ms);

/// A non-blocking signalfd of the signals in the list; they are blocked in the calling thread.
int cl_signalfd(const int *signals, int count);
/// The next pending signal's number, 0 when there is none.
int cl_signalfd_read(int fd);
/// Blocks a signal for the process (its only thread).
int cl_signal_block(int signal);
/// Sets a signal to SIG_IGN.
int cl_signal_ignore(int signal);
/// Restores default dispositions and an empty mask.
void cl_signals_default(void);

/// A CLOCK_BOOTTIME timer that counts through suspend.
int cl_timerfd(void);
/// Arms for an absolute CLOCK_BOOTTIME in microseconds; 0 disarms.
int cl_timerfd_set(int fd, int64_t microseconds);

/// A CLOCK_REALTIME timer.
int cl_walltimer(void);
/// Arms for an absolute CLOCK_REALTIME in microseconds. Fires also when that clock is set
/// (TFD_TIMER_CANCEL_ON_SET) or the machine wakes up.
int cl_walltimer_set(int fd, int64_t microseconds);
/// Takes what has fired; the descriptor is not readable until it fires again.
void cl_walltimer_read(int fd);

enum {
    CL_IN_CLOSE_WRITE = 0x8,
    CL_IN_ATTRIB = 0x4,
    CL_IN_MOVED_FROM = 0x40,
    CL_IN_MOVED_TO = 0x80,
    CL_IN_CREATE = 0x100,
    CL_IN_DELETE = 0x200,
    CL_IN_MODIFY = 0x2,
    CL_IN_DELETE_SELF = 0x400,
    CL_IN_MOVE_SELF = 0x800,
    CL_IN_Q_OVERFLOW = 0x4000,
    CL_IN_IGNORED = 0x8000,
    CL_IN_ONLYDIR = 0x1000000
};

/// A non-blocking counter (eventfd(2)), 0 at first.
int cl_eventfd(void);

int cl_inotify_init(void);
int cl_inotify_add(int fd, const char *path, uint32_t mask);
int cl_inotify_remove(int fd, int watch);

int cl_pidfd_open(pid_t pid);
int cl_pidfd_send_signal(int pidfd, int signal);

/// Microseconds of CLOCK_REALTIME and of CLOCK_BOOTTIME.
int64_t cl_realtime(void);
int64_t cl_boottime(void);

/// nanosleep(2) with the least timer slack, once.
void cl_pause(int64_t microseconds);

int cl_getrandom(void *bytes, size_t count);
int cl_prctl_pdeathsig(int signal);
int cl_prctl_subreaper(void);

#endif
