// SPDX-License-Identifier: Apache-2.0
// Appends the monotonic clock in nanoseconds to the FIFO that it is given: "I was executed".
#include <fcntl.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t nanoseconds = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    int fifo = argc == 2 ? open(argv[1], O_WRONLY) : -1;
    return write(fifo, &nanoseconds, sizeof nanoseconds) != sizeof nanoseconds;
}
