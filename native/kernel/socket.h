// socket(2), bind(2), connect(2), listen(2), shutdown(2), getsockname(2), dup and close of
// descriptors that this library owns, and the limit on descriptors.
#ifndef SOCKET_TUNER_KERNEL_SOCKET_H_
#define SOCKET_TUNER_KERNEL_SOCKET_H_

#include "address.h"

#include <cstdint>

namespace socket_tuner::kernel {

// A non-blocking, close-on-exec descriptor, or a negated errno.
int OpenSocket(int domain, int type, int protocol);

// 0 or a negated errno; -EINVAL for 0, 1 and 2: no socket of this library is one of them.
int CloseFd(int fd);

// Another close-on-exec descriptor of the same socket, or a negated errno.
int DuplicateFd(int fd);

// The soft limit on open descriptors, above 2^53 when there is none, or a negated errno.
double DescriptorLimit();

// 0 or a negated errno.
int Bind(int fd, const SocketAddress& address);

// 0 or a negated errno: -EINPROGRESS when it goes on.
int Connect(int fd, const SocketAddress& address);

// 0 or a negated errno.
int Listen(int fd, int backlog);

// Sends the FIN after what is queued. 0 or a negated errno.
int ShutdownWrite(int fd);

// The address that a socket is bound to. 0 or a negated errno.
int LocalName(int fd, SocketAddress* address);

}  // namespace socket_tuner::kernel

#endif  // SOCKET_TUNER_KERNEL_SOCKET_H_
