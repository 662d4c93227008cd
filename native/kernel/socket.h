// System calls on descriptors that this library owns: socket(2), bind(2), connect(2), listen(2),
// shutdown(2), getsockname(2), fcntl(2) and close(2); and the limit on descriptors, getrlimit(2).
#ifndef SOCKET_TUNER_KERNEL_SOCKET_H_
#define SOCKET_TUNER_KERNEL_SOCKET_H_

#include "address.h"

#include <cstdint>

namespace socket_tuner::kernel {

// Returns a non-blocking, close-on-exec descriptor, or a negated errno.
int OpenSocket(int domain, int type, int protocol);

// Returns 0 or a negated errno: -EINVAL for 0, 1 and 2, which no socket of this library has.
int CloseFd(int fd);

// Returns another close-on-exec descriptor of the same socket, or a negated errno.
int DuplicateFd(int fd);

// Returns the soft limit on open descriptors, which is above 2^53 if there is none, or a negated
// errno.
double DescriptorLimit();

// Returns 0 or a negated errno.
int Bind(int fd, const SocketAddress& address);

// Returns 0 or a negated errno: -EINPROGRESS while the connection is being made.
int Connect(int fd, const SocketAddress& address);

// Returns 0 or a negated errno.
int Listen(int fd, int backlog);

// Sends the FIN after the queued data. Returns 0 or a negated errno.
int ShutdownWrite(int fd);

// Reads the address that a socket is bound to. Returns 0 or a negated errno.
int LocalName(int fd, SocketAddress* address);

}  // namespace socket_tuner::kernel

#endif  // SOCKET_TUNER_KERNEL_SOCKET_H_
