// Addresses as text and as struct sockaddr.
#ifndef SOCKET_TUNER_KERNEL_ADDRESS_H_
#define SOCKET_TUNER_KERNEL_ADDRESS_H_

#include <cstddef>
#include <cstdint>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace socket_tuner::kernel {

struct SocketAddress {
  sockaddr_storage storage;
  socklen_t length;
};

// The longest: an IPv6 address that ends with an IPv4 one, and a zone.
struct AddressText {
  char characters[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE];
};

// Takes "1.2.3.4", "::1", "fe80::1%eth0" and "fe80::1%2". 0, or -EINVAL.
int ParseAddress(const char* text, uint16_t port, SocketAddress* address);

// Writes the address without its port, a link-local one with its zone. 0 or a negated errno:
// -EAFNOSUPPORT for an address that is not of IP.
int FormatAddress(const SocketAddress& address, AddressText* text);

// The port, or -EAFNOSUPPORT for an address that has none.
int PortOf(const SocketAddress& address);

// Writes the name of a unix-domain address, of an abstract one with the NUL before it, and none for
// a socket that is not bound. The length, or a negated errno: -EAFNOSUPPORT for an address of
// another domain, -ENOSPC where it does not fit.
int UnixName(const SocketAddress& address, uint8_t* out, size_t capacity);

}  // namespace socket_tuner::kernel

#endif  // SOCKET_TUNER_KERNEL_ADDRESS_H_
