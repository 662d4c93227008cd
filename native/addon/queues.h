// How many bytes wait in a socket's queues: SIOCINQ, SIOCOUTQ, SIOCOUTQNSD (tcp(7), Linux 2.4+).
#ifndef SOCKET_TUNER_ADDON_QUEUES_H_
#define SOCKET_TUNER_ADDON_QUEUES_H_

#include <napi.h>

namespace socket_tuner {

void ExportQueues(Napi::Env env, Napi::Object exports);

}  // namespace socket_tuner

#endif  // SOCKET_TUNER_ADDON_QUEUES_H_
