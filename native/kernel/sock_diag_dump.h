// inet_diag over netlink (sock_diag(7)): the TCP sockets of this network namespace, chosen by the
// kernel and counted in groups.
#ifndef SOCKET_TUNER_KERNEL_SOCK_DIAG_DUMP_H_
#define SOCKET_TUNER_KERNEL_SOCK_DIAG_DUMP_H_

#ifdef __linux__

#include "group_table.h"
#include "netlink.h"

#include <cstddef>
#include <cstdint>
#include <memory>

struct inet_diag_msg;

namespace socket_tuner::kernel {

// Which sockets: `states` has a bit for each TCP state; the filter is inet_diag bytecode, and may
// be empty.
struct SocketChoice {
  uint32_t states;
  const uint8_t* filter;
  std::size_t filter_length;
};

// Takes the messages of a dump apart.
class DumpAnswer : public Answer {
 public:
  int Take(const uint8_t* data, std::size_t length, uint32_t sequence) final;

  // The kernel said that its table changed under the dump.
  bool interrupted() const { return interrupted_; }

 protected:
  // Takes in a socket. 0, 1 when there need be no more, or a negated errno.
  virtual int Add(const inet_diag_msg& socket) = 0;

 private:
  bool interrupted_ = false;
};

// Asks for the TCP sockets of AF_INET or AF_INET6 and gives them to `answer`. 0 or a negated errno.
int DumpSockets(int family, const SocketChoice& choice, DumpAnswer* answer);

enum GroupBy : uint32_t {
  kByFamily = 1,
  kByState = 2,
  kByLocalPort = 4,
  kByRemotePort = 8,
  kByLocalAddress = 16,
  kByRemoteAddress = 32,
};

// Dumps sockets into groups, one address family after the other.
class SocketDump : public DumpAnswer {
 public:
  SocketDump(uint32_t group_by, std::size_t max_groups) : group_by_(group_by), table_(max_groups) {}

  // Once the dump is complete: nothing can be added any more. 0 or a negated errno.
  int Sort();

  GroupTable& table() { return table_; }
  std::size_t total() const { return total_; }

 private:
  int Add(const inet_diag_msg& socket) override;

  const uint32_t group_by_;
  GroupTable table_;
  std::size_t total_ = 0;
};

// More groups than these are refused: ten times what a machine has ports for one destination.
constexpr std::size_t kMaxGroups = std::size_t{1} << 20;
constexpr std::size_t kMaxFilterBytes = 65535 - 4;

enum Families : int { kIpv4 = 1, kIpv6 = 2 };

struct Census {
  std::unique_ptr<SocketDump> dump;
  // Processor time of this thread that it took; 0 where it cannot be told.
  double microseconds = 0;
};

// Dumps the sockets of one address family or of both and sorts the groups. A table that changes
// under the dump is dumped again, three times in all. 0 or a negated errno.
int CountSockets(int families, const SocketChoice& choice, uint32_t group_by, Census* census);

}  // namespace socket_tuner::kernel

#endif  // __linux__

#endif  // SOCKET_TUNER_KERNEL_SOCK_DIAG_DUMP_H_
