// The dump behind sock_diag.cc, without Node-API.
#ifndef SOCKET_TUNER_KERNEL_SOCK_DIAG_DUMP_H_
#define SOCKET_TUNER_KERNEL_SOCK_DIAG_DUMP_H_

#ifdef __linux__

#include "group_table.h"
#include "netlink.h"

#include <cstddef>
#include <cstdint>

struct inet_diag_msg;

namespace socket_tuner {

// Which sockets: `states` has a bit for each TCP state; the filter is inet_diag bytecode, and may be
// empty.
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
  SocketDump(uint32_t group_by, std::size_t max_groups)
      : group_by_(group_by), table_(max_groups) {}

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

}  // namespace socket_tuner

#endif  // __linux__

#endif  // SOCKET_TUNER_KERNEL_SOCK_DIAG_DUMP_H_
