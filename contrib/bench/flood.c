// SPDX-License-Identifier: Apache-2.0
// A flood of drops, and what it is measured beside:
//   flood make DIRECTORY COUNT FILE    COUNT copies of FILE: flood-0.task …
//   flood plans DIRECTORY COUNT FILE   COUNT copies of a plan under ids of their own
//   flood follow SPOOL SEGMENT ACCEPTS SECONDS
//                                      reads the journal from that segment on until it has so many
//                                      accepts (0: a start), or the time is over. Prints their rate
//                                      (from the first one on), seconds until the first start, starts
//   flood c DIRECTORY FILE             what taskd must do at least for each drop in DIRECTORY/incoming,
//                                      in C: lease, read, rename, write FILE as the plan, rename, a
//                                      record; fdatasync and unlink a group of 80. Prints the rate
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

enum { GROUP = 80, RECORD = 512 };

static char text[1 << 20];
static size_t length;

static void load(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t bytes = file < 0 ? -1 : read(file, text, sizeof text);
    if (bytes < 0) die("read the file");
    length = (size_t)bytes;
    close(file);
}

static void put(int directory, const char *name)
{
    int file = openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0 || write(file, text, length) != (ssize_t)length) die("write a file");
    close(file);
}

static void make(const char *path, int count, const char *format)
{
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char name[64];
    if (directory < 0) die("open the directory");
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, format, i);
        put(directory, name);
    }
}

// ---- the journal, as it grows

static int opened(int directory, const char *stem)
{
    static const char *const ends[] = {".open", ".sealed"};
    char name[160];
    for (size_t i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s%s", stem, ends[i]);
        int file = openat(directory, name, O_RDONLY | O_CLOEXEC);
        if (file >= 0) return file;
    }
    return -1;
}

static int count(const char *line, const char *end, const char *verb)
{
    int spaces = 0; // CRC LENGTH SEQ MICROSECONDS VERB
    while (line < end && spaces < 4) spaces += *line++ == ' ';
    return (size_t)(end - line) > strlen(verb) && memcmp(line, verb, strlen(verb)) == 0;
}

static void follow(const char *spool, const char *segment, int wanted, double seconds)
{
    static char part[1 << 20];
    char stem[128];
    double begin = now(), first = 0, last = 0, start = -1;
    int accepts = 0, starts = 0, file = -1, number = 1, directory;
    size_t kept = 0;
    off_t at = 0;
    if (chdir(spool) < 0 || (directory = open("journal", O_RDONLY | O_DIRECTORY)) < 0) die("enter the spool");
    while ((wanted > 0 ? accepts < wanted : starts == 0) && now() - begin < seconds) {
        snprintf(stem, sizeof stem, "%s%06d", segment, number);
        if (file < 0 && (file = opened(directory, stem)) < 0) {
            usleep(500);
            continue;
        }
        ssize_t got = pread(file, part + kept, sizeof part - kept, at);
        char *zero = got > 0 ? memchr(part + kept, 0, (size_t)got) : NULL;
        if (zero != NULL) got = zero - (part + kept);
        if (got <= 0) {
            snprintf(stem, sizeof stem, "%s%06d", segment, number + 1);
            int next = opened(directory, stem);
            if (next >= 0) {
                close(file);
                file = next, number++, at = 0, kept = 0;
            } else usleep(500);
            continue;
        }
        at += got;
        char *line = part, *end = part + kept + got, *stop;
        while ((stop = memchr(line, '\n', (size_t)(end - line))) != NULL) {
            if (count(line, stop, "accept ")) {
                last = now();
                if (accepts++ == 0) first = last;
            } else if (count(line, stop, "start ")) {
                if (starts++ == 0) start = now() - begin;
            }
            line = stop + 1;
        }
        kept = (size_t)(end - line);
        memmove(part, line, kept);
    }
    printf("%.0f %.2f %d\n", accepts > 1 ? accepts / (last - first) : 0, start, starts);
}

// ---- the same by hand

static void by_hand(const char *path)
{
    static char names[GROUP][256], records[GROUP * RECORD];
    int done = 0, group = 0, journal;
    struct dirent *entry;
    struct stat status;
    char place[300];
    if (chdir(path) < 0) die("enter the directory");
    mkdir("tmp", 0700), mkdir("ready", 0700);
    journal = open("journal", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    DIR *incoming = opendir("incoming");
    if (incoming == NULL || journal < 0) die("open the directory");
    memset(records, 'x', sizeof records);
    double begin = now();
    do {
        entry = readdir(incoming);
        if (entry != NULL && entry->d_name[0] != '.') {
            int file = openat(dirfd(incoming), entry->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
            static char drop[1 << 14];
            if (file < 0 || fstat(file, &status) < 0) die("open a drop");
            if (fcntl(file, F_SETLEASE, F_RDLCK) < 0 || read(file, drop, sizeof drop) < 0) die("read a drop");
            close(file);
            snprintf(names[group], sizeof names[group], "tmp/%.200s", entry->d_name);
            if (renameat(dirfd(incoming), entry->d_name, AT_FDCWD, names[group]) < 0) die("take a drop");
            put(AT_FDCWD, "tmp/.plan");
            snprintf(place, sizeof place, "ready/%.200s", entry->d_name);
            if (rename("tmp/.plan", place) < 0) die("publish a plan");
            group++, done++;
        }
        if (group == GROUP || (entry == NULL && group > 0)) {
            if (write(journal, records, (size_t)group * RECORD) < 0 || fdatasync(journal) < 0) die("write the journal");
            for (int i = 0; i < group; i++) unlink(names[i]);
            group = 0;
        }
    } while (entry != NULL);
    printf("%.0f\n", done / (now() - begin));
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "make") == 0) {
        load(argv[4]);
        make(argv[2], atoi(argv[3]), "flood-%d.task");
    } else if (argc == 5 && strcmp(argv[1], "plans") == 0) {
        load(argv[4]);
        make(argv[2], atoi(argv[3]), "01hzy3v7k8m2n4p6q8r%07d");
    } else if (argc == 6 && strcmp(argv[1], "follow") == 0) {
        follow(argv[2], argv[3], atoi(argv[4]), atof(argv[5]));
    } else if (argc == 4 && strcmp(argv[1], "c") == 0) {
        load(argv[3]);
        by_hand(argv[2]);
    } else {
        return 2;
    }
    return 0;
}
