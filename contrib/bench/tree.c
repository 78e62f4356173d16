// SPDX-License-Identifier: Apache-2.0
// A task that drops subtasks: tree DEPTH FAN end|wait DIRECTORY
// FAN units into $TASK_SUBMIT that run the same one level less deep; then it ends, or waits until all of
// them have. DIRECTORY has this program. At depth 0 it does nothing.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

static void put(const char *name, const char *text)
{
    int file = open(".new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    size_t length = strlen(text);
    if (file < 0 || write(file, text, length) != (ssize_t)length) die("write a unit");
    close(file);
    if (rename(".new", name) < 0) die("drop a unit");
}

int main(int argc, char **argv)
{
    if (argc != 5) return 2;
    int depth = atoi(argv[1]), fan = atoi(argv[2]);
    if (depth == 0) return 0;
    const char *submit = getenv("TASK_SUBMIT");
    if (submit == NULL || chdir(submit) < 0) die("enter $TASK_SUBMIT");
    char text[1024], name[32];
    snprintf(text, sizeof text,
             "[Jail]\nBindReadOnlyPaths=%s\n[Command]\ncommand=%s/tree\n[Args]\nargs=\"%d %d %s %s\"\n",
             argv[4], argv[4], depth - 1, fan, argv[3], argv[4]);
    for (int child = 0; child < fan; child++) {
        snprintf(name, sizeof name, "t%d.task", child);
        put(name, text);
    }
    if (strcmp(argv[3], "wait") != 0) return 0;
    put(".wait", "");
    struct timespec pause = {.tv_nsec = 1000000};
    while (access(".wait", F_OK) == 0) nanosleep(&pause, NULL);
    return access(".wait.reason", F_OK) == 0 ? 125 : 0;
}
