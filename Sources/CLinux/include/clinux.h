// SPDX-License-Identifier: Apache-2.0
// What Swift cannot say of Linux: structures, flag words and calls that Glibc's module lacks.
// Functions return -1 and leave errno, as system calls do, unless they say otherwise.
#ifndef CLINUX_H
#define CLINUX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cl_arguments.h"
#include "cl_loop.h"
#include "cl_files.h"
#include "cl_sync.h"
#include "cl_quota.h"
#include "cl_socket.h"
#include "cl_spawn.h"
#include "cl_checksum.h"
#include "cl_memory.h"
#include "cl_owner.h"
#include "cl_jail.h"

#endif
