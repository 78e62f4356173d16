// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "clinux.h"

// More wait at the same flush for nothing; each costs some 10 µs.
enum { most_threads = 32, stack_size = 128 << 10 };

struct work {
    const int *fds;
    int count;
    atomic_int next;
    pthread_mutex_t lock;
    int failed; // count: none
    int error;
};

static void *sync_some(void *argument) {
    struct work *work = argument;
    for (;;) {
        int at = atomic_fetch_add(&work->next, 1);
        if (at >= work->count) return NULL;
        if (fsync(work->fds[at]) == 0) continue;
        int error = errno;
        pthread_mutex_lock(&work->lock);
        if (at < work->failed) {
            work->failed = at;
            work->error = error;
        }
        pthread_mutex_unlock(&work->lock);
    }
}

int cl_fsync_all(const int *fds, int count, int *failed) {
    struct work work = {
        .fds = fds, .count = count, .failed = count, .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t threads[most_threads];
    int started = 0;
    pthread_attr_t attributes;
    if (count > 1 && pthread_attr_init(&attributes) == 0) {
        pthread_attr_setstacksize(&attributes, stack_size);
        int wanted = count - 1 < most_threads ? count - 1 : most_threads;
        while (started < wanted
            && pthread_create(&threads[started], &attributes, sync_some, &work) == 0)
            started++;
        pthread_attr_destroy(&attributes);
    }
    // This thread does what no other does: all of it, where none could be started.
    sync_some(&work);
    for (int i = 0; i < started; i++) pthread_join(threads[i], NULL);
    if (work.failed == count) return 0;
    *failed = work.failed;
    errno = work.error;
    return -1;
}
