#include "group_table.h"

#ifdef __linux__

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <type_traits>
#include <utility>

#include <sys/random.h>

namespace socket_tuner::kernel {
namespace {

constexpr std::size_t kFirstRoom = 1024;
constexpr std::size_t kKeyOffset = offsetof(SocketGroup, local_port);
constexpr std::size_t kKeyBytes = sizeof(SocketGroup) - kKeyOffset;
static_assert(kKeyBytes % sizeof(uint64_t) == 0, "the key is hashed in words");
static_assert(std::is_trivially_copyable_v<SocketGroup>, "groups are moved by realloc");

const uint8_t* KeyOf(const SocketGroup& group) {
  return reinterpret_cast<const uint8_t*>(&group) + kKeyOffset;
}

// The part of a group that is compared first, and the index of the group with the rest.
struct Rank {
  uint64_t first;
  uint32_t group;
};

// Moves each group to the place of its rank. Follows the cycles of the permutation, which needs no
// memory for a second table.
void Arrange(SocketGroup* groups, Rank* ranks, std::size_t size) {
  for (std::size_t start = 0; start < size; start++) {
    if (ranks[start].group == start) continue;
    const SocketGroup first = groups[start];
    std::size_t to = start;
    for (std::size_t from = ranks[to].group; from != start; from = ranks[to].group) {
      groups[to] = groups[from];
      ranks[to].group = static_cast<uint32_t>(to);
      to = from;
    }
    groups[to] = first;
    ranks[to].group = static_cast<uint32_t>(to);
  }
}

bool HasSameKey(const SocketGroup& a, const SocketGroup& b) {
  return std::memcmp(KeyOf(a), KeyOf(b), kKeyBytes) == 0;
}

}  // namespace

GroupTable::GroupTable(std::size_t limit) : limit_(limit) {
  // Without a random seed, the table works but is easier to attack.
  if (getrandom(&seed_, sizeof(seed_), GRND_NONBLOCK) < 0) seed_ = 0;
}

uint64_t GroupTable::HashOf(const SocketGroup& group) const {
  uint64_t hash = seed_;
  for (std::size_t offset = 0; offset < kKeyBytes; offset += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, KeyOf(group) + offset, sizeof(word));
    hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
    // The low bits choose the slot, but the high bits of a product are better mixed.
    hash ^= hash >> 32;
  }
  return hash;
}

// Doubles the room. realloc() moves large memory page by page, without a copy.
int GroupTable::Grow() {
  const std::size_t room = room_ == 0 ? kFirstRoom : 2 * room_;
  Memory<Slot> slots(static_cast<Slot*>(std::calloc(2 * room, sizeof(Slot))));
  if (!slots) return -ENOMEM;
  void* const moved = std::realloc(groups_.get(), room * sizeof(SocketGroup));
  if (moved == nullptr) return -ENOMEM;
  groups_.release();
  groups_.reset(static_cast<SocketGroup*>(moved));
  const std::size_t mask = 2 * room - 1;
  for (std::size_t i = 0; i < 2 * room_; i++) {
    if (slots_[i].group == 0) continue;
    std::size_t slot = slots_[i].hash & mask;
    while (slots[slot].group != 0) slot = (slot + 1) & mask;
    slots[slot] = slots_[i];
  }
  slots_ = std::move(slots);
  room_ = room;
  return 0;
}

int GroupTable::Add(const SocketGroup& sockets) {
  if (size_ == room_) {
    const int error = Grow();
    if (error < 0) return error;
  }
  const std::size_t mask = 2 * room_ - 1;
  const uint32_t hash = static_cast<uint32_t>(HashOf(sockets));
  std::size_t slot = hash & mask;
  while (slots_[slot].group != 0) {
    SocketGroup& group = groups_[slots_[slot].group - 1];
    if (slots_[slot].hash == hash && HasSameKey(group, sockets)) {
      group.count += sockets.count;
      group.least_timer_ms = std::min(group.least_timer_ms, sockets.least_timer_ms);
      group.greatest_timer_ms = std::max(group.greatest_timer_ms, sockets.greatest_timer_ms);
      return 0;
    }
    slot = (slot + 1) & mask;
  }
  if (size_ >= limit_) return -EOVERFLOW;
  groups_[size_++] = sockets;
  slots_[slot] = {static_cast<uint32_t>(size_), hash};
  return 0;
}

int GroupTable::Sort() {
  slots_.reset();
  if (size_ == 0) return 0;
  const Memory<Rank> ranks(static_cast<Rank*>(std::malloc(size_ * sizeof(Rank))));
  if (!ranks) return -ENOMEM;
  for (std::size_t i = 0; i < size_; i++) {
    const SocketGroup& group = groups_[i];
    const uint64_t rarity = UINT32_MAX - group.count;
    const uint32_t ports = static_cast<uint32_t>(group.local_port) << 16 | group.remote_port;
    ranks[i] = {rarity << 32 | ports, static_cast<uint32_t>(i)};
  }
  const SocketGroup* const groups = groups_.get();
  std::sort(ranks.get(), ranks.get() + size_, [groups](const Rank& a, const Rank& b) {
    if (a.first != b.first) return a.first < b.first;
    return std::memcmp(KeyOf(groups[a.group]), KeyOf(groups[b.group]), kKeyBytes) < 0;
  });
  Arrange(groups_.get(), ranks.get(), size_);
  return 0;
}

Memory<SocketGroup> GroupTable::Release() {
  slots_.reset();
  size_ = 0;
  room_ = 0;
  return std::move(groups_);
}

}  // namespace socket_tuner::kernel

#endif  // __linux__
