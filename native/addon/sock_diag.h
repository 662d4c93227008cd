// inet_diag over netlink (sock_diag(7)): the TCP sockets of this network namespace, chosen by the
// kernel, counted in groups; and the removal of those in TIME_WAIT. Linux; off the event loop.
#ifndef SOCKET_TUNER_ADDON_SOCK_DIAG_H_
#define SOCKET_TUNER_ADDON_SOCK_DIAG_H_

#include <napi.h>

namespace socket_tuner {

void ExportSockDiag(Napi::Env env, Napi::Object exports);

}  // namespace socket_tuner

#endif  // SOCKET_TUNER_ADDON_SOCK_DIAG_H_
