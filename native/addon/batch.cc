#include "../kernel/batch.h"

#include "args.h"
#include "exports.h"

namespace socket_tuner::addon {

Napi::Value ApplyBatch(const Napi::CallbackInfo& info) {
  constexpr int kAllApplied = -1;
  constexpr int kBadArgument = -2;
  int fd = 0;
  Bytes program;
  Bytes data;
  size_t count = 0;
  if (!ReadFd(info, 0, &fd) || !ReadTypedArray(info, 1, napi_int32_array, &program) ||
      !ReadBytes(info, 2, &data) || !ReadSize(info, 3, kernel::kMaxOperations, &count) ||
      program.length < count * kernel::kSlots) {
    return Result(info, kBadArgument);
  }
  const int done = kernel::RunBatch(fd, program.data, count, data.data, data.length);
  if (done < 0) return Result(info, kBadArgument);
  return Result(info, static_cast<size_t>(done) == count ? kAllApplied : done);
}

}  // namespace socket_tuner::addon
