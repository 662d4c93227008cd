#include "batch.h"

#include <vector>

#include "args.h"
#include "sockopt.h"
#include "../kernel/sockopt.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

namespace socket_tuner {
namespace {

// One operation is this many 32-bit slots of the program. The first seven are read, the rest written.
enum Slot : size_t {
  kLevel,
  kName,
  kFlags,
  kValue,        // the integer to set, or where its bytes begin in `data`
  kLength,       // bytes to set (kBytes, kProgram)
  kOut,          // where read bytes go in `data`
  kOutCapacity,  // how many bytes may be read there
  kStatus,       // of the set: 0 or -errno
  kReadStatus,   // of the read: bytes read, or -errno
  kReadValue,    // the integer read back
  kRestored,     // after a failure: 1 put back, -errno not put back, 0 never changed
  kSlots
};

enum Flag : int {
  kSet = 1,        // set it
  kSave = 2,       // read it before, so that it can be put back
  kReadBack = 4,   // read it afterwards
  kBytes = 8,      // its value is bytes, not a 4-byte integer
  kProgram = 16,   // its value is a BPF program
  kHalve = 32,     // put back half of the number that was read
  kUnset = 64,     // an integer read as slot kLength is put back as slot kOut
};

constexpr size_t kMaxOperations = 512;
constexpr size_t kSavedBytes = 64;

struct Operation {
  int32_t slot[kSlots];
  int saved_length = -1;  // nothing saved
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

// ENOPROTOOPT comes both for an option that this kernel lacks and for one of another protocol.
// Only the latter is the caller's mistake.
bool LevelFits(int fd, const Operation& op) {
#if defined(SO_DOMAIN) && defined(SO_PROTOCOL)
  int domain = 0;
  int protocol = 0;
  if (GetRawInt(fd, SOL_SOCKET, SO_DOMAIN, &domain) < 0 ||
      GetRawInt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol) < 0) {
    return false;
  }
  constexpr int kMptcp = 262;
  switch (op.slot[kLevel]) {
    case IPPROTO_TCP:
      return (domain == AF_INET || domain == AF_INET6) &&
             (protocol == IPPROTO_TCP || protocol == kMptcp);
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
  if (op.Has(kBytes) || op.Has(kProgram)) {
    op.saved_length = op.Has(kProgram) ? -1 : GetRaw(fd, op.slot[kLevel], op.slot[kName], op.saved, kSavedBytes);
    return;
  }
  int value = 0;
  const int error = GetRawInt(fd, op.slot[kLevel], op.slot[kName], &value);
  if (error < 0) return;
  std::memcpy(op.saved, &value, sizeof(value));
  op.saved_length = sizeof(value);
}

// What to write so that the option reads as it was saved.
int PutBack(int fd, const Operation& op) {
  const int level = op.slot[kLevel];
  const int name = op.slot[kName];
  if (op.Has(kBytes)) {
    return SetRaw(fd, level, name, op.saved, static_cast<size_t>(op.saved_length));
  }
  int value = 0;
  std::memcpy(&value, op.saved, sizeof(value));
  if (op.Has(kHalve)) value /= 2;
  if (op.Has(kUnset) && value == op.slot[kLength]) value = op.slot[kOut];
  return SetRaw(fd, level, name, &value, sizeof(value));
}

int Apply(int fd, const Operation& op, const uint8_t* data) {
  const int level = op.slot[kLevel];
  const int name = op.slot[kName];
  if (op.Has(kProgram)) {
    return SetProgram(fd, level, name, data + op.slot[kValue],
                      static_cast<size_t>(op.slot[kLength]));
  }
  if (op.Has(kBytes)) {
    return SetRaw(fd, level, name, data + op.slot[kValue], static_cast<size_t>(op.slot[kLength]));
  }
  return SetRaw(fd, level, name, &op.slot[kValue], sizeof(int));
}

void ReadBack(int fd, Operation& op, uint8_t* data) {
  const int level = op.slot[kLevel];
  const int name = op.slot[kName];
  if (op.Has(kBytes) || op.Has(kProgram)) {
    op.slot[kReadStatus] = GetRaw(fd, level, name, data + op.slot[kOut],
                                  static_cast<size_t>(op.slot[kOutCapacity]));
    return;
  }
  int value = 0;
  const int error = GetRawInt(fd, level, name, &value);
  op.slot[kReadStatus] = error < 0 ? error : static_cast<int>(sizeof(value));
  op.slot[kReadValue] = value;
}

bool AsSaved(int fd, const Operation& op) {
  uint8_t now[kSavedBytes];
  const size_t capacity = op.Has(kBytes) ? kSavedBytes : sizeof(int);
  return GetRaw(fd, op.slot[kLevel], op.slot[kName], now, capacity) == op.saved_length &&
         std::memcmp(now, op.saved, static_cast<size_t>(op.saved_length)) == 0;
}

// The kernel may take the old value and keep another, as for a buffer above its limit.
void Restore(int fd, Operation& op) {
  if (op.slot[kStatus] < 0) return;
  // A companion that nothing has changed is left alone: setting it could change something else again.
  if (!op.Has(kSet) && (op.saved_length < 0 || AsSaved(fd, op))) return;
  int result = op.saved_length < 0 ? -EPERM : PutBack(fd, op);
  if (result == 0 && !AsSaved(fd, op)) result = -ERANGE;
  op.slot[kRestored] = result == 0 ? 1 : result;
}

// Applies all operations in order. An option that the kernel does not have is skipped, its status
// told. At the first other failure those before it are put back, last one first; the index of the
// failed one is returned, or -1.
int Run(int fd, std::vector<Operation>& operations, uint8_t* data) {
  size_t failed = operations.size();
  for (size_t i = 0; i < operations.size(); i++) {
    Operation& op = operations[i];
    if (op.Has(kSave)) Save(fd, op);
    if (!op.Has(kSet)) continue;
    op.slot[kStatus] = Apply(fd, op, data);
    if (op.slot[kStatus] < 0 && !(Absent(op.slot[kStatus]) && LevelFits(fd, op))) {
      failed = i;
      break;
    }
  }
  if (failed < operations.size()) {
    for (size_t i = failed; i-- > 0;) Restore(fd, operations[i]);
    return static_cast<int>(failed);
  }
  for (Operation& op : operations) {
    if (op.Has(kReadBack) && op.slot[kStatus] == 0) ReadBack(fd, op, data);
  }
  return -1;
}

// applyBatch(fd, program: Int32Array, data: Uint8Array, count): -1 when all went well, the index
// of the operation that failed, or kBadArgument
constexpr int kBadArgument = -2;

Napi::Value ApplyBatch(const Napi::CallbackInfo& info) {
  int fd = 0;
  Bytes program;
  Bytes data;
  size_t count = 0;
  if (!ReadFd(info, 0, &fd) || !ReadTypedArray(info, 1, napi_int32_array, &program) ||
      !ReadBytes(info, 2, &data) || !ReadSize(info, 3, kMaxOperations, &count) ||
      program.length < count * kSlots) {
    return Napi::Number::New(info.Env(), kBadArgument);
  }
  constexpr size_t kBytesPerOperation = kSlots * sizeof(int32_t);
  std::vector<Operation> operations(count);
  for (size_t i = 0; i < count; i++) {
    Operation& op = operations[i];
    std::memcpy(op.slot, program.data + i * kBytesPerOperation, kBytesPerOperation);
    if (!Valid(op, data.length)) return Napi::Number::New(info.Env(), kBadArgument);
    op.slot[kStatus] = op.slot[kReadStatus] = op.slot[kReadValue] = op.slot[kRestored] = 0;
  }
  const int result = Run(fd, operations, data.data);
  for (size_t i = 0; i < count; i++) {
    std::memcpy(program.data + i * kBytesPerOperation, operations[i].slot, kBytesPerOperation);
  }
  return Napi::Number::New(info.Env(), result);
}

}  // namespace

void ExportBatch(Napi::Env env, Napi::Object exports) {
  exports.Set("applyBatch", Napi::Function::New<ApplyBatch>(env, "applyBatch"));
}

}  // namespace socket_tuner
