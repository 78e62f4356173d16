// SPDX-License-Identifier: Apache-2.0
#ifndef CL_MEMORY_H
#define CL_MEMORY_H

/// Gives freed heap back to the kernel (malloc_trim(3)).
void cl_memory_trim(void);

/// Unmaps all code of the program and its libraries (madvise(2), MADV_DONTNEED): what runs again comes
/// back from the page cache, at a fault for some sixteen pages. A debugger's breakpoints are lost.
void cl_memory_forget_code(void);

#endif
