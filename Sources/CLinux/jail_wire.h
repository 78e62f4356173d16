// SPDX-License-Identifier: Apache-2.0
// What travels from taskrun to its launchers: one small message with descriptors.
#ifndef JAIL_WIRE_H
#define JAIL_WIRE_H

#include <stdint.h>

enum { WIRE_DESCRIPTORS = 16 };

struct wire_order {
    uint32_t generation;
    uint32_t has_cgroup;
};

/// 0 or -1. `flags` as sendmsg(2).
int wire_send(int socket, const struct wire_order *order, const int *fds, int count, int flags);
/// The number of descriptors that came, -1 at the end. At most `capacity` are kept, close-on-exec.
int wire_receive(int socket, struct wire_order *order, int *fds, int capacity, int flags);

#endif
