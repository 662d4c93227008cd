// Lists the TCP sockets of this network namespace, over netlink (sock_diag(7), inet_diag), with
// what links them to processes.
#ifndef SOCKET_TUNER_KERNEL_SOCKET_LIST_H_
#define SOCKET_TUNER_KERNEL_SOCKET_LIST_H_

#ifdef __linux__

#include "group_table.h"
#include "sock_diag_dump.h"

#include <cstddef>
#include <cstdint>

namespace socket_tuner::kernel {

// A socket. scripts/layouts.js writes the offsets for TypeScript, which reads the struct in the
// machine's byte order.
struct ListedSocket {
  // 0 once no descriptor refers to the socket.
  uint32_t inode;
  uint32_t uid;
  uint64_t cookie;
  uint16_t local_port;
  uint16_t remote_port;
  uint8_t family;
  uint8_t state;
  uint8_t padding[2];
  uint8_t local_address[16];
  uint8_t remote_address[16];
};
static_assert(sizeof(ListedSocket) == 56, "no gap between the members");

// Collects the sockets of dumps.
class SocketList : public DumpAnswer {
 public:
  explicit SocketList(std::size_t limit) : limit_(limit) {}

  std::size_t size() const { return size_; }
  // Passes the sockets on to the caller, and empties the list.
  Memory<ListedSocket> Release();

 private:
  int Add(const inet_diag_msg& socket) override;
  int Grow();

  const std::size_t limit_;
  Memory<ListedSocket> sockets_;
  std::size_t size_ = 0;
  std::size_t room_ = 0;
};

// The most sockets of a list. Above it, -EOVERFLOW.
constexpr std::size_t kMaxListed = std::size_t{1} << 20;

// Lists the sockets of both families in these states: a bit for each TCP state. Stores the
// processor time of this thread. Returns 0 or a negated errno.
int ListSockets(uint32_t states, SocketList* list, double* microseconds);

}  // namespace socket_tuner::kernel

#endif  // __linux__

#endif  // SOCKET_TUNER_KERNEL_SOCKET_LIST_H_
