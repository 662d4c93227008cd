#include "tcp_info.h"

#include "args.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace socket_tuner {
namespace {

// tcpInfo(fd, out): how many bytes the kernel wrote to the front of `out`, or -errno. The kernel
// copies the shorter of its own struct and the room given, so what lies past the returned length
// is not from this call.
Napi::Value TcpInfo(const Napi::CallbackInfo& info) {
  int fd = 0;
  Bytes out;
  if (!ReadFd(info, 0, &fd) || !ReadBytes(info, 1, &out) || out.length > UINT16_MAX) {
    return BadArgument(info);
  }
#ifdef TCP_INFO
  socklen_t length = static_cast<socklen_t>(out.length);
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, out.data, &length) != 0) return Failure(info, errno);
  return Napi::Number::New(info.Env(), length);
#else
  return Failure(info, ENOPROTOOPT);
#endif
}

}  // namespace

void ExportTcpInfo(Napi::Env env, Napi::Object exports) {
  exports.Set("tcpInfo", Napi::Function::New<TcpInfo>(env, "tcpInfo"));
}

}  // namespace socket_tuner
