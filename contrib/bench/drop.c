// SPDX-License-Identifier: Apache-2.0
// A user of a spool, by nothing but files:
//   drop all SPOOL COUNT UNIT           COUNT copies of UNIT are moved in; the time ends when the
//                                       spool is empty again: every result is then durable
//   drop latency SPOOL COUNT UNIT FIFO STAMP
//                                       one at a time; UNIT runs `STAMP FIFO`. Prints µs from
//                                       rename to exec, p50 and p99, then those of posix_spawn
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

extern char **environ;

static char text[1 << 20];
static size_t length;

static void load(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t bytes = file < 0 ? -1 : read(file, text, sizeof text);
    if (bytes < 0) die("read the unit");
    length = (size_t)bytes;
    close(file);
}

// Writers of a spool build in tmp/ of the same file system; a name with a dot is never taken.
static void prepare(const char *name)
{
    int file = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0 || write(file, text, length) != (ssize_t)length) die("write a unit");
    close(file);
}

static void drop(int number)
{
    char from[64], to[64];
    snprintf(from, sizeof from, "incoming/.bench-%d", number);
    snprintf(to, sizeof to, "incoming/bench-%d.task", number);
    prepare(from);
    if (rename(from, to) < 0) die("drop a unit");
}

static int empty(const char *path)
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    int found = 0;
    if (directory == NULL) die("open a directory of the spool");
    while (!found && (entry = readdir(directory)) != NULL) found = entry->d_name[0] != '.';
    closedir(directory);
    return !found;
}

static void all(int count)
{
    static const char *const states[] = {"incoming", "tmp", "ready", "active", "deferred"};
    double begin = now(), deadline = begin + 60;
    for (int i = 0; i < count; i++) drop(i);
    for (size_t i = 0; i < sizeof states / sizeof *states;) {
        if (empty(states[i])) {
            i++;
            continue;
        }
        if (now() > deadline) {
            fprintf(stderr, "bench: err: %s/ is not empty after 60 s\n", states[i]);
            exit(1);
        }
        usleep(2000);
        i = 0;
    }
    if (!empty("failed") || !empty("rejected")) {
        fprintf(stderr, "bench: err: some tasks failed or were rejected\n");
        exit(1);
    }
    printf("%.1f -\n", count / (now() - begin));
}

static double stamped(int fifo, double begin)
{
    int64_t nanoseconds;
    struct pollfd poll_set = {.fd = fifo, .events = POLLIN};
    if (poll(&poll_set, 1, 10000) != 1) die("see the task run within 10 s");
    if (read(fifo, &nanoseconds, sizeof nanoseconds) != sizeof nanoseconds) die("read a stamp");
    return ((double)nanoseconds / 1e9 - begin) * 1e6;
}

static void latency(int count, const char *path, char *program)
{
    double *dropped = calloc((size_t)count, sizeof *dropped);
    double *spawned = calloc((size_t)count, sizeof *spawned);
    char *arguments[] = {program, (char *)path, NULL};
    int fifo = open(path, O_RDWR | O_CLOEXEC), status;
    pid_t pid;
    if (dropped == NULL || spawned == NULL || fifo < 0) die("open the FIFO");
    for (int i = 0; i < count; i++) {
        double begin = now();
        if (posix_spawn(&pid, program, NULL, NULL, arguments, environ) != 0) die("spawn");
        spawned[i] = stamped(fifo, begin);
        waitpid(pid, &status, 0);
        usleep(5000); // a lonely task: the daemons are asleep again
        char from[64], to[64];
        snprintf(from, sizeof from, "incoming/.bench-%d", i);
        snprintf(to, sizeof to, "incoming/bench-%d.task", i);
        prepare(from);
        begin = now();
        if (rename(from, to) < 0) die("drop a unit");
        dropped[i] = stamped(fifo, begin);
        usleep(20000);
    }
    size_t n = (size_t)count;
    printf("%.0f %.0f ", quantile(dropped, n, 0.5), quantile(dropped, n, 0.99));
    printf("%.0f %.0f\n", quantile(spawned, n, 0.5), quantile(spawned, n, 0.99));
}

int main(int argc, char **argv)
{
    if (argc < 5) return 2;
    load(argv[4]);
    if (chdir(argv[2]) < 0) die("enter the spool");
    if (strcmp(argv[1], "all") == 0) all(atoi(argv[3]));
    else if (argc == 7) latency(atoi(argv[3]), argv[5], argv[6]);
    else return 2;
    return 0;
}
