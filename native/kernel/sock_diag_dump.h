// Counts the TCP sockets of this network namespace in groups, over netlink (sock_diag(7),
// inet_diag). The kernel filters them.
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

// Selects sockets. `states` has a bit for each TCP state. The filter is inet_diag bytecode, and may
// be empty.
struct SocketChoice {
  uint32_t states;
  const uint8_t* filter;
  std::size_t filter_length;
};

// Parses the messages of a dump.
class DumpAnswer : public Answer {
 public:
  int Take(const uint8_t* data, std::size_t length, uint32_t sequence) final;

  // Whether the kernel reported that its table changed during the dump.
  bool interrupted() const { return interrupted_; }

 protected:
  // Handles one socket. Returns 0, 1 to end the dump, or a negated errno.
  virtual int Add(const inet_diag_msg& socket) = 0;

 private:
  bool interrupted_ = false;
};

// Requests the TCP sockets of AF_INET or AF_INET6, and passes them to `answer`. Returns 0 or a
// negated errno.
int DumpSockets(int family, const SocketChoice& choice, DumpAnswer* answer);

enum Families : int { kIpv4 = 1, kIpv6 = 2 };

// Requests the sockets of one or both address families. Returns 0 or a negated errno.
int DumpFamilies(int families, const SocketChoice& choice, DumpAnswer* answer);

// Returns the processor time of this thread, µs; 0 if it is not known.
double ThreadMicroseconds();

enum GroupBy : uint32_t {
  kByFamily = 1,
  kByState = 2,
  kByLocalPort = 4,
  kByRemotePort = 8,
  kByLocalAddress = 16,
  kByRemoteAddress = 32,
};

// Collects the sockets of dumps in groups.
class SocketDump : public DumpAnswer {
 public:
  SocketDump(uint32_t group_by, std::size_t max_groups) : group_by_(group_by), table_(max_groups) {}

  // Sorts the groups of a complete dump. After that, nothing can be added. Returns 0 or a negated
  // errno.
  int Sort();

  GroupTable& table() { return table_; }
  std::size_t total() const { return total_; }

 private:
  int Add(const inet_diag_msg& socket) override;

  const uint32_t group_by_;
  GroupTable table_;
  std::size_t total_ = 0;
};

// The most groups of a count: more than ten times the ports that an address has. Above it,
// -EOVERFLOW.
constexpr std::size_t kMaxGroups = std::size_t{1} << 20;
constexpr std::size_t kMaxFilterBytes = 65535 - 4;

struct Census {
  std::unique_ptr<SocketDump> dump;
  // The processor time of this thread that the count took; 0 if it is not known.
  double microseconds = 0;
};

// Dumps the sockets of one or both address families, and sorts the groups. If the kernel's table
// changes during the dump, repeats it, for at most three dumps. Returns 0 or a negated errno.
int CountSockets(int families, const SocketChoice& choice, uint32_t group_by, Census* census);

}  // namespace socket_tuner::kernel

#endif  // __linux__

#endif  // SOCKET_TUNER_KERNEL_SOCK_DIAG_DUMP_H_
