// The dump behind sock_diag.cc, without Node-API.
#ifndef SOCKET_TUNER_SOCK_DIAG_DUMP_H_
#define SOCKET_TUNER_SOCK_DIAG_DUMP_H_

#ifdef __linux__

#include <cstddef>
#include <cstdint>
#include <memory>

struct inet_diag_msg;

namespace socket_tuner {

// Sockets that have something in common; fields that are not grouped by are 0. lib/ports/census.ts
// reads it, in the machine's byte order.
struct SocketGroup {
  uint32_t count;
  // Until the next timer of a socket ends, ms: the least and the greatest; UINT32_MAX and 0 for none.
  uint32_t least_timer_ms;
  uint32_t greatest_timer_ms;
  // What they have in common, from here to the end.
  uint16_t local_port;
  uint16_t remote_port;
  uint8_t family;
  uint8_t state;
  uint8_t padding[2];
  uint8_t local_address[16];
  uint8_t remote_address[16];
};
static_assert(sizeof(SocketGroup) == 52, "lib/ports/census.ts reads records of this size");

enum GroupBy : uint32_t {
  kByFamily = 1,
  kByState = 2,
  kByLocalPort = 4,
  kByRemotePort = 8,
  kByLocalAddress = 16,
  kByRemoteAddress = 32,
};

// The groups, found by hashing. Memory that cannot be had is a refusal, not an exception.
class GroupTable {
 public:
  explicit GroupTable(std::size_t limit) : limit_(limit) {}

  // Adds a socket to its group; `like` has the fields in common. 0 or a negated errno.
  int Add(const SocketGroup& like);

  // Puts the greatest first.
  void Sort();

  const SocketGroup* groups() const { return groups_.get(); }
  std::size_t size() const { return size_; }

 private:
  int Grow();
  std::size_t SlotOf(const SocketGroup& group) const;

  const std::size_t limit_;
  std::unique_ptr<SocketGroup[]> groups_;
  std::size_t size_ = 0;
  std::size_t room_ = 0;
  // For each slot the number of its group, counted from 1; a power of two, and twice the room.
  std::unique_ptr<uint32_t[]> slots_;
};

// Dumps sockets into groups, one address family after the other.
class SocketDump {
 public:
  SocketDump(uint32_t group_by, std::size_t max_groups)
      : group_by_(group_by), table_(max_groups) {}

  // AF_INET or AF_INET6; `states` has a bit for each TCP state; the filter is inet_diag bytecode, and
  // may be empty. 0 or a negated errno.
  int Run(int family, uint32_t states, const uint8_t* filter, std::size_t filter_length);

  // Takes in one datagram of the kernel's. 1 when the dump is complete, 0 when there is more to come,
  // or a negated errno. Looks at nothing outside of the memory that it is given.
  int Take(const uint8_t* data, std::size_t length, uint32_t sequence);

  // Once the dump is complete: nothing can be added any more.
  void Sort();

  const GroupTable& table() const { return table_; }
  std::size_t total() const { return total_; }
  // The kernel said that its table changed under the dump.
  bool interrupted() const { return interrupted_; }

 private:
  int Receive(int fd, uint32_t sequence);
  int Add(const inet_diag_msg& message);

  const uint32_t group_by_;
  GroupTable table_;
  std::size_t total_ = 0;
  bool interrupted_ = false;
};

}  // namespace socket_tuner

#endif  // __linux__

#endif  // SOCKET_TUNER_SOCK_DIAG_DUMP_H_
