// SPDX-License-Identifier: Apache-2.0
#include "cl_arguments.h"

static int count;
static char *const *words;

// glibc calls constructors with what main gets.
__attribute__((constructor)) static void keep(int argc, char **argv, char **envp) {
    (void)envp;
    count = argc;
    words = argv;
}

int cl_argument_count(void) { return count; }
const char *cl_argument(int index) { return index >= 0 && index < count ? words[index] : NULL; }
