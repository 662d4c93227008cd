#include "group_table.h"

#ifdef __linux__

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

namespace socket_tuner {
namespace {

constexpr std::size_t kKeyOffset = offsetof(SocketGroup, local_port);
constexpr std::size_t kKeyBytes = sizeof(SocketGroup) - kKeyOffset;
static_assert(kKeyBytes % sizeof(uint64_t) == 0, "the key is hashed in words");

const uint8_t* KeyOf(const SocketGroup& group) {
  return reinterpret_cast<const uint8_t*>(&group) + kKeyOffset;
}

// FNV-1a by words, then mixed, since the low bits choose the slot.
uint64_t HashOf(const SocketGroup& group) {
  uint64_t hash = 14695981039346656037ULL;
  for (std::size_t offset = 0; offset < kKeyBytes; offset += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, KeyOf(group) + offset, sizeof(word));
    hash = (hash ^ word) * 1099511628211ULL;
    hash ^= hash >> 29;
  }
  return hash;
}

constexpr std::size_t kFirstRoom = 1024;

}  // namespace

std::size_t GroupTable::SlotOf(const SocketGroup& group) const {
  const std::size_t mask = 2 * room_ - 1;
  std::size_t slot = static_cast<std::size_t>(HashOf(group)) & mask;
  while (slots_[slot] != 0 &&
         std::memcmp(KeyOf(groups_[slots_[slot] - 1]), KeyOf(group), kKeyBytes) != 0) {
    slot = (slot + 1) & mask;
  }
  return slot;
}

int GroupTable::Grow() {
  const std::size_t room = room_ == 0 ? kFirstRoom : 2 * room_;
  std::unique_ptr<SocketGroup[]> groups(new (std::nothrow) SocketGroup[room]);
  std::unique_ptr<uint32_t[]> slots(new (std::nothrow) uint32_t[2 * room]());
  if (!groups || !slots) return -ENOMEM;
  if (size_ > 0) std::memcpy(groups.get(), groups_.get(), size_ * sizeof(SocketGroup));
  groups_ = std::move(groups);
  slots_ = std::move(slots);
  room_ = room;
  for (std::size_t i = 0; i < size_; i++) {
    slots_[SlotOf(groups_[i])] = static_cast<uint32_t>(i + 1);
  }
  return 0;
}

int GroupTable::Add(const SocketGroup& like) {
  if (size_ == room_) {
    const int error = Grow();
    if (error < 0) return error;
  }
  const std::size_t slot = SlotOf(like);
  if (slots_[slot] == 0) {
    if (size_ >= limit_) return -EOVERFLOW;
    groups_[size_++] = like;
    slots_[slot] = static_cast<uint32_t>(size_);
    return 0;
  }
  SocketGroup& group = groups_[slots_[slot] - 1];
  group.count += like.count;
  if (like.least_timer_ms < group.least_timer_ms) group.least_timer_ms = like.least_timer_ms;
  if (like.greatest_timer_ms > group.greatest_timer_ms) {
    group.greatest_timer_ms = like.greatest_timer_ms;
  }
  return 0;
}

void GroupTable::Sort() {
  std::sort(groups_.get(), groups_.get() + size_, [](const SocketGroup& a, const SocketGroup& b) {
    return a.count != b.count ? a.count > b.count : std::memcmp(KeyOf(a), KeyOf(b), kKeyBytes) < 0;
  });
}

}  // namespace socket_tuner

#endif  // __linux__
