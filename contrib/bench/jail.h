// SPDX-License-Identifier: Apache-2.0
#ifndef JAIL_H
#define JAIL_H

#include <linux/filter.h>

// Runs in the new namespaces as pid 1: builds the whole jail, runs argv in it, never returns.
// DIR holds the program and appears at /run/task/dir.
_Noreturn void jail_fresh(char **argv, const char *dir, const struct sock_fprog *filter);

// The last steps before exec: no new privileges and the filter. 0, or the step that failed.
int jail_confine(const struct sock_fprog *filter);

#endif
