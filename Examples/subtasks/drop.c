// SPDX-License-Identifier: Apache-2.0
// Drops three subtasks. A name that begins with a dot is no drop: the rename makes it one, whole.
#include <stdio.h>
#include <stdlib.h>

static int drop(const char *directory, int part) {
    char hidden[4096], name[4096];
    snprintf(hidden, sizeof hidden, "%s/.part%d.task", directory, part);
    snprintf(name, sizeof name, "%s/part%d.task", directory, part);
    FILE *file = fopen(hidden, "w");
    if (!file) return -1;
    fprintf(file, "[Args]\nargs=part %d\n[Command]\ncommand=echo\n", part);
    return fclose(file) || rename(hidden, name) ? -1 : 0;
}

int main(void) {
    const char *directory = getenv("TASK_SUBMIT");
    for (int part = 1; directory && part <= 3; part++) {
        if (drop(directory, part) == 0) continue;
        perror("drop");
        return 1;
    }
    return directory ? 0 : 1;
}
