// SPDX-License-Identifier: Apache-2.0
// Drops three subtasks, sleeps until they have ended, and says how.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

// A name that begins with a dot is no drop: the rename makes it one, whole.
static int put(const char *name, const char *text) {
    FILE *file = fopen(".new", "w");
    if (!file) return -1;
    fputs(text, file);
    return fclose(file) || rename(".new", name) ? -1 : 0;
}

int main(void) {
    const char *directory = getenv("TASK_SUBMIT");
    char name[64], text[256];
    if (!directory || chdir(directory) < 0) return 1;
    for (int part = 1; part <= 3; part++) {
        snprintf(name, sizeof name, "part%d.task", part);
        snprintf(text, sizeof text, "[Args]\nargs=part %d\n[Command]\ncommand=echo\n", part);
        if (put(name, text) < 0) return perror(name), 1;
    }
    if (put(".wait", "") < 0) return perror(".wait"), 1;  // no name: all
    struct timespec pause = {.tv_nsec = 50000000};
    while (access(".wait", F_OK) == 0) nanosleep(&pause, NULL);
    for (int part = 1; part <= 3; part++) {
        snprintf(name, sizeof name, "part%d.task.end", part);
        FILE *file = fopen(name, "r");
        if (!file || fscanf(file, "%255s", text) != 1) return perror(name), 1;
        printf("part%d.task %s\n", part, text);
        fclose(file);
    }
    return 0;
}
