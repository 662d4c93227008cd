#include "batch.h"
#include "constants.h"
#include "owner.h"
#include "queues.h"
#include "signal_text.h"
#include "sock_diag.h"
#include "socket.h"
#include "sockopt.h"
#include "tcp_info.h"

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  socket_tuner::ExportConstants(env, exports);
  socket_tuner::ExportSockopt(env, exports);
  socket_tuner::ExportBatch(env, exports);
  socket_tuner::ExportSocket(env, exports);
  socket_tuner::ExportOwner(env, exports);
  socket_tuner::ExportSockDiag(env, exports);
  socket_tuner::ExportQueues(env, exports);
  socket_tuner::ExportTcpInfo(env, exports);
  socket_tuner::ExportSignalText(env, exports);
  return exports;
}

NODE_API_MODULE(socket_tuner, Init)
