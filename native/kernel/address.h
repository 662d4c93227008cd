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

// Has room for the longest address: IPv6 that ends with IPv4, with a zone.
struct AddressText {
  char characters[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE];
};

// Parses addresses such as "1.2.3.4", "::1", "fe80::1%eth0" and "fe80::1%2". Returns 0 or -EINVAL.
int ParseAddress(const char* text, uint16_t port, SocketAddress* address);

// Writes the address without its port, and a link-local one with its zone. Returns 0 or a negated
// errno: -EAFNOSUPPORT for an address that is not of IP.
int FormatAddress(const SocketAddress& address, AddressText* text);

// Returns the port, or -EAFNOSUPPORT for an address that has none.
int PortOf(const SocketAddress& address);

// Writes the name of a unix-domain address, which for an abstract one begins with a NUL. Returns
// its length, which is 0 for a socket that is not bound, or a negated errno: -EAFNOSUPPORT for an
// address of another domain, -ENOSPC if the name does not fit.
int UnixName(const SocketAddress& address, uint8_t* out, size_t capacity);

}  // namespace socket_tuner::kernel

#endif  // SOCKET_TUNER_KERNEL_ADDRESS_H_
