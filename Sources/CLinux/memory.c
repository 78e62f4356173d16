// SPDX-License-Identifier: Apache-2.0
#include "cl_memory.h"

#include <malloc.h>

void cl_memory_trim(void) { (void)malloc_trim(0); }
