// SPDX-License-Identifier: Apache-2.0
// What the machine itself takes, in µs (medians), so that two tables can be compared:
//   primitives DIRECTORY     a mount namespace made and destroyed, tmpfs mount, umount, and one
//                            record appended and synced in DIRECTORY (growing; filled ahead)
// The first three need root and are `-` without.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define ROUNDS 200

static double took[ROUNDS];

static void namespaces(void)
{
    if (unshare(CLONE_NEWNS) < 0) {
        printf("mount-ns - mount - umount - ");
        return;
    }
    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        double begin = now();
        if (unshare(CLONE_NEWNS) < 0) die("unshare"); // makes one, leaves the one before
        took[i] = (now() - begin) * 1e6;
    }
    printf("mount-ns %.0f ", quantile(took, ROUNDS, 0.5));
    static double undone[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        double begin = now();
        if (mount("none", "/mnt", "tmpfs", 0, "size=64k") < 0) die("mount");
        double middle = now();
        if (umount2("/mnt", 0) < 0) die("umount");
        took[i] = (middle - begin) * 1e6;
        undone[i] = (now() - middle) * 1e6;
    }
    printf("mount %.0f umount %.0f ", quantile(took, ROUNDS, 0.5), quantile(undone, ROUNDS, 0.5));
}

static void sync_records(const char *directory, const char *name, int fill)
{
    static char block[1 << 16], record[160];
    char path[512];
    snprintf(path, sizeof path, "%s/primitives-%d", directory, getpid());
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) die("create a file");
    unlink(path);
    memset(record, 'x', sizeof record);
    if (fill && (write(file, block, sizeof block) < 0 || fsync(file) < 0)) die("fill a file");
    for (int i = 0; i < ROUNDS; i++) {
        double begin = now();
        if (pwrite(file, record, sizeof record, (off_t)(sizeof record) * i) < 0) die("write");
        if (fdatasync(file) < 0) die("fdatasync");
        took[i] = (now() - begin) * 1e6;
    }
    double middle = quantile(took, ROUNDS, 0.5);
    printf("%s %.0f (p99 %.0f) ", name, middle, quantile(took, ROUNDS, 0.99));
    close(file);
}

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    sync_records(argv[1], "fdatasync", 0);
    sync_records(argv[1], "fdatasync-filled", 1);
    namespaces();
    printf("\n");
    return 0;
}
