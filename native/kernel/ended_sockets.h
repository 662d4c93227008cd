// The TCP sockets of this network namespace that have ended: for each one that it frees, the kernel
// broadcasts its last data over netlink (sock_diag(7), SKNLGRP_INET_TCP_DESTROY). Needs no
// privilege.
#ifndef SOCKET_TUNER_KERNEL_ENDED_SOCKETS_H_
#define SOCKET_TUNER_KERNEL_ENDED_SOCKETS_H_

#ifdef __linux__

#include "netlink.h"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace socket_tuner::kernel {

// Whether a TIME_WAIT entry, or one in its FIN_WAIT2, has the addresses and ports of the socket.
enum EntryLeft : uint8_t {
  kNotKnown,
  kNone,
  // This end's FIN came first, or both crossed.
  kHere,
  // The peer's socket was in this network namespace, and its FIN came first.
  kAtPeer,
};

// An ended socket. scripts/layouts.js writes the offsets for TypeScript, which reads the struct in
// the machine's byte order.
struct EndedSocket {
  uint64_t cookie;
  uint32_t interface_index;
  // Received bytes that the program did not read. An unread FIN counts as one.
  uint32_t unread;
  uint32_t unacknowledged;
  // The bytes of `info` that the kernel has.
  uint32_t info_length;
  uint16_t local_port;
  uint16_t remote_port;
  uint8_t family;
  uint8_t entry;  // EntryLeft
  uint8_t padding[2];
  uint8_t local_address[16];
  uint8_t remote_address[16];
  // struct TcpInfo of tcp_info.h
  uint8_t info[280];
};
static_assert(sizeof(EndedSocket) == 344, "no gap between the members");

// Reads the sockets of a datagram, at most `most`. Returns their number, or -EBADMSG.
int ReadEndedSockets(const uint8_t* data, std::size_t length, EndedSocket* sockets,
                     std::size_t most);

// Searches for the entries that sockets left, with several requests in one message. Sockets without
// a remote port have none.
class EntrySearch {
 public:
  // Returns 0 or a negated errno.
  int Open();
  void Close() { netlink_.reset(); }
  // Sets `entry` of each socket: kNotKnown where the kernel did not reply.
  void Search(EndedSocket* sockets, std::size_t count);

 private:
  void SearchFew(EndedSocket* sockets, std::size_t count, bool reversed);

  std::unique_ptr<Descriptor> netlink_;
};

// Receives the broadcasts without waiting.
class EndedSockets {
 public:
  // Subscribes. Returns 0 or a negated errno. The kernel grants a receive buffer above
  // net.core.rmem_max only with CAP_NET_ADMIN.
  int Open(int receive_buffer_bytes);

  // Returns the number of sockets that were read, at most kMostAtATime; 0 if no more are waiting,
  // or a negated errno. They are valid until the next call.
  int Read();
  const EndedSocket* sockets() const { return sockets_.get(); }

  // Returns how many broadcasts were lost because the receive buffer was full, or because they
  // could not be read; or a negated errno. Wraps at 2^32.
  int64_t Lost() const;

  // -1 if it is closed.
  int fd() const { return netlink_ ? netlink_->get() : -1; }
  void Close() {
    netlink_.reset();
    search_.Close();
  }

  static constexpr std::size_t kMostAtATime = 512;

 private:
  int Receive(std::size_t* count);

  std::unique_ptr<Descriptor> netlink_;
  EntrySearch search_;
  std::unique_ptr<EndedSocket[]> sockets_;
  std::unique_ptr<uint8_t[]> datagrams_;
  uint32_t unreadable_ = 0;
};

}  // namespace socket_tuner::kernel

#endif  // __linux__

#endif  // SOCKET_TUNER_KERNEL_ENDED_SOCKETS_H_
