#include "address.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/un.h>

namespace socket_tuner::kernel {
namespace {

// Returns the index of an interface from its name or its index as text (RFC 4007 section 11); 0 for
// none.
uint32_t ZoneIndex(const char* zone) {
  const uint32_t index = if_nametoindex(zone);
  if (index != 0 || *zone < '1' || *zone > '9') return index;
  char* end = nullptr;
  errno = 0;
  const unsigned long number = std::strtoul(zone, &end, 10);
  return errno == 0 && *end == '\0' && number <= UINT32_MAX ? static_cast<uint32_t>(number) : 0;
}

// Appends "%eth0" to a link-local address, or "%3" if the interface no longer exists.
void AppendZone(const sockaddr_in6& name, AddressText* text) {
  if (name.sin6_scope_id == 0 || !IN6_IS_ADDR_LINKLOCAL(&name.sin6_addr)) return;
  const size_t length = std::strlen(text->characters);
  char* const end = text->characters + length;
  const size_t room = sizeof(text->characters) - length;
  char zone[IF_NAMESIZE];
  if (if_indextoname(name.sin6_scope_id, zone) != nullptr) {
    static_cast<void>(std::snprintf(end, room, "%%%s", zone));
  } else {
    static_cast<void>(std::snprintf(end, room, "%%%u", name.sin6_scope_id));
  }
}

}  // namespace

int ParseAddress(const char* text, uint16_t port, SocketAddress* address) {
  *address = {};
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address->storage);
  if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    address->length = sizeof(sockaddr_in);
    return 0;
  }
  AddressText host;
  if (std::strlen(text) >= sizeof(host.characters)) return -EINVAL;
  std::strcpy(host.characters, text);
  *address = {};
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address->storage);
  if (char* zone = std::strchr(host.characters, '%')) {
    *zone++ = '\0';
    v6->sin6_scope_id = ZoneIndex(zone);
    if (v6->sin6_scope_id == 0) return -EINVAL;
  }
  if (inet_pton(AF_INET6, host.characters, &v6->sin6_addr) != 1) return -EINVAL;
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(port);
  address->length = sizeof(sockaddr_in6);
  return 0;
}

int FormatAddress(const SocketAddress& address, AddressText* text) {
  const sa_family_t family = address.storage.ss_family;
  const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
  if (family != AF_INET && family != AF_INET6) return -EAFNOSUPPORT;
  const void* const bytes =
      family == AF_INET ? static_cast<const void*>(&v4->sin_addr) : &v6->sin6_addr;
  if (inet_ntop(family, bytes, text->characters, sizeof(text->characters)) == nullptr)
    return -errno;
  if (family == AF_INET6) AppendZone(*v6, text);
  return 0;
}

int PortOf(const SocketAddress& address) {
  switch (address.storage.ss_family) {
    case AF_INET:
      return ntohs(reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_port);
    case AF_INET6:
      return ntohs(reinterpret_cast<const sockaddr_in6*>(&address.storage)->sin6_port);
    default:
      return -EAFNOSUPPORT;
  }
}

int UnixName(const SocketAddress& address, uint8_t* out, size_t capacity) {
  if (address.storage.ss_family != AF_UNIX) return -EAFNOSUPPORT;
  // The name of a file need not end with a NUL (unix(7)), and the storage is longer than any name.
  constexpr size_t kBegin = offsetof(sockaddr_un, sun_path);
  const size_t end = std::min<size_t>(address.length, sizeof(address.storage));
  const char* const name = reinterpret_cast<const char*>(&address.storage) + kBegin;
  size_t length = end > kBegin ? end - kBegin : 0;
  if (length > 0 && *name != '\0') length = strnlen(name, length);
  if (length > capacity) return -ENOSPC;
  if (length > 0) std::memcpy(out, name, length);
  return static_cast<int>(length);
}

}  // namespace socket_tuner::kernel
