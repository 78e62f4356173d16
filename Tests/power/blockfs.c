// SPDX-License-Identifier: Apache-2.0
// blockfs - a disk that remembers the order of its writes and flushes, and what a power failure may leave of them.
// usage: blockfs DIRECTORY BYTES
// Mounts three files (FUSE, by the kernel's protocol alone) and serves them until DIRECTORY is unmounted or its parent ends:
//   disk   the disk: for a loop device, which passes each flush on as fsync(2), each FUA as write and flush
//   mark   what is written here is put into the log between the writes
//   ctl    takes a command a write; after it, reading gives the answer
//     begin                     what is there is durable, the log begins
//     freeze                    the recording is kept from now on; what is written goes to a second log
//     list | list2              the recording or the second log, an entry a line: NUMBER write|zero|flush|mark …
//     cut AT MODE SEED SECTOR   the disk becomes what a power failure before entry AT of the recording may leave
//     again AT MODE SEED SECTOR the same of the second log: a power failure in the recovery after a cut
#define _GNU_SOURCE
#include "disk.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { ROOT = 1, DISK, MARKS, CTL, LONGEST = 1 << 20 };
static const char *const names[] = {NULL, NULL, "disk", "mark", "ctl"};

static struct disk recording, present;
static struct disk *now = &recording; // where writes go
static uint64_t bytes;
static char *answer;
static size_t answer_size;
static int device;

static void reply(const struct fuse_in_header *in, int error, const void *data, size_t size) {
    struct fuse_out_header out = {sizeof out + (error ? 0 : (uint32_t)size), -error, in->unique};
    struct iovec parts[] = {{&out, sizeof out}, {(void *)data, error ? 0 : size}};
    if (writev(device, parts, 2) < 0 && errno != ENOENT && errno != ENODEV) perror("blockfs: reply");
}

static struct fuse_attr attributes(uint64_t node) {
    struct fuse_attr attr = {.ino = node, .nlink = 1, .blksize = PAGE};
    attr.mode = node == ROOT ? S_IFDIR | 0700 : S_IFREG | 0600;
    attr.size = node == DISK ? bytes : node == CTL ? answer_size : 0;
    attr.blocks = attr.size / 512;
    return attr;
}

// ---- commands

static void say(const char *words) {
    free(answer);
    answer = strdup(words);
    answer_size = answer ? strlen(answer) : 0;
}
static int list(const struct disk *disk) {
    free(answer);
    answer = NULL;
    FILE *to = open_memstream(&answer, &answer_size);
    if (!to) return ENOMEM;
    disk_list(disk, to);
    return fclose(to) ? ENOMEM : 0;
}
static int command(const char *text) {
    struct cut cut;
    char words[128] = "";
    unsigned long long seed;
    char verb[16];
    if (sscanf(text, "%15s", verb) != 1) return EINVAL;
    if (!strcmp(verb, "list")) return list(&recording);
    if (!strcmp(verb, "list2")) return list(&present);
    if (!strcmp(verb, "begin")) { disk_begin(&recording); now = &recording; return say("begun"), 0; }
    if (!strcmp(verb, "freeze")) {
        struct cut whole = {.at = recording.count, .mode = "all", .sector = 512};
        if (disk_cut(&recording, &present, &whole, words, sizeof words)) return EINVAL;
        return now = &present, say("frozen"), 0;
    }
    if (sscanf(text, "%15s %zu %15s %llu %u", verb, &cut.at, cut.mode, &seed, &cut.sector) != 5) return EINVAL;
    cut.seed = seed;
    struct disk *from = !strcmp(verb, "cut") ? &recording : !strcmp(verb, "again") ? &present : NULL;
    if (!from || now != &present || disk_cut(from, &present, &cut, words, sizeof words)) return EINVAL;
    return say(words), 0;
}

// ---- requests

static void start(const struct fuse_in_header *in, const struct fuse_init_in *init) {
    struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION,
        .max_readahead = 0, .max_background = 64, .congestion_threshold = 48, .max_write = LONGEST, .time_gran = 1,
        .max_pages = LONGEST / PAGE};
    if (init->minor < out.minor) out.minor = init->minor;
    out.flags = init->flags & (FUSE_BIG_WRITES | FUSE_MAX_PAGES | FUSE_ASYNC_READ);
    reply(in, 0, &out, sizeof out);
}
static void look_up(const struct fuse_in_header *in, const char *name) {
    struct fuse_entry_out out = {.entry_valid = 1000};
    for (uint64_t node = DISK; node <= CTL; node++)
        if (!strcmp(name, names[node])) out.nodeid = node;
    out.attr = attributes(out.nodeid);
    reply(in, out.nodeid ? 0 : ENOENT, &out, sizeof out);
}
static void read_some(const struct fuse_in_header *in, const struct fuse_read_in *read, uint8_t *buffer) {
    size_t end = in->nodeid == DISK ? bytes : answer_size;
    size_t size = read->offset >= end ? 0 : end - read->offset < read->size ? end - read->offset : read->size;
    if (in->nodeid == DISK) disk_read(now, read->offset, size, buffer);
    else if (in->nodeid == CTL && size) memcpy(buffer, answer + read->offset, size);
    else size = 0;
    reply(in, 0, buffer, size);
}
static void write_some(const struct fuse_in_header *in, const struct fuse_write_in *write, const uint8_t *data) {
    struct fuse_write_out out = {.size = write->size};
    char text[256];
    int error = 0;
    switch (in->nodeid) {
    case DISK: disk_append(now, WRITE, write->offset, write->size, data); break;
    case MARKS: disk_append(now, MARK, 0, write->size, data); break;
    default:
        snprintf(text, sizeof text, "%.*s", (int)write->size, (const char *)data);
        error = command(text);
    }
    reply(in, error, &out, sizeof out);
}
static void allocate(const struct fuse_in_header *in, const struct fuse_fallocate_in *range) {
    if (in->nodeid != DISK || !(range->mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))) return reply(in, EOPNOTSUPP, NULL, 0);
    for (uint64_t done = 0; done < range->length; done += 1u << 30) {
        uint64_t rest = range->length - done;
        disk_append(now, ZERO, range->offset + done, rest < 1u << 30 ? rest : 1u << 30, NULL);
    }
    reply(in, 0, NULL, 0);
}
static void serve(const struct fuse_in_header *in, const void *body, uint8_t *buffer) {
    struct fuse_attr_out attr = {.attr = attributes(in->nodeid)};
    struct fuse_open_out open = {.open_flags = FOPEN_DIRECT_IO};
    struct fuse_statfs_out statfs = {.st = {.bsize = PAGE, .frsize = PAGE, .namelen = 255}};
    switch (in->opcode) {
    case FUSE_INIT: return start(in, body);
    case FUSE_LOOKUP: return look_up(in, body);
    case FUSE_GETATTR: case FUSE_SETATTR: return reply(in, 0, &attr, sizeof attr);
    case FUSE_OPEN: case FUSE_OPENDIR: return reply(in, 0, &open, sizeof open);
    case FUSE_READ: return read_some(in, body, buffer);
    case FUSE_WRITE: return write_some(in, body, (const uint8_t *)body + sizeof(struct fuse_write_in));
    case FUSE_FALLOCATE: return allocate(in, body);
    case FUSE_FSYNC:
        if (in->nodeid == DISK) disk_append(now, FLUSH, 0, 0, NULL);
        return reply(in, 0, NULL, 0);
    case FUSE_STATFS: return reply(in, 0, &statfs, sizeof statfs);
    case FUSE_FLUSH: case FUSE_RELEASE: case FUSE_RELEASEDIR: case FUSE_READDIR: case FUSE_DESTROY:
        return reply(in, 0, NULL, 0);
    case FUSE_FORGET: case FUSE_BATCH_FORGET: case FUSE_INTERRUPT: return;
    default: return reply(in, ENOSYS, NULL, 0);
    }
}

int main(int argc, char **argv) {
    static uint8_t request[LONGEST + PAGE], buffer[LONGEST];
    char options[128];
    if (argc != 3) return fputs("usage: blockfs DIRECTORY BYTES\n", stderr), 2;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    bytes = strtoull(argv[2], NULL, 10);
    disk_init(&recording, bytes);
    disk_init(&present, bytes);
    device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
    if (device < 0 || mount("blockfs", argv[1], "fuse", MS_NOSUID | MS_NODEV, options)) return perror("blockfs: mount"), 1;
    for (;;) {
        ssize_t size = read(device, request, sizeof request);
        if (size < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT)) continue;
        if (size < (ssize_t)sizeof(struct fuse_in_header)) return 0;
        serve((const void *)request, request + sizeof(struct fuse_in_header), buffer);
    }
}
