// Lists the TIME_WAIT entry of a connection and removes it. Then opens a live connection with the
// same addresses and ports, and removes the listed entry once more, which must not touch that
// connection. Prints the number of entries listed, the numbers removed by both calls, and whether
// the new connection still works.
#include "../../../native/kernel/sock_diag_destroy.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>

namespace {

using namespace socket_tuner::kernel;

constexpr uint16_t kServerPort = 8001;
constexpr uint16_t kClientPort = 8002;

int Check(int result, const char* what) {
  if (result >= 0) return result;
  std::perror(what);
  std::exit(1);
}

sockaddr_storage Loopback(int family, uint16_t port, socklen_t* length) {
  sockaddr_storage storage{};
  if (family == AF_INET) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *length = sizeof(address);
    std::memcpy(&storage, &address, sizeof(address));
  } else {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    address.sin6_addr = in6addr_loopback;
    *length = sizeof(address);
    std::memcpy(&storage, &address, sizeof(address));
  }
  return storage;
}

int Bound(int family, uint16_t port) {
  const int fd = Check(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  const int on = 1;
  Check(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), "SO_REUSEADDR");
  socklen_t length = 0;
  const sockaddr_storage address = Loopback(family, port, &length);
  Check(bind(fd, reinterpret_cast<const sockaddr*>(&address), length), "bind");
  return fd;
}

struct Connection {
  int client;
  int accepted;
};

Connection Connect(int family, int listener) {
  const int client = Bound(family, kClientPort);
  socklen_t length = 0;
  const sockaddr_storage server = Loopback(family, kServerPort, &length);
  Check(connect(client, reinterpret_cast<const sockaddr*>(&server), length), "connect");
  return {client, Check(accept(listener, nullptr, nullptr), "accept")};
}

// The client closes first, so that its end has the entry.
void Close(const Connection& connection) {
  char byte = 0;
  Check(close(connection.client), "close");
  Check(static_cast<int>(read(connection.accepted, &byte, 1)), "read");
  Check(close(connection.accepted), "close");
}

bool Works(const Connection& connection) {
  char byte = 'x';
  return write(connection.client, &byte, 1) == 1 && read(connection.accepted, &byte, 1) == 1 &&
         write(connection.accepted, &byte, 1) == 1 && read(connection.client, &byte, 1) == 1;
}

}  // namespace

int main(int argc, char** argv) {
  const int family = argc == 2 && std::strcmp(argv[1], "6") == 0 ? AF_INET6 : AF_INET;
  const int listener = Bound(family, kServerPort);
  Check(listen(listener, 1), "listen");
  Close(Connect(family, listener));
  TimeWaitList list;
  errno = -list.Reserve(family, 16);
  Check(-errno, "reserve");
  const SocketChoice choice = {1U << TCP_TIME_WAIT, nullptr, 0};
  errno = -DumpSockets(family, choice, &list);
  Check(-errno, "dump");
  std::size_t there = 0;
  errno = -DestroyEntries(list, &there);
  Check(-errno, "destroy");
  const Connection newcomer = Connect(family, listener);
  std::size_t replaced = 0;
  errno = -DestroyEntries(list, &replaced);
  Check(-errno, "destroy");
  std::printf("{\"listed\":%zu,\"removed\":%zu,\"removedNewcomers\":%zu,\"works\":%s}\n",
              list.size(), there, replaced, Works(newcomer) ? "true" : "false");
  return 0;
}
