// SPDX-License-Identifier: Apache-2.0
// The oom_score_adj of a jail is inherited from L: to write it in the jail, below a /proc that was just
// mounted, takes five times as long. L has it for the moment of the clone, too short for anybody to run
// out of memory on its account.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>

#include "jail_internal.h"

static struct {
    int fd;
    char own[16];  // empty: not known
} oom;

// /proc/self belongs to root while the process is not dumpable, and an ordinary user is not root.
void jail_oom_open(int to) {
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (fd < 0) return;
    if (fd != to) {
        (void)dup3(fd, to, O_CLOEXEC);
        close(fd);
    }
    oom.fd = to;
    ssize_t got = pread(to, oom.own, sizeof oom.own - 1, 0);
    oom.own[got < 0 ? 0 : got] = 0;
}

int jail_oom_adjust(const struct jail *j) {
    const struct cl_jail_step *s = &j->steps[j->request->init.first];
    if (!oom.own[0]) return ENOENT;
    return pwrite(oom.fd, jail_text(j, s->data), s->size, 0) < 0 ? errno : 0;
}

void jail_oom_own(void) {
    int error = errno;
    (void)!pwrite(oom.fd, oom.own, strlen(oom.own), 0);
    errno = error;
}
