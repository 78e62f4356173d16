// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "cl_memory.h"

#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

void cl_memory_trim(void) { (void)malloc_trim(0); }

void cl_memory_map_large(void) { (void)mallopt(M_MMAP_THRESHOLD, 128 << 10); }

// Segments that are mapped from a file and were never written to (nothing of ours has text
// relocations), so that what is dropped is read again from the page cache. What the linker wrote to,
// read-only by now, belongs to a writable segment.
static int forget_code(struct dl_phdr_info *info, size_t size, void *argument) {
    (void)size;
    (void)argument;
    uintptr_t page = (uintptr_t)getpagesize() - 1;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_LOAD || header->p_flags & PF_W) continue;
        uintptr_t start = (info->dlpi_addr + header->p_vaddr) & ~page;
        uintptr_t end = (info->dlpi_addr + header->p_vaddr + header->p_filesz) & ~page;
        if (start < end) (void)madvise((void *)start, end - start, MADV_DONTNEED);
    }
    return 0;
}

void cl_memory_forget_code(void) { (void)dl_iterate_phdr(forget_code, NULL); }
