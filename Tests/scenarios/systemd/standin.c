/* SPDX-License-Identifier: Apache-2.0 */
/* standin DIRECTORY: systemd's part on a private bus, as far as taskdep asks for it: LoadUnit,
 * ActiveState and LoadState. The state of unit NAME is the word in DIRECTORY/NAME, read at every
 * question; no such file: a unit that systemd has no file for. Two words are no states:
 * `refuse` answers LoadUnit with an error, `silent` never answers. Each question is a line on
 * standard output. The bus is that of DBUS_SYSTEM_BUS_ADDRESS; the name is owned at `ready`. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#define UNITS "/org/freedesktop/systemd1/unit"

static int directory = -1;

/* 1 and the word, or 0 where there is no such unit. */
static int state_of(const char *name, char word[64])
{
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, word, 63);
    close(fd);
    word[n < 0 ? 0 : n] = 0;
    word[strcspn(word, "\n")] = 0;
    return 1;
}

static int load_unit(sd_bus_message *call, void *data, sd_bus_error *error)
{
    const char *name;
    char word[64], *path;
    int code = sd_bus_message_read(call, "s", &name);
    if (code < 0) return code;
    printf("LoadUnit %s\n", name);
    int known = state_of(name, word);
    if (known && !strcmp(word, "silent")) return 1;
    if (known && !strcmp(word, "refuse"))
        return sd_bus_error_setf(error, "org.freedesktop.systemd1.UnitMasked",
                                 "Unit %s may not be asked for.", name);
    code = sd_bus_path_encode(UNITS, name, &path);
    if (code < 0) return code;
    code = sd_bus_reply_method_return(call, "o", path);
    free(path);
    return code;
}

static int get_property(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *data, sd_bus_error *error)
{
    char word[64] = "inactive", *name;
    int code = sd_bus_path_decode(path, UNITS, &name);
    if (code <= 0) return code < 0 ? code : -ENOENT;
    int known = state_of(name, word);
    if (!strcmp(property, "LoadState")) strcpy(word, known ? "loaded" : "not-found");
    printf("%s %s %s\n", property, name, word);
    free(name);
    return sd_bus_message_append(reply, "s", word);
}

static const sd_bus_vtable manager[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("LoadUnit", "s", "o", load_unit, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};
static const sd_bus_vtable unit[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_PROPERTY("ActiveState", "s", get_property, 0, 0),
    SD_BUS_PROPERTY("LoadState", "s", get_property, 0, 0),
    SD_BUS_VTABLE_END,
};

/* Every path below UNITS is a unit. */
static int find(sd_bus *bus, const char *path, const char *interface, void *data, void **found,
                sd_bus_error *error)
{
    *found = NULL;
    return 1;
}

static void must(int code, const char *what)
{
    if (code >= 0) return;
    fprintf(stderr, "standin: unable to %s: %s\n", what, strerror(-code));
    exit(1);
}

int main(int count, char **arguments)
{
    sd_bus *bus = NULL;
    setvbuf(stdout, NULL, _IOLBF, 0);
    directory = count == 2 ? open(arguments[1], O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    must(directory < 0 ? -ENOENT : 0, "open the directory of states");
    must(sd_bus_open_system(&bus), "open the bus");
    must(sd_bus_add_object_vtable(bus, NULL, "/org/freedesktop/systemd1",
                                  "org.freedesktop.systemd1.Manager", manager, NULL), "serve");
    must(sd_bus_add_fallback_vtable(bus, NULL, UNITS, "org.freedesktop.systemd1.Unit", unit, find,
                                    NULL), "serve units");
    must(sd_bus_request_name(bus, "org.freedesktop.systemd1", 0), "own systemd's name");
    puts("ready");
    for (;;) {
        int code = sd_bus_process(bus, NULL);
        if (code == 0) code = sd_bus_wait(bus, UINT64_MAX);
        if (code < 0 && code != -EINTR) must(code, "answer");
    }
}
