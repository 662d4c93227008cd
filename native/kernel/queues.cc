#include "queues.h"

#include <cerrno>
#include <cstddef>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/types.h>

#ifdef __linux__
#include <linux/sockios.h>
#endif

namespace socket_tuner::kernel {
namespace {

#ifdef __linux__
constexpr unsigned long kUnread = SIOCINQ;
#else
constexpr unsigned long kUnread = FIONREAD;
#endif

// DiscardInput ends with the call of recv(2) that exceeds this.
constexpr size_t kDiscardLimit = size_t{16} << 20;

}  // namespace

int UnreadBytes(int fd) {
  int bytes = 0;
  return ioctl(fd, kUnread, &bytes) < 0 ? -errno : bytes;
}

int UnacknowledgedBytes(int fd) {
  int bytes = 0;
#if defined(__linux__)
  return ioctl(fd, SIOCOUTQ, &bytes) < 0 ? -errno : bytes;
#elif defined(SO_NWRITE)
  socklen_t length = sizeof(bytes);
  return getsockopt(fd, SOL_SOCKET, SO_NWRITE, &bytes, &length) < 0 ? -errno : bytes;
#else
  (void)fd, (void)bytes;
  return -ENOPROTOOPT;
#endif
}

int UnsentBytes(int fd) {
#ifdef __linux__
  int bytes = 0;
  return ioctl(fd, SIOCOUTQNSD, &bytes) < 0 ? -errno : bytes;
#else
  (void)fd;
  return -ENOPROTOOPT;
#endif
}

int DiscardInput(int fd) {
#ifdef __linux__
  // TCP drops the bytes without copying them (tcp(7), MSG_TRUNC).
  constexpr int kFlags = MSG_DONTWAIT | MSG_TRUNC;
  constexpr size_t kChunk = size_t{1} << 20;
  void* const buffer = nullptr;
#else
  constexpr int kFlags = MSG_DONTWAIT;
  char memory[16384];
  constexpr size_t kChunk = sizeof(memory);
  void* const buffer = memory;
#endif
  size_t total = 0;
  while (total < kDiscardLimit) {
    const ssize_t count = recv(fd, buffer, kChunk, kFlags);
    if (count > 0) {
      total += static_cast<size_t>(count);
      continue;
    }
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && total == 0) return -errno;
    break;
  }
  return static_cast<int>(total);
}

}  // namespace socket_tuner::kernel
