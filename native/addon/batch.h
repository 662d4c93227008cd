// Many options on one socket in one call: saved, set, read back, and put back when one fails.
#ifndef SOCKET_TUNER_ADDON_BATCH_H_
#define SOCKET_TUNER_ADDON_BATCH_H_

#include <napi.h>

namespace socket_tuner {

void ExportBatch(Napi::Env env, Napi::Object exports);

}  // namespace socket_tuner

#endif  // SOCKET_TUNER_ADDON_BATCH_H_
