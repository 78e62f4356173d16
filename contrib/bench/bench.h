// SPDX-License-Identifier: Apache-2.0
// What the C programs of the bench share. All print `TASKS-PER-SECOND CPU-MICROSECONDS-PER-TASK`.
#ifndef BENCH_H
#define BENCH_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static inline void die(const char *what)
{
    fprintf(stderr, "bench: err: unable to %s: %s\n", what, strerror(errno));
    exit(1);
}

static inline double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec / 1e6; }

// User and system time of this process and of all children that were waited for.
static inline double cpu(void)
{
    struct rusage self, children;
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    return seconds(self.ru_utime) + seconds(self.ru_stime) + seconds(children.ru_utime) +
           seconds(children.ru_stime);
}

static inline int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static inline double quantile(double *values, size_t count, double q)
{
    qsort(values, count, sizeof *values, ascending);
    return values[(size_t)((double)(count - 1) * q)];
}

#endif
