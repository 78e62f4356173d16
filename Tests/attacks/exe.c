// SPDX-License-Identifier: Apache-2.0
// Preloaded into the host's own program, run in a jail: what can be done to it from there?
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

__attribute__((constructor)) static void attack(void) {
    int self = open("/proc/self/exe", O_RDONLY);
    (void)fchmod(self, 0777);
    _exit(0);
}
