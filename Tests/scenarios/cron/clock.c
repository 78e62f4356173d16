// SPDX-License-Identifier: Apache-2.0
// clock - a preloaded library: the time of day is ahead by the seconds that stand in the file $TEST_CLOCK, which may be changed
// at any time in place (dd conv=notrunc). CLOCK_BOOTTIME and CLOCK_MONOTONIC are the machine's. Only the tests have it.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static const char *text;

__attribute__((constructor)) static void open_clock(void) {
    const char *path = getenv("TEST_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *map = mmap(NULL, 32, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (map != MAP_FAILED) text = map;
}

static long ahead(void) { return text ? strtol(text, NULL, 10) : 0; }

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && clock == CLOCK_REALTIME) now->tv_sec += ahead();
    return result;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *when, struct itimerspec *old) {
    struct itimerspec moved = *when;
    if (flags & TFD_TIMER_CANCEL_ON_SET) {
        moved.it_value.tv_sec -= ahead();
        if (moved.it_value.tv_sec < 0) moved.it_value = (struct timespec){.tv_nsec = 1};
    }
    return (int)syscall(SYS_timerfd_settime, fd, flags, &moved, old);
}
