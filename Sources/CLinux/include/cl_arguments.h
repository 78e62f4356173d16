// SPDX-License-Identifier: Apache-2.0
// The program's arguments. Swift's own CommandLine reads them from /proc/self/cmdline: a process that may
// not open another descriptor finds none there, and a daemon that was told nothing would take its defaults.
#ifndef CL_ARGUMENTS_H
#define CL_ARGUMENTS_H

#include <stddef.h>

int cl_argument_count(void);
/// NULL beyond the last.
const char *cl_argument(int index);

#endif
