// Bytes that wait in a socket's queues (tcp(7)): how many there are, and the discarding of input.
#ifndef SOCKET_TUNER_KERNEL_QUEUES_H_
#define SOCKET_TUNER_KERNEL_QUEUES_H_

namespace socket_tuner::kernel {

// Each returns a number of bytes, or a negated errno: -ENOPROTOOPT where the platform cannot
// answer.
int UnreadBytes(int fd);          // SIOCINQ
int UnacknowledgedBytes(int fd);  // SIOCOUTQ
int UnsentBytes(int fd);          // SIOCOUTQNSD

// Discards received input: how many bytes, or a negated errno when none could be discarded. At most
// 17 MiB in one call, so that a peer that sends faster than it discards cannot hold the event loop.
int DiscardInput(int fd);

}  // namespace socket_tuner::kernel

#endif  // SOCKET_TUNER_KERNEL_QUEUES_H_
