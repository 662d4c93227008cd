#include "socket.h"

#include "args.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace socket_tuner {
namespace {

// openSocket(domain, type, protocol): a non-blocking, close-on-exec descriptor, or -errno
Napi::Value OpenSocket(const Napi::CallbackInfo& info) {
  int domain = 0;
  int type = 0;
  int protocol = 0;
  if (!ReadInt(info, 0, &domain) || !ReadInt(info, 1, &type) || !ReadInt(info, 2, &protocol)) {
    return BadArgument(info);
  }
#ifdef SOCK_NONBLOCK
  const int fd = socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
  if (fd < 0) return Failure(info, errno);
#else
  const int fd = socket(domain, type, protocol);
  if (fd < 0) return Failure(info, errno);
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
      fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
    const int error = errno;
    close(fd);
    return Failure(info, error);
  }
#endif
  return Napi::Number::New(info.Env(), fd);
}

// closeFd(fd): 0 or -errno. Never 0, 1 or 2: no socket of this library is one of them.
Napi::Value CloseFd(const Napi::CallbackInfo& info) {
  int fd = 0;
  if (!ReadFd(info, 0, &fd) || fd <= STDERR_FILENO) return BadArgument(info);
  // The descriptor is gone even when close() reports EINTR, so there is no second try.
  return Result(info, close(fd));
}

// duplicateFd(fd): another close-on-exec descriptor of the same socket, or -errno
Napi::Value DuplicateFd(const Napi::CallbackInfo& info) {
  int fd = 0;
  if (!ReadFd(info, 0, &fd)) return BadArgument(info);
  const int copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  return copy < 0 ? Failure(info, errno) : Napi::Number::New(info.Env(), copy);
}

// descriptorLimit(): the soft limit on open descriptors, above 2**53 when there is none, or -errno
Napi::Value DescriptorLimit(const Napi::CallbackInfo& info) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return Failure(info, errno);
  return Napi::Number::New(info.Env(), static_cast<double>(limit.rlim_cur));
}

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

// The index of an interface given by its name or by that number (RFC 4007 section 11); 0 for none.
uint32_t ZoneIndex(const char* zone) {
  const uint32_t index = if_nametoindex(zone);
  if (index != 0 || *zone < '1' || *zone > '9') return index;
  char* end = nullptr;
  errno = 0;
  const unsigned long number = std::strtoul(zone, &end, 10);
  return errno == 0 && *end == '\0' && number <= UINT32_MAX ? static_cast<uint32_t>(number) : 0;
}

// "1.2.3.4", "::1", "fe80::1%eth0" or "fe80::1%2" with a port.
bool ParseAddress(const char* text, int port, Address* out) {
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out->storage);
  if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(static_cast<uint16_t>(port));
    out->length = sizeof(sockaddr_in);
    return true;
  }
  char host[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE];
  if (std::strlen(text) >= sizeof(host)) return false;
  std::strcpy(host, text);
  out->storage = {};
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out->storage);
  if (char* zone = std::strchr(host, '%')) {
    *zone++ = '\0';
    v6->sin6_scope_id = ZoneIndex(zone);
    if (v6->sin6_scope_id == 0) return false;
  }
  if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1) return false;
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(static_cast<uint16_t>(port));
  out->length = sizeof(sockaddr_in6);
  return true;
}

// A call that takes a descriptor and an address with its port.
template <int (*Call)(int, const sockaddr*, socklen_t)>
Napi::Value WithAddress(const Napi::CallbackInfo& info) {
  int fd = 0;
  int port = 0;
  char text[128];
  size_t length = 0;
  if (!ReadFd(info, 0, &fd) || info.Length() < 3 || !ReadInt(info, 2, &port) || port < 0 ||
      port > UINT16_MAX ||
      napi_get_value_string_utf8(info.Env(), info[1], text, sizeof(text), &length) != napi_ok ||
      length >= sizeof(text) - 1 || std::strlen(text) != length) {
    return BadArgument(info);
  }
  Address address;
  if (!ParseAddress(text, port, &address)) return BadArgument(info);
  return Result(info, Call(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.length));
}

// The length of the name, or -errno.
int LocalName(const Napi::CallbackInfo& info, sockaddr_storage* out) {
  int fd = 0;
  if (!ReadFd(info, 0, &fd)) return -EINVAL;
  socklen_t length = sizeof(*out);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(out), &length) != 0) return -errno;
  return static_cast<int>(length);
}

// listenFd(fd, backlog): 0 or -errno
Napi::Value ListenFd(const Napi::CallbackInfo& info) {
  int fd = 0;
  int backlog = 0;
  if (!ReadFd(info, 0, &fd) || !ReadInt(info, 1, &backlog)) return BadArgument(info);
  return Result(info, listen(fd, backlog));
}

// shutdownWrite(fd): 0 or -errno. The FIN follows what is queued.
Napi::Value ShutdownWrite(const Napi::CallbackInfo& info) {
  int fd = 0;
  if (!ReadFd(info, 0, &fd)) return BadArgument(info);
  return Result(info, shutdown(fd, SHUT_WR));
}

// localPort(fd): the bound port, 0 when unbound, or -errno (EAFNOSUPPORT for a socket without ports)
Napi::Value LocalPort(const Napi::CallbackInfo& info) {
  sockaddr_storage name{};
  const int error = LocalName(info, &name);
  if (error < 0) return Failure(info, -error);
  if (name.ss_family == AF_INET) {
    return Napi::Number::New(info.Env(), ntohs(reinterpret_cast<sockaddr_in*>(&name)->sin_port));
  }
  if (name.ss_family == AF_INET6) {
    return Napi::Number::New(info.Env(), ntohs(reinterpret_cast<sockaddr_in6*>(&name)->sin6_port));
  }
  return Failure(info, EAFNOSUPPORT);
}

// Appends "%eth0" to a link-local address; "%3" where the interface has gone.
void AppendZone(const sockaddr_in6& name, char* text, size_t size) {
  if (name.sin6_scope_id == 0 || !IN6_IS_ADDR_LINKLOCAL(&name.sin6_addr)) return;
  char zone[IF_NAMESIZE];
  const size_t length = std::strlen(text);
  if (if_indextoname(name.sin6_scope_id, zone) != nullptr) {
    static_cast<void>(std::snprintf(text + length, size - length, "%%%s", zone));
  } else {
    static_cast<void>(std::snprintf(text + length, size - length, "%%%u", name.sin6_scope_id));
  }
}

// localAddress(fd, out): bytes of text written to the front of `out`, the bound address, of a
// link-local one with its zone, or -errno as localPort
Napi::Value LocalAddress(const Napi::CallbackInfo& info) {
  sockaddr_storage name{};
  Bytes out;
  if (!ReadBytes(info, 1, &out)) return BadArgument(info);
  const int error = LocalName(info, &name);
  if (error < 0) return Failure(info, -error);
  const void* address = nullptr;
  if (name.ss_family == AF_INET) {
    address = &reinterpret_cast<sockaddr_in*>(&name)->sin_addr;
  } else if (name.ss_family == AF_INET6) {
    address = &reinterpret_cast<sockaddr_in6*>(&name)->sin6_addr;
  } else {
    return Failure(info, EAFNOSUPPORT);
  }
  char text[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE];
  if (inet_ntop(name.ss_family, address, text, sizeof(text)) == nullptr) return Failure(info, errno);
  if (name.ss_family == AF_INET6) {
    AppendZone(*reinterpret_cast<sockaddr_in6*>(&name), text, sizeof(text));
  }
  const size_t length = std::strlen(text);
  if (length > out.length) return Failure(info, ENOSPC);
  std::memcpy(out.data, text, length);
  return Napi::Number::New(info.Env(), static_cast<double>(length));
}

// localPath(fd, out): bytes of the name of a unix-domain socket written to the front of `out`, of an
// abstract one with the NUL before it, 0 when unbound, or -errno (EAFNOSUPPORT for another domain)
Napi::Value LocalPath(const Napi::CallbackInfo& info) {
  sockaddr_storage name{};
  Bytes out;
  if (!ReadBytes(info, 1, &out)) return BadArgument(info);
  const int named = LocalName(info, &name);
  if (named < 0) return Failure(info, -named);
  if (name.ss_family != AF_UNIX) return Failure(info, EAFNOSUPPORT);
  // The name of a file need not end with a NUL (unix(7)), and the storage is longer than any name.
  constexpr size_t kBegin = offsetof(sockaddr_un, sun_path);
  const size_t end = std::min(static_cast<size_t>(named), sizeof(name));
  const char* path = reinterpret_cast<const char*>(&name) + kBegin;
  size_t length = end > kBegin ? end - kBegin : 0;
  if (length > 0 && *path != '\0') length = strnlen(path, length);
  if (length > out.length) return Failure(info, ENOSPC);
  if (length > 0) std::memcpy(out.data, path, length);
  return Napi::Number::New(info.Env(), static_cast<double>(length));
}

// How much discardInput throws away at most in one call, so that it cannot hold the event loop
// against a peer that sends faster than it discards.
constexpr size_t kDiscardLimit = size_t{16} << 20;

// discardInput(fd): bytes of received input that were thrown away, or -errno when none could be
Napi::Value DiscardInput(const Napi::CallbackInfo& info) {
  int fd = 0;
  if (!ReadFd(info, 0, &fd)) return BadArgument(info);
  size_t total = 0;
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
  while (total < kDiscardLimit) {
    const ssize_t count = recv(fd, buffer, kChunk, kFlags);
    if (count > 0) {
      total += static_cast<size_t>(count);
      continue;
    }
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && total == 0) {
      return Failure(info, errno);
    }
    break;
  }
  return Napi::Number::New(info.Env(), static_cast<double>(total));
}

}  // namespace

void ExportSocket(Napi::Env env, Napi::Object exports) {
  exports.Set("openSocket", Napi::Function::New<OpenSocket>(env, "openSocket"));
  exports.Set("closeFd", Napi::Function::New<CloseFd>(env, "closeFd"));
  exports.Set("duplicateFd", Napi::Function::New<DuplicateFd>(env, "duplicateFd"));
  exports.Set("descriptorLimit", Napi::Function::New<DescriptorLimit>(env, "descriptorLimit"));
  // bindFd(fd, address, port): 0 or -errno
  exports.Set("bindFd", Napi::Function::New<WithAddress<bind>>(env, "bindFd"));
  // connectFd(fd, address, port): 0 or -errno; -EINPROGRESS when it goes on
  exports.Set("connectFd", Napi::Function::New<WithAddress<connect>>(env, "connectFd"));
  exports.Set("listenFd", Napi::Function::New<ListenFd>(env, "listenFd"));
  exports.Set("shutdownWrite", Napi::Function::New<ShutdownWrite>(env, "shutdownWrite"));
  exports.Set("localPort", Napi::Function::New<LocalPort>(env, "localPort"));
  exports.Set("localAddress", Napi::Function::New<LocalAddress>(env, "localAddress"));
  exports.Set("localPath", Napi::Function::New<LocalPath>(env, "localPath"));
  exports.Set("discardInput", Napi::Function::New<DiscardInput>(env, "discardInput"));
}

}  // namespace socket_tuner
