// A descriptor that is closed when nothing in JavaScript refers to it any more, and when its
// environment (a worker thread) ends: whichever comes first, and only once.
#ifndef SOCKET_TUNER_ADDON_OWNER_H_
#define SOCKET_TUNER_ADDON_OWNER_H_

#include <napi.h>

namespace socket_tuner {

void ExportOwner(Napi::Env env, Napi::Object exports);

}  // namespace socket_tuner

#endif  // SOCKET_TUNER_ADDON_OWNER_H_
