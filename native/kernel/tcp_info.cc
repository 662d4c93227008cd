#include "tcp_info.h"

#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace socket_tuner::kernel {

#ifdef __linux__
// Checks the newest member that the header of every C library has. scripts/layouts.js checks all
// members of the kernel's own header.
static_assert(offsetof(TcpInfo, total_retrans) == offsetof(tcp_info, tcpi_total_retrans) &&
                  offsetof(TcpInfo, rto) == offsetof(tcp_info, tcpi_rto),
              "TcpInfo is struct tcp_info");
#endif

int GetTcpInfo(int fd, uint8_t* out, size_t capacity) {
#ifdef TCP_INFO
  socklen_t length = static_cast<socklen_t>(capacity);
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, out, &length) != 0) return -errno;
  return static_cast<int>(length);
#else
  (void)fd, (void)out, (void)capacity;
  return -ENOPROTOOPT;
#endif
}

}  // namespace socket_tuner::kernel
