// SPDX-License-Identifier: Apache-2.0
#ifndef CLONE_ENTRY_H
#define CLONE_ENTRY_H

struct clone_args;

/// clone3 with a stack of its own for the child, which starts in `entry` and must not return.
/// The parent gets the pid, or -1 with errno.
long cl_clone_entry(struct clone_args *args, void (*entry)(void *), void *argument);

#endif
