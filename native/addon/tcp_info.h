// struct tcp_info, as long as the running kernel makes it.
#ifndef SOCKET_TUNER_ADDON_TCP_INFO_H_
#define SOCKET_TUNER_ADDON_TCP_INFO_H_

#include <napi.h>

namespace socket_tuner {

void ExportTcpInfo(Napi::Env env, Napi::Object exports);

}  // namespace socket_tuner

#endif  // SOCKET_TUNER_ADDON_TCP_INFO_H_
