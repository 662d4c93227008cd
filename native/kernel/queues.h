// The queues of a socket (tcp(7)): counts the bytes in them, and discards input.
#ifndef SOCKET_TUNER_KERNEL_QUEUES_H_
#define SOCKET_TUNER_KERNEL_QUEUES_H_

namespace socket_tuner::kernel {

// Each returns a number of bytes, or a negated errno: -ENOPROTOOPT if the platform does not report
// it.
int UnreadBytes(int fd);          // SIOCINQ
int UnacknowledgedBytes(int fd);  // SIOCOUTQ
int UnsentBytes(int fd);          // SIOCOUTQNSD

// Discards received input. Returns the number of bytes, or a negated errno if none could be
// discarded. Discards at most 17 MiB in one call, so that a peer that sends faster cannot block the
// event loop.
int DiscardInput(int fd);

}  // namespace socket_tuner::kernel

#endif  // SOCKET_TUNER_KERNEL_QUEUES_H_
