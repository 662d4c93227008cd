#include "../kernel/queues.h"

#include "args.h"
#include "exports.h"

namespace socket_tuner::addon {

Napi::Value UnreadBytes(const Napi::CallbackInfo& info) {
  return WithFd<kernel::UnreadBytes>(info);
}

Napi::Value UnacknowledgedBytes(const Napi::CallbackInfo& info) {
  return WithFd<kernel::UnacknowledgedBytes>(info);
}

Napi::Value UnsentBytes(const Napi::CallbackInfo& info) {
  return WithFd<kernel::UnsentBytes>(info);
}

Napi::Value DiscardInput(const Napi::CallbackInfo& info) {
  return WithFd<kernel::DiscardInput>(info);
}

}  // namespace socket_tuner::addon
