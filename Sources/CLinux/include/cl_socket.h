// SPDX-License-Identifier: Apache-2.0
// Unix sockets of type SEQPACKET whose messages may carry descriptors.
#ifndef CL_SOCKET_H
#define CL_SOCKET_H

#include <stdint.h>
#include <sys/types.h>

/// Binds and listens at `name` in `directory`, through /proc/self/fd: a path may be longer than
/// the 108 bytes of sockaddr_un. Backlog 16, non-blocking.
int cl_seqpacket_listen(int directory, const char *name);
/// Connects; non-blocking afterwards.
int cl_seqpacket_connect(int directory, const char *name);
int cl_seqpacket_pair(int fds[2]);
/// 1 if fd is a listening Unix socket of type SEQPACKET, 0 if it is another socket.
int cl_seqpacket_listens(int fd);
int cl_accept(int listener);
/// pid, uid and gid of the peer at connect time.
int cl_peer(int fd, int32_t *pid, uint32_t *uid, uint32_t *gid);
/// Sends one message, with a descriptor when fd >= 0. MSG_NOSIGNAL|MSG_DONTWAIT.
ssize_t cl_send(int socket, const void *bytes, size_t count, int fd);
/// As many descriptors come with a message at most (SCM_MAX_FD of the kernel).
enum { CL_MOST_PASSED = 253 };
struct msghdr;
/// recvmsg(2) without waiting. Of a peer that closed with unread messages the kernel tells that first, and once
/// (ECONNRESET): what it had sent is still to be had, and is received.
ssize_t cl_recvmsg(int socket, struct msghdr *message);
/// Receives one message and the descriptors that came with it (close-on-exec), into room for
/// CL_MOST_PASSED; also when it fails with EMSGSIZE, for a message longer than the buffer.
ssize_t cl_receive(int socket, void *bytes, size_t count, int *fds, int *passed);
/// Ends a connection, without closing: 1 if messages that were not received hold descriptors, or may.
int cl_seqpacket_end(int fd);
int cl_set_buffers(int socket, int bytes);
/// A datagram to a socket in the file system (journald, notify); never blocks.
ssize_t cl_datagram_send(const char *path, const void *bytes, size_t count);

#endif
