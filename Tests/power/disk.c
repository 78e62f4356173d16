// SPDX-License-Identifier: Apache-2.0
#include "disk.h"
#include <stdlib.h>
#include <string.h>

static void *need(void *memory) {
    if (!memory) abort();
    return memory;
}

static void image_init(struct image *image, size_t count) {
    image->count = count;
    image->pages = need(calloc(count, sizeof *image->pages));
}
static void drop(struct page *page) {
    if (page && --page->refs == 0) free(page);
}
// `to` becomes the same as `from`: pages are shared until one is written.
static void image_copy(struct image *to, const struct image *from) {
    for (size_t i = 0; i < from->count; i++) {
        struct page *page = from->pages[i];
        if (page == to->pages[i]) continue;
        if (page) page->refs++;
        drop(to->pages[i]);
        to->pages[i] = page;
    }
}
static uint8_t *own(struct image *image, size_t number) {
    struct page *old = image->pages[number];
    if (old && old->refs == 1) return old->data;
    struct page *page = need(malloc(sizeof *page));
    page->refs = 1;
    if (old) memcpy(page->data, old->data, PAGE); else memset(page->data, 0, PAGE);
    drop(old);
    image->pages[number] = page;
    return page->data;
}
// Without data these are zeros.
static void image_write(struct image *image, uint64_t offset, size_t size, const uint8_t *data) {
    for (size_t done = 0, part; done < size; done += part) {
        size_t number = (offset + done) / PAGE, within = (offset + done) % PAGE;
        part = PAGE - within < size - done ? PAGE - within : size - done;
        if (number >= image->count) return;
        if (!data && part == PAGE) { drop(image->pages[number]); image->pages[number] = NULL; continue; }
        uint8_t *to = own(image, number) + within;
        if (data) memcpy(to, data + done, part); else memset(to, 0, part);
    }
}
static void apply(struct image *image, const struct entry *entry) {
    if (entry->kind == WRITE || entry->kind == ZERO) image_write(image, entry->offset, entry->size, entry->data);
}

void disk_init(struct disk *disk, uint64_t bytes) {
    memset(disk, 0, sizeof *disk);
    image_init(&disk->base, bytes / PAGE);
    image_init(&disk->live, bytes / PAGE);
    image_init(&disk->settled, bytes / PAGE);
}

void disk_read(const struct disk *disk, uint64_t offset, size_t size, uint8_t *to) {
    for (size_t done = 0, part; done < size; done += part) {
        size_t number = (offset + done) / PAGE, within = (offset + done) % PAGE;
        part = PAGE - within < size - done ? PAGE - within : size - done;
        const struct page *page = number < disk->live.count ? disk->live.pages[number] : NULL;
        if (page) memcpy(to + done, page->data + within, part); else memset(to + done, 0, part);
    }
}

void disk_append(struct disk *disk, enum kind kind, uint64_t offset, size_t size, const uint8_t *data) {
    if (disk->count == disk->room) {
        disk->room = disk->room ? 2 * disk->room : 1024;
        disk->log = need(realloc(disk->log, disk->room * sizeof *disk->log));
    }
    struct entry *entry = &disk->log[disk->count++];
    *entry = (struct entry){kind, offset, (uint32_t)size, NULL};
    if (data) {
        entry->data = need(malloc(size ? size : 1));
        memcpy(entry->data, data, size);
    }
    apply(&disk->live, entry);
}

static void clear_log(struct disk *disk) {
    for (size_t i = 0; i < disk->count; i++) free(disk->log[i].data);
    disk->count = 0;
    disk->settled_at = 0;
}
void disk_begin(struct disk *disk) {
    clear_log(disk);
    image_copy(&disk->base, &disk->live);
    image_copy(&disk->settled, &disk->live);
}

// ---- cuts

static uint64_t next(uint64_t *state) { // splitmix64
    uint64_t z = (*state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

// What a flush before `at` covers is in `settled`.
static void settle(struct disk *disk, size_t at) {
    if (at < disk->settled_at) {
        image_copy(&disk->settled, &disk->base);
        disk->settled_at = 0;
    }
    size_t end = at;
    while (end > disk->settled_at && disk->log[end - 1].kind != FLUSH) end--;
    for (; disk->settled_at < end; disk->settled_at++) apply(&disk->settled, &disk->log[disk->settled_at]);
}

// Some sectors of a write arrive: a beginning, or any.
static void tear(struct image *image, const struct entry *entry, uint32_t sector, uint64_t *state) {
    uint64_t count = (entry->size + sector - 1) / sector, first = next(state) % count;
    int scattered = next(state) & 1;
    for (uint64_t i = 0; i < count; i++) {
        if (scattered ? next(state) & 1 : i >= first) continue;
        size_t at = i * sector, size = entry->size - at < sector ? entry->size - at : sector;
        image_write(image, entry->offset + at, size, entry->data ? entry->data + at : NULL);
    }
}

static size_t pending(const struct disk *disk, size_t from, size_t to) {
    size_t count = 0;
    for (; from < to; from++) count += disk->log[from].kind == WRITE || disk->log[from].kind == ZERO;
    return count;
}

int disk_cut(struct disk *from, struct disk *to, const struct cut *cut, char *words, size_t room) {
    static const char *const modes[] = {"none", "all", "prefix", "subset", "one"};
    int mode = 0;
    while (mode < 5 && strcmp(cut->mode, modes[mode])) mode++;
    if (mode == 5 || cut->at > from->count || cut->sector < 512 || cut->sector > PAGE) return -1;
    settle(from, cut->at);
    uint64_t state = cut->seed;
    size_t count = pending(from, from->settled_at, cut->at), number = 0, kept = 0, torn = 0;
    size_t chosen = count ? next(&state) % count : 0; // of prefix and one
    unsigned share = (unsigned[]){10, 50, 90}[next(&state) % 3];
    struct image image;
    image_init(&image, from->base.count);
    image_copy(&image, &from->settled);
    for (size_t i = from->settled_at; i < cut->at; i++) {
        const struct entry *entry = &from->log[i];
        if (entry->kind != WRITE && entry->kind != ZERO) continue;
        int whole = mode == 1 || (mode == 2 && number < chosen) || (mode == 3 && next(&state) % 100 < share) ||
                    (mode == 4 && number != chosen);
        int half = (mode == 2 && number == chosen) || (mode == 4 && number == chosen && next(&state) & 1) ||
                   (mode == 3 && next(&state) % 4 == 0);
        number++;
        if (half && entry->size > cut->sector) tear(&image, entry, cut->sector, &state), torn++;
        else if (whole) apply(&image, entry), kept++;
    }
    snprintf(words, room, "%zu of %zu unflushed writes, %zu torn", kept, count, torn);
    image_copy(&to->live, &image);
    for (size_t i = 0; i < image.count; i++) drop(image.pages[i]);
    free(image.pages);
    disk_begin(to);
    return 0;
}

void disk_list(const struct disk *disk, FILE *to) {
    static const char *const names[] = {"write", "zero", "flush", "mark"};
    for (size_t i = 0; i < disk->count; i++) {
        const struct entry *entry = &disk->log[i];
        if (entry->kind == MARK) fprintf(to, "%zu mark %.*s\n", i, (int)entry->size, entry->data);
        else fprintf(to, "%zu %s %llu %u\n", i, names[entry->kind], (unsigned long long)entry->offset, entry->size);
    }
}
