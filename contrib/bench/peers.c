// SPDX-License-Identifier: Apache-2.0
// What a program can reach from where it runs, one `NAME WORD` a line, WORD `open`, `closed` or a
// number. It changes nothing outside of itself.
//   peers PORT ABSTRACT MARK   a TCP port of the host's 127.0.0.1 and an abstract socket that listen,
//                              and a word in the command line of a process outside
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/vm_sockets.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *name, int is_open) { printf("%s %s\n", name, is_open ? "open" : "closed"); }

static int opens(const char *path, int flags)
{
    int file = open(path, flags | O_CLOEXEC);
    if (file >= 0) close(file);
    return file >= 0;
}

static int makes_socket(int family, int type, int protocol)
{
    int made = socket(family, type, protocol);
    if (made >= 0) close(made);
    return made >= 0;
}

static int connects(int family, const struct sockaddr *address, socklen_t length)
{
    int made = socket(family, SOCK_STREAM, 0);
    int is_open = made >= 0 && connect(made, address, length) == 0;
    if (made >= 0) close(made);
    return is_open;
}

static int reaches_port(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connects(AF_INET, (struct sockaddr *)&address, sizeof address);
}

static int reaches_abstract(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path + 1, name, sizeof address.sun_path - 2);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
    return connects(AF_UNIX, (struct sockaddr *)&address, length);
}

// Is a process whose command line has this word in /proc?
static int sees_process(const char *mark)
{
    char path[300], text[4096];
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    int seen = 0;
    while (proc != NULL && (entry = readdir(proc)) != NULL) {
        if (atoi(entry->d_name) <= 0 || atoi(entry->d_name) == getpid()) continue;
        snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        int file = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t got = file < 0 ? 0 : read(file, text, sizeof text);
        if (file >= 0) close(file);
        if (got > 0 && memmem(text, (size_t)got, mark, strlen(mark)) != NULL &&
            memmem(text, (size_t)got, "peers\0", 6) == NULL)
            seen = 1;
    }
    if (proc != NULL) closedir(proc);
    return seen;
}

static int status_number(const char *field, unsigned long long *value, int base)
{
    char line[256];
    FILE *status = fopen("/proc/self/status", "re");
    int found = 0;
    size_t length = strlen(field);
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        if (strncmp(line, field, length) == 0 && line[length] == ':') {
            *value = strtoull(line + length + 1, NULL, base);
            found = 1;
        }
    if (status != NULL) fclose(status);
    return found;
}

static int lines(const char *path)
{
    int count = 0, c;
    FILE *file = fopen(path, "re");
    while (file != NULL && (c = fgetc(file)) != EOF) count += c == '\n';
    if (file != NULL) fclose(file);
    return count;
}

// In a child: its new namespace goes with it.
static int nests_user_namespaces(void)
{
    pid_t child = fork();
    if (child == 0) _exit(unshare(CLONE_NEWUSER) < 0);
    int status = 1;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static int traces_a_child(void)
{
    pid_t child = fork();
    if (child == 0) _exit(syscall(SYS_ptrace, 0L, 0L, 0L, 0L) < 0);
    int status = 1;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// EPERM and ENOSYS are a filter's words (or an old kernel's); any other errno is the call's own.
static int is_let_through(long number, long a, long b, long c)
{
    errno = 0;
    long got = syscall(number, a, b, c);
    if (got >= 0) close((int)got);
    return got >= 0 || (errno != EPERM && errno != ENOSYS && errno != EACCES);
}

// Sleeping children, 5,000 at most, all killed again.
static int forks(void)
{
    static pid_t children[5000];
    int count = 0;
    while (count < 5000) {
        pid_t child = fork();
        if (child == 0) { pause(); _exit(0); }
        if (child < 0) break;
        children[count++] = child;
    }
    for (int i = 0; i < count; i++) kill(children[i], SIGKILL);
    for (int i = 0; i < count; i++) waitpid(children[i], NULL, 0);
    return count;
}

int main(int argc, char **argv)
{
    unsigned long long value = 0;
    struct statfs disk;
    if (argc < 4) return 2;
    printf("accounts %d\n", lines("/etc/passwd"));
    say("processes", sees_process(argv[3]));
    say("loopback", reaches_port(argv[1]));
    say("abstract", reaches_abstract(argv[2]));
    say("setid", !status_number("NoNewPrivs", &value, 10) || value == 0);
    printf("capabilities %#llx\n", status_number("CapEff", &value, 16) ? value : 0);
    printf("bounding %#llx\n", status_number("CapBnd", &value, 16) ? value : 0);
    say("filter", !status_number("Seccomp", &value, 10) || value == 0);
    say("raw", makes_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
    say("vsock", makes_socket(AF_VSOCK, SOCK_STREAM, 0));
    say("alg", makes_socket(AF_ALG, SOCK_SEQPACKET, 0));
    say("sysctl", opens("/proc/sys/kernel/core_pattern", O_WRONLY));
    say("kallsyms", lines("/proc/kallsyms") > 0);
    say("sysfs", opens("/sys/kernel", O_RDONLY | O_DIRECTORY) && opens("/sys/kernel/mm", O_RDONLY | O_DIRECTORY));
    say("keyring", syscall(SYS_add_key, "user", "peers", "x", 1L, (long)KEY_SPEC_PROCESS_KEYRING) >= 0);
    say("userns", nests_user_namespaces());
    say("ptrace", traces_a_child());
    say("io_uring", is_let_through(SYS_io_uring_setup, 0, 0, 0));
    say("bpf", is_let_through(SYS_bpf, 9999, 0, 0));
    say("userfaultfd", is_let_through(SYS_userfaultfd, 1, 0, 0));
    say("perf", is_let_through(SYS_perf_event_open, 0, 0, -1));
    say("host-tmp", opens("/tmp/peers-mark", O_RDONLY));
    printf("tmp-mb %llu\n", statfs("/tmp", &disk) == 0
        ? (unsigned long long)disk.f_blocks * (unsigned long long)disk.f_bsize >> 20 : 0ULL);
    fflush(stdout);
    printf("forks %d\n", forks());
    return 0;
}
