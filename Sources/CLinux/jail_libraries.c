// SPDX-License-Identifier: Apache-2.0
// Libraries of the program that the launcher does not call: they are unmapped there.
#define _GNU_SOURCE
#include <link.h>
#include <string.h>
#include <sys/mman.h>

#include "jail_internal.h"

// Every mapping is copied and torn down with every jail, and half of them are such libraries.
static const char *const foreign[] = {"libstdc++.so", "libm.so", "libgcc_s.so", "libyaml-",
                                      "libseccomp.so"};

struct range {
    uintptr_t start, end;
};

struct ranges {
    int seen, is_bound, count;
    struct range list[8];
};

// A symbol that is still to be looked up would be looked for in all libraries.
static int binds_now(const struct dl_phdr_info *info) {
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_DYNAMIC) continue;
        const ElfW(Dyn) *entry = (const void *)(info->dlpi_addr + header->p_vaddr);
        for (; entry->d_tag != DT_NULL; entry++) {
            if (entry->d_tag == DT_FLAGS && entry->d_un.d_val & DF_BIND_NOW) return 1;
            if (entry->d_tag == DT_FLAGS_1 && entry->d_un.d_val & DF_1_NOW) return 1;
        }
    }
    return 0;
}

static int is_foreign(const char *path) {
    const char *slash = strrchr(path, '/');
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (!strncmp(slash ? slash + 1 : path, foreign[i], strlen(foreign[i]))) return 1;
    return 0;
}

static struct range range_of(const struct dl_phdr_info *info) {
    struct range range = {UINTPTR_MAX, 0};
    uintptr_t page = (uintptr_t)getpagesize() - 1;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_LOAD) continue;
        uintptr_t start = (info->dlpi_addr + header->p_vaddr) & ~page;
        uintptr_t end = (info->dlpi_addr + header->p_vaddr + header->p_memsz + page) & ~page;
        if (start < range.start) range.start = start;
        if (end > range.end) range.end = end;
    }
    return range;
}

static int collect(struct dl_phdr_info *info, size_t size, void *argument) {
    (void)size;
    struct ranges *ranges = argument;
    if (!ranges->seen++) ranges->is_bound = binds_now(info);  // the program comes first
    else if (is_foreign(info->dlpi_name) && ranges->count < 8)
        ranges->list[ranges->count++] = range_of(info);
    return 0;
}

void jail_shed_libraries(void) {
    struct ranges ranges = {0};
    (void)dl_iterate_phdr(collect, &ranges);
    for (int i = 0; ranges.is_bound && i < ranges.count; i++)
        (void)munmap((void *)ranges.list[i].start, ranges.list[i].end - ranges.list[i].start);
}
