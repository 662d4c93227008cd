// Sockets put together by what they have in common.
#ifndef SOCKET_TUNER_KERNEL_GROUP_TABLE_H_
#define SOCKET_TUNER_KERNEL_GROUP_TABLE_H_

#ifdef __linux__

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

namespace socket_tuner::kernel {

// Sockets that have something in common; fields that are not grouped by are 0.
// lib/kernel/sock-diag.ts reads it, in the machine's byte order.
struct SocketGroup {
  uint32_t count;
  // Until the next timer of a socket ends, ms: the least and the greatest; UINT32_MAX and 0 for
  // none.
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
static_assert(sizeof(SocketGroup) == 52, "lib/kernel/sock-diag.ts reads records of this size");

struct FreeMemory {
  void operator()(void* memory) const { std::free(memory); }
};
template <typename T>
using Memory = std::unique_ptr<T[], FreeMemory>;

// The groups, found by hashing. Memory that cannot be had is a refusal, not an exception.
class GroupTable {
 public:
  explicit GroupTable(std::size_t limit);

  // Adds a socket to its group; `like` has the fields in common. 0 or a negated errno.
  int Add(const SocketGroup& like);

  // Puts the greatest first, and those of one size in the order of their fields. Nothing can be
  // added any more. 0 or a negated errno.
  int Sort();

  // Gives the groups away: there are none any more.
  Memory<SocketGroup> Release();

  std::size_t size() const { return size_; }

 private:
  // An empty one has no group; the others, the number of theirs, counted from 1.
  struct Slot {
    uint32_t group;
    uint32_t hash;
  };
  int Grow();
  uint64_t HashOf(const SocketGroup& group) const;

  const std::size_t limit_;
  // So that nobody can choose ports which all fall into one slot.
  uint64_t seed_ = 0;
  Memory<SocketGroup> groups_;
  std::size_t size_ = 0;
  std::size_t room_ = 0;
  // A power of two, and twice the room.
  Memory<Slot> slots_;
};

}  // namespace socket_tuner::kernel

#endif  // __linux__

#endif  // SOCKET_TUNER_KERNEL_GROUP_TABLE_H_
