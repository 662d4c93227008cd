// socket(2), bind(2), connect(2), listen(2), dup and close of descriptors that this library owns, the limit
// on them, and the throwing away of input on one that is about to be closed.
#ifndef SOCKET_TUNER_ADDON_SOCKET_H_
#define SOCKET_TUNER_ADDON_SOCKET_H_

#include <napi.h>

namespace socket_tuner {

void ExportSocket(Napi::Env env, Napi::Object exports);

}  // namespace socket_tuner

#endif  // SOCKET_TUNER_ADDON_SOCKET_H_
