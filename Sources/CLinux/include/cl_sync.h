// SPDX-License-Identifier: Apache-2.0
// Making many files durable at once.
#ifndef CL_SYNC_H
#define CL_SYNC_H

/// fsync(2) of many files side by side, by threads that live for the call: a file system with a
/// journal then commits once for many, and a disk flushes its cache once. (The kernel's own
/// asynchronous I/O does the same, but takes 20 ms to be taken down.) Not for daemons: they have one
/// thread. -1 and errno when one failed; *failed is its index, the lowest of those that did.
int cl_fsync_all(const int *fds, int count, int *failed);

#endif
