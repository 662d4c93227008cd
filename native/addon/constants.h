// The numbers of levels, options, families and errors as this platform's headers give them.
#ifndef SOCKET_TUNER_ADDON_CONSTANTS_H_
#define SOCKET_TUNER_ADDON_CONSTANTS_H_

#include <napi.h>

namespace socket_tuner {

void ExportConstants(Napi::Env env, Napi::Object exports);

}  // namespace socket_tuner

#endif  // SOCKET_TUNER_ADDON_CONSTANTS_H_
