// SPDX-License-Identifier: Apache-2.0
#ifndef CL_MEMORY_H
#define CL_MEMORY_H

/// Gives freed heap back to the kernel (malloc_trim(3)).
void cl_memory_trim(void);

/// Maps each allocation of 128 KiB or more by itself for good (mallopt(3), M_MMAP_THRESHOLD). By default
/// the limit rises to the largest that was freed, 32 MiB at most.
void cl_memory_map_large(void);

/// Unmaps all code of the program and its libraries (madvise(2), MADV_DONTNEED): what runs again comes
/// back from the page cache, at a fault for some sixteen pages. A debugger's breakpoints are lost.
void cl_memory_forget_code(void);

#endif
