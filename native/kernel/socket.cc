#include "socket.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace socket_tuner::kernel {
namespace {

// Returns the result of a system call, or a negated errno instead of -1.
int ResultOf(int result) { return result < 0 ? -errno : result; }

const sockaddr* Raw(const SocketAddress& address) {
  return reinterpret_cast<const sockaddr*>(&address.storage);
}

}  // namespace

int OpenSocket(int domain, int type, int protocol) {
#ifdef SOCK_NONBLOCK
  return ResultOf(socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
#else
  const int fd = socket(domain, type, protocol);
  if (fd < 0) return -errno;
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
      fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
    const int error = errno;
    close(fd);
    return -error;
  }
  return fd;
#endif
}

int CloseFd(int fd) {
  if (fd <= STDERR_FILENO) return -EINVAL;
  // The descriptor is closed even if close() reports EINTR (close(2)), so it is not called again.
  return ResultOf(close(fd));
}

int DuplicateFd(int fd) { return ResultOf(fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)); }

double DescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return -errno;
  return static_cast<double>(limit.rlim_cur);
}

int Bind(int fd, const SocketAddress& address) {
  return ResultOf(bind(fd, Raw(address), address.length));
}

int Connect(int fd, const SocketAddress& address) {
  return ResultOf(connect(fd, Raw(address), address.length));
}

int Listen(int fd, int backlog) { return ResultOf(listen(fd, backlog)); }

int ShutdownWrite(int fd) { return ResultOf(shutdown(fd, SHUT_WR)); }

int LocalName(int fd, SocketAddress* address) {
  *address = {};
  address->length = sizeof(address->storage);
  return ResultOf(
      getsockname(fd, reinterpret_cast<sockaddr*>(&address->storage), &address->length));
}

}  // namespace socket_tuner::kernel
