// SPDX-License-Identifier: Apache-2.0
// A disk with a volatile cache: what was written, in order, and what may be there after a power failure.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { PAGE = 4096 };

// 4 KiB that several images may share; absent ones are zeros.
struct page { int refs; uint8_t data[PAGE]; };
struct image { struct page **pages; size_t count; };

enum kind { WRITE, ZERO, FLUSH, MARK };
struct entry { enum kind kind; uint64_t offset; uint32_t size; uint8_t *data; };

struct disk {
    struct image base;          // what was durable when the log began
    struct image live;          // what the file system sees
    struct entry *log;
    size_t count, room;
    struct image settled;       // base and the log up to the last flush before settled_at
    size_t settled_at;
};

// How much of what no flush covers is kept by a cut.
struct cut {
    size_t at;                  // entries before this one have arrived
    char mode[16];              // none, all, prefix, subset, one
    uint64_t seed;
    uint32_t sector;            // what is written whole or not at all, in bytes; PAGE or a divisor of it
};

void disk_init(struct disk *disk, uint64_t bytes);
void disk_read(const struct disk *disk, uint64_t offset, size_t size, uint8_t *to);
// Each appends to the log; WRITE and ZERO change `live` as well.
void disk_append(struct disk *disk, enum kind kind, uint64_t offset, size_t size, const uint8_t *data);
// What is there now is durable; the log begins.
void disk_begin(struct disk *disk);
// `live` of `to` becomes what a power failure may leave of `from`; the log of `to` begins. They may be the same.
// Says in words what was kept; -1 where the mode or the position is none.
int disk_cut(struct disk *from, struct disk *to, const struct cut *cut, char *words, size_t room);
void disk_list(const struct disk *disk, FILE *to);
