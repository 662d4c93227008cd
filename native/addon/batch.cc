#include "../kernel/batch.h"

#include "args.h"
#include "exports.h"

namespace socket_tuner::addon {

Napi::Value ApplyBatch(const Napi::CallbackInfo& info) {
  int fd = 0;
  Bytes program;
  Bytes data;
  size_t count = 0;
  if (!ReadFd(info, 0, &fd) || !ReadTypedArray(info, 1, napi_int32_array, &program) ||
      !ReadBytes(info, 2, &data) || !ReadSize(info, 3, kernel::kMaxOperations, &count) ||
      program.length < count * kernel::kSlots) {
    return BadArgument(info);
  }
  return Result(info, kernel::RunBatch(fd, program.data, count, data.data, data.length));
}

}  // namespace socket_tuner::addon
