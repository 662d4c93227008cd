#include "../kernel/signal_text.h"

#include "args.h"
#include "exports.h"

namespace socket_tuner::addon {

Napi::Value SetSignalText(const Napi::CallbackInfo& info) {
  Bytes text;
  if (!ReadBytes(info, 0, &text)) return BadArgument(info);
  return Result(info, kernel::SetSignalText(text.data, text.length));
}

Napi::Value WriteOnSignal(const Napi::CallbackInfo& info) {
  int signal = 0;
  if (!ReadInt(info, 0, &signal)) return BadArgument(info);
  return Result(info, kernel::WriteOnSignal(signal));
}

}  // namespace socket_tuner::addon
