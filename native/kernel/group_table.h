// Groups of sockets with equal fields.
#ifndef SOCKET_TUNER_KERNEL_GROUP_TABLE_H_
#define SOCKET_TUNER_KERNEL_GROUP_TABLE_H_

#ifdef __linux__

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

namespace socket_tuner::kernel {

// A group of sockets. Fields that the sockets are not grouped by are 0. scripts/layouts.js writes
// the offsets for TypeScript, which reads the struct in the machine's byte order.
struct SocketGroup {
  uint32_t count;
  // The shortest and the longest time until a timer of a socket expires, ms; UINT32_MAX and 0
  // without timers.
  uint32_t least_timer_ms;
  uint32_t greatest_timer_ms;
  // The common fields, from here to the end.
  uint16_t local_port;
  uint16_t remote_port;
  uint8_t family;
  uint8_t state;
  uint8_t padding[2];
  uint8_t local_address[16];
  uint8_t remote_address[16];
};

struct FreeMemory {
  void operator()(void* memory) const { std::free(memory); }
};
template <typename T>
using Memory = std::unique_ptr<T[], FreeMemory>;

// A hash table of groups. Reports a lack of memory as -ENOMEM, not by an exception.
class GroupTable {
 public:
  explicit GroupTable(std::size_t limit);

  // Adds sockets to the group with the same common fields. Returns 0 or a negated errno: -EOVERFLOW
  // if a new group would exceed the limit.
  int Add(const SocketGroup& sockets);

  // Sorts the groups by size, the largest first, and groups of one size by their common fields.
  // After that, nothing can be added. Returns 0 or a negated errno.
  int Sort();

  // Passes the groups on to the caller, and empties the table.
  Memory<SocketGroup> Release();

  std::size_t size() const { return size_; }

 private:
  // `group` counts from 1; 0 is an empty slot.
  struct Slot {
    uint32_t group;
    uint32_t hash;
  };
  int Grow();
  uint64_t HashOf(const SocketGroup& group) const;

  const std::size_t limit_;
  // Random, so that nobody can choose ports that all fall into one slot.
  uint64_t seed_ = 0;
  Memory<SocketGroup> groups_;
  std::size_t size_ = 0;
  std::size_t room_ = 0;
  // Twice as many as there is room for groups, which is a power of two.
  Memory<Slot> slots_;
};

}  // namespace socket_tuner::kernel

#endif  // __linux__

#endif  // SOCKET_TUNER_KERNEL_GROUP_TABLE_H_
