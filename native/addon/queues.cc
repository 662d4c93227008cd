#include "queues.h"

#include "args.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

#ifdef __linux__
#include <linux/sockios.h>
#endif

namespace socket_tuner {
namespace {

int Unread(int fd, int* out) {
#ifdef __linux__
  return ioctl(fd, SIOCINQ, out);
#else
  return ioctl(fd, FIONREAD, out);
#endif
}

int Unacknowledged(int fd, int* out) {
#if defined(__linux__)
  return ioctl(fd, SIOCOUTQ, out);
#elif defined(SO_NWRITE)
  socklen_t length = sizeof(*out);
  return getsockopt(fd, SOL_SOCKET, SO_NWRITE, out, &length);
#else
  (void)fd, (void)out;
  errno = ENOPROTOOPT;
  return -1;
#endif
}

int Unsent(int fd, int* out) {
#ifdef __linux__
  return ioctl(fd, SIOCOUTQNSD, out);
#else
  (void)fd, (void)out;
  errno = ENOPROTOOPT;
  return -1;
#endif
}

template <int (*Query)(int, int*)>
Napi::Value QueueSize(const Napi::CallbackInfo& info) {
  int fd = 0;
  if (!ReadFd(info, 0, &fd)) return BadArgument(info);
  int bytes = 0;
  return Query(fd, &bytes) < 0 ? Failure(info, errno) : Napi::Number::New(info.Env(), bytes);
}

}  // namespace

// Each takes a descriptor and returns a number of bytes, or -errno.
void ExportQueues(Napi::Env env, Napi::Object exports) {
  exports.Set("unreadBytes", Napi::Function::New<QueueSize<Unread>>(env, "unreadBytes"));
  exports.Set("unacknowledgedBytes",
              Napi::Function::New<QueueSize<Unacknowledged>>(env, "unacknowledgedBytes"));
  exports.Set("unsentBytes", Napi::Function::New<QueueSize<Unsent>>(env, "unsentBytes"));
}

}  // namespace socket_tuner
