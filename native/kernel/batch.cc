#include "batch.h"

#include "constants.h"
#include "sockopt.h"

#include <cerrno>
#include <cstring>
#include <memory>
#include <netinet/in.h>
#include <new>
#include <sys/socket.h>

namespace socket_tuner::kernel {
namespace {

constexpr size_t kSavedBytes = 64;

struct Operation {
  int32_t slot[kSlots];
  int saved_length = -1;  // negative: nothing is saved
  uint8_t saved[kSavedBytes];

  bool Has(Flag flag) const { return (slot[kFlags] & flag) != 0; }
};

bool Inside(int32_t offset, int32_t length, size_t size) {
  return offset >= 0 && length >= 0 && static_cast<size_t>(offset) <= size &&
         static_cast<size_t>(length) <= size - static_cast<size_t>(offset);
}

bool Valid(const Operation& op, size_t size) {
  if (op.Has(kBytes) || op.Has(kProgram)) {
    if (op.Has(kSet) && !Inside(op.slot[kValue], op.slot[kLength], size)) return false;
    if (op.Has(kReadBack) && !Inside(op.slot[kOut], op.slot[kOutCapacity], size)) return false;
    return op.slot[kLength] <= static_cast<int32_t>(kMaxOptionBytes) &&
           op.slot[kOutCapacity] <= static_cast<int32_t>(kMaxOptionBytes);
  }
  return true;
}

// Whether a socket has the options of a level. The kernel reports ENOPROTOOPT both for an option
// that it lacks and for one of another protocol; only the latter is a mistake of the caller.
bool LevelFits(int fd, const Operation& op) {
#if defined(SO_DOMAIN) && defined(SO_PROTOCOL)
  const int64_t domain = GetInt(fd, SOL_SOCKET, SO_DOMAIN);
  const int64_t protocol = GetInt(fd, SOL_SOCKET, SO_PROTOCOL);
  if (domain < 0 || protocol < 0) return false;

  switch (op.slot[kLevel]) {
    case IPPROTO_TCP:
      return (domain == AF_INET || domain == AF_INET6) &&
             (protocol == IPPROTO_TCP || protocol == kMptcpProtocol);
    case IPPROTO_IPV6:
      return domain == AF_INET6;
    case IPPROTO_IP:
      return domain == AF_INET || domain == AF_INET6;
    default:
      return true;
  }
#else
  (void)fd, (void)op;
  return false;
#endif
}

bool Absent(int status) { return status == -ENOPROTOOPT || status == -EOPNOTSUPP; }

void Save(int fd, Operation& op) {
  if (op.Has(kProgram)) return;
  if (op.Has(kBytes)) {
    op.saved_length = GetBytes(fd, op.slot[kLevel], op.slot[kName], op.saved, kSavedBytes);
    return;
  }
  const int64_t read = GetInt(fd, op.slot[kLevel], op.slot[kName]);
  if (read < 0) return;
  const uint32_t value = static_cast<uint32_t>(read);
  std::memcpy(op.saved, &value, sizeof(value));
  op.saved_length = sizeof(value);
}

// Sets the option so that it has the saved value again.
int PutBack(int fd, const Operation& op) {
  const int level = op.slot[kLevel];
  const int name = op.slot[kName];
  if (op.Has(kBytes)) {
    return SetBytes(fd, level, name, op.saved, static_cast<size_t>(op.saved_length));
  }
  int value = 0;
  std::memcpy(&value, op.saved, sizeof(value));
  if (op.Has(kHalve)) value /= 2;
  if (op.Has(kUnset) && value == op.slot[kLength]) value = op.slot[kOut];
  return SetInt(fd, level, name, value);
}

int Apply(int fd, const Operation& op, const uint8_t* data) {
  const int level = op.slot[kLevel];
  const int name = op.slot[kName];
  if (op.Has(kProgram)) {
    return SetProgram(fd, level, name, data + op.slot[kValue],
                      static_cast<size_t>(op.slot[kLength]));
  }
  if (op.Has(kBytes)) {
    return SetBytes(fd, level, name, data + op.slot[kValue], static_cast<size_t>(op.slot[kLength]));
  }
  return SetInt(fd, level, name, op.slot[kValue]);
}

void ReadBack(int fd, Operation& op, uint8_t* data) {
  const int level = op.slot[kLevel];
  const int name = op.slot[kName];
  if (op.Has(kBytes) || op.Has(kProgram)) {
    op.slot[kReadStatus] =
        GetBytes(fd, level, name, data + op.slot[kOut], static_cast<size_t>(op.slot[kOutCapacity]));
    return;
  }
  const int64_t value = GetInt(fd, level, name);
  if (value < 0) {
    op.slot[kReadStatus] = static_cast<int>(value);
    return;
  }
  op.slot[kReadStatus] = sizeof(int);
  op.slot[kReadValue] = static_cast<int>(value);
}

bool AsSaved(int fd, const Operation& op) {
  uint8_t now[kSavedBytes];
  const size_t capacity = op.Has(kBytes) ? kSavedBytes : sizeof(int);
  return GetBytes(fd, op.slot[kLevel], op.slot[kName], now, capacity) == op.saved_length &&
         std::memcmp(now, op.saved, static_cast<size_t>(op.saved_length)) == 0;
}

// Restores an option, and checks it: the kernel may accept the old value and apply another one, for
// example for a buffer above its limit.
void Restore(int fd, Operation& op) {
  if (op.slot[kStatus] < 0) return;
  // A companion that has not changed is left alone, since setting it could change another option.
  if (!op.Has(kSet) && (op.saved_length < 0 || AsSaved(fd, op))) return;
  int result = op.saved_length < 0 ? -EPERM : PutBack(fd, op);
  if (result == 0 && !AsSaved(fd, op)) result = -ERANGE;
  op.slot[kRestored] = result == 0 ? 1 : result;
}

// Returns the index of the operation that failed, or `count`.
size_t Run(int fd, Operation* operations, size_t count, uint8_t* data) {
  for (size_t i = 0; i < count; i++) {
    Operation& op = operations[i];
    if (op.Has(kSave)) Save(fd, op);
    if (!op.Has(kSet)) continue;
    op.slot[kStatus] = Apply(fd, op, data);
    if (op.slot[kStatus] < 0 && !(Absent(op.slot[kStatus]) && LevelFits(fd, op))) {
      for (size_t before = i; before-- > 0;) Restore(fd, operations[before]);
      return i;
    }
  }
  for (size_t i = 0; i < count; i++) {
    Operation& op = operations[i];
    if (op.Has(kReadBack) && op.slot[kStatus] == 0) ReadBack(fd, op, data);
  }
  return count;
}

}  // namespace

int RunBatch(int fd, uint8_t* program, size_t count, uint8_t* data, size_t data_length) {
  if (count > kMaxOperations) return -EINVAL;
  constexpr size_t kBytesPerOperation = kSlots * sizeof(int32_t);
  const std::unique_ptr<Operation[]> operations(new (std::nothrow) Operation[count]);
  if (!operations) return -ENOMEM;
  for (size_t i = 0; i < count; i++) {
    Operation& op = operations[i];
    std::memcpy(op.slot, program + i * kBytesPerOperation, kBytesPerOperation);
    if (!Valid(op, data_length)) return -EINVAL;
    op.slot[kStatus] = op.slot[kReadStatus] = op.slot[kReadValue] = op.slot[kRestored] = 0;
  }
  const size_t done = Run(fd, operations.get(), count, data);
  for (size_t i = 0; i < count; i++) {
    std::memcpy(program + i * kBytesPerOperation, operations[i].slot, kBytesPerOperation);
  }
  return static_cast<int>(done);
}

}  // namespace socket_tuner::kernel
