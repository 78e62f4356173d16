// SPDX-License-Identifier: Apache-2.0
#ifndef CL_MEMORY_H
#define CL_MEMORY_H

/// Gives freed heap back to the kernel (malloc_trim(3)).
void cl_memory_trim(void);

#endif
