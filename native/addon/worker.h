// Tasks with a filter of inet_diag that run on a thread of the pool.
#ifndef SOCKET_TUNER_ADDON_WORKER_H_
#define SOCKET_TUNER_ADDON_WORKER_H_

#include "../kernel/sock_diag_dump.h"
#include "args.h"

#include <cstring>
#include <memory>
#include <new>

namespace socket_tuner::addon {

struct Filter {
  std::unique_ptr<uint8_t[]> bytecode;
  std::size_t length = 0;
};

// Copies the filter, since another thread reads it. Returns 0 or a negated errno.
inline int ReadFilter(const Napi::CallbackInfo& info, std::size_t index, Filter* filter) {
  Bytes bytes;
  if (!ReadBytes(info, index, &bytes) || bytes.length > kernel::kMaxFilterBytes) return -EINVAL;
  filter->bytecode.reset(new (std::nothrow) uint8_t[bytes.length + 1]);
  if (!filter->bytecode) return -ENOMEM;
  if (bytes.length > 0) std::memcpy(filter->bytecode.get(), bytes.data, bytes.length);
  filter->length = bytes.length;
  return 0;
}

// Starts a task. Returns 0 or a negated errno.
inline Napi::Value Start(const Napi::CallbackInfo& info, Napi::AsyncWorker* worker) {
  if (worker == nullptr) return Result(info, -ENOMEM);
  worker->Queue();
  return Result(info, 0);
}

}  // namespace socket_tuner::addon

#endif  // SOCKET_TUNER_ADDON_WORKER_H_
